"""A/A contrasts: what one stack does against itself, pooled per endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.manifest.model import Role
from tais.records import EndpointKey
from tais.stats.cluster_table import cluster_codes
from tais.stats.null import Discordance, count_quantile, discordance_upper
from tais.verdict.details import written
from tais.verdict.details.contrast import DivergenceNull
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence
from tais.verdict.reasons import note
from tais.verdict.report import Reason

__all__ = ["Calibration", "calibration_details", "calibration_notes"]

_Key = tuple[str, EndpointKey]
"""Arm and endpoint."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pooled A/A discordance by arm and endpoint, and A/A byte divergence by arm."""

    pooled: dict[_Key, Discordance]
    divergence: dict[str, tuple[int, int]]
    """Answers compared and answers that differ, by arm."""

    @classmethod
    def of(cls, contrasts: Sequence[ContrastEvidence], alpha: float) -> Calibration:
        """Pool all contrasts of the role `calibration`; each stands for both of its arms.

        What is one and the same evidence on both sides shows no noise, and is no A/A.
        """
        rows: dict[_Key, list[EndpointEvidence]] = {}
        divergence: dict[str, tuple[int, int]] = {}
        for contrast in contrasts:
            if contrast.role is not Role.calibration:
                continue
            identity = [x for x in contrast.identity if x.battery not in contrast.one_evidence]
            n = sum(x.n for x in identity)
            differ = n - sum(x.identical for x in identity)
            for arm in (contrast.reference, contrast.candidate):
                before = divergence.get(arm, (0, 0))
                divergence[arm] = (before[0] + n, before[1] + differ)
                for e in contrast.endpoints:
                    if (
                        e.kind == "binary"
                        and e.battery not in contrast.one_evidence
                        and len(e.reference)
                        and not np.isnan(e.reference - e.candidate).any()
                    ):
                        rows.setdefault((arm, e.key), []).append(e)
        return cls({key: _pool(parts, alpha) for key, parts in rows.items()}, divergence)

    def discordance(self, arm: str, endpoint: EndpointEvidence) -> Discordance | None:
        """Return the discordance of an endpoint between runs of `arm`, None where none was measured."""
        return self.pooled.get((arm, endpoint.key))

    def divergence_floor(self, arm: str, n: int, quantile: float) -> int | None:
        """Quantile of how many of n answers differ between two runs of `arm`; None if not measured."""
        compared, differ = self.divergence.get(arm, (0, 0))
        return count_quantile(n, differ / compared, quantile) if compared and n else None


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
        squares / n, discordance_upper(squares, n, 1 - alpha),
    )  # fmt: skip


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
    """Note divergence beyond the A/A floor, and what an A/A by batch order cannot show."""
    n = sum(x.n for x in contrast.identity)
    differ = n - sum(x.identical for x in contrast.identity)
    floor = calibration.divergence_floor(contrast.reference, n, quantile)
    if contrast.role is not Role.screen or floor is None:
        return []
    notes = []
    if differ > floor:
        message = (
            f"{differ} of {n} answers differ; the same stack against itself differs in at most {floor} "
            f"(quantile {quantile:g})"
        )
        notes.append(note("divergence_beyond_aa_floor", message, n=n, differ=differ, floor=floor))
    if contrast.treatment.requested is not None:
        message = (
            "an A/A by batch order or size does not cover the step from one token to k + 1 tokens per "
            "forward pass that verification makes; a float32 arm as second calibration can stand in for it"
        )
        notes.append(note("calibration_scope", message))
    return notes


def calibration_details(
    contrast: ContrastEvidence, calibration: Calibration, quantile: float
) -> dict[str, object]:
    """Byte divergence of the contrast beside that of the same stack against itself."""
    compared, differ = calibration.divergence.get(contrast.reference, (0, 0))
    if contrast.role is not Role.screen or not compared:
        return {}
    n = sum(x.n for x in contrast.identity)
    floor = calibration.divergence_floor(contrast.reference, n, quantile)
    return written(DivergenceNull(aa_compared=compared, aa_differ=differ, n=n, floor=floor))
