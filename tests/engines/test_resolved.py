"""What tells two resolved configurations apart, and what of it a manifest accounts for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import JsonValue

from tais.analysis.speculation import speculation_findings, speculation_modes
from tais.engines.resolved import to_plain
from tais.rundir.engine_record import EngineRecord, compare_resolved


@dataclasses.dataclass
class Config:
    name: str
    inner: Any


def test_plain_data_has_no_addresses_and_no_infinities() -> None:
    plain = to_plain(Config("x", {"o": object(), "f": float("inf"), "s": {2, 1}, "t": (1, None)}))
    assert plain == {
        "name": "x",
        "inner": {"o": "<object object>", "f": "inf", "s": [1, 2], "t": [1, None]},
    }


BASE: dict[str, Any] = {
    "model_config": {"dtype": "torch.float32", "max_model_len": 512},
    "cache_config": {"num_gpu_blocks": 100, "enable_prefix_caching": True},
    "scheduler_config": {"max_num_seqs": 64, "async_scheduling": False},
    "speculative_config": None,
    "instance_id": "1",
}


def changed(**sections: Any) -> dict[str, Any]:
    return {**BASE, **{name: {**(BASE[name] or {}), **values} for name, values in sections.items()}}


def test_equal_configurations_have_no_differences() -> None:
    assert compare_resolved(BASE, {**BASE, "instance_id": "2"}, ()) == []


def test_consequences_of_speculation_are_accounted_for() -> None:
    other = changed(speculative_config={"method": "ngram"}, cache_config={"num_gpu_blocks": 90})
    assert compare_resolved(BASE, other, ("speculative_config.method",)) == []
    assert {d.key for d in compare_resolved(BASE, other, ())} == {
        "cache_config.num_gpu_blocks",
        "speculative_config",
        "speculative_config.method",
    }


@pytest.mark.parametrize(
    ("section", "values", "key"),
    [
        ("scheduler_config", {"async_scheduling": True}, "scheduler_config.async_scheduling"),
        ("cache_config", {"enable_prefix_caching": False}, "cache_config.enable_prefix_caching"),
        ("model_config", {"dtype": "torch.bfloat16"}, "model_config.dtype"),
    ],
)
def test_what_speculation_does_not_explain_is_reported(
    section: str, values: dict[str, Any], key: str
) -> None:
    found = compare_resolved(BASE, changed(**{section: values}), ("speculative_config.method",))
    assert [d.key for d in found] == [key]


def test_a_declared_engine_argument_explains_its_own_field() -> None:
    other = changed(scheduler_config={"max_num_seqs": 7})
    assert compare_resolved(BASE, other, ("engine_args.max_num_seqs",)) == []
    assert compare_resolved(BASE, other, ("order",)) != []


def engine(**config: JsonValue) -> EngineRecord:
    return EngineRecord(resolved={"speculative_config": config or None})


@pytest.mark.parametrize(
    ("requested", "resolved", "modes"),
    [
        (None, engine(), (None, None)),
        ({"method": "ngram"}, engine(method="ngram"), ("ngram", "ngram")),
        ({"method": "ngram"}, engine(), ("ngram", None)),
        ({"model": "x"}, engine(method="eagle3"), ("eagle3", "eagle3")),
        ({"method": "qwen3_next_mtp"}, engine(method="mtp"), ("mtp", "mtp")),
        ({"method": "ngram"}, EngineRecord(), ("ngram", "unknown")),
    ],
)
def test_modes_asked_for_and_resolved(requested: Any, resolved: EngineRecord, modes: tuple[Any, Any]) -> None:
    assert speculation_modes(requested, resolved) == modes


def test_block_verification_that_runs_as_standard_is_an_ignored_option() -> None:
    asked = {"method": "draft_model", "rejection_sample_method": "block"}
    runtime: dict[str, JsonValue] = {"rejection_sample_method": "standard"}
    ran = EngineRecord(resolved={"speculative_config": {**asked}, "runtime": runtime})
    (finding,) = speculation_findings(asked, ran)
    assert finding.blocks_pass
    assert finding.values["resolved"] == "standard"
