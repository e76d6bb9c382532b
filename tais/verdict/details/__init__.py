"""What a report says beside its verdicts: one model per key of `details`, how it is written and read.

Nothing here decides. Details of a report that was read from a file are foreign data: what is not as TAIS
writes it reads as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from pydantic import ValidationError

from tais.verdict.details.audit import Audit, TokenLaw
from tais.verdict.details.contrast import (
    AnyDiffers,
    ContrastLooks,
    DivergenceNull,
    PooledBatteries,
    PooledSafety,
    ShownSensitivity,
)
from tais.verdict.details.endpoint import (
    Bootstrap,
    Category,
    EndpointLooks,
    Flips,
    Intervals,
    Invalid,
    JudgeError,
    Null,
    SecondScorer,
    Unmatched,
    UnpairedTost,
)
from tais.verdict.details.screen import Agreement, Bias, Dose, JudgeCalls
from tais.verdict.lenient import Lenient

__all__ = ["DETAILS", "LISTED_ITEMS", "HasDetails", "detail", "listed", "written", "written_list"]

LISTED_ITEMS = 200
"""Items that a report lists by id in each place; their count is always whole."""

DETAILS: dict[str, type] = {
    "endpoint.unmatched": Unmatched,
    "endpoint.invalid": Invalid,
    "endpoint.flips": Flips,
    "endpoint.discordance": float,
    "endpoint.effective_n": float,
    "endpoint.intervals": Intervals,
    "endpoint.bootstrap": Bootstrap,
    "endpoint.sign_flip_p": float,
    "endpoint.wald_unpaired_tost": UnpairedTost,
    "endpoint.cohens_d": float,
    "endpoint.null": Null,
    "endpoint.sequential": EndpointLooks,
    "endpoint.second_scorers": SecondScorer,
    "endpoint.judge_error": JudgeError,
    "endpoint.categories": Category,
    "contrast.sequential": ContrastLooks,
    "contrast.any_differs": AnyDiffers,
    "contrast.pooled": PooledBatteries,
    "contrast.pooled_safety": PooledSafety,
    "contrast.divergence_null": DivergenceNull,
    "contrast.sensitivity": ShownSensitivity,
    "contrast.audit": Audit,
    "contrast.conformance": TokenLaw,
    "report.dose_response": Dose,
    "report.judges": JudgeCalls,
    "report.second_opinions": Agreement,
    "report.bias": Bias,
}
"""Model of each key, by the part of the report whose `details` hold it; some keys hold a list of it."""

_KEYS = {model: place.partition(".")[2] for place, model in DETAILS.items()}

Model = TypeVar("Model", bound=Lenient)


class HasDetails(Protocol):
    """A report, a contrast or an endpoint."""

    @property
    def details(self) -> Mapping[str, object]:
        """Further statistics by name."""


def detail(part: HasDetails, model: type[Model]) -> Model | None:
    """Return one detail of a report, a contrast or an endpoint; None where it has none."""
    return _read(part.details.get(_KEYS[model]), model)


def listed(part: HasDetails, model: type[Model]) -> tuple[Model, ...]:
    """Return the entries of a detail that is a list; what is no entry is left out."""
    found = part.details.get(_KEYS[model])
    entries = (_read(entry, model) for entry in (found if isinstance(found, list | tuple) else ()))
    return tuple(entry for entry in entries if entry is not None)


def _read(value: object, model: type[Model]) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def written(*details: Lenient) -> dict[str, object]:
    """Return details by key, ready for JSON."""
    return {_KEYS[type(one)]: one.model_dump(mode="json") for one in details}


def written_list(details: Sequence[Lenient]) -> dict[str, object]:
    """Return a detail that is a list, by its key; nothing where the list is empty."""
    return {_KEYS[type(details[0])]: [one.model_dump(mode="json") for one in details]} if details else {}
