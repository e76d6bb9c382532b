"""The table of a drill: which check caught which fault, at how few answers, and what was flagged in error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from tais.analysis.gather import fold_run
from tais.errors import Place, UsageError
from tais.lab.drill.acceptance import ALPHA, Paired, paired, read_drafted
from tais.lab.drill.faults import FAULTS, Check, Severity
from tais.lab.drill.needed import PROBABILITY
from tais.lab.drill.planting import activations
from tais.lab.drill.seen import Seen, look
from tais.lab.drill.select import twin_of
from tais.rundir.items import Items
from tais.rundir.layout import RunDir
from tais.rundir.lock import read_lock
from tais.rundir.lock_model import Lock, plain
from tais.scoring.locked_scorers import scorers_of
from tais.scoring.replies import Replies
from tais.stats.rounding_band import share_upper_bound
from tais.stats.tidy import tidy
from tais.verdict.evidence import ContrastEvidence
from tais.verdict.facts import Facts
from tais.verdict.report import ContrastReport, Report

__all__ = ["DrillTable", "Row", "read_drill"]

_OF_THE_ANSWERS: tuple[Check, ...] = ("identity", "audit", "endpoint", "prompt")
_SCHEMA = "tais/drill/v1"


@dataclass(frozen=True, slots=True)
class Row:
    """One arm of a drill."""

    arm: str
    fault: str | None
    """None for a sound configuration."""
    severity: Severity | None
    must: tuple[Check, ...]
    """Checks that must catch the fault."""
    activations: int | None
    twin: str | None
    """Sound arm with the same speculation, whose acceptance is compared."""
    acceptance: float | None
    verdict: str
    """Of the contrast, as the screen decided it."""
    applied: bool | None
    """Whether the screen says that speculation took place; None where none was asked for."""
    seen: tuple[Seen, ...]

    @property
    def caught(self) -> tuple[Check, ...]:
        """Checks that saw something."""
        return tuple(s.check for s in self.seen if s.caught)

    @property
    def missed(self) -> tuple[Check, ...]:
        """Checks that must have caught the fault, could look, and did not."""
        looked = {s.check for s in self.seen if s.n}
        return tuple(c for c in self.must if c in looked and c not in self.caught)

    @property
    def false_alarms(self) -> tuple[Check, ...]:
        """Checks that saw something where the answers are the target's own."""
        if self.fault is None:
            return self.caught
        harmless = self.severity == "harmless"
        return tuple(c for c in self.caught if harmless and c in _OF_THE_ANSWERS)

    def to_dict(self) -> dict[str, object]:
        """Return plain data."""
        checks = {s.check: {k: v for k, v in asdict(s).items() if k != "check"} for s in self.seen}
        plain = {k: v for k, v in asdict(self).items() if k != "seen"}
        lists = {"caught": self.caught, "missed": self.missed, "false_alarms": self.false_alarms}
        return {**plain, "must": list(self.must), **{k: list(v) for k, v in lists.items()}, "checks": checks}


class Summary(TypedDict):
    """What a drill came to, in numbers."""

    faults: int
    caught: int
    gross: int
    gross_caught_by_all: int
    lossless: int
    lossless_flagged: int
    false_alarm_upper: float | None
    """95 %, by Clopper and Pearson; None without a lossless configuration."""


@dataclass(frozen=True, slots=True)
class DrillTable:
    """What a drill came to."""

    run: str
    items: int
    """Answers per arm."""
    rows: tuple[Row, ...]

    @property
    def faults(self) -> tuple[Row, ...]:
        """Arms with a fault."""
        return tuple(row for row in self.rows if row.fault is not None)

    @property
    def lossless(self) -> tuple[Row, ...]:
        """Arms without one."""
        return tuple(row for row in self.rows if row.fault is None)

    @property
    def passed(self) -> bool:
        """Whether every gross fault was caught by every check that must, and nothing was flagged in error."""
        gross = [row for row in self.faults if row.severity == "gross"]
        return not any(row.missed for row in gross) and not any(row.false_alarms for row in self.rows)

    @property
    def exit_code(self) -> int:
        """0 where the drill is passed, else 1."""
        return 0 if self.passed else 1

    def summary(self) -> Summary:
        """Count what was caught and what was flagged."""
        gross = [row for row in self.faults if row.severity == "gross"]
        alarms = sum(bool(row.false_alarms) for row in self.lossless)
        n = len(self.lossless)
        return {
            "faults": len(self.faults),
            "caught": sum(bool(row.caught) for row in self.faults),
            "gross": len(gross),
            "gross_caught_by_all": sum(not row.missed for row in gross),
            "lossless": n,
            "lossless_flagged": alarms,
            "false_alarm_upper": tidy(share_upper_bound(alarms, n, 0.95)) if n else None,
        }

    def to_dict(self) -> dict[str, object]:
        """Return plain data, for JSON."""
        return {
            "schema": _SCHEMA,
            "run": self.run,
            "passed": self.passed,
            "answers_per_arm": self.items,
            "summary": self.summary(),
            "rules": {"probability": PROBABILITY, "treatment_alpha": ALPHA},
            "rows": [row.to_dict() for row in self.rows],
        }


def read_drill(run_dir: Path) -> DrillTable:
    """Compute the table from a finished run directory; nothing is generated.

    Raises
    ------
    UsageError
        When the run is not finished, or is no drill.
    StoreError
        When its samples are damaged.
    """
    lock = read_lock(run_dir)
    where = Place(str(run_dir))
    if not lock.drill:
        raise UsageError("this run is no drill", place=where, remedy="Say drill: true in its manifest")
    run = RunDir(run_dir)
    if not run.report.is_file():
        raise UsageError("this run is not finished", place=where, remedy="Finish it with tais drill --resume")
    report = Report.model_validate_json(run.report.read_bytes())
    evidence = fold_run(run, lock, Items(run.items), run.scores, scorers_of(lock), Replies(run), Facts())
    rows = tuple(_rows(run, lock, evidence.contrasts, report))
    return DrillTable(run.id, lock.item_count, rows)


def _rows(run: RunDir, lock: Lock, evidence: tuple[ContrastEvidence, ...], report: Report) -> Iterator[Row]:
    candidates = [contrast.candidate for contrast in lock.contrasts]
    arms = {name: plain(arm) for name, arm in lock.arms.items()}
    for folded, decided in zip(evidence, report.contrasts, strict=True):
        twin = twin_of(folded.candidate, arms, candidates)
        yield _row(run, lock, folded, decided, twin, report)


def _row(
    run: RunDir,
    lock: Lock,
    folded: ContrastEvidence,
    decided: ContrastReport,
    twin: str | None,
    report: Report,
) -> Row:
    planted = lock.arms[folded.candidate].fault_name
    fault = FAULTS[planted] if planted else None
    pairs = _pairs(run, folded.candidate, twin)
    return Row(
        arm=folded.candidate,
        fault=fault.name if fault else None,
        severity=fault.severity if fault else None,
        must=fault.checks if fault else (),
        activations=_activations(run, folded.candidate) if fault else None,
        twin=twin,
        acceptance=decided.treatment.acceptance_rate,
        verdict=decided.verdict.value,
        applied=decided.treatment.applied,
        seen=look(folded, decided, report.rules, pairs),
    )


def _pairs(run: RunDir, arm: str, twin: str | None) -> Paired | None:
    if twin is None:
        return None
    return paired(*(read_drafted(run.arm(name)) for name in (arm, twin)))


def _activations(run: RunDir, arm: str) -> int:
    return activations(run.arm(arm))
