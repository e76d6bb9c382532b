"""Drafts that speak another language than their target are refused before anything runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tais.errors import ManifestError, Place
from tais.manifest.load import load_manifest
from tais.plan.vocabulary import check_vocabularies, differing_ids, read_vocabulary
from tests.conftest import ROOT, Screen, Tais

DEMO = ROOT / "models" / "demo"
BYTES = {"type": "ByteLevel"}
PIECES = {"type": "Sequence", "decoders": [{"type": "Replace"}, {"type": "ByteFallback"}, {"type": "Fuse"}]}


def written(folder: Path, vocab: Any, decoder: Any, added: dict[int, str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [{"id": index, "content": text} for index, text in (added or {}).items()]
    value = {"model": {"type": "BPE", "vocab": vocab}, "decoder": decoder, "added_tokens": tokens}
    (folder / "tokenizer.json").write_text(json.dumps(value))
    return folder / "tokenizer.json"


def read(file: Path) -> dict[int, bytes]:
    return read_vocabulary(file, Place("m.yaml"))


def test_bytes_are_those_that_the_tokenizer_itself_decodes() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    file = DEMO / "target" / "tokenizer.json"
    own, oracle = read(file), tokenizers.Tokenizer.from_file(str(file))
    assert len(own) == oracle.get_vocab_size(with_added_tokens=True)
    for token, text in own.items():
        decoded = oracle.decode([token], skip_special_tokens=False)
        # Half a character is U+FFFD there, and its bytes here.
        assert decoded == text.decode("utf-8", "replace")


def test_two_ways_of_writing_the_same_tokens_are_the_same(tmp_path: Path) -> None:
    first = read(written(tmp_path / "a", {"Ġthe": 0, "é": 1, "ÃĊ": 2}, BYTES, {3: "<|end|>"}))
    second = read(written(tmp_path / "b", [["▁the", -1.0], ["<0xE9>", -2.0], ["<0x0A>", -3.0]], PIECES))
    assert first[0] == second[0] == b" the"
    assert first[1] == second[1] == b"\xe9"
    assert first[3] == b"<|end|>"
    assert list(differing_ids(first, second)) == [2]


def test_padding_of_one_vocabulary_is_no_difference(tmp_path: Path) -> None:
    small = read(written(tmp_path / "a", {"a": 0, "b": 1}, BYTES))
    large = read(written(tmp_path / "b", {"a": 0, "b": 1, "<pad>": 2, "c": 7}, BYTES))
    assert list(differing_ids(small, large)) == list(differing_ids(large, small)) == []


def test_a_tokenizer_that_is_not_the_models_is_refused(tmp_path: Path) -> None:
    words = {chr(97 + index): index for index in range(20)}
    for name, vocab in (
        ("model", words),
        ("near", {**words, "t": 30, "T": 19}),
        ("far", dict(zip(words, range(19, -1, -1), strict=True))),
    ):
        written(tmp_path / name, vocab, BYTES)
    for named, refused in (("near", False), ("far", True)):
        (tmp_path / "m.yaml").write_text(
            "name: m\narms:\n"
            f"  a: {{engine: vllm, model: ./model, tokenizer: ./{named}}}\n  b: {{extends: a}}\n"
            "contrasts: [{reference: a, candidate: b}]\nbatteries: [demo_refuse]\n"
        )
        manifest = load_manifest(tmp_path / "m.yaml")
        if not refused:
            check_vocabularies(manifest)
            continue
        with pytest.raises(ManifestError, match="is not its model's: 20 of 20 token ids") as caught:
            check_vocabularies(manifest)
        assert caught.value.place is not None
        assert caught.value.place.key == "arms.a.tokenizer"


def test_a_broken_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 5}')
    with pytest.raises(ManifestError, match=r"cannot read .*tokenizer\.json"):
        read(tmp_path / "tokenizer.json")


@pytest.fixture
def drafted(screen: Screen) -> Screen:
    """A screen whose draft is a copy of the demo's with two tokens under each other's ids."""
    draft = screen.folder / "draft"
    shutil.copytree(DEMO / "draft", draft)
    value = json.loads((draft / "tokenizer.json").read_text())
    vocab = value["model"]["vocab"]
    first, second = sorted(vocab, key=vocab.__getitem__)[300:302]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (draft / "tokenizer.json").write_text(json.dumps(value))
    screen.data["arms"]["target"] = {"engine": "vllm", "model": str(DEMO / "target")}
    config = {"method": "draft_model", "model": "./draft", "num_speculative_tokens": 4}
    screen.data["arms"]["spec"]["speculative_config"] = config
    screen.write()
    return screen


def test_a_draft_with_another_tokenizer_is_refused_with_its_ids(drafted: Screen, tais: Tais) -> None:
    done = tais("plan", drafted.path)
    assert done.returncode == 2
    assert "the draft of arm 'spec' has another tokenizer than its target: token id " in done.stderr
    assert "arms.spec.speculative_config.model" in done.stderr
    assert "use_heterogeneous_vocab" in done.stderr


def test_whoever_says_so_may_have_one(drafted: Screen, tais: Tais) -> None:
    drafted.data["arms"]["spec"]["speculative_config"]["use_heterogeneous_vocab"] = True
    drafted.write()
    assert tais("plan", drafted.path).returncode == 0


def test_the_targets_own_tokenizer_is_sound(drafted: Screen, tais: Tais) -> None:
    drafted.data["arms"]["spec"]["speculative_config"]["model"] = str(DEMO / "draft")
    drafted.write()
    assert tais("plan", drafted.path).returncode == 0
