"""The JSON Schema of report.json.

``schema/v1.json`` ships with TAIS and is what other programs read. It allows keys that it does not know:
keys are only ever added, so a copy of it that someone keeps stays right for later reports.
"""

from __future__ import annotations

import json
from pathlib import Path

from tais.verdict.report import Report

__all__ = ["SCHEMA_FILE", "report_schema", "schema_text"]

SCHEMA_FILE = Path(__file__).parent / "schema" / "v1.json"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, object]:
    """Return the schema of the report's JSON."""
    # As read, not as written: keys that came later have defaults, and older reports lack them.
    schema = Report.model_json_schema(by_alias=True, mode="validation")
    schema["required"] = ["schema", *schema["required"]]
    _open(schema)
    return {"$schema": _DIALECT, "$id": "tais/report/v1", **schema}


def _open(node: object) -> None:
    """Take out the ban on unknown keys, which holds for what TAIS writes, not for what others may read."""
    if isinstance(node, dict):
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
        for inner in node.values():
            _open(inner)
    elif isinstance(node, list):
        for inner in node:
            _open(inner)


def schema_text() -> str:
    """Return the schema as it ships."""
    return json.dumps(report_schema(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
