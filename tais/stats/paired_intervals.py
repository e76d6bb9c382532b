"""Other intervals of a paired difference, and the published test: beside the default, never deciding.

All take a :class:`~tais.stats.paired.PairedTable` (scalars or arrays) and a two-sided confidence, and
return bounds of candidate minus reference. Errors as for :func:`~tais.stats.paired.tango_interval`.
"""

from __future__ import annotations

import numpy as np

from tais.stats.paired import PairedTable, Tost
from tais.stats.proportions import Bounds, FloatArray, normal_quantile, wilson

__all__ = ["agresti_min", "bonett_price", "newcombe", "unpaired_wald_tost", "wald"]


def newcombe(table: PairedTable, confidence: float = 0.95) -> Bounds:
    """Square-and-add interval from two Wilson intervals and the corrected phi coefficient (method 10).

    Zero wide where all outcomes of both arms agree and the correction leaves phi at 1, which it does not
    for any finite n.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 2635-2650.
    """
    a, b, c, d = table.cells()
    n = a + b + c + d
    before, after = (a + b) / n, (a + c) / n
    low_b, high_b = wilson(a + b, n, confidence)
    low_a, high_a = wilson(a + c, n, confidence)
    phi = _phi(a, b, c, d)

    def spread(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(np.maximum(x**2 - 2 * phi * x * y + y**2, 0)))

    delta = after - before
    lower = delta - spread(after - low_a, high_b - before)
    upper = delta + spread(high_a - after, before - low_b)
    return np.clip(lower, -1, 1), np.clip(upper, -1, 1)


def _phi(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    """Phi with the continuity correction towards zero; 0 where a margin is empty."""
    n = a + b + c + d
    cross = a * d - b * c
    cross = np.where(cross > n / 2, cross - n / 2, np.where(cross >= 0, 0.0, cross))
    product = (a + b) * (c + d) * (a + c) * (b + d)
    return np.where(product > 0, cross / np.sqrt(np.where(product > 0, product, 1)), 0.0)


def _wald(b: FloatArray, c: FloatArray, n: FloatArray, confidence: float) -> Bounds:
    delta = (c - b) / n
    half = normal_quantile(confidence) * np.sqrt(np.maximum(b + c - (c - b) ** 2 / n, 0)) / n
    return np.clip(delta - half, -1, 1), np.clip(delta + half, -1, 1)


def wald(table: PairedTable, confidence: float = 0.95) -> Bounds:
    """Paired Wald interval; a point without discordance, and far too narrow with little."""
    a, b, c, d = table.cells()
    return _wald(b, c, a + b + c + d, confidence)


def agresti_min(table: PairedTable, confidence: float = 0.95) -> Bounds:
    """Wald interval with half a pair added to each cell.

    References
    ----------
    Agresti, Min (2005), Statistics in Medicine 24, 729-740.
    """
    a, b, c, d = table.cells()
    return _wald(b + 0.5, c + 0.5, a + b + c + d + 2, confidence)


def bonett_price(table: PairedTable, confidence: float = 0.95) -> Bounds:
    """Wald interval with one pair added to each discordant cell.

    References
    ----------
    Bonett, Price (2012), British Journal of Mathematical and Statistical Psychology 65, 479-488.
    """
    a, b, c, d = table.cells()
    return _wald(b + 1, c + 1, a + b + c + d + 2, confidence)


def unpaired_wald_tost(table: PairedTable, margin: float, alpha: float = 0.05) -> Tost:
    """TOST as in the published screen: independent samples, Wald variance.

    Shown so that one can compare with published tables; it decides nothing. It takes pairs for
    independent samples, and where both rates are 0 or 1 its variance is zero: equivalent by definition
    here (p = 0), not equivalent in the published code (p = 0.5).

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    from scipy.special import ndtr

    n, before, after = table.n, table.reference_rate, table.candidate_rate
    error = np.sqrt((before * (1 - before) + after * (1 - after)) / n)
    delta = after - before
    half = normal_quantile(1 - 2 * alpha) * error

    def tail(distance: FloatArray) -> FloatArray:
        safe = np.where(error > 0, error, 1.0)
        degenerate = np.where(distance > 0, 0.0, 1.0)
        return np.where(error > 0, ndtr(-distance / safe), degenerate)

    ci = (np.asarray(delta - half), np.asarray(delta + half))
    return Tost("wald-unpaired", tail(delta + margin), tail(margin - delta), ci, alpha)
