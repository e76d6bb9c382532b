"""report.json keeps its shape: keys are added, never renamed or removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from tais import errors
from tais.report.redact import redacted
from tais.report.schema import SCHEMA_FILE, report_schema, schema_text
from tais.verdict.facts import ArmFacts, Facts
from tais.verdict.report import EXIT_CODES, Report
from tests.report.factory import adjudication, report

# The contract with other programs. A key leaves this list with the next version of the schema, not before.
KEPT = {
    "": "schema verdict reasons contrasts",
    "reasons.0": "code message values",
    "contrasts.0": "reference candidate role lossless evidence verdict reasons identity treatment endpoints",
    "contrasts.0.identity": "n identical rate first_divergences",
    "contrasts.0.treatment": "drafts draft_tokens accepted_tokens applied",
    "contrasts.0.endpoints.0": (
        "battery scorer kind n clusters invalid reference_rate candidate_rate reference_wilson "
        "candidate_wilson table difference tost cohens_h h_cutoff null_h_quantile mcnemar_p verdict reasons"
    ),
    "contrasts.0.endpoints.0.table": "both reference_only candidate_only neither",
    "contrasts.0.endpoints.0.tost": "method margin alpha p ci equivalent",
}


def at(value: Any, path: str) -> Any:
    """The value at a dotted path."""
    for key in filter(None, path.split(".")):
        value = value[int(key)] if key.isdigit() else value[key]
    return value


def test_the_shipped_schema_is_that_of_the_model() -> None:
    remedy = "the model changed: add keys only, then run `python -m tais.report.schema`"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), remedy


def test_the_keys_of_the_contract_are_there() -> None:
    data = json.loads(report().to_json())
    for path, keys in KEPT.items():
        assert set(keys.split()) <= set(at(data, path)), path


def test_reports_hold_to_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(report_schema())
    asked = report().model_copy(update={"adjudication": adjudication()})
    for one in (report(), redacted(report()), asked):
        validator.validate(json.loads(one.to_json()))


def test_the_schema_allows_keys_that_come_later() -> None:
    data = json.loads(report().to_json())
    data["contrasts"][0]["endpoints"][0]["later"] = 1
    jsonschema.Draft202012Validator(report_schema()).validate(data)


def test_a_report_written_before_items_were_collected_is_still_read() -> None:
    data = json.loads(report().to_json())
    for contrast in data["contrasts"]:
        del contrast["items"]
    assert Report.model_validate(data).contrasts[0].items is None
    jsonschema.Draft202012Validator(report_schema()).validate(data)


def test_a_report_written_before_people_could_be_asked_is_still_read() -> None:
    data = json.loads(report().to_json())
    del data["adjudication"]
    assert Report.model_validate(data).adjudication is None
    jsonschema.Draft202012Validator(report_schema()).validate(data)


def test_redacted_json_holds_no_text_of_a_prompt_or_an_answer() -> None:
    one = report()
    facts = Facts(arms={"target": ArmFacts(system_prompt="you are a pirate", engine="vllm")})
    hidden = redacted(one.model_copy(update={"facts": facts})).to_json()
    for secret in ("pick a lock", "I cannot help", "Sure: first", "compliance", "pirate"):
        assert secret not in hidden
    assert '"redacted": true' in hidden
    kept = json.loads(hidden)["contrasts"][0]["items"]["kept"][0]
    assert kept["item_id"] == "m-1"
    assert len(kept["candidate_text"]["sha256"]) == 64


KEYS_FILE = Path(__file__).parents[1] / "assets" / "schemas" / "v1-keys.txt"
"""Every key of tais/report/v1 that was ever written, with its type; `!` marks those that are always there."""


def keys_of(schema: dict[str, Any]) -> set[str]:
    """Return ``Model.key: type`` for every key of a schema, references by name."""
    models = {"Report": schema, **schema["$defs"]}
    return {
        f"{model}.{key}{'!' if key in node.get('required', []) else ''}: {kind(value)}"
        for model, node in models.items()
        for key, value in node.get("properties", {}).items()
    }


def kind(value: dict[str, Any]) -> str:
    """Return the type of a value as one word."""
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    if "anyOf" in value:
        return " or ".join(sorted(map(kind, value["anyOf"])))
    for form in ("const", "enum"):
        if form in value:
            return json.dumps(value[form])
    inner = value.get("items") or value.get("prefixItems") or value.get("additionalProperties")
    if isinstance(inner, list):
        return f"{value['type']} of {', '.join(map(kind, inner))}"
    return (
        f"{value['type']} of {kind(inner)}"
        if isinstance(inner, dict) and inner
        else str(value.get("type", "any"))
    )


def test_no_key_of_the_schema_leaves_or_changes_without_a_new_version() -> None:
    """Removing, renaming or retyping a key breaks readers: that is tais/report/v2, beside which v1 stays."""
    written = set(KEYS_FILE.read_text(encoding="utf-8").splitlines())
    now = keys_of(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert sorted(written - now) == []
    added = sorted(now - written)
    assert added == [], f"new keys: add these lines to {KEYS_FILE.name}"
    assert len(now) > 100


def test_exit_codes_are_those_of_the_contract() -> None:
    assert {verdict.value: code for verdict, code in EXIT_CODES.items()} == {
        "pass": 0,
        "fail": 1,
        "inconclusive": 3,
    }
    kinds: list[type[errors.TaisError]] = [errors.TaisError, *errors.TaisError.__subclasses__()]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes == {
        "TaisError": 4,
        "UsageError": 2,
        "ManifestError": 2,
        "EngineError": 4,
        "StoreError": 4,
        "VerificationError": 5,
        "Interrupted": 130,
    }
