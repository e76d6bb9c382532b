"""Breakdown of an endpoint by the categories that its battery names; it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.stats.cluster_table import Folded, cluster_codes, fold_outcomes
from tais.stats.multiplicity import benjamini_hochberg
from tais.stats.paired import tango_interval
from tais.stats.paired_means import score_tost
from tais.stats.proportions import Interval, as_interval
from tais.stats.sign_flip import sign_flip_test
from tais.stats.tidy import tidy, tidy_interval
from tais.verdict.details import LISTED_ITEMS, written_list
from tais.verdict.details.endpoint import Category
from tais.verdict.evidence import EndpointEvidence

__all__ = ["category_details"]


@dataclass(frozen=True, slots=True)
class _Part:
    """One category of an endpoint."""

    name: str
    folded: Folded
    ci: Interval
    p: float


def category_details(endpoint: EndpointEvidence, alpha: float) -> dict[str, object]:
    """Return the categories of an endpoint, those that differ most clearly first.

    Parameters
    ----------
    endpoint
        At least one row, and no outcome without a number. Rows without a category are left out.
    alpha
        Intervals are the 1 - 2 alpha ones, as of the endpoint itself.

    Returns
    -------
    dict
        `categories`: n (clusters), rates, difference with its interval (score interval; of scores the t
        interval), the exact two-sided sign-flip p-value (McNemar's where no cluster has several rows) and
        the same adjusted by Benjamini-Hochberg over all categories of the endpoint. Empty where the battery
        names none. At most :data:`~tais.verdict.details.LISTED_ITEMS` are listed; all are adjusted for.
    """
    if endpoint.groups is None:
        return {}
    names = [name for name in np.unique(endpoint.groups).tolist() if name]
    parts = [_part(endpoint, name, np.flatnonzero(endpoint.groups == name), alpha) for name in names]
    adjusted = benjamini_hochberg([part.p for part in parts]).tolist()
    ranked = sorted(zip(parts, adjusted, strict=True), key=lambda pair: (pair[0].p, pair[0].name))
    return written_list([_written(part, q) for part, q in ranked[:LISTED_ITEMS]])


def _part(endpoint: EndpointEvidence, name: str, rows: NDArray[np.int64], alpha: float) -> _Part:
    codes = cluster_codes(endpoint.clusters[rows])
    folded = fold_outcomes(endpoint.reference[rows], endpoint.candidate[rows], codes)
    if endpoint.kind == "binary":
        ci = as_interval(tango_interval(folded.table, 1 - 2 * alpha))
    else:
        # The interval does not depend on the margin, which is asked for all the same.
        ci = as_interval(score_tost(folded.difference, 0.5, alpha).ci)
    return _Part(name, folded, ci, sign_flip_test(folded.difference).p)


def _written(part: _Part, q: float) -> Category:
    return Category(
        category=part.name,
        n=part.folded.clusters,
        reference_rate=tidy(part.folded.reference_rate),
        candidate_rate=tidy(part.folded.candidate_rate),
        difference=tidy(float(part.folded.difference.mean())),
        ci=tidy_interval(part.ci),
        p=tidy(part.p),
        adjusted_p=tidy(q),
    )
