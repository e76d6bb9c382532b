"""Lettered options of a multiple-choice item."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tais.battery.cells import parsed_cell
from tais.battery.definition import Choices
from tais.common.template import as_text, lookup, render

__all__ = ["Options", "lettered"]

_LETTERS = "ABCDEFGHIJ"
# A letter that the source wrote before its option.
_MARK = re.compile(r"\(?([A-J])[.):]\s+")


@dataclass(frozen=True, slots=True)
class Options:
    """Options in the order shown, and the letters of the right ones."""

    letters: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    text: str


def lettered(choices: Choices, row: Mapping[str, Any], item_id: str | None) -> Options:
    """Return the options of a row.

    Parameters
    ----------
    choices
        How the battery makes them.
    row
        The source's row.
    item_id
        Decides the order where the battery shuffles; None keeps the source's order.

    Raises
    ------
    ValueError
        Fewer than two options, more than ten, no right one, or an answer that is none of them.
    """
    texts, right, own = _texts(choices, row)
    if choices.limit is not None and len(texts) > choices.limit:
        (texts, right), own = _limited(texts, right, choices.limit), _LETTERS
    if not 2 <= len(texts) <= len(_LETTERS):
        raise ValueError(f"{len(texts)} options, where 2 to {len(_LETTERS)} can be lettered")
    order = list(range(len(texts)))
    if choices.shuffle and item_id is not None:
        order.sort(key=lambda i: hashlib.sha256(f"{choices.seed}\0{item_id}\0{i}".encode()).digest())
    names = _LETTERS if choices.shuffle else own
    options = tuple((names[place], texts[i]) for place, i in enumerate(order))
    lines = (render(choices.line, {"letter": letter, "option": option}) for letter, option in options)
    letters = tuple(sorted(names[order.index(index)] for index in right))
    return Options(letters, options, "\n".join(lines))


def _texts(choices: Choices, row: Mapping[str, Any]) -> tuple[list[str], tuple[int, ...], str]:
    """Return the options, which of them are right, and the letters that they bear."""
    if choices.correct is not None and choices.incorrect is not None:
        wrong = lookup(row, choices.incorrect)
        if isinstance(wrong, str):
            wrong = [part.strip() for part in wrong.split(choices.separator) if part.strip()]
        return (
            [as_text(lookup(row, choices.correct)), *dict.fromkeys(as_text(w) for w in wrong)],
            (0,),
            _LETTERS,
        )
    own = _LETTERS
    if choices.column is not None:
        texts, own = _listed(choices.column, lookup(row, choices.column))
    else:
        texts = [as_text(lookup(row, name)) for name in choices.columns]
    return texts, _right(choices, row, texts, own), own


def _listed(column: str, cell: Any) -> tuple[list[str], str]:
    """Return the options of a cell and their letters: of a list, or of a mapping by letter.

    Letters of the source are kept, gaps and all: its answers, and its answer keys, speak of them.
    """
    found = parsed_cell(cell) if isinstance(cell, str) else cell
    if isinstance(found, Mapping):
        # An option that is null is none.
        own = "".join(sorted(letter for letter, option in found.items() if option is not None))
        if set(found) <= set(_LETTERS):
            return [as_text(found[letter]) for letter in own], own
        found = None
    if not isinstance(found, list | tuple):
        raise ValueError(f"column {column!r} holds no list of options")
    texts = [as_text(option) for option in found]
    marked = [_MARK.match(text) for text in texts]
    letters = "".join(match[1] for match in marked if match is not None)
    if len(letters) != len(texts) or letters[:1] != "A" or letters != "".join(sorted(set(letters))):
        return texts, _LETTERS
    bare = [text[match.end() :] for text, match in zip(texts, marked, strict=True) if match is not None]
    return bare, letters


def _right(choices: Choices, row: Mapping[str, Any], texts: list[str], own: str) -> tuple[int, ...]:
    assert choices.answer is not None, "the definition asks for an answer column"
    answer = lookup(row, choices.answer)
    known = _known(choices, row, texts, own)
    several = _several(answer, known)
    if several is None:
        return (_index(choices, known, answer),)
    if not several:
        raise ValueError(f"column {choices.answer!r} names no right option")
    return tuple(dict.fromkeys(_index(choices, known, one) for one in several))


def _several(answer: Any, known: list[str]) -> list[Any] | None:
    """Return the answers of a list, or of its text: JSON, ``A, C`` or ``AC``; None of one answer."""
    if isinstance(answer, list):
        return answer
    text = as_text(answer).strip()
    if text in known:
        return None
    found = parsed_cell(text)
    if isinstance(found, list):
        return found
    for parts in ([part.strip() for part in re.split("[,;|]", text)], list(text)):
        if len(parts) > 1 and set(parts) <= set(known):
            return parts
    return None


def _known(choices: Choices, row: Mapping[str, Any], texts: Sequence[str], own: str) -> list[str]:
    """Return how an answer may name each option."""
    if choices.answer_is == "index":
        return [str(i) for i in range(len(texts))]
    if choices.answer_is == "letter":
        return list(own[: len(texts)])
    if choices.answer_is == "label":
        return [as_text(label) for label in lookup(row, choices.labels or "")]
    return list(texts)


def _index(choices: Choices, known: list[str], answer: Any) -> int:
    text = as_text(answer).strip()
    if text not in known and choices.answer_is == "text":
        text = _MARK.sub("", text, count=1)
    if text not in known:
        raise ValueError(f"the answer {answer!r} is none of {', '.join(known)}")
    return known.index(text)


def _limited(texts: list[str], right: tuple[int, ...], limit: int) -> tuple[list[str], tuple[int, ...]]:
    if len(right) >= limit:
        raise ValueError(f"{len(right)} right options leave no wrong one among {limit}")
    kept = sorted([*right, *(i for i in range(len(texts)) if i not in right)][:limit])
    return [texts[i] for i in kept], tuple(kept.index(i) for i in right)
