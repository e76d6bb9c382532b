"""Scorers: one file per kind of endpoint, found by name.

A module is imported when one of its scorers is first asked for. A model judge is found like a scorer
(:func:`find_scorer`); what it reads are the replies of a model that a run has asked.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.common.document import suggest
from tais.errors import ManifestError, Place
from tais.scorers.answer import said_text, score_unique
from tais.scorers.base import (
    Score,
    Scorer,
    ScorerBase,
    Scores,
    scorer_label,
    scorer_spec,
)

if TYPE_CHECKING:
    from tais.scorers.judges import Judge

__all__ = [
    "Score",
    "Scorer",
    "ScorerBase",
    "Scores",
    "find_scorer",
    "judge_names",
    "said_text",
    "score_unique",
    "scorer_label",
    "scorer_names",
    "scorer_spec",
]

_REGISTRY = {
    "bbq": "tais.scorers.bbq:BbqScorer",
    "cad": "tais.scorers.cad:CadScorer",
    "choice": "tais.scorers.choice:ChoiceScorer",
    "exact": "tais.scorers.exact:ExactScorer",
    "instructions": "tais.scorers.instructions:InstructionScorer",
    "json": "tais.scorers.json_answer:JsonScorer",
    "json_schema": "tais.scorers.json_schema:SchemaScorer",
    "numeric": "tais.scorers.numeric:NumericScorer",
    "refusal": "tais.scorers.refusal:RefusalScorer",
    "refusal_gcg": "tais.scorers.refusal_lists:GcgScorer",
    "refusal_xstest": "tais.scorers.refusal_lists:XstestScorer",
    "sane": "tais.scorers.sane:SaneScorer",
    "truthfulqa": "tais.scorers.truthfulqa:TruthfulScorer",
    "tool_call": "tais.scorers.tool_call:ToolCallScorer",
}
_JUDGES = {
    "judge_harmbench": "tais.scorers.judges:HarmBenchJudge",
    "judge_llama_guard": "tais.scorers.judges:LlamaGuardJudge",
    "judge_rubric": "tais.scorers.judges:RubricJudge",
    "judge_strongreject": "tais.scorers.judges:StrongRejectJudge",
    "judge_wildguard": "tais.scorers.judges:WildGuardJudge",
}


def scorer_names() -> tuple[str, ...]:
    """Return the names of all scorers that need no model."""
    return tuple(sorted(_REGISTRY))


def judge_names() -> tuple[str, ...]:
    """Return the names of all model judges."""
    return tuple(sorted(_JUDGES))


def find_scorer(
    spec: str | Mapping[str, Any], place: Place | None = None, folder: Path | None = None
) -> Scorer | Judge:
    """Make a scorer or a judge from a name, or from a mapping with `name` and parameters.

    Parameters
    ----------
    spec
        ``"refusal"``, ``{"name": "choice", "letters": "ABCD"}``, ``{"name": "judge_rubric", "judge": "j"}``.
    place
        Where the specification stands, for the error.
    folder
        Where a judge's template file is looked for. Its text takes the place of its name.

    Raises
    ------
    ManifestError
        Unknown scorer or parameter (with the nearest known one), or a value it refuses.
    """
    parameters = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise ManifestError("the scorer has no name", place=place, remedy=suggest("", scorer_names()))
    known_names = {**_REGISTRY, **_JUDGES}
    if name not in known_names:
        remedy = suggest(name, (*scorer_names(), *judge_names()))
        raise ManifestError(f"no scorer named {name!r}", place=place, remedy=remedy)
    module, _, attribute = known_names[name].partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    known = tuple(f.name for f in fields(cls))
    for key in parameters:
        if key not in known:
            what = f"scorer {name!r} has no parameter {key!r}"
            raise ManifestError(what, place=place, remedy=suggest(key, known, "Parameters"))
    try:
        if folder is not None and "template" in parameters:
            parameters["template"] = _template(parameters["template"], folder)
        scorer: Scorer | Judge = cls(**parameters)
    except (TypeError, ValueError) as error:
        raise ManifestError(f"scorer {name!r}: {error}", place=place) from error
    return scorer


def _template(said: Any, folder: Path) -> Any:
    """Return the text of a template: a lock that held a file's name instead could not be recomputed."""
    if not isinstance(said, str) or not said or "{{" in said:
        return said
    try:
        return (folder / said).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the template {said!r} in {folder}") from error
