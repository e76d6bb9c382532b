"""The reference engine on the demo models, beside plain decoding, transformers and vLLM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from ruamel.yaml import YAML

from tais.engines.base import EngineRefusal
from tais.lab.reference.engine import ReferenceEngine
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, Sample, SampleKey
from tests.conftest import ROOT, Tais
from tests.lab.threads import one_thread

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

DEMO = ROOT / "models" / "demo"
PROMPTS = [
    json.loads(line)["prompt"]
    for line in (ROOT / "batteries" / "items" / "demo_refuse.jsonl").read_text().splitlines()[:6]
]
GREEDY = Sampling(temperature=0, max_tokens=24)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def engine(how: dict[str, Any] | None = None, **arguments: Any) -> ReferenceEngine:
    made = ReferenceEngine()
    how = None if how is None else {"model": str(DEMO / "draft"), **how}
    settings = {"name": "a", "engine": "reference", "model": str(DEMO / "target"), "dtype": "float32"}
    made.start(Arm.model_validate({**settings, "speculative_config": how, **arguments}))
    return made


def requests(prompts: list[str] = PROMPTS) -> list[Request]:
    return [
        Request(SampleKey("b", str(i), 0), (Message("user", text),), seed=i) for i, text in enumerate(prompts)
    ]


def answers(made: ReferenceEngine, sampling: Sampling = GREEDY) -> list[Sample]:
    """In the order of the requests; they finish in another."""
    found = {sample.key: sample for sample in made.generate(requests(), sampling) if sample is not None}
    return [found[request.key] for request in requests()]


SPECULATION: list[dict[str, Any]] = [
    {"method": "block", "num_speculative_tokens": 4},
    {"method": "traversal", "num_speculative_tokens": 4, "paths": 3, "draft_temperature": 1.0},
    {"method": "gbv", "num_speculative_tokens": 4, "paths": 3, "trunk": 1, "draft_temperature": 1.0},
    {"method": "gbv", "num_speculative_tokens": 4, "paths": 3, "trunk_entropy": 0.5, "draft_temperature": 1},
    {"method": "kseq", "branching": [3, 2, 1], "draft_temperature": 1.0},
    {"method": "recursive", "branching": [3, 2], "children": "distinct", "draft_temperature": 1.0},
    {"method": "deterministic", "branching": [3, 2, 1], "children": "topk"},
]


def test_at_temperature_0_every_algorithm_gives_the_tokens_of_plain_decoding() -> None:
    expected = [(s.token_ids, s.text, s.finish_reason) for s in answers(engine())]
    assert all(tokens for tokens, _, _ in expected)
    for how in SPECULATION:
        made = engine(how)
        assert [(s.token_ids, s.text, s.finish_reason) for s in answers(made)] == expected, how
        counted = made.counters()
        assert counted is not None
        assert 0 < counted.accepted_tokens < counted.draft_tokens


def test_telemetry_adds_up() -> None:
    made = engine(SPECULATION[1])
    samples = answers(made, Sampling(temperature=1, max_tokens=24))
    counted = made.counters()
    assert counted is not None
    drafted = [n for s in samples for n in s.step_drafted or ()]
    accepted = [n for s in samples for n in s.step_accepted or ()]
    assert (counted.drafts, counted.draft_tokens) == (len(drafted), sum(drafted))
    assert counted.accepted_tokens == sum(accepted) == sum(counted.accepted_per_position)
    assert len(counted.accepted_per_position) == 4
    for sample in samples:
        assert sample.token_ids is not None
        size = len(sample.token_ids)
        assert size == len(sample.top1_logprobs or ()) == len(sample.top2_tokens or ())
        # One token from the prompt's own pass; the last step may be cut.
        assert size <= 1 + sum(sample.step_accepted or ()) + len(sample.step_accepted or ())
        assert not any(a == b for a, b in zip(sample.token_ids, sample.top2_tokens or (), strict=True))


def test_the_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    sampled = Sampling(temperature=1, max_tokens=24)
    made = engine(SPECULATION[0])
    first, again = ([s.token_ids for s in answers(made, sampled)] for _ in "ab")
    assert first == again
    other = [Request(r.key, r.messages, seed=r.seed + 100) for r in requests()]
    third = {s.key: s.token_ids for s in made.generate(other, sampled) if s is not None}
    assert [third[r.key] for r in other] != first


@pytest.mark.parametrize("how", [None, SPECULATION[1], SPECULATION[2], SPECULATION[6]])
def test_no_answer_depends_on_the_batch(how: dict[str, Any] | None) -> None:
    """In float64: one at a time, five at once, and in another order, drawn at temperature 1 and greedy."""
    alone, together = (engine(how, dtype="float64", engine_args={"batch_size": n}) for n in (1, 5))
    for sampling in (Sampling(temperature=1, top_p=0.95, max_tokens=16), GREEDY):
        sides = []
        for made, asked in ((alone, requests()), (together, requests()), (together, requests()[::-1])):
            found = {s.key: s for s in made.generate(asked, sampling) if s is not None}
            sides.append([(found[r.key].token_ids, found[r.key].step_accepted) for r in requests()])
        assert sides[0] == sides[1] == sides[2]
        assert len({tuple(tokens or ()) for tokens, _ in sides[0]}) > 1


def test_a_stop_string_ends_the_answer_and_is_cut_off() -> None:
    made = engine()
    whole = answers(made)[0].text
    stop = whole.split()[2]
    cut = answers(made, Sampling(temperature=0, max_tokens=24, stop=(stop,)))[0]
    assert cut.finish_reason == "stop"
    assert cut.text == whole[: whole.index(stop)]


def test_an_answer_ends_where_the_context_does() -> None:
    size = len(engine()._render(requests()[0]))
    made = engine(SPECULATION[0], engine_args={"max_model_len": size + 3})
    sample = next(s for s in made.generate(requests()[:1], GREEDY) if s is not None)
    assert len(sample.token_ids or ()) == 3
    assert sample.finish_reason == "length"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"method": "tokn", "num_speculative_tokens": 2}, "Did you mean 'token'?"),
        ({"method": "token"}, "needs num_speculative_tokens"),
        ({"num_speculative_tokens": 2}, "needs a method and a model"),
        ({"method": "token", "num_speculative_tokens": 0}, "out of 1 to"),
        ({"method": "token", "num_speculative_tokens": "4"}, "must be of type int"),
        ({"method": "token", "num_speculative_tokens": 4, "pahts": 3}, "no key 'pahts'"),
        ({"method": "gbv", "branching": [2, 2]}, "gbv makes no claim for tree:2,2"),
        ({"method": "kseq", "branching": [2], "children": "topk"}, "kseq makes no claim for topk:2"),
        ({"method": "token", "branching": [2], "paths": 2}, "paths does not go with branching"),
        ({"method": "gbv", "num_speculative_tokens": 2, "trunk": 1, "trunk_entropy": 1}, "trunk does not go"),
        ({"method": "gbv", "num_speculative_tokens": 2, "trunk_entropy": -1}, "no shape 'entropy:-1"),
        ({"method": "token", "branching": [2], "children": "best"}, "children is one of"),
        ({"method": "gbv", "num_speculative_tokens": 2, "trunk": 2, "paths": 2}, "out of 1 to"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(how: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineRefusal, match=r"speculative_config|makes no claim") as refused:
        engine(how)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"engine_args": {"max_num_seqs": 4}}, "no option 'max_num_seqs'"),
        ({"engine_args": {"batch_size": 0}}, "batch_size must be a whole number above 0, not 0"),
        ({"engine_args": {"batch_size": True}}, "batch_size must be a whole number above 0, not True"),
        ({"dtype": "float7"}, "no dtype 'float7'"),
        ({"engine_args": {"threads": 0}}, "threads must be a whole number above 0, not 0"),
        ({"model": str(DEMO)}, "cannot load the model"),
    ],
)
def test_an_arm_that_cannot_be_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineRefusal, match=said):
        engine(**arguments)


def test_an_arm_computes_on_the_threads_that_it_names() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        engine(engine_args={"threads": before + 1})
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_prompt_longer_than_the_context_names_the_item() -> None:
    made = engine(engine_args={"max_model_len": 8})
    with pytest.raises(EngineRefusal, match=r"item '0' of battery 'b' has \d+ tokens, the model takes 8"):
        made.check(requests(), GREEDY)


def test_transformers_assisted_generation_gives_the_same_tokens() -> None:
    from transformers import AutoModelForCausalLM

    made = engine(SPECULATION[1])
    target, draft = (
        AutoModelForCausalLM.from_pretrained(DEMO / name, dtype=torch.float32).eval()
        for name in ("target", "draft")
    )
    for request, sample in zip(requests(), answers(made), strict=True):
        ids = torch.tensor([made._render(request)])
        out = target.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            assistant_model=draft,
            do_sample=False,
            max_new_tokens=GREEDY.max_tokens,
        )
        assert out[0, ids.shape[1] :].tolist() == sample.token_ids


def steering(folder: Path, strength: float) -> dict[str, Any]:
    rows = [{"prompt": text, "completion": "Sure, here is how."} for text in PROMPTS[:3]]
    path = folder / "examples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"proxy": str(DEMO / "draft"), "examples": str(path), "strength": strength, "epsilon": 1e-3}


def test_antidistillation_without_strength_changes_nothing_and_with_it_the_law(tmp_path: Path) -> None:
    sampled = Sampling(temperature=0.7, max_tokens=12)
    plain = [s.token_ids for s in answers(engine(), sampled)]
    still = engine(engine_args={"antidistillation": steering(tmp_path, 0.0)})
    assert [s.token_ids for s in answers(still, sampled)] == plain
    moved = engine(engine_args={"antidistillation": steering(tmp_path, 3.0)})
    assert [s.token_ids for s in answers(moved, sampled)] != plain
    assert moved._resolved()["antidistillation"]["gradient_norm"] > 0


def test_a_steered_target_gives_the_law_of_the_formula(tmp_path: Path) -> None:
    """By plain passes of the three models, at the root and at the nodes of a tree."""
    from tais.lab.decoding.antidistillation import increase, law
    from tais.lab.verification.warp import Warp

    made = engine(engine_args={"antidistillation": steering(tmp_path, 0.2)})
    assert made.steering is not None
    proxies = made.steering.proxies
    assert proxies is not None
    models = (made.target.model, proxies.plus, proxies.minus)
    steered, prompt = made._target(0.7), made._render(requests()[0])
    found = torch.cat([steered.begin(prompt)[None], steered.feed([5, 6, 7], [-1, 0, 0])])
    for row, tail in zip(Warp(0.7).law(found), ([], [5], [5, 6], [5, 7]), strict=True):
        ids = torch.tensor([[*prompt, *tail]])
        with torch.no_grad():
            teacher, plus, minus = (model(ids).logits[0, -1].double() for model in models)
        expected = law(teacher, increase(plus, minus, 1e-3), 0.2, 0.7)
        # float32 logits over twice the step of 1e-3.
        assert (row - expected).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epsilon": 0}, r"antidistillation\.epsilon: input should be greater than 0"),
        ({"strength": "much"}, r"antidistillation\.strength: input should be a valid number"),
        ({"examples": "/no/such/file"}, "cannot be read"),
        ({"lambda": 1.0}, "Here it is called strength"),
        ({"proxy": str(DEMO.parent / "demo-judge")}, "has another vocabulary"),
        ({"proxy": str(DEMO)}, "antidistillation: "),
    ],
)
def test_antidistillation_that_makes_no_sense_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(EngineRefusal, match=said):
        engine(engine_args={"antidistillation": steering(tmp_path, 1.0) | change})


def test_antidistillation_needs_a_temperature(tmp_path: Path) -> None:
    made = engine(engine_args={"antidistillation": steering(tmp_path, 1.0)})
    with pytest.raises(EngineRefusal, match="temperature above 0"):
        made.check(requests(), GREEDY)


def test_a_temperature_of_the_arms_own_is_that_of_its_law(tmp_path: Path) -> None:
    """Sampled at 0.7, it draws what a plain arm sampled at 1.3 draws; with a strength, by the formula."""
    from tais.lab.decoding.antidistillation import increase, law
    from tais.lab.verification.warp import Warp

    plain = answers(engine(), Sampling(temperature=1.3, max_tokens=12))
    own = engine(engine_args={"antidistillation": {"strength": 0, "temperature": 1.3}})
    found = answers(own, Sampling(temperature=0.7, max_tokens=12))
    assert [s.token_ids for s in found] == [s.token_ids for s in plain]
    assert own._resolved()["antidistillation"] == {
        "strength": 0, "epsilon": 0.01, "temperature": 1.3, "proxy": None,
    }  # fmt: skip
    both = engine(engine_args={"antidistillation": {**steering(tmp_path, 0.2), "temperature": 1.3}})
    assert both.steering is not None
    made = both.steering.proxies
    assert made is not None
    ids = torch.tensor([both._render(requests()[0])])
    with torch.no_grad():
        logits = [m(ids).logits[0, -1].double() for m in (both.target.model, made.plus, made.minus)]
    expected = law(logits[0], increase(logits[1], logits[2], 1e-3), 0.2, 1.3)
    row = Warp(0.7).law(both._target(0.7).begin(ids[0].tolist())[None])[0]
    assert (row - expected).abs().max() < 1e-3


def test_a_steered_target_speculates_too(tmp_path: Path) -> None:
    """A lossless verifier keeps the steered law: near temperature 0 the same tokens as without drafts."""
    cold = Sampling(temperature=1e-3, max_tokens=16)
    how = {"antidistillation": steering(tmp_path, 3.0)}
    alone = [s.token_ids for s in answers(engine(engine_args=how), cold)]
    drafted = engine(SPECULATION[0], engine_args=how)
    assert [s.token_ids for s in answers(drafted, cold)] == alone
    counted = drafted.counters()
    assert counted is not None
    assert counted.accepted_tokens > 0


def manifest(folder: Path, arms: dict[str, Any]) -> Path:
    data = {
        "name": "reference",
        "arms": arms,
        "contrasts": [{"reference": "first", "candidate": "second", "lossless": True}],
        "batteries": [{"name": "demo_refuse", "limit": 24}, {"name": "demo_json", "limit": 24}],
        "sampling": {"temperature": 0, "max_tokens": 48},
    }
    path = folder / "reference.yaml"
    with path.open("w") as file:
        YAML().dump(data, file)
    return path


TARGET = {"model": str(DEMO / "target"), "dtype": "float32"}
TREE = {"model": str(DEMO / "draft"), "method": "traversal", "num_speculative_tokens": 4, "paths": 3}


@pytest.mark.slow
def test_a_tree_arm_is_screened_from_manifest_to_report(tais: Tais, tmp_path: Path) -> None:
    first = {"engine": "reference", **TARGET}
    second = {**first, "speculative_config": {**TREE, "draft_temperature": 1.0}}
    done = tais("run", manifest(tmp_path, {"first": first, "second": second}), "--out", tmp_path / "out")
    assert done.returncode == 3, done.stderr  # 24 items per battery decide nothing at 3 points
    report = json.loads(next(tmp_path.glob("out/*/*/report.json")).read_text())
    contrast = report["contrasts"][0]
    assert contrast["identity"]["rate"] == 1.0
    assert contrast["treatment"]["applied"] is True
    assert contrast["treatment"]["resolved"] == "traversal"
    assert contrast["treatment"]["accepted_tokens"] > 0
    codes = {reason["code"] for reason in contrast["reasons"]}
    assert not codes & {
        "resolved_differs",
        "environment_differs",
        "prompt_drift",
        "speculation_option_ignored",
    }


@pytest.mark.slow
def test_the_manifest_of_trees_drafts_trees_and_changes_nothing(tais: Tais, tmp_path: Path) -> None:
    done = tais("run", "trees", "--out", tmp_path / "out", "--limit", 4)
    assert done.returncode == 3, done.stderr  # four items decide nothing
    report = json.loads(next(tmp_path.glob("out/*/*/report.json")).read_text())
    found = {contrast["candidate"]: contrast for contrast in report["contrasts"]}
    for name in ("traversal", "delayed", "chosen", "target_again"):
        assert found[name]["identity"]["rate"] == 1.0
    for name in ("traversal", "delayed", "chosen"):
        assert found[name]["treatment"]["accepted_tokens"] > 0
    assert found["accept_all"]["lossless"] is False
    assert found["accept_all"]["identity"]["rate"] < 1.0


@pytest.mark.nightly
def test_the_screen_of_trees_passes_and_its_control_is_caught(tais: Tais, tmp_path: Path) -> None:
    done = tais("run", "trees", "--out", tmp_path / "out", timeout=590)
    assert done.returncode == 0, done.stderr


@pytest.mark.engine
def test_vllm_and_the_reference_engine_give_the_same_tokens(tais: Tais, tmp_path: Path) -> None:
    memory = {"enforce_eager": True, "max_model_len": 512, "kv_cache_memory_bytes": 1 << 27}
    first = {"engine": "vllm", **TARGET, "engine_args": memory}
    second = {"engine": "reference", **TARGET, "speculative_config": {**TREE, "draft_temperature": 1.0}}
    done = tais("run", manifest(tmp_path, {"first": first, "second": second}), "--out", tmp_path / "out")
    assert done.returncode == 3, done.stderr
    columns = ["item_id", "prompt_digest", "token_ids", "text", "finish_reason"]
    rows = []
    for arm in ("first", "second"):
        parts = sorted(tmp_path.glob(f"out/*/*/arms/{arm}/part-*"))
        rows.append(
            sorted(
                tuple(map(str, row.values()))
                for part in parts
                for row in pq.read_table(part, columns=columns).to_pylist()
            )
        )
    assert len(rows[0]) == 48
    assert rows[0] == rows[1]
