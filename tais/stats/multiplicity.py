"""Many endpoints at once.

A breakdown that only informs holds the rate of false discoveries (Benjamini-Hochberg).

"All must pass" is an intersection-union test: each endpoint is tested at alpha and the whole stays at
alpha, without correction. "Any differs" is the opposite statement, and Holm's method corrects it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: ArrayLike) -> FloatArray:
    """Step-down adjusted p-values; the family-wise error is kept under any dependence.

    Parameters
    ----------
    p_values
        Shape (tests,), in [0, 1].

    Returns
    -------
    FloatArray
        Adjusted values in the same order.

    Raises
    ------
    TaisError
        Where a p-value lies outside [0, 1].

    Notes
    -----
    The numbers of statsmodels' `multipletests`, whose import takes half as long as deciding a screen.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    p = np.asarray(p_values, np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise TaisError("Holm's method needs p-values in [0, 1]")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)) if len(p) else p
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """P-values adjusted for the false discovery rate: step-up, as statsmodels' `multipletests` does it.

    Parameters
    ----------
    p_values
        Shape (tests,), in [0, 1].

    Returns
    -------
    FloatArray
        Adjusted values in the same order. Among the tests whose value is at most q, the expected share of
        true hypotheses is at most q, for tests that are independent or positively dependent.

    Raises
    ------
    TaisError
        Where a p-value lies outside [0, 1].

    References
    ----------
    Benjamini, Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.
    """
    p = np.asarray(p_values, np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise TaisError("Benjamini and Hochberg's method needs p-values in [0, 1]")
    if np.all(p == 1):
        return p
    from statsmodels.stats.multitest import multipletests  # heavy

    return np.asarray(multipletests(p, method="fdr_bh")[1], np.float64)
