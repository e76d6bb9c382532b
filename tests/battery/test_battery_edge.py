"""The serving-edge battery."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tais.battery.load import load_battery
from tais.battery.serving_edge import (
    EdgeShape,
    edge_rows,
    load_tokenizer,
    prompt_of_length,
    write_edge_battery,
)
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef


class Words:
    """One token per word, and a start token."""

    def __init__(self, start: bool = True) -> None:
        self.start = [0] if start else []
        self.ids: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        return self.start + [self.ids.setdefault(word, len(self.ids) + 1) for word in text.split()]

    def decode(self, ids: list[int]) -> str:
        words = {number: word for word, number in self.ids.items()}
        return " ".join(words[number] for number in ids if number)


SHAPE = EdgeShape(draft_tokens=5, block=16, chunk=64, max_model_len=256)


def test_lengths_cover_the_edges_once() -> None:
    lengths = SHAPE.lengths()
    # k = 5: prompts of 1 to 2k + 2 tokens, 1 + k among them, where a prefill was taken for a verification.
    assert lengths["short"] == list(range(1, 13))
    assert {15, 16, 17, 21, 22} <= set(lengths["block"])
    assert {63, 64, 65, 69, 70, 127, 128, 129} <= set(lengths["chunk"]) | set(lengths["block"])
    assert {255, 254, 251, 250, 249, 244} <= set(lengths["limit"])
    every = [n for family in lengths.values() for n in family]
    assert len(every) == len(set(every))
    assert max(every) < SHAPE.max_model_len


def test_prompts_have_exactly_the_length_asked_for() -> None:
    tokenizer = Words()
    for row in edge_rows(tokenizer, SHAPE):
        if row["family"] in ("short", "block", "chunk", "limit"):
            assert len(tokenizer.encode(row["prompt"])) == int(row["id"].rpartition("-")[2])


def test_a_length_that_no_prompt_has_is_left_out() -> None:
    assert prompt_of_length(Words(), 1, random.Random(1)) is None
    assert prompt_of_length(Words(start=False), 1, random.Random(1)) is not None


def test_every_family_is_there_and_prefixes_are_clusters() -> None:
    rows = list(edge_rows(Words(), SHAPE))
    families = Counter(row["family"] for row in rows)
    assert set(families) == {"short", "block", "chunk", "limit", "prefix", "output", "loop", "bytes"}
    clusters = Counter(row["cluster"] for row in rows if row["family"] == "prefix")
    assert set(clusters.values()) == {5}
    assert len({row["id"] for row in rows}) == len(rows)


def test_the_same_tokenizer_gives_the_same_battery(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        count = write_edge_battery(Words(), SHAPE, tmp_path / name)
        loaded = load_battery(BatteryRef(name="edge", path="serving_edge.yaml"), tmp_path / name)
        assert len(loaded.items) == count
        assert loaded.definition.chat is False
        digests.add(loaded.digest)
    assert len(digests) == 1


def test_sizes_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        EdgeShape(block=0)


def test_a_real_tokenizer(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    inner.train_from_iterator(["the old mill by the river"], trainer)
    inner.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(tmp_path)
    for row in edge_rows(tokenizer, SHAPE):
        if row["family"] in ("short", "block", "chunk", "limit"):
            assert len(tokenizer.encode(row["prompt"])) == int(row["id"].rpartition("-")[2])


def test_a_directory_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(ManifestError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ManifestError, match="cannot read the tokenizer"):
        load_tokenizer(tmp_path)
