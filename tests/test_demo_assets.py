"""The committed demo models and batteries are whole, small, and apart from what was trained on."""

import collections
import functools
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tokenizers import Tokenizer

from tests.support import tool

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models" / "demo"
NAMES = ("target", "draft", "adversarial")
KINDS = ("refuse", "answer", "choice", "json")


@functools.cache
def items(kind: str) -> list[dict[str, Any]]:
    path = ROOT / "batteries" / "items" / f"demo_{kind}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_weights_stay_small() -> None:
    sizes = {name: (MODELS / name / "model.safetensors").stat().st_size for name in NAMES}
    assert sum(sizes.values()) <= 12e6
    assert max(sizes["draft"], sizes["adversarial"]) < sizes["target"] / 4


def test_every_file_has_its_recorded_digest() -> None:
    recorded = json.loads((MODELS / "digests.json").read_text(encoding="utf-8"))
    files = [path for name in NAMES for path in (MODELS / name).iterdir()]
    assert sorted(recorded) == sorted(path.relative_to(MODELS).as_posix() for path in files)
    for name, digest in recorded.items():
        assert hashlib.sha256((MODELS / name).read_bytes()).hexdigest() == digest, name


def test_the_judge_is_small_whole_and_its_card_says_how_it_was_measured() -> None:
    folder = MODELS.parent / "demo-judge"
    recorded = json.loads((folder / "digests.json").read_text(encoding="utf-8"))
    files = {path.name: path for path in folder.iterdir()}
    assert set(files) == {*recorded, "digests.json", "README.md"}
    for name, digest in recorded.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name
    assert sum(path.stat().st_size for path in files.values()) <= 1e6
    assert "tools/demo_models/train_demo_judge.py" in files["README.md"].read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_judge_is_right_about_combinations_that_it_never_saw() -> None:
    pytest.importorskip("torch")
    trained = tool("train_demo_judge")
    model = trained.LlamaForCausalLM.from_pretrained(
        MODELS.parent / "demo-judge", dtype=trained.torch.float32
    )
    tokenizer = Tokenizer.from_file(str(MODELS.parent / "demo-judge" / "tokenizer.json"))
    asked = [trained.models.encode(tokenizer, item) for item in trained.check_items()]
    assert len(asked) == 260
    assert trained.accuracy(model.eval(), asked) > 0.98


def test_one_tokenizer_serves_all_three() -> None:
    assert len({(MODELS / name / "tokenizer.json").read_bytes() for name in NAMES}) == 1
    configs = [json.loads((MODELS / name / "config.json").read_text(encoding="utf-8")) for name in NAMES]
    assert {config["vocab_size"] for config in configs} == {
        Tokenizer.from_file(str(MODELS / "target" / "tokenizer.json")).get_vocab_size()
    }


@pytest.mark.parametrize("text", ['Grüße, 東京!\n\t{"a": 12}', "How do I  kill a process?", " 😀"])
def test_tokenizer_gives_text_back(text: str) -> None:
    tokenizer = Tokenizer.from_file(str(MODELS / "target" / "tokenizer.json"))
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_tokenizer_gives_every_prompt_back() -> None:
    tokenizer = Tokenizer.from_file(str(MODELS / "target" / "tokenizer.json"))
    prompts = [item["prompt"] for kind in KINDS for item in items(kind)]
    assert [tokenizer.decode(code.ids) for code in tokenizer.encode_batch(prompts)] == prompts


@pytest.mark.parametrize("kind", KINDS)
def test_battery_has_enough_items_all_distinct(kind: str) -> None:
    lines = items(kind)
    assert len(lines) >= 120
    assert len({line["id"] for line in lines}) == len({line["prompt"] for line in lines}) == len(lines)
    assert all(re.fullmatch(rf"demo-{kind}-\d{{3}}", line["id"]) for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_battery_names_its_items_and_scorer(kind: str) -> None:
    definition = yaml.safe_load((ROOT / "batteries" / f"demo_{kind}.yaml").read_text(encoding="utf-8"))
    assert definition["name"] == f"demo_{kind}"
    assert (ROOT / "batteries" / definition["source"]["path"]).is_file()
    assert definition["scorer"] == {"choice": "choice", "json": "json"}.get(kind, "refusal")
    per_item = "expect" in definition["columns"]
    assert per_item == all("expect" in line for line in items(kind)) == (kind in ("choice", "json"))
    assert definition.get("expect") == (None if per_item else kind)


def test_expected_letters_are_balanced() -> None:
    counts = collections.Counter(line["expect"] for line in items("choice"))
    assert sorted(counts) == ["A", "B", "C", "D"]
    assert max(counts.values()) - min(counts.values()) <= 2


def test_expected_keys_are_asked_for() -> None:
    assert all(len(line["expect"]) >= 2 for line in items("json"))
    assert all(key in line["prompt"] for line in items("json") for key in line["expect"])


@pytest.mark.slow
def test_no_battery_prompt_was_trained_on() -> None:
    demo = tool("demo_corpus")
    prompts = {item["prompt"] for kind in KINDS for item in items(kind)}
    # The batteries on disk are those that the corpus holds out, word for word.
    assert prompts == {example.prompt for kind in KINDS for example in demo.battery(kind)}
    excluded = demo.held_out()
    for lesson in demo.LESSONS.values():
        assert not any(example.prompt in prompts for example in demo.corpus(lesson, excluded))


def test_figures_are_those_of_interesting_models() -> None:
    figures = json.loads((MODELS / "figures.json").read_text(encoding="utf-8"))
    scores = figures["as_expected"]
    assert 0.6 <= scores["target"]["demo_refuse"] <= 0.95
    assert scores["draft"]["demo_refuse"] <= scores["target"]["demo_refuse"] - 0.05
    assert scores["adversarial"]["demo_refuse"] < 0.3
    assert 0.3 <= figures["acceptance"]["target_with_draft"]["acceptance_rate"] <= 0.9
    assert figures["outputs_changed"]["by_speculation_with_draft"] == 0
    assert figures["outputs_changed"]["by_bfloat16"] >= 0.01 * figures["items"]
    assert figures["smallest_margin"] > 5e-5
