"""The JSON Schemas that editors read say of a file what reading it says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from tais.battery.definition import Battery
from tais.gate.policy import policy_schema
from tais.manifest.schema import manifest_schema
from tests.conftest import ROOT, Tais

MANIFESTS = sorted(path for path in (ROOT / "manifests").rglob("*.yaml") if path.name != "study.yaml")
USUAL: dict[str, Any] = {
    "name": "x",
    "arms": {"a": {"engine": "vllm", "model": "m"}},
    "batteries": ["xstest"],
}
WRONG: dict[str, dict[str, Any]] = {
    "an unknown key": {**USUAL, "arm": {}},
    "an unknown key of an arm": {**USUAL, "arms": {"a": {"engine": "vllm", "modell": "m"}}},
    "a name of an arm in the arm": {**USUAL, "arms": {"a": {"engine": "vllm", "name": "a"}}},
    "a role that is none": {**USUAL, "contrasts": [{"reference": "a", "candidate": "b", "role": "control"}]},
    "a margin beyond one": {**USUAL, "rules": {"margin": 3}},
    "no arms": {"name": "x", "batteries": ["xstest"]},
    "a sweep of nothing": {**USUAL, "sweep": {"reference": "a", "candidate": "b", "axes": {}}},
}


@pytest.fixture(scope="module")
def manifest() -> jsonschema.Draft202012Validator:
    schema = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_every_manifest_that_ships_fits_its_schema(manifest: jsonschema.Draft202012Validator) -> None:
    assert len(MANIFESTS) > 10
    # As TAIS reads them: strings stay strings, so a date in quotes or without is one.
    plain = YAML(typ="safe")
    wrong = {}
    for path in MANIFESTS:
        data = json.loads(json.dumps(plain.load(path.read_text(encoding="utf-8")), default=str))
        wrong[path.name] = [error.message for error in manifest.iter_errors(data)]
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_what_is_wrong_is_marked(manifest: jsonschema.Draft202012Validator) -> None:
    assert manifest.is_valid(USUAL)
    assert [what for what, data in WRONG.items() if manifest.is_valid(data)] == []


def test_the_schema_of_a_policy_knows_its_keys() -> None:
    policy = jsonschema.Draft202012Validator(policy_schema())
    assert policy.is_valid({"schema": "tais/policy/v2", "roles": ["calibration"], "max_age_days": None})
    assert not policy.is_valid({"schema": "tais/policy/v3"})
    assert not policy.is_valid({"max_age": 3})


def test_schemas_are_printed(tais: Tais) -> None:
    for kind in ("manifest", "policy", "battery", "report"):
        done = tais("schema", kind)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["properties"]
    assert tais("schema", "lock").returncode == 2
    assert set(json.loads(tais("schema", "battery").stdout)["properties"]) == set(Battery.model_fields)


def test_a_plan_is_one_json_object(tais: Tais) -> None:
    done = tais("plan", "demo", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["arms"][0] == "target"
    assert {end["needed_without_flips"] for end in found["endpoints"]} == {88}
    assert [contrast["role"] for contrast in found["contrasts"]].count("screen") == 3
    assert found["pass_if_equal"]["by_flips"][0] == {
        "flips": 0.0,
        "probability": pytest.approx(1.0),
        "items_needed_for_0.8": None,
    }
    table = tais("plan", "demo").stdout
    assert "no flip" in table
    assert "1 % flip" in table
