"""Scorers: one file per kind of endpoint, found by name.

A module is imported when one of its scorers is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tais.document import suggest
from tais.errors import ManifestError, Place
from tais.scorers.base import Score, Scorer, Scores, score_unique, scorer_spec

__all__ = ["Score", "Scorer", "Scores", "get_scorer", "score_unique", "scorer_names", "scorer_spec"]

_REGISTRY = {
    "bbq": "tais.scorers.bbq:BbqScorer",
    "cad": "tais.scorers.cad:CadScorer",
    "choice": "tais.scorers.choice:ChoiceScorer",
    "exact": "tais.scorers.exact:ExactScorer",
    "instructions": "tais.scorers.instructions:InstructionScorer",
    "json": "tais.scorers.json_answer:JsonScorer",
    "json_schema": "tais.scorers.json_schema:SchemaScorer",
    "numeric": "tais.scorers.exact:NumericScorer",
    "refusal": "tais.scorers.refusal:RefusalScorer",
    "refusal_gcg": "tais.scorers.refusal_lists:GcgScorer",
    "refusal_xstest": "tais.scorers.refusal_lists:XstestScorer",
    "sane": "tais.scorers.sane:SaneScorer",
    "truthfulqa": "tais.scorers.truthfulqa:TruthfulScorer",
    "tool_call": "tais.scorers.json_schema:ToolCallScorer",
}


def scorer_names() -> tuple[str, ...]:
    """Return the names of all scorers."""
    return tuple(sorted(_REGISTRY))


def get_scorer(spec: str | Mapping[str, Any], place: Place | None = None) -> Scorer:
    """Make a scorer from a name, or from a mapping with `name` and parameters.

    Parameters
    ----------
    spec
        ``"refusal"`` or ``{"name": "choice", "letters": "ABCD"}``.
    place
        Where the specification stands, for the error.

    Raises
    ------
    ManifestError
        Unknown scorer or parameter (with the nearest known one), or a value it refuses.
    """
    parameters = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise ManifestError("the scorer has no name", place=place, remedy=suggest("", scorer_names()))
    if name not in _REGISTRY:
        raise ManifestError(f"no scorer named {name!r}", place=place, remedy=suggest(name, scorer_names()))
    module, _, attribute = _REGISTRY[name].partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    known = tuple(f.name for f in fields(cls))
    for key in parameters:
        if key not in known:
            what = f"scorer {name!r} has no parameter {key!r}"
            raise ManifestError(what, place=place, remedy=suggest(key, known, "Parameters"))
    try:
        scorer: Scorer = cls(**parameters)
    except (TypeError, ValueError) as error:
        raise ManifestError(f"scorer {name!r}: {error}", place=place) from error
    return scorer
