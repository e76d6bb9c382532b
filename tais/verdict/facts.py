"""Where a report comes from: the run, its arms, digests, times, ledger and cost. Nothing here decides."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationError

from tais.errors import Place, StoreError
from tais.manifest.expanded_sweep import Swept
from tais.verdict.lenient import Lenient, Number

__all__ = [
    "ArmCost",
    "ArmFacts",
    "Attempt",
    "CostFacts",
    "DigestFacts",
    "Facts",
    "Hardware",
    "LedgerFacts",
    "RunFacts",
    "Seconds",
    "Timing",
    "damaged_report",
    "facts_of",
]

Phases = dict[str, dict[str, Number]]
"""Seconds of each phase by arm; the empty name stands for what no arm took."""


class DigestFacts(Lenient):
    """A file or a text by its digest."""

    sha256: str | None = None


class Timing(Lenient):
    """Quantiles of the seconds from request to answer."""

    answers: Number | None = None
    p10: Number | None = None
    median: Number | None = None
    p90: Number | None = None
    p99: Number | None = None


class Hardware(Lenient):
    """The machine of an arm."""

    cpu: str | None = None
    gpus: tuple[object, ...] | None = None
    logical_cores: int | None = None


class ArmFacts(Lenient):
    """One arm: what the lock fixes of it, and what it did."""

    engine: str | None = None
    model: str | None = None
    dtype: str | None = None
    order: str | None = None
    engine_args: dict[str, object] = Field(default_factory=dict)
    speculation: dict[str, object] | None = None
    system_prompt: str | DigestFacts | None = None
    """Its digest in a redacted report."""
    chat_template: str | DigestFacts | None = None
    fault: object = None
    """Planted on purpose, in a drill."""
    samples: int = 0
    tokens: int = 0
    truncated: int = 0
    timing: Timing | None = None
    hardware: Hardware | None = None
    libraries: dict[str, object] | None = None
    origin: dict[str, object] | None = None
    """Where it ran, where it did not run here."""


class Attempt(Lenient):
    """One run of a manifest."""

    run: str | None = None
    started: str | None = None
    outcome: str | None = None


class LedgerFacts(Lenient):
    """The run's line in the ledger, and all runs of its manifest so far."""

    file: str | None = None
    line: str | None = None
    asked: str | None = None
    """What counts as the same screen: digest of the lock without its comments. None in older reports."""
    attempts: tuple[Attempt, ...] = ()


class Seconds(Lenient):
    """What an arm takes or took."""

    tokens: Number = 0
    load: Number = 0.0
    generate: Number = 0.0
    seconds: Number = 0.0


class ArmCost(Lenient):
    """Prediction and truth of one arm."""

    arm: str = ""
    predicted: Seconds = Seconds()
    measured: Seconds | None = None
    """None for an arm that did not run here."""


class CostFacts(Lenient):
    """Prediction and truth of a run."""

    source: str = ""
    said: str = ""
    arms: tuple[ArmCost, ...] = ()
    predicted_seconds: Number = 0.0
    measured_seconds: Number = 0.0
    predicted_wall_seconds: Number | None = None
    """None where not all of it was predicted, or ran."""
    measured_wall_seconds: Number = 0.0


class RunFacts(Lenient):
    """The run: its id, times (ISO 8601), ledger and cost."""

    id: str | None = None
    started: str | None = None
    ended: str | None = None
    seconds: Number | None = None
    resumed: bool = False
    phases: Phases = Field(default_factory=dict)
    ledger: LedgerFacts | None = None
    cost: CostFacts | None = None


class Facts(Lenient):
    """Where a report comes from."""

    tais: str | None = None
    renderer: dict[str, str] | None = None
    """Of the pages: digest of its source, and the versions that it stands on."""
    run: RunFacts = RunFacts()
    lock: DigestFacts = DigestFacts()
    manifest: DigestFacts = DigestFacts()
    limit: int | None = None
    batteries: tuple[dict[str, object], ...] = ()
    """As the lock has them."""
    arms: dict[str, ArmFacts] = Field(default_factory=dict)
    sweep: Swept | None = None
    drill: bool = False


class _Stored(BaseModel):
    facts: Facts


def facts_of(report_json: bytes, file: str) -> Facts:
    """Return the facts of a report.json, without reading the rest of it.

    Parameters
    ----------
    report_json
        Its bytes.
    file
        Named in an error.

    Raises
    ------
    StoreError
        Where this is no report.
    """
    try:
        return _Stored.model_validate_json(report_json).facts
    except ValidationError as error:
        raise damaged_report(file) from error


def damaged_report(file: str) -> StoreError:
    """Return the error of a report that a full disk, a power cut or an editor left behind."""
    remedy = "Take the run directory from its backup, or run the screen again"
    return StoreError("this report is damaged", place=Place(file), remedy=remedy)
