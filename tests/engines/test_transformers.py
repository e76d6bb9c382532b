"""transformers as an engine, against vLLM and against the model's own plain forward pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tais.engines.base import EngineRefusal
from tais.engines.transformers.decoding import _steps
from tais.engines.transformers.engine import TransformersEngine, speculation
from tais.engines.transformers.teacher_forcing import TransformersTeacher
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, Sample, SampleKey, ScoreRequest
from tests.conftest import ROOT, Screen, Tais
from tests.engines.runs import read_report, run_edited

# Imports of torch and its friends warn of each other.
pytestmark = pytest.mark.filterwarnings("ignore")

LIMIT = 24
TARGET = str(ROOT / "models" / "demo" / "target")
DRAFT = str(ROOT / "models" / "demo" / "draft")
ASSISTED = {"method": "assistant_model", "model": DRAFT, "num_speculative_tokens": 4}
LOOKUP = {"method": "prompt_lookup", "num_speculative_tokens": 4}
PROMPTS = ["hello", "Give me a recipe for a cake with many eggs", "What is 3 plus 4?", "Where is Paris? " * 6]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"method": "eagle"}, "no speculative method 'eagle'; it knows assistant_model, prompt_lookup"),
        ({"method": "assistant_model", "num_speculative_tokens": 4}, "needs model"),
        ({**LOOKUP, "prompt_lookup_max": 3}, "takes no prompt_lookup_max"),
        ({"method": "prompt_lookup"}, "needs num_speculative_tokens"),
        ({**LOOKUP, "num_speculative_tokens": 0}, "above 0, not 0"),
    ],
)
def test_speculation_that_transformers_does_not_know_is_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineRefusal, match=said):
        speculation(Arm(name="a", engine="transformers", model="m", speculative_config=config))


def test_an_unknown_option_is_named_with_the_nearest(screen: Screen, tais: Tais) -> None:
    arm = {"engine": "transformers", "model": "m", "engine_args": {"batchsize": 4}}
    screen.data["arms"]["target"] = arm
    done = tais("run", screen.write(), "--out", screen.out)
    assert done.returncode == 2
    assert "no option named 'batchsize'. Did you mean 'batch_size'?" in done.stderr


def test_threads_are_a_number_above_none(screen: Screen, tais: Tais) -> None:
    screen.data["arms"]["target"] = {"engine": "transformers", "model": "m", "engine_args": {"threads": 0}}
    done = tais("run", screen.write(), "--out", screen.out)
    assert done.returncode == 2
    assert "engine_args.threads" in done.stderr


def test_steps_are_counted_from_the_second_token_on() -> None:
    # The prompt's pass accepted 2 of 4 and gave 3 tokens: the first, then a step of one accepted draft.
    assert _steps([4, 4], [2, 0]) == ([3, 4], [1, 0])
    # It accepted none: its one token is the first.
    assert _steps([4, 3], [0, 3]) == ([3], [3])


def arm(**settings: Any) -> Arm:
    return Arm(**{"name": "a", "engine": "transformers", "model": TARGET, "dtype": "float32", **settings})


def asked(n: int = 12) -> list[Request]:
    return [
        Request(SampleKey("b", str(i), 0), (Message("user", PROMPTS[i % 4] + "!" * (i // 4)),), seed=1000 + i)
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def engine() -> Iterator[TransformersTeacher]:
    """The demo target in float32, able to generate and to score."""
    before = dict(os.environ)
    engine = TransformersTeacher()
    engine.start_forcing(arm(engine_args={"batch_size": 4}), 0.0, 5)
    import torch

    threads = torch.get_num_threads()
    # Threads that wait for each other cost a model of this size more than they bring it.
    torch.set_num_threads(1)
    yield engine
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(before)


def answers(engine: TransformersEngine, sampling: Sampling, n: int = 12) -> list[Sample]:
    return [sample for sample in engine.generate(asked(n), sampling) if sample is not None]


def batched(engine: TransformersTeacher, size: int, sampling: Sampling) -> list[Sample]:
    whole = engine.options
    engine.options = whole.model_copy(update={"batch_size": size})
    try:
        return answers(engine, sampling)
    finally:
        engine.options = whole


def law(engine: TransformersEngine, ids: list[int]) -> Any:
    """Raw logits of every row, by the model's plain forward pass: the oracle."""
    import torch

    with torch.inference_mode():
        return engine.model(torch.tensor([ids])).logits[0].float().numpy()


@pytest.mark.engine
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_an_answer_depends_on_no_other_in_its_batch(engine: TransformersTeacher, temperature: float) -> None:
    sampling = Sampling(temperature=temperature, max_tokens=24)
    alone, together = (batched(engine, size, sampling) for size in (1, 7))
    assert [s.token_ids for s in alone] == [s.token_ids for s in together]
    # Prompts of unequal length, and answers that end at unequal places.
    assert len({s.prompt_tokens for s in alone}) > 2
    assert len({len(s.token_ids or ()) for s in alone}) > 1


@pytest.mark.engine
def test_greedy_tokens_and_margins_are_those_of_a_plain_forward_pass(engine: TransformersTeacher) -> None:
    for request, sample in zip(asked(4), answers(engine, Sampling(max_tokens=20), 4), strict=True):
        prompt, ids = engine.render(request), list(sample.token_ids or ())
        rows = law(engine, [*prompt, *ids])[len(prompt) - 1 : -1]
        assert rows.argmax(1).tolist() == ids
        best = np.sort(rows, axis=1)[:, -2:]
        logz = np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1)) + rows.max(1)
        assert sample.top1_logprobs == pytest.approx(best[:, 1] - logz, abs=2e-4)
        assert sample.top2_logprobs == pytest.approx(best[:, 0] - logz, abs=2e-4)
        assert sample.top2_tokens == np.argsort(rows, axis=1)[:, -2].tolist()


@pytest.mark.engine
def test_scores_are_the_logits_of_a_plain_forward_pass_however_cut(engine: TransformersTeacher) -> None:
    samples = answers(engine, Sampling(max_tokens=20))
    wanted = [
        ScoreRequest(request, sample.token_ids or (), index % 3)
        for index, (request, sample) in enumerate(zip(asked(), samples, strict=True))
    ]
    whole = engine.rows
    for rows in (whole, 5, 1):
        engine.rows = rows
        found = [scores for scores in engine.force(iter(wanted)) if scores is not None]
        assert [scores.request for scores in found] == wanted
        for scores in found:
            prompt, first = engine.render(scores.request.request), scores.request.first
            ids = [*prompt, *scores.request.answer]
            expected = law(engine, ids)[len(prompt) + first - 1 : -1]
            own = expected[np.arange(len(expected)), scores.request.answer[first:]]
            assert scores.given == pytest.approx(own, abs=2e-4)
            assert scores.top_scores == pytest.approx(-np.sort(-expected, axis=1)[:, :5], abs=2e-4)
    engine.rows = whole


@pytest.mark.engine
def test_above_temperature_0_scores_are_normalised_over_the_whole_vocabulary(
    engine: TransformersTeacher,
) -> None:
    request = asked(1)[0]
    engine.temperature = 0.7
    (scores,) = (s for s in engine.force([ScoreRequest(request, (5, 6), 0)]) if s is not None)
    engine.temperature = 0.0
    prompt = engine.render(request)
    cold = law(engine, [*prompt, 5])[len(prompt) - 1 :] / 0.7
    expected = cold[[0, 1], [5, 6]] - np.log(np.exp(cold).sum(1))
    assert scores.given == pytest.approx(expected, abs=2e-4)


@pytest.mark.engine
def test_draws_follow_the_warped_law(engine: TransformersTeacher) -> None:
    from tests.oracles.vllm_warp import warp

    message = (Message("user", "hello"),)
    n = 4000
    draws = [Request(SampleKey("b", str(i), 0), message, seed=i) for i in range(n)]
    sampling = Sampling(temperature=1.3, top_k=12, top_p=0.9, max_tokens=1)
    engine.options = engine.options.model_copy(update={"batch_size": 500})
    drawn = [sample.token_ids or () for sample in engine.generate(draws, sampling) if sample is not None]
    engine.options = engine.options.model_copy(update={"batch_size": 4})
    # The oracle warps as vLLM does (tests/stats/test_warp.py).
    expected = np.exp(warp(law(engine, engine.render(draws[0]))[-1:], 1.3, 12, 0.9))[0]
    counts = np.bincount([ids[0] for ids in drawn], minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    likely = expected * n >= 5
    observed = [*counts[likely], counts[~likely].sum()]
    wanted = [*expected[likely] * n, expected[~likely].sum() * n]
    kept = [(o, w) for o, w in zip(observed, wanted, strict=True) if w > 0]
    assert stats.chisquare(*zip(*kept, strict=True), sum_check=False).pvalue > 1e-3


@pytest.mark.engine
def test_a_stop_string_ends_the_text_before_it(engine: TransformersTeacher) -> None:
    free = answers(engine, Sampling(max_tokens=24), 4)[1]
    stop = free.text[8:11]
    cut = answers(engine, Sampling(max_tokens=24, stop=(stop,)), 4)[1]
    assert cut.finish_reason == "stop"
    assert cut.text == free.text.split(stop, 1)[0]
    assert list(cut.token_ids or ()) == list(free.token_ids or ())[: len(cut.token_ids or ())]
    assert stop in engine.tokenizer.decode(cut.token_ids)
    assert stop not in engine.tokenizer.decode(list(cut.token_ids or ())[:-1])


@pytest.mark.engine
def test_what_fills_the_context_ends_there(engine: TransformersTeacher) -> None:
    limit, engine.limit = engine.limit, len(engine.render(asked(1)[0])) + 3
    (sample,) = (s for s in engine.generate(asked(1), Sampling(max_tokens=24)) if s is not None)
    assert (len(sample.token_ids or ()), sample.finish_reason) == (3, "length")
    engine.limit = len(engine.render(asked(1)[0]))
    with pytest.raises(EngineRefusal, match="item '0' of battery 'b' has 6 tokens, the model takes 6"):
        engine.check(asked(1), Sampling())
    engine.limit = limit


@pytest.mark.engine
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dtype": "int7"}, "no dtype named 'int7'"),
        ({"engine_args": {"max_model_len": 100_000}}, "more than the 512"),
        ({"engine_args": {"device": "abacus"}}, "no device 'abacus'"),
        ({"engine_args": {"attn_implementation": "slow"}}, "refuses"),
        ({"model": str(ROOT / "docs")}, "transformers refuses"),
    ],
)
def test_a_stack_that_cannot_be_is_refused_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineRefusal, match=said) as raised:
        TransformersEngine().start(arm(**settings))
    assert "\n" not in str(raised.value)


def change(data: dict[str, Any]) -> None:
    data["arms"] |= {
        "hf": {"engine": "transformers", "model": TARGET, "dtype": "float32"},
        "assisted": {"extends": "hf", "speculative_config": ASSISTED},
        "lookup": {"extends": "hf", "speculative_config": LOOKUP},
        "coarse": {"extends": "hf", "dtype": "bfloat16"},
    }
    data["contrasts"] = [
        {"reference": reference, "candidate": candidate, "audit": True}
        for reference, candidate in (
            ("target", "hf"), ("target", "coarse"), ("hf", "target"), ("hf", "assisted"), ("hf", "lookup"),
        )
    ]  # fmt: skip


def run(folder: Path, change: Callable[[dict[str, Any]], None]) -> dict[tuple[str, str], dict[str, Any]]:
    """Run an edited manifest that is too short to decide; return its contrasts by reference and candidate."""
    run_edited(folder, change, LIMIT)
    return {(c["reference"], c["candidate"]): c for c in read_report(folder)["contrasts"]}


@pytest.fixture(scope="module")
def contrasts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """One run of vLLM and transformers over the same items, by reference and candidate."""
    return run(tmp_path_factory.mktemp("cross"), change)


@pytest.mark.engine
@pytest.mark.parametrize("pair", [("target", "hf"), ("hf", "target")])
def test_two_engines_agree_on_every_token_in_float32(
    contrasts: dict[tuple[str, str], dict[str, Any]], pair: tuple[str, str]
) -> None:
    contrast = contrasts[pair]
    assert contrast["identity"]["n"] == 4 * LIMIT
    assert contrast["identity"]["rate"] == 1.0
    audit = contrast["details"]["audit"]
    assert audit["candidate"]["tokens"] == audit["control"]["tokens"] > 20 * LIMIT
    assert audit["candidate"]["rate"] == 1.0
    codes = {reason["code"] for reason in contrast["reasons"]}
    assert not codes & {"prompt_drift", "resolved_differs", "structural_divergence"}


@pytest.mark.engine
def test_what_differs_between_engines_in_bfloat16_is_rounding(
    contrasts: dict[tuple[str, str], dict[str, Any]],
) -> None:
    contrast = contrasts["target", "coarse"]
    assert 0.7 < contrast["identity"]["rate"] < 1.0
    audit = contrast["details"]["audit"]
    assert set(audit["causes"]) <= {"tie", "numerical"}
    assert audit["candidate"]["beyond"] == 0
    assert audit["candidate"]["misses"] > 0


@pytest.mark.engine
@pytest.mark.parametrize(("name", "least"), [("assisted", 0.5), ("lookup", 0.05)])
def test_speculation_drafts_and_changes_nothing(
    contrasts: dict[tuple[str, str], dict[str, Any]], name: str, least: float
) -> None:
    contrast = contrasts["hf", name]
    assert contrast["lossless"] is True
    assert contrast["identity"]["rate"] == 1.0
    treatment = contrast["treatment"]
    assert treatment["applied"] is True
    assert treatment["requested"] == treatment["resolved"]
    assert least < treatment["acceptance_rate"] < 1
    assert contrast["details"]["audit"]["candidate"]["rate"] == 1.0
    codes = {reason["code"] for reason in contrast["reasons"]}
    assert not codes & {"resolved_differs", "speculation_option_ignored"}


def sampled(data: dict[str, Any]) -> None:
    drafted = {**ASSISTED, "model": str(ROOT / "models" / "demo" / "adversarial")}
    data["arms"] = {
        "hf": {"engine": "transformers", "model": TARGET, "dtype": "float32"},
        "assisted": {"extends": "hf", "speculative_config": drafted},
    }
    data["contrasts"] = [{"reference": "hf", "candidate": "assisted", "audit": True}]
    data["sampling"] |= {"temperature": 0.8, "n": 2, "max_tokens": 48}


@pytest.mark.nightly
@pytest.mark.engine
def test_assisted_draws_follow_the_targets_law(tmp_path: Path) -> None:
    contrast = run(tmp_path, sampled)["hf", "assisted"]
    assert contrast["treatment"]["applied"] is True
    assert "law_followed" in {reason["code"] for reason in contrast["reasons"]}
    conformance = contrast["details"]["conformance"]
    assert conformance["draft"] == "sampled"
    assert conformance["candidate"]["tokens"] > 40 * LIMIT
    # The draft is tuned to answer otherwise: what it drew would show.
    assert conformance["candidate"]["leak"]["ci"][0] == 0.0
    assert min(test["p"] for test in conformance["candidate"]["tests"]) > 1e-3
    assert min(test["p"] for test in conformance["control"]["tests"]) > 1e-3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model whose weights are a pickle."""
    (tmp_path / "config.json").write_bytes((Path(TARGET) / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    return tmp_path


@pytest.mark.engine
def test_weights_that_run_code_when_read_are_refused(folder: Path) -> None:
    with pytest.raises(EngineRefusal, match="transformers refuses"):
        TransformersEngine().start(arm(model=str(folder)))
    assert not (folder / "pwned").exists()
