"""From rows to clusters: the only table that the statistics see.

One row is one (item, repeat). Repeats and wrapped variants of one prompt are a cluster, and n is the
number of clusters. A cluster enters with the mean of its rows, so the folded table is the expected table
of drawing one row per cluster; the score interval on it, with n = clusters, is never too narrow for that
reason, since a mean varies no more than one draw. Rows cannot be pooled as if they were independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.paired import PairedTable
from tais.stats.proportions import FloatArray
from tais.verdict.evidence import EndpointEvidence

__all__ = ["Folded", "check_endpoint", "cluster_codes", "fold", "fold_outcomes"]


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
    def clustered(self) -> bool:
        """Whether any cluster has more than one row."""
        return self.n != len(self.sizes)


def check_endpoint(endpoint: EndpointEvidence) -> int:
    """Check that the arrays belong together; count the rows without a number as outcome.

    Raises
    ------
    TaisError
        Where the arrays differ in length, or an outcome lies outside [0, 1] (outside {0, 1} if binary).
    """
    where = f"{endpoint.battery}/{endpoint.scorer}"
    n = len(endpoint.reference)
    others = (endpoint.candidate, endpoint.item_ids, endpoint.clusters)
    flags = (endpoint.reference_invalid, endpoint.candidate_invalid)
    if any(len(x) != n for x in (*others, *flags)):
        raise TaisError(f"{where}: the arrays of one endpoint must have one length, {n}")
    missing = np.isnan(endpoint.reference) | np.isnan(endpoint.candidate)
    for name, values in (("reference", endpoint.reference), ("candidate", endpoint.candidate)):
        known = values[~np.isnan(values)]
        if known.size and not (known.min() >= 0 and known.max() <= 1):
            raise TaisError(f"{where}: an outcome of the {name} lies outside [0, 1]")
        if endpoint.kind == "binary" and not np.all((known == 0) | (known == 1)):
            raise TaisError(f"{where}: a binary outcome of the {name} is neither 0 nor 1")
    return int(missing.sum())


def cluster_codes(labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the clusters by first appearance; shape (n,)."""
    # A dictionary beats np.unique on strings several times over, and needs no sort.
    known: dict[str, int] = {}
    return np.fromiter((known.setdefault(x, len(known)) for x in labels.tolist()), np.int64, len(labels))


def fold(endpoint: EndpointEvidence) -> Folded:
    """Fold the rows of one endpoint (at least one, no NaN) to clusters."""
    return fold_outcomes(endpoint.reference, endpoint.candidate, cluster_codes(endpoint.clusters))


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
