"""What of an answer a scorer reads, and which answers have nothing that it could read.

An answer is more than a text: thinking in front of it, calls of tools and a refusal beside it. A scorer reads
what was said to whoever asked, unless it asks for another part (`reads`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import JsonValue

from tais.common.files import canonical_json
from tais.common.parts import read_parts
from tais.scorers.base import Score, Scorer, Scores, ScoresMany, collect
from tais.scorers.thinking import may_be_marked, split_thinking

__all__ = [
    "CUT_WHILE_THINKING",
    "ONLY_THINKING",
    "ONLY_TOOL_CALLS",
    "ReadsPart",
    "part_read",
    "said_text",
    "score_answer",
    "score_unique",
]

Reads = Literal["answer", "calls", "all"]
"""answer: what is said, a refusal beside the text included. calls: calls of tools, and where none stand
apart, what is said. all: every part, thinking too, as one text."""

CUT_WHILE_THINKING = "cut while thinking"
ONLY_THINKING = "only thinking"
ONLY_TOOL_CALLS = "only tool calls"
_KEPT = 65_536
"""Scores that are kept from one arm to the next."""
_CUT = ("length", "unknown", None)
"""Reasons to finish under which an answer may have been cut."""


@runtime_checkable
class ReadsPart(Protocol):
    """A scorer that asks for another part than what is said."""

    @property
    def reads(self) -> Reads:
        """The part it is given."""


def score_answer(
    scorer: Scorer,
    text: str,
    expect: object,
    finish_reason: str | None = None,
    parts: str | None = None,
    *,
    opened: bool = False,
) -> Score:
    """Score one answer by the part that its scorer reads.

    Parameters
    ----------
    scorer, expect
        Of the item.
    text, finish_reason, parts
        Of the sample; parts as :func:`tais.common.parts.render_parts` writes them.
    opened
        Whether the prompt opened the thinking, so that the text closes it or was cut before.
    """
    read = _read(scorer, _reads(type(scorer)), text, expect, finish_reason, parts, opened)
    return read if isinstance(read, Score) else scorer.score(read, expect, finish_reason)


@cache
def _reads(scorer: type[object]) -> Reads:
    # Whether a class keeps a protocol is found out in the time of ten answers.
    return scorer.reads if isinstance(scorer, ReadsPart) else "answer"


def _read(
    scorer: Scorer,
    reads: Reads,
    text: str,
    expect: object,
    finish_reason: str | None,
    parts: str | None,
    opened: bool,
) -> str | Score:
    if parts is None and not opened and not may_be_marked(text):
        return text
    if parts is not None and scorer.exchange == "polarity" and _only_refusal(text, parts):
        # The server says itself that this is a refusal, in whatever words.
        return Score(float(expect == "refuse"), False, "refusal")
    return part_read(reads, text, finish_reason, parts, opened=opened)


def score_unique(
    scorer: Scorer,
    texts: Sequence[str],
    expects: Sequence[object],
    finish_reasons: Sequence[str | None] | None = None,
    parts: Sequence[str | None] | None = None,
    *,
    opened: bool = False,
    known: dict[object, Score] | None = None,
) -> Scores:
    """Score answers by the part that a scorer reads, each distinct answer and expectation once.

    Parameters
    ----------
    scorer
        Any scorer.
    texts, expects, finish_reasons, parts
        Aligned; reasons and parts may be left out.
    opened
        See :func:`score_answer`.
    known
        Scores of earlier calls, which this one reads and adds to: most answers of a candidate are those of
        its reference. It is for the same scorers, as objects, and holds a limited number.

    Returns
    -------
    Scores
        Aligned with the input.
    """
    n = len(texts)
    reasons: Sequence[str | None] = [None] * n if finish_reasons is None else finish_reasons
    beside: Sequence[str | None] = [None] * n if parts is None else parts
    if len(expects) != n or len(reasons) != n or len(beside) != n:
        raise ValueError(
            f"{n} texts, {len(expects)} expects, {len(reasons)} finish reasons, {len(beside)} parts"
        )
    reads = _reads(type(scorer))
    seen: dict[_Key, Score | None] = {}
    asked: list[_Asked] = []
    keys = [
        (text, _expect_key(expect), reason, part)
        for text, expect, reason, part in zip(texts, expects, reasons, beside, strict=True)
    ]
    for key, expect in zip(keys, expects, strict=True):
        if key in seen:
            continue
        text, expected, reason, part = key
        told: object = None
        if known is not None:
            digest = None if part is None else _digest(part)
            told = (id(scorer), opened, _digest(text), expected, reason, digest)
            seen[key] = score = known.get(told)
            if score is not None:
                continue
        seen[key] = None
        asked.append(_Asked(key, told, expect, _read(scorer, reads, text, expect, reason, part, opened)))
    for one, score in zip(asked, _scored(scorer, asked), strict=True):
        seen[one.key] = score
        if known is not None and len(known) < _KEPT:
            known[one.told] = score
    return collect((score for key in keys if (score := seen[key]) is not None), len(seen))


_Key = tuple[str, object, str | None, str | None]


class _Asked(NamedTuple):
    """A distinct answer that is not known."""

    key: _Key
    told: object
    """What it is kept under."""
    expect: object
    read: str | Score
    """What of it is read, or its score where nothing is."""


def _scored(scorer: Scorer, asked: Sequence[_Asked]) -> list[Score]:
    """Score distinct answers: all at once where the scorer can."""
    read = [(one.read, one.expect, one.key[2]) for one in asked if not isinstance(one.read, Score)]
    if isinstance(scorer, ScoresMany) and read:
        texts, expects, reasons = zip(*read, strict=True)
        scores = iter(scorer.score_many(texts, expects, reasons))
    else:
        scores = (scorer.score(*one) for one in read)
    return [one.read if isinstance(one.read, Score) else next(scores) for one in asked]


def _digest(text: str) -> bytes:
    # Texts themselves would take a kilobyte each.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _expect_key(expect: object) -> object:
    # A string stands for itself; the tuple keeps '"B"' the string and '"B"' the JSON text apart.
    if expect is None or isinstance(expect, str):
        return expect
    if type(expect) is int:
        return ("json", str(expect))
    return ("json", _ENCODE(expect))


def said_text(
    text: str, finish_reason: str | None = None, parts: str | None = None, *, opened: bool = False
) -> str | Score:
    """Return what is said in an answer, or the score of one that says nothing; see :func:`score_answer`."""
    return part_read("answer", text, finish_reason, parts, opened=opened)


def part_read(
    reads: Reads, text: str, finish_reason: str | None, parts: str | None, *, opened: bool = False
) -> str | Score:
    """Return the part of an answer that a scorer reads, or its score where there is nothing to read.

    An answer that was cut while it was thinking is invalid, and so is one that only calls tools, for a scorer
    that cannot read calls.
    """
    told = {} if parts is None else read_parts(parts)
    if reads == "all":
        return "\n".join(filter(None, (text, *_leaves(told)))) if told else text
    split = split_thinking(text)
    closed = split.closed and not (opened and not split.marked and finish_reason in _CUT)
    said, calls = split.said, split.calls
    if told:
        if refusal := _refusal(told):
            said = f"{said}\n\n{refusal}" if said.strip() else refusal
        if told.get("tool_calls"):
            calls = canonical_json(told["tool_calls"]).decode()
    if calls and reads == "calls":
        return calls
    if not closed:
        return _nothing(CUT_WHILE_THINKING)
    if said and not said.isspace():
        return said
    if calls:
        return _nothing(ONLY_TOOL_CALLS)
    if told.get("reasoning"):
        return _nothing(CUT_WHILE_THINKING if finish_reason in _CUT else ONLY_THINKING)
    return said


def _nothing(label: str) -> Score:
    return Score(0.0, True, label)


def _only_refusal(text: str, parts: str) -> bool:
    return bool(_refusal(read_parts(parts))) and not split_thinking(text).said.strip()


def _refusal(told: Mapping[str, JsonValue]) -> str:
    return "\n\n".join(one for one in _leaves(told.get("refusal")) if one.strip())


def _leaves(value: JsonValue) -> Iterator[str]:
    """Yield all texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
