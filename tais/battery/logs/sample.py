"""One answer in a log of another tool, with what was asked and what went wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import JsonValue

__all__ = ["UNREAD", "Asked", "LoggedSample", "Trouble", "Turn", "asked_of", "digest_of", "prompt_digest"]

_DIGEST = 32

TroubleKind = Literal[
    "error", "invalidated", "fallback", "unanswered", "unreadable", "limit", "content_filter"
]

UNREAD: frozenset[str] = frozenset({"error", "invalidated", "fallback", "unanswered", "unreadable"})
"""Troubles that leave no answer of the stack: it counts as invalid, whatever text there is."""


class Turn(NamedTuple):
    """One turn of what was asked."""

    role: str
    content: str


class Trouble(NamedTuple):
    """What went wrong with one sample, as its tool says it."""

    kind: TroubleKind
    what: str


class Asked(NamedTuple):
    """Digests of what was asked, each None where a log does not tell it; equal ones are equal questions."""

    prompt: str | None = None
    options: str | None = None
    target: str | None = None


NOT_TOLD = Asked()


@dataclass(frozen=True, slots=True)
class LoggedSample:
    """One answer in a log."""

    item_id: str
    text: str = ""
    """Untouched, and empty where there is none."""
    prompt: str | tuple[Turn, ...] | None = None
    """What the answer answers, as a battery asks it again; None where the log does not tell it as text."""
    opening: int | None = None
    """So many turns of the prompt came from the task; in those behind it the model had a part. None: all."""
    asked: Asked = NOT_TOLD
    target: JsonValue = None
    repeat: int = 0
    finish_reason: str | None = None
    line: int | None = None
    parts: str | None = None
    """What was said outside the text; see :func:`tais.common.parts.render_parts`."""
    task: str | None = None
    trouble: Trouble | None = None
    unaskable: str | None = None
    """Why the prompt cannot be asked again as text."""
    token_ids: tuple[int, ...] | None = None
    battery: str | None = None
    columns: Mapping[str, JsonValue] = field(default_factory=dict)
    """Further columns of a battery that is made of the log."""

    @property
    def turns(self) -> tuple[Turn, ...] | None:
        """The prompt as turns."""
        return (Turn("user", self.prompt),) if isinstance(self.prompt, str) else self.prompt


def digest_of(value: object) -> str:
    """Return a short digest of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def prompt_digest(prompt: str | Sequence[tuple[str, object]]) -> str:
    """Return the digest of a prompt: a text, or turns of role and content.

    That of a text begins lm-evaluation-harness's own ``prompt_hash``. A single turn of a user is its text.
    """
    if not isinstance(prompt, str):
        turns = list(prompt)
        if len(turns) != 1 or turns[0][0] != "user" or not isinstance(turns[0][1], str):
            return digest_of([list(turn) for turn in turns])
        prompt = turns[0][1]
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]


def asked_of(prompt: str | Sequence[tuple[str, object]] | None, options: object, target: object) -> Asked:
    """Return the digests of what was asked; a value of None is one that is not told."""
    return Asked(
        None if prompt is None else prompt_digest(prompt),
        None if options is None else digest_of(options),
        None if target is None else digest_of(target),
    )
