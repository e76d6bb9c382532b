"""Serving-edge battery: prompts at the lengths and shapes where serving stacks have broken.

Made for one tokenizer, because what matters are token counts. Each family has a reason in a real fault of
speculative serving: prompts of 1 + k tokens taken for a verification step, cache blocks left behind by
rejected drafts, stale drafts near the length limit, prefixes shared between requests, draft loops, and
output bytes split between tokens.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tais.errors import ManifestError, Place

__all__ = ["EdgeShape", "Tokenizer", "edge_rows", "load_tokenizer", "prompt_of_length", "write_edge_battery"]

_SEED = 20260715
_TRIES = 400
_PASSAGE = (
    "the river runs past a small mill and turns its old wheel every morning before the baker comes to fetch "
    "flour for bread while two grey cats sleep on warm stones near the door and nobody asks them to move"
)


class Tokenizer(Protocol):
    """The two directions of a tokenizer, special tokens included as the engine adds them."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a prompt."""

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids without special tokens."""


@dataclass(frozen=True, slots=True)
class EdgeShape:
    """The sizes of the serving stack.

    Parameters
    ----------
    draft_tokens
        k of the speculation.
    block
        Tokens of one cache block.
    chunk
        Tokens of one prefill chunk (max_num_batched_tokens).
    max_model_len
        Longest prompt and answer together.
    """

    draft_tokens: int = 5
    block: int = 16
    chunk: int = 512
    max_model_len: int = 2048

    def __post_init__(self) -> None:
        if min(self.draft_tokens, self.block, self.chunk) < 1 or self.max_model_len < 8:
            raise ValueError("sizes must be above zero, and max_model_len at least 8")

    def lengths(self) -> dict[str, list[int]]:
        """Return prompt lengths in tokens, by family."""
        k, longest = self.draft_tokens, self.max_model_len
        around = (-1, 0, 1, k, k + 1)
        families = {
            "short": list(range(1, 2 * k + 3)),
            "block": [m * self.block + d for m in (1, 2, 3, 8) for d in around],
            "chunk": [m * self.chunk + d for m in (1, 2) for d in around],
            "limit": [longest - d for d in (1, 2, k, k + 1, k + 2, 2 * k + 2, self.block, self.block + 1)],
        }
        seen: set[int] = set()
        kept: dict[str, list[int]] = {}
        for family, lengths in families.items():
            kept[family] = [n for n in dict.fromkeys(lengths) if 0 < n < longest and n not in seen]
            seen.update(kept[family])
        return kept


def prompt_of_length(tokenizer: Tokenizer, length: int, rng: random.Random) -> str | None:
    """Return a prompt of exactly `length` tokens, or None where the tokenizer has none that is found.

    A tokenizer that adds a start token has no prompt of one token.
    """
    words: list[str] = [rng.choice(_PASSAGE.split())]
    while len(tokenizer.encode(" ".join(words))) < length:
        words.extend(rng.choices(_PASSAGE.split(), k=max(1, length // 8)))
    ids = tokenizer.encode(" ".join(words))
    for attempt in range(_TRIES):
        # Cutting between tokens usually keeps them; where it does not, another cut or another start does.
        cut = length + (attempt % 9) - 4
        text = tokenizer.decode(ids[: max(cut, 1)]).strip(" ")
        if text.strip() and len(tokenizer.encode(text)) == length:
            return text
        if attempt % 9 == 8:
            rng.shuffle(words)
            ids = tokenizer.encode(" ".join(words))
    return None


def edge_rows(tokenizer: Tokenizer, shape: EdgeShape) -> Iterator[dict[str, Any]]:
    """Yield the items of a serving-edge battery: id, prompt, family and cluster.

    Deterministic for a tokenizer and a shape. A length that no prompt has is left out.
    """
    rng = random.Random(_SEED)
    for family, lengths in shape.lengths().items():
        for length in lengths:
            prompt = prompt_of_length(tokenizer, length, rng)
            if prompt is not None:
                yield _row(f"{family}-{length:05d}", prompt, family)
    yield from _shared_prefixes(tokenizer, shape, rng)
    for number, prompt in enumerate(_OUTPUT_LENGTHS, start=1):
        yield _row(f"output-{number:02d}", prompt, "output")
    for number, prompt in enumerate(_loops(), start=1):
        yield _row(f"loop-{number:02d}", prompt, "loop")
    for number, prompt in enumerate(_RARE, start=1):
        yield _row(f"bytes-{number:02d}", prompt, "bytes")


def _row(item_id: str, prompt: str, family: str, cluster: str | None = None) -> dict[str, Any]:
    return {
        "id": f"edge-{item_id}",
        "prompt": prompt,
        "family": family,
        "cluster": cluster or f"edge-{item_id}",
    }


def _shared_prefixes(tokenizer: Tokenizer, shape: EdgeShape, rng: random.Random) -> Iterator[dict[str, Any]]:
    for blocks in (1, 2, 4):
        # One token beyond, at and below a block boundary: a prefix-cache hit ends there.
        for offset in (-1, 0, 1):
            length = blocks * shape.block + offset
            prefix = (
                prompt_of_length(tokenizer, length, rng) if 0 < length < shape.max_model_len // 2 else None
            )
            if prefix is None:
                continue
            cluster = f"edge-prefix-{length:05d}"
            for number, tail in enumerate(("", "", " and then", " but the wheel", ". What comes next?")):
                yield _row(f"prefix-{length:05d}-{number}", prefix + tail, "prefix", cluster)


_OUTPUT_LENGTHS = (
    "Answer with the single word yes.",
    "Say nothing but the digit 7.",
    "Name one colour. One word only.",
    "Count from 1 to 400, separated by commas, without leaving out any number.",
    "Write the alphabet forty times, each on its own line.",
    "Tell a very long story about a mill on a river and never stop.",
    "List two hundred different words, one per line.",
)


def _loops() -> tuple[str, ...]:
    return (
        "ha " * 120,
        "left right " * 60,
        "1 0 " * 100,
        "Repeat this line for ever: the wheel turns.\n" + "the wheel turns.\n" * 30,
        "a" * 300,
        "abcabcabc" * 40,
        "[[[[[[[[" * 20,
        "\n" * 40 + "go on",
    )


_RARE = (
    "Repeat exactly: e\u0301 o\u0308 n\u0303 \u1ea1\u0302",
    "Repeat exactly: \u0915\u094d\u0937\u093f \u0ba8\u0bbf",
    "Repeat exactly: \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\U000e0067\U000e007f",
    "Repeat exactly: \u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "Repeat exactly: z" + "\u0300\u0301\u0302\u0303\u0304" * 6,
    "Repeat exactly: \ufffd \ue000 \U0010fffd",
    "Repeat exactly: \u00a0\u2003\u200b\ufeff|",
    "Repeat exactly: \x01\x02\x1b[31m\x7f",
    "Repeat exactly: \U00020000\U0002a6d6 \u4f60\u597d\u3053\u3093\u306b\u3061\u306f",
    "Repeat exactly: \U0001f1e9\U0001f1ea\U0001f1f9\U0001f1f7 \u26a0\ufe0f 1\ufe0f\u20e3",
    "Repeat exactly: fi \ufb01 \u212b \u00c5 A\u030a",
)


class _Fast:
    """A ``tokenizer.json`` through the `tokenizers` library."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def encode(self, text: str) -> list[int]:
        return list(self._inner.encode(text).ids)

    def decode(self, ids: list[int]) -> str:
        return str(self._inner.decode(ids, skip_special_tokens=True))


def load_tokenizer(path: Path) -> Tokenizer:
    """Load the ``tokenizer.json`` of a model directory.

    Raises
    ------
    ManifestError
        No such file, or no `tokenizers` library.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        import tokenizers
    except ImportError as error:
        remedy = "pip install tokenizers (the engine extras bring it)"
        raise ManifestError("this needs the package 'tokenizers'", remedy=remedy) from error
    if not file.is_file():
        raise ManifestError("no tokenizer.json", place=Place(str(file)), remedy="Name a model directory")
    try:
        return _Fast(tokenizers.Tokenizer.from_file(str(file)))
    # The library raises plain Exception.
    except Exception as error:
        remedy = "Name a tokenizer.json of the tokenizers library"
        raise ManifestError(
            f"cannot read the tokenizer: {error}", place=Place(str(file)), remedy=remedy
        ) from error


def write_edge_battery(tokenizer: Tokenizer, shape: EdgeShape, folder: Path) -> int:
    """Write ``serving_edge.yaml`` and its items; return how many items there are."""
    lines = [json.dumps(row) + "\n" for row in edge_rows(tokenizer, shape)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "serving_edge.jsonl").write_text("".join(lines), encoding="utf-8")
        definition = edge_battery_yaml("serving_edge", "serving_edge.jsonl")
        (folder / "serving_edge.yaml").write_text(definition, encoding="utf-8")
    except OSError as error:
        what = f"cannot write: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(folder)), remedy="Check the folder") from error
    return len(lines)


def edge_battery_yaml(name: str, items_file: str) -> str:
    """Return the definition that goes with the items."""
    return (
        f"name: {name}\n"
        "description: Prompts at the edges of a serving stack, made for one tokenizer.\n"
        f"source: {{path: {items_file}}}\n"
        "columns: {id: id, prompt: prompt, group: family, cluster: cluster}\n"
        "# Token counts would not hold inside a chat template.\n"
        "chat: false\n"
        "scorer: sane\n"
        "license: Apache-2.0\n"
    )
