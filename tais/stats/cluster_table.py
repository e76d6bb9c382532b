"""Outcomes folded into one table of clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.stats.paired import PairedTable
from tais.stats.paired_means import Moments
from tais.stats.proportions import FloatArray

__all__ = ["Folded", "cluster_codes", "fold_outcomes"]


@dataclass(frozen=True, slots=True)
class Folded:
    """One endpoint, folded to its clusters (K of them)."""

    n: int
    """Rows."""
    rows: tuple[int, int, int, int]
    """Row counts: both, reference only, candidate only, neither (of outcomes that are 0 or 1)."""
    codes: NDArray[np.int64]
    """Cluster of each row, shape (n,), in 0 ... K - 1 by first appearance."""
    sizes: FloatArray
    """Rows per cluster, shape (K,)."""
    only_reference: FloatArray
    """Share of each cluster's rows in which the reference alone has outcome 1, shape (K,)."""
    only_candidate: FloatArray
    difference: FloatArray
    """Mean of candidate minus reference within each cluster, shape (K,)."""
    reference_rate: float
    """Mean of cluster means."""
    candidate_rate: float
    table: PairedTable
    """Sums to K; fractional where clusters have several rows."""

    @property
    def clusters(self) -> int:
        """Number of clusters: the n of every test."""
        return len(self.sizes)

    @property
    def changed(self) -> tuple[float, float]:
        """Share of rows that differ and mean difference, over clusters."""
        difference = float(self.difference.mean())
        discordance = float((self.only_reference + self.only_candidate).mean())
        return min(max(discordance, abs(difference)), 1.0), difference

    @property
    def moments(self) -> Moments:
        """Moments of the cluster differences."""
        return Moments.of(self.difference)

    @property
    def whole(self) -> bool:
        """Whether each cluster changed by -1, 0 or 1, as one pair of outcomes does: a table then says all."""
        return bool(np.isin(self.difference, (-1.0, 0.0, 1.0)).all())

    def grown(self, *, down: int = 0, up: int = 0, same: int = 0) -> Folded:
        """Return it with so many more clusters of one row that fall, that rise, and that stay at 0."""
        more = down + up + same
        both, only_reference, only_candidate, neither = self.rows
        fell, rose = np.repeat([1.0, 0.0], (down, up + same)), np.repeat([0.0, 1.0, 0.0], (down, up, same))
        a, b, c, d = (float(x) for x in self.table.cells())
        k = self.clusters
        return Folded(
            n=self.n + more,
            rows=(both, only_reference + down, only_candidate + up, neither + same),
            codes=np.append(self.codes, np.arange(k, k + more)),
            sizes=np.append(self.sizes, np.ones(more)),
            only_reference=np.append(self.only_reference, fell),
            only_candidate=np.append(self.only_candidate, rose),
            difference=np.append(self.difference, rose - fell),
            reference_rate=(self.reference_rate * k + down) / (k + more),
            candidate_rate=(self.candidate_rate * k + up) / (k + more),
            table=PairedTable(a, b + down, c + up, d + same),
        )

    @property
    def clustered(self) -> bool:
        """Whether any cluster has more than one row."""
        return self.n != len(self.sizes)


def cluster_codes(labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the clusters by first appearance; shape (n,)."""
    # A dictionary beats np.unique on strings several times over, and needs no sort.
    known: dict[str, int] = {}
    return np.fromiter((known.setdefault(x, len(known)) for x in labels.tolist()), np.int64, len(labels))


def fold_outcomes(reference: FloatArray, candidate: FloatArray, codes: NDArray[np.int64]) -> Folded:
    """Fold paired outcomes, shapes (n,), by cluster number."""
    sizes = np.bincount(codes).astype(np.float64)
    only_reference = (reference == 1) & (candidate == 0)
    only_candidate = (reference == 0) & (candidate == 1)
    both = (reference == 1) & (candidate == 1)
    rows = (int(both.sum()), int(only_reference.sum()), int(only_candidate.sum()))

    def mean(values: NDArray[np.bool_] | FloatArray) -> FloatArray:
        return np.bincount(codes, weights=values.astype(np.float64), minlength=len(sizes)) / sizes

    down, up, kept = mean(only_reference), mean(only_candidate), float(mean(both).sum())
    k, b, c = float(len(sizes)), float(down.sum()), float(up.sum())
    return Folded(
        n=len(codes),
        rows=(*rows, len(codes) - sum(rows)),
        codes=codes,
        sizes=sizes,
        only_reference=down,
        only_candidate=up,
        difference=mean(candidate - reference),
        reference_rate=float(np.clip(mean(reference).mean(), 0, 1)),
        candidate_rate=float(np.clip(mean(candidate).mean(), 0, 1)),
        table=PairedTable(min(kept, k), b, c, max(k - kept - b - c, 0.0)),
    )
