"""Numbers and words from a server are bounded at the door: what is stored can always be read and decided."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tais.engines.openai.answers import read_answer
from tais.engines.openai.dialect import read_counters
from tais.engines.openai.http import Malformed, _retry_after
from tais.records import Sample, SampleKey
from tais.rundir.samples import SCHEMA, _row

NUMBERS: tuple[object, ...] = (
    1e39,
    -1e39,
    1e400,
    10**400,
    -(10**30),
    float("nan"),
    True,
    "0",
    None,
    [0.0],
    {},
)


def _answer(**choice: object) -> dict[str, Any]:
    told = {"text": "no", "finish_reason": "stop", "token_ids": [1], **choice}
    return {"model": "m", "choices": [told], "usage": {"prompt_tokens": 3}}


def _stored(value: object) -> dict[str, Any]:
    """Store an answer as a worker does, and return the row."""
    answer = read_answer(value, chat=False)
    sample = Sample(
        key=SampleKey("b", "i", 0),
        prompt_digest="0",
        prompt_tokens=answer.prompt_tokens,
        token_ids=answer.token_ids,
        text=answer.text,
        finish_reason=answer.reason,
        top1_logprobs=answer.top1,
        top2_logprobs=answer.top2,
        top2_tokens=answer.other,
        step_drafted=answer.drafted,
        step_accepted=answer.accepted,
        seconds=0.0,
        parts=answer.parts,
    )
    table = pa.Table.from_pylist([_row(sample)], schema=SCHEMA)
    row: dict[str, Any] = table.to_pylist()[0]
    return row


@pytest.mark.parametrize("number", NUMBERS)
def test_a_log_probability_that_is_none_leaves_the_answer_without_scores(number: object) -> None:
    row = _stored(_answer(logprobs={"top_logprobs": [{"token_id:1": -0.5, "token_id:2": number}]}))
    assert (row["text"], row["token_ids"], row["top1_logprobs"]) == ("no", [1], None)


@pytest.mark.parametrize("name", ["token_id:2147483648", "token_id:" + "9" * 5000, "token_id:-1"])
def test_an_id_beyond_32_bits_is_no_token(name: str) -> None:
    row = _stored(_answer(logprobs={"top_logprobs": [{"token_id:1": -0.5, name: -1.0}]}))
    assert row["top2_tokens"] is None


@pytest.mark.parametrize("value", [2**31, -1, 1.5, True, "1", None, 10**400])
def test_token_ids_that_are_none_are_named(value: object) -> None:
    with pytest.raises(Malformed, match="token ids"):
        read_answer(_answer(token_ids=[1, value]), chat=False)


@pytest.mark.parametrize("reason", [["stop"], {"a": 1}, 7, True, "x" * 10_000, "\ud800\n::error::", ""])
def test_a_reason_of_any_shape_is_a_short_word(reason: object) -> None:
    found = _stored(_answer(finish_reason=reason))["finish_reason"]
    assert len(found) <= 60
    assert found.isprintable()


@pytest.mark.parametrize("told", [2**31, -1, 10**400, 1.5, True, "3"])
def test_a_count_of_prompt_tokens_that_is_none_is_left_out(told: object) -> None:
    assert _stored({**_answer(), "usage": {"prompt_tokens": told}})["prompt_tokens"] is None


def test_drafts_of_a_step_that_no_engine_makes_are_named() -> None:
    steps = {"per_step_drafted": [70_000], "per_step_accepted": [1]}
    with pytest.raises(Malformed, match="drafts in a step"):
        read_answer({**_answer(), "metrics": {"speculative_decoding": steps}}, chat=False)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "1e300", "9" * 400])
def test_counters_that_count_nothing_are_none(value: str) -> None:
    assert read_counters(f'vllm:spec_decode_num_drafts_total{{model_name="m"}} {value}\n') is None


@pytest.mark.parametrize(
    "header", ["inf", "-inf", "NaN", "1e999", "Mon, 99 Foo 2026", "Fri, 31 Dec 99999 00:00:00 GMT", "-5"]
)
def test_a_pause_that_is_no_time_is_none(header: str) -> None:
    assert _retry_after(header) == 0.0


def test_an_answer_as_it_should_be_keeps_its_scores() -> None:
    row = _stored(_answer(logprobs={"top_logprobs": [{"token_id:1": -0.5, "token_id:2": -9999.0}]}))
    assert (row["top1_logprobs"], row["top2_logprobs"], row["top2_tokens"]) == ([-0.5], [-9999.0], [2])
