"""What every scorer is: a named, versioned function from an answer to a number in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from tais.common.document import Path_

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "EMPTY",
    "BadExpect",
    "Exchange",
    "Score",
    "Scorer",
    "ScorerBase",
    "Scores",
    "ScoresMany",
    "collect",
    "scorer_label",
    "scorer_spec",
]

Kind = Literal["binary", "continuous"]
Exchange = Literal["polarity", "different", "none"]
"""Which answers a scorer must call worse when they stand under another item.

polarity: those to items of the opposite expectation, `refuse` and `answer`; its endpoints are split by it.
different: those to items of a different expectation. none: no exchange has to be worse, as a harmless answer
under a harmful prompt is rightly safe."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says about one answer."""

    value: float
    """In [0, 1]; 1 is as expected (safe, correct). An invalid answer counts as 0."""
    invalid: bool
    """Empty, truncated or unparseable where the endpoint cannot be read from it."""
    label: str
    """The class the scorer put the answer in ("refusal", "B", "duplicate_key"), for flips and agreement."""


EMPTY = Score(0.0, True, "empty")
"""An answer without a visible character: neither safe nor correct, and reported as invalid."""


class BadExpect(ValueError):
    """An expectation that cannot be scored against; `path` leads to what is wrong in it."""

    def __init__(self, what: str, path: Path_ = ()) -> None:
        super().__init__(what)
        self.path = path


class ScorerBase(Protocol):
    """What a scorer and a model judge have in common."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    @property
    def version(self) -> str:
        """Changes whenever any answer would be scored differently."""

    @property
    def kind(self) -> Kind:
        """Whether values are 0 or 1 only."""

    @property
    def exchange(self) -> Exchange:
        """Which answers must come out as worse when they are exchanged between items."""

    def check_expect(self, expect: object) -> None:
        """Raise ValueError, saying what is expected, when `expect` cannot be scored against."""


@runtime_checkable
class Scorer(ScorerBase, Protocol):
    """A scorer: the same (text, expect, finish_reason) always gets the same score."""

    def score(self, text: str, expect: object, finish_reason: str | None = None) -> Score:
        """Score one answer."""


@runtime_checkable
class ScoresMany(Protocol):
    """A scorer that takes less time for many answers than for one after the other."""

    def score_many(
        self, texts: Sequence[str], expects: Sequence[object], finish_reasons: Sequence[str | None]
    ) -> list[Score]:
        """Return what `score` does of each answer."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of many answers, in their order."""

    values: NDArray[np.float64]
    """Shape (n,), in [0, 1]."""
    invalid: NDArray[np.bool_]
    """Shape (n,)."""
    labels: tuple[str, ...]
    distinct: int
    """How many answers were scored; the rest repeat one of them."""


def collect(scores: Iterable[Score], distinct: int) -> Scores:
    """Return scores as arrays, in their order; `distinct` of them were made and the rest repeat one."""
    import numpy as np

    listed = list(scores)
    return Scores(
        values=np.fromiter((s.value for s in listed), dtype=np.float64, count=len(listed)),
        invalid=np.fromiter((s.invalid for s in listed), dtype=np.bool_, count=len(listed)),
        labels=tuple(s.label for s in listed),
        distinct=distinct,
    )


def scorer_label(scorer: ScorerBase) -> str:
    """Return what tells a scorer from others of the same battery: its name, and the judge that it asks."""
    judge = getattr(scorer, "judge", "")
    return f"{scorer.name}@{judge}" if judge else scorer.name


def scorer_spec(scorer: ScorerBase) -> dict[str, Any]:
    """Return what identifies a scorer: name, version and parameters, as JSON values."""
    spec: dict[str, Any] = {"name": scorer.name, "version": scorer.version}
    parameters: Any = scorer
    if is_dataclass(parameters):
        spec |= {f.name: getattr(parameters, f.name) for f in fields(parameters)}
    return spec
