"""From rows to clusters: the only table that the statistics see.

One row is one (item, repeat). Repeats and wrapped variants of one prompt are a cluster, and n is the
number of clusters. A cluster enters with the mean of its rows, so the folded table is the expected table
of drawing one row per cluster; the score interval on it, with n = clusters, is never too narrow for that
reason, since a mean varies no more than one draw. Rows cannot be pooled as if they were independent.
"""

from __future__ import annotations

import numpy as np

from tais.errors import TaisError
from tais.stats.cluster_table import Folded, cluster_codes, fold_outcomes
from tais.verdict.evidence import EndpointEvidence

__all__ = ["check_endpoint", "fold"]


def check_endpoint(endpoint: EndpointEvidence) -> int:
    """Check that the arrays belong together; count the rows without a number as outcome.

    Raises
    ------
    TaisError
        Where the arrays differ in length, or an outcome lies outside [0, 1] (outside {0, 1} if binary).
    """
    where = endpoint.key.name
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


def fold(endpoint: EndpointEvidence) -> Folded:
    """Fold the rows of one endpoint (at least one, no NaN) to clusters."""
    return fold_outcomes(endpoint.reference, endpoint.candidate, cluster_codes(endpoint.clusters))
