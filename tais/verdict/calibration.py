"""A/A contrasts: what one stack does against itself, pooled per endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tais.manifest.model import Role
from tais.records import EndpointKey
from tais.stats.cluster_table import cluster_codes
from tais.stats.null import Discordance, discordance_upper
from tais.stats.predictive import AgainstItself, predicted_count, start_spread
from tais.stats.tidy import percent
from tais.verdict.details import written
from tais.verdict.details.contrast import DivergenceNull
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence
from tais.verdict.reasons import note
from tais.verdict.report import Reason

__all__ = ["Calibration", "calibration_details", "calibration_notes"]

_Key = tuple[str, EndpointKey]
"""Arm and endpoint."""
_NAMED = 8
"""Starts that a note names."""


@dataclass(frozen=True, slots=True)
class Restart:
    """One A/A run beside an arm."""

    arm: str
    compared: int
    """Answers."""
    differ: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pooled A/A discordance by arm and endpoint, and A/A byte divergence by arm."""

    pooled: dict[_Key, Discordance]
    restarts: dict[str, tuple[Restart, ...]] = field(default_factory=dict)
    """A/A runs by arm, in the order of the manifest."""

    @classmethod
    def of(cls, contrasts: Sequence[ContrastEvidence], alpha: float) -> Calibration:
        """Pool all contrasts of the role `calibration`; each stands for both of its arms.

        What is one and the same evidence on both sides shows no noise, and is no A/A.
        """
        rows: dict[_Key, list[EndpointEvidence]] = {}
        restarts: dict[str, tuple[Restart, ...]] = {}
        for contrast in contrasts:
            if contrast.role is not Role.calibration:
                continue
            identity = [x for x in contrast.identity if x.battery not in contrast.one_evidence]
            n = sum(x.n for x in identity)
            differ = n - sum(x.identical for x in identity)
            sides = contrast.reference, contrast.candidate
            for arm, other in (sides, sides[::-1]):
                if n:
                    restarts[arm] = (*restarts.get(arm, ()), Restart(other, n, differ))
                for e in contrast.endpoints:
                    if (
                        e.kind == "binary"
                        and e.battery not in contrast.one_evidence
                        and len(e.reference)
                        and not np.isnan(e.reference - e.candidate).any()
                    ):
                        rows.setdefault((arm, e.key), []).append(e)
        return cls({key: _pool(parts, alpha) for key, parts in rows.items()}, restarts)

    def discordance(self, arm: str, endpoint: EndpointEvidence) -> Discordance | None:
        """Return the discordance of an endpoint between runs of `arm`, None where none was measured."""
        return self.pooled.get((arm, endpoint.key))

    def divergence(self, arm: str) -> tuple[int, int]:
        """Return the answers compared and those that differ, over all A/A runs of `arm`."""
        runs = self.restarts.get(arm, ())
        return sum(r.compared for r in runs), sum(r.differ for r in runs)

    def divergence_floor(self, arm: str, n: int, quantile: float) -> int | None:
        """Predict how many of n answers differ in one more run of `arm` at most; None if not measured."""
        compared, differ = self.divergence(arm)
        if not compared or not n:
            return None
        runs = [AgainstItself(r.compared, r.differ) for r in self.restarts[arm] if r.compared]
        return predicted_count(n, AgainstItself(compared, differ), quantile, start_spread(runs))


def _pool(parts: list[EndpointEvidence], alpha: float) -> Discordance:
    """Pool several A/A comparisons of the same items: a cluster stays one cluster."""
    labels = np.concatenate([e.clusters for e in parts])
    differs = np.concatenate([e.reference != e.candidate for e in parts])
    codes = cluster_codes(labels)
    shares = np.bincount(codes, weights=differs.astype(np.float64)) / np.bincount(codes)
    signed = np.concatenate([e.candidate - e.reference for e in parts])
    n, events = len(shares), float(shares.sum())
    differences = np.bincount(codes, weights=signed) / np.bincount(codes)
    squares = _mean_square(parts, codes)
    return Discordance(
        n, events / n, discordance_upper(events, n, 1 - alpha), differences,
        squares / n, discordance_upper(squares, n, 1 - alpha), start_spread([_run(e) for e in parts]),
    )  # fmt: skip


def _run(endpoint: EndpointEvidence) -> AgainstItself:
    """One A/A run by itself, its clusters as their means."""
    codes = cluster_codes(endpoint.clusters)
    means = np.bincount(codes, weights=endpoint.candidate - endpoint.reference) / np.bincount(codes)
    return AgainstItself(len(means), float((means**2).sum()), float(means.sum()), float(np.abs(means).sum()))


def _mean_square(parts: list[EndpointEvidence], codes: NDArray[np.int64]) -> float:
    """Sum the mean squares of the clusters, each A/A by itself: averaged first, noise would hide."""
    total, times, start = np.zeros(codes.max() + 1), np.zeros(codes.max() + 1), 0
    for e in parts:
        own = codes[start : start + len(e.reference)]
        start += len(own)
        rows = np.bincount(own, minlength=len(total))
        sums = np.bincount(own, weights=e.candidate - e.reference, minlength=len(total))
        here = rows > 0
        total[here] += (sums[here] / rows[here]) ** 2
        times[here] += 1
    return float((total / times).sum())


def calibration_notes(contrast: ContrastEvidence, calibration: Calibration, quantile: float) -> list[Reason]:
    """Note the starts that are known, divergence beyond the A/A floor, and what an A/A cannot show."""
    n = sum(x.n for x in contrast.identity)
    differ = n - sum(x.identical for x in contrast.identity)
    floor = calibration.divergence_floor(contrast.reference, n, quantile)
    if contrast.role is not Role.screen or floor is None:
        return []
    notes = [_known_starts(contrast.reference, calibration.restarts[contrast.reference])]
    if differ > floor:
        message = (
            f"{differ} of {n} answers differ; one more run of the same stack is predicted to differ in "
            f"{floor} at most (quantile {quantile:g})"
        )
        notes.append(note("divergence_beyond_aa_floor", message, n=n, differ=differ, floor=floor))
    if contrast.treatment.requested is not None:
        message = (
            "an A/A by batch order or size does not cover the step from one token to k + 1 tokens per "
            "forward pass that verification makes; a float32 arm as second calibration can stand in for it"
        )
        notes.append(note("calibration_scope", message))
    return notes


def _known_starts(reference: str, runs: Sequence[Restart]) -> Reason:
    """Say of how many starts of the stack something is known, with the quietest and the noisiest."""
    others = list(dict.fromkeys(r.arm for r in runs))
    starts, known = len(others) + 1, [r for r in runs if r.compared]
    named = ", ".join((reference, *others[:_NAMED])) + (", ..." if len(others) > _NAMED else "")
    message = f"{starts} starts of the stack are known ({named})"
    values: dict[str, object] = {"starts": starts}
    if len(known) < 2:
        message += ": one pair shows its noise, and nothing of how far one start differs from the next"
    else:
        quiet, *_, noisy = sorted(known, key=lambda r: r.differ / r.compared)
        message += (
            f": {percent(quiet.differ / quiet.compared)} of answers differ in {quiet.arm}, the quietest, and "
            f"{percent(noisy.differ / noisy.compared)} in {noisy.arm}, the noisiest; what starts differ in "
            "beyond chance widens the A/A floor"
        )
        values |= {"quietest": quiet.arm, "noisiest": noisy.arm}
    return note("known_starts", message, **values)


def calibration_details(
    contrast: ContrastEvidence, calibration: Calibration, quantile: float
) -> dict[str, object]:
    """Byte divergence of the contrast beside that of the same stack against itself."""
    compared, differ = calibration.divergence(contrast.reference)
    if contrast.role is not Role.screen or not compared:
        return {}
    n = sum(x.n for x in contrast.identity)
    floor = calibration.divergence_floor(contrast.reference, n, quantile)
    starts = len({r.arm for r in calibration.restarts[contrast.reference]}) + 1
    found = DivergenceNull(aa_compared=compared, aa_differ=differ, n=n, floor=floor, starts=starts)
    return written(found)
