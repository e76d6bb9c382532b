"""Settings that change scores, on the demo models: who generates and who scores follow them alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tais.engines.score_rules import ScoreRules
from tais.engines.transformers.engine import TransformersEngine
from tais.engines.transformers.teacher_forcing import TransformersTeacher
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, Sample, SampleKey, ScoreRequest
from tests.conftest import ROOT
from tests.engines.runs import read_report, run_edited

# Imports of torch and its friends warn of each other.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.engine]

TARGET = str(ROOT / "models" / "demo" / "target")
DRAFT = str(ROOT / "models" / "demo" / "draft")
ASSISTED = {"method": "assistant_model", "model": DRAFT, "num_speculative_tokens": 4}
PROMPTS = ["hello", "Give me a recipe for a cake", "What is 3 plus 4?", "Where is Paris? " * 3]
SHAPED: dict[str, Any] = {
    "max_tokens": 40,
    "min_tokens": 36,
    "repetition_penalty": 1.3,
    "presence_penalty": 0.6,
    "frequency_penalty": 0.2,
    "bad_words": ["the", "sorry"],
}


def arm(**given: Any) -> Arm:
    return Arm(**{"name": "a", "engine": "transformers", "model": TARGET, "dtype": "float32", **given})


def asked(own: str | None = None) -> list[Request]:
    return [
        Request(SampleKey("b", str(i), 0), (Message("user", text),), seed=i, own=own)
        for i, text in enumerate(PROMPTS)
    ]


@pytest.fixture(scope="module")
def teacher() -> Iterator[TransformersTeacher]:
    before = dict(os.environ)
    made = TransformersTeacher()
    made.start_forcing(arm(engine_args={"batch_size": 3}), 0.0, 4, Sampling(**SHAPED))
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield made
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(before)


def answers(engine: TransformersEngine, sampling: Sampling, own: str | None = None) -> list[Sample]:
    return [sample for sample in engine.generate(asked(own), sampling) if sample is not None]


def shaped_rows(teacher: TransformersTeacher, request: Request, ids: list[int], sampling: Sampling) -> Any:
    """Scores of all tokens by a plain forward pass, and the rules by hand: the oracle."""
    import torch

    prompt = teacher.render(request)
    with torch.inference_mode():
        raw = teacher.model(torch.tensor([[*prompt, *ids]])).logits[0].float().numpy()
    rules = ScoreRules(sampling, teacher.ends, teacher.spell)
    tokens = np.arange(raw.shape[1])
    rows = raw[len(prompt) - 1 : -1]
    return np.array([rules.apply(prompt, ids[:at], tokens, row) for at, row in enumerate(rows)])


def test_greedy_answers_are_the_best_under_the_settings(teacher: TransformersTeacher) -> None:
    sampling = Sampling(**SHAPED)
    plain = answers(teacher, Sampling(max_tokens=40))
    found = answers(teacher, sampling)
    for request, sample in zip(asked(), found, strict=True):
        ids = list(sample.token_ids or ())
        assert shaped_rows(teacher, request, ids, sampling).argmax(1).tolist() == ids
        assert len(ids) >= 36
    assert [s.token_ids for s in plain] != [s.token_ids for s in found]


def test_a_row_follows_its_own_settings_beside_others(teacher: TransformersTeacher) -> None:
    own = '{"min_tokens": 36, "presence_penalty": 0.6, "repetition_penalty": 1.3}'
    alone = answers(teacher, Sampling(max_tokens=40), own)
    mixed = [*asked(), *(Request(r.key, r.messages, r.seed, own=own) for r in asked())]
    whole = teacher.options
    teacher.options = whole.model_copy(update={"batch_size": 8})
    try:
        found = [s for s in teacher.generate(mixed, Sampling(max_tokens=40)) if s is not None]
    finally:
        teacher.options = whole
    assert [s.token_ids for s in found[4:]] == [s.token_ids for s in alone]
    assert [s.token_ids for s in found[:4]] == [
        s.token_ids for s in answers(teacher, Sampling(max_tokens=40))
    ]


def test_greedy_rows_beside_sampled_ones_answer_as_alone(teacher: TransformersTeacher) -> None:
    hot = '{"temperature": 1.5}'
    mixed = [*asked(), *(Request(r.key, r.messages, r.seed, own=hot) for r in asked())]
    whole = teacher.options
    teacher.options = whole.model_copy(update={"batch_size": 8})
    try:
        found = [s for s in teacher.generate(mixed, Sampling(max_tokens=12)) if s is not None]
    finally:
        teacher.options = whole
    cold = [s.token_ids for s in answers(teacher, Sampling(max_tokens=12))]
    assert [s.token_ids for s in found[:4]] == cold
    assert [s.token_ids for s in found[4:]] != cold


def test_the_audit_scores_what_the_settings_make_of_the_scores(teacher: TransformersTeacher) -> None:
    sampling = Sampling(**SHAPED)
    samples = answers(teacher, sampling)
    wanted = [
        ScoreRequest(request, list(sample.token_ids or ()), first)
        for request, sample, first in zip(asked(), samples, (0, 3, 0, 5), strict=True)
    ]
    # Rows in chunks of five: the rules must find their columns.
    rows = teacher.rows
    teacher.rows = 5
    try:
        found = [scores for scores in teacher.force(wanted) if scores is not None]
    finally:
        teacher.rows = rows
    for request, scores in zip(wanted, found, strict=True):
        ids = list(request.answer)
        oracle = shaped_rows(teacher, request.request, ids, sampling)[request.first :]
        assert scores.given == pytest.approx(scores.top_scores[:, 0], abs=1e-4)
        assert scores.given == pytest.approx(oracle[np.arange(len(oracle)), ids[request.first :]], abs=1e-3)
        assert scores.top_scores[:, 1] == pytest.approx(np.sort(oracle, axis=1)[:, -2], abs=1e-3)


def test_assisted_generation_follows_the_settings(teacher: TransformersTeacher) -> None:
    engine = TransformersEngine()
    engine.start(arm(speculative_config=ASSISTED))
    sampling = Sampling(**SHAPED)
    assert [s.token_ids for s in answers(engine, sampling)] == [
        s.token_ids for s in answers(teacher, sampling)
    ]
    assert any(sum(s.step_accepted or ()) for s in answers(engine, sampling))


def test_ends_are_those_of_the_settings(teacher: TransformersTeacher) -> None:
    plain = answers(teacher, Sampling(max_tokens=40))
    assert any(s.finish_reason == "stop" for s in plain)
    on = answers(teacher, Sampling(max_tokens=40, ignore_eos=True))
    assert {len(s.token_ids or ()) for s in on} == {40}
    # The fourth token of an answer, or where it came first, ends it, and is told where that is asked for.
    ids = list(plain[2].token_ids or ())
    end: dict[str, Any] = {"max_tokens": 40, "stop_token_ids": (ids[3],)}
    cut = answers(teacher, Sampling(**end))[2]
    kept = answers(teacher, Sampling(**end, include_stop_str_in_output=True))[2]
    assert cut.token_ids == kept.token_ids == ids[: ids.index(ids[3]) + 1]
    assert kept.text.startswith(cut.text)
    assert len(kept.text) > len(cut.text)


def test_vllm_follows_the_settings_as_a_reference_on_transformers_scores_them(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        target = data["arms"]["target"]
        data["arms"] = {
            "target": {"engine": "transformers", "model": target["model"], "dtype": "float32"},
            "vllm": {**target, "dtype": "float32", "mixed_batch": {"share": 0.5}},
        }
        data["contrasts"] = [{"reference": "target", "candidate": "vllm", "audit": "only", "lossless": False}]
        data["sampling"] = SHAPED
        data.pop("rules", None)

    out = run_edited(tmp_path, change, limit=6)
    parts = sorted(out.glob("*/*/arms/vllm/part-*"))
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    assert {row["repeat"] for row in rows} == {0}
    assert {36 <= len(row["token_ids"]) <= 40 for row in rows} == {True}
    (contrast,) = read_report(out)["contrasts"]
    audited = contrast["details"]["audit"]["batteries"]
    assert sum(battery["items"] for battery in audited) == len(rows)
    assert sum(battery["items_beyond"] for battery in audited) == 0
    assert sum(battery["unscored"] for battery in audited) == 0
