"""How likely a screen of equal stacks passes: batteries, strata, contrasts and A/A together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from tais.cost.history import finished_runs
from tais.manifest.model import Hypothesis, Role
from tais.plan.plan import Plan
from tais.records import stratum_label
from tais.rundir.layout import RunDir
from tais.stats.sample_size import EndpointDesign, items_to_decide, joint_power
from tais.verdict.report import EndpointReport, Report

__all__ = ["ASSUMED", "CEILING", "STATED_RATE", "LastRun", "Outlook", "last_run", "outlook"]

ASSUMED = (0.0, 0.01, 0.02, 0.05)
"""Shares of items that two equal stacks answer differently, where no run has told."""
STATED_RATE, CEILING = 0.9, 0.98
"""Shares of answers that are as expected, where no run has told: the one taken, and one near a ceiling."""
_WANTED = 0.8
_MOST_ITEMS = 5_000


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the last finished run of a manifest says of its noise."""

    run: str
    discordance: Mapping[str, float]
    """By battery and stratum: share of items that differ, over its screened and A/A contrasts."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """By battery and stratum: share of the references' answers that are as expected."""

    def of(self, label: str) -> float:
        """Return the share of a stratum; of one that the run did not have, the largest that it saw."""
        return self.discordance.get(label, max(self.discordance.values()))

    def rate_of(self, label: str) -> float:
        """Return the rate of a stratum; of one that the run did not have, the one nearest to an end."""
        farthest = max(self.rates.values(), key=lambda rate: abs(rate - 0.5), default=STATED_RATE)
        return self.rates.get(label, farthest)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Probability that all endpoints of a plan pass, if the stacks are equal."""

    endpoints: int
    """Of one contrast."""
    screened: int
    calibrations: int
    power: tuple[tuple[float, float], ...]
    """Assumed discordance and probability, at the rates of the last run, else at the stated one."""
    needed: tuple[tuple[float, int | None], ...]
    """Assumed discordance, but none, and independent items that each endpoint needs for 0.8 in all."""
    smallest: int
    """Independent items of the smallest endpoint."""
    at_last: float | None
    """Probability at what the last run saw; None without one."""
    last: LastRun | None
    at_ceiling: tuple[float, float] | None
    """Discordance and probability near a ceiling, where no run has told the rates."""
    left_out: int
    """Endpoints of one contrast that are scores: their spread is not known beforehand."""


def outlook(plan: Plan, last: LastRun | None) -> Outlook | None:
    """Return how likely a plan's screen passes; None where nothing is screened, or by a ratio.

    Notes
    -----
    Score test, Cohen's h and the null quantile of the A/A, no true difference, items taken as answered once
    and looked at once; see :func:`tais.stats.sample_size.joint_power`.
    """
    manifest = plan.manifest
    matched = [c for c in manifest.contrasts if manifest.audit_of(c) != "only"]
    screened = sum(c.role is Role.screen for c in matched)
    if not screened or manifest.rules.margin_scale != "difference":
        return None
    calibrations = sum(c.role is Role.calibration for c in matched)
    sizes = [
        (stratum_label(battery.name, stratum), battery.margin, len({item.cluster for item in items}))
        for battery in plan.batteries
        if battery.scorer.kind == "binary"
        for stratum, items in battery.strata.items()
    ]
    sizes += [(missing.name, missing.margin, missing.items) for missing in plan.missing if missing.items]
    if not sizes:
        return None

    rules = manifest.rules

    def power(differ: float | None, rate: float | None = None, items: int | None = None) -> float:
        designs = [
            EndpointDesign(
                items or n,
                rules.margin if margin is None else margin,
                differ if differ is not None else last.of(name) if last else 0.0,
                rules.alpha,
                rules.hypothesis is Hypothesis.non_inferiority,
                rate if rate is not None else last.rate_of(name) if last else STATED_RATE,
                rules.h_cutoff,
                rules.null_quantile,
            )
            for name, margin, n in sizes
        ]
        return joint_power(designs, screened, calibrations)

    def needed(rate: float) -> int | None:
        narrowest = min(manifest.rules.margin if own is None else own for _, own, _ in sizes)
        each = _WANTED ** (1 / (len(sizes) * (screened + calibrations)))
        one_sided = not calibrations and manifest.rules.hypothesis is Hypothesis.non_inferiority
        few = items_to_decide(rate, 0.0, narrowest, manifest.rules.alpha, each, non_inferiority=one_sided)
        # That is what the difference needs; the effect size may need more.
        while few is not None and few <= _MOST_ITEMS and power(rate, items=few) < _WANTED:
            few = few * 11 // 10
        return few if few is not None and few <= _MOST_ITEMS else None

    return Outlook(
        endpoints=len(sizes),
        screened=screened,
        calibrations=calibrations,
        power=tuple((rate, power(rate)) for rate in ASSUMED),
        needed=tuple((rate, needed(rate)) for rate in ASSUMED if rate),
        smallest=min(n for _, _, n in sizes),
        at_last=None if last is None else power(None),
        last=last,
        at_ceiling=None if last is not None else (0.01, power(0.01, CEILING)),
        left_out=sum(battery.scorer.kind != "binary" for battery in plan.batteries),
    )


def last_run(parent: Path) -> LastRun | None:
    """Return what the newest finished run of a manifest saw; None where none saw binary outcomes.

    Parameters
    ----------
    parent
        Directory of the manifest's runs.
    """
    for run_dir in finished_runs(parent):
        try:
            report = Report.model_validate_json(RunDir(run_dir).report.read_bytes())
        except (OSError, ValidationError):
            continue
        if found := _discordance(report):
            return LastRun(run_dir.name, found, _rates(report))
    return None


def _discordance(report: Report) -> dict[str, float]:
    """Pool the share of items that differ by stratum: controls are meant to differ and are left out."""
    pooled: dict[str, tuple[float, int]] = {}
    for contrast in report.contrasts:
        for endpoint in () if contrast.role is Role.positive_control else contrast.endpoints:
            share = _share(endpoint)
            if share is not None:
                label = endpoint.key.label
                flips, n = pooled.get(label, (0.0, 0))
                pooled[label] = flips + share * endpoint.clusters, n + endpoint.clusters
    return {label: flips / n for label, (flips, n) in pooled.items() if n}


def _rates(report: Report) -> dict[str, float]:
    """Pool the rates of references by stratum; a reference counts in each of its contrasts."""
    pooled: dict[str, list[tuple[float, int]]] = {}
    for contrast in report.contrasts:
        for e in contrast.endpoints:
            if e.reference_rate is not None and e.kind == "binary" and e.clusters:
                pooled.setdefault(e.key.label, []).append((e.reference_rate, e.clusters))
    return {label: sum(r * n for r, n in seen) / sum(n for _, n in seen) for label, seen in pooled.items()}


def _share(endpoint: EndpointReport) -> float | None:
    """Share of clusters that differ: as the verdict measured it, else by the table."""
    table, known = endpoint.table, endpoint.details.get("discordance")
    if table is None or not endpoint.n:
        return None
    if isinstance(known, int | float):
        return min(max(float(known), 0.0), 1.0)
    return (table.reference_only + table.candidate_only) / endpoint.n
