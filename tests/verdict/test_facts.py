"""Facts of a report: typed where TAIS reads them, and written again as they were read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.report.redact import redacted
from tais.verdict.facts import ArmFacts, Facts, Hardware, RunFacts, facts_of
from tais.verdict.report import Report
from tests.report.factory import report

ROOT = Path(__file__).parents[2]
STORED = [
    ROOT / "tests" / "assets" / "runs" / "signed" / "report.json",
    *sorted((ROOT / "reports" / "sample").rglob("report.json")),
]
# Of a later version, in another order than here, and with values that no version writes.
FOREIGN = {
    "drill": False,
    "arms": {
        "b": {
            "tokens": "many",
            "later": [1, {"x": None}],
            "engine": "vllm",
            "hardware": {"cpu": "x", "gpus": []},
        },
        "a": {"samples": 3, "timing": {"p90": 1, "median": 2.0}},
    },
    "run": {"seconds": 5, "id": 7, "phases": {"": {"import": 0}}},
    "batteries": [{"scorer": {"name": "refusal"}, "name": "mine"}],
    "sweep": {"cover": "all"},
    "later": "x",
}


def bytes_again(facts: object) -> str:
    """The JSON of facts after they were read and written."""
    return Facts.model_validate_json(json.dumps(facts)).model_dump_json()


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_stored_facts_give_their_own_bytes_back(path: Path) -> None:
    facts = json.loads(path.read_bytes())["facts"]
    assert bytes_again(facts) == json.dumps(facts, separators=(",", ":"))


def test_foreign_facts_give_their_own_values_back_in_their_order() -> None:
    assert bytes_again(FOREIGN) == json.dumps(FOREIGN, separators=(",", ":"))


def test_what_does_not_fit_reads_as_absent() -> None:
    facts = Facts.model_validate(FOREIGN)
    assert (facts.run.id, facts.run.seconds, facts.sweep) == (None, 5, None)
    assert (facts.arms["b"].tokens, facts.arms["b"].engine, facts.arms["a"].samples) == (0, "vllm", 3)
    assert facts.arms["b"].hardware == Hardware(cpu="x", gpus=())


@pytest.mark.parametrize("arms", [None, 7, "x", [], {"a": 1}])
def test_arms_that_are_none_break_nothing(arms: object) -> None:
    facts = {"arms": arms, "run": {"id": "r"}}
    assert Facts.model_validate(facts).arms == {}
    assert json.loads(bytes_again(facts)) == facts


def test_only_what_was_set_is_written() -> None:
    assert Facts(run=RunFacts(id="r", ended=None)).model_dump_json() == '{"run":{"id":"r","ended":null}}'


def test_facts_that_are_no_object_are_refused() -> None:
    whole = json.loads(report().to_json())
    with pytest.raises(ValueError, match="facts"):
        Report.model_validate({**whole, "facts": []})


def test_facts_are_read_without_the_rest_of_a_report() -> None:
    assert facts_of(b'{"verdict": 1, "facts": {"run": {"id": "r"}}}', "report.json").run.id == "r"


def test_a_redacted_prompt_leaves_the_other_settings_where_they_were() -> None:
    arm = ArmFacts.model_validate({"engine": "vllm", "system_prompt": "secret", "samples": 3, "later": 1})
    one = report().model_copy(update={"facts": Facts(arms={"a": arm})})
    hidden = json.loads(redacted(one).to_json())["facts"]["arms"]["a"]
    assert list(hidden) == ["engine", "system_prompt", "samples", "later"]
    assert set(hidden["system_prompt"]) == {"sha256"}
