"""The battery documentation says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tais.battery.definition import Battery, battery_schema
from tais.battery.load import load_definition
from tais.common.shipped import names
from tais.scorers import judge_names, scorer_names

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "batteries.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_every_example_is_a_battery(example: str, tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(example)
    load_definition(tmp_path / "example.yaml")


def test_every_key_scorer_and_battery_is_named() -> None:
    missing = [
        key for key in Battery.model_fields if key not in ("name", "description") and f"`{key}`" not in TEXT
    ]
    assert not missing
    scorers = (*scorer_names(), *judge_names())
    assert not [name for name in scorers if f"| `{name}` |" not in TEXT]
    families = ("paper_", "demo_")
    assert not [
        name for name in names("batteries") if not name.startswith(families) and f"`{name}`" not in TEXT
    ]


def test_the_schema_file_is_that_of_the_code() -> None:
    # Versions of pydantic word the same schema differently; keys and parts are what must not drift.
    written, made = json.loads((DOCS / "battery.schema.json").read_text()), battery_schema()
    assert list(written["properties"]) == list(made["properties"])
    assert {k: list(v["properties"]) for k, v in written["$defs"].items()} == {
        k: list(v["properties"]) for k, v in made["$defs"].items()
    }
