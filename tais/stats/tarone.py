"""Many discrete tests at once: endpoints that could not reach the level cost nothing.

A p-value of a discrete test cannot fall below a least value that is known beforehand: two flips give an exact
McNemar p of at least 0.5. Holm's method counts such an endpoint all the same; Tarone's does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["tarone_holm"]

_SAME = 1 + 1e-9
"""Two p-values of the same table may differ in the last digits; here they are one."""
_BLOCK = 20_000_000
"""Comparisons held in memory at once (20 MB)."""


def tarone_holm(p_values: ArrayLike, attainable: ArrayLike) -> FloatArray:
    """Step-down adjusted p-values of discrete tests.

    Parameters
    ----------
    p_values
        Shape (..., tests), in [0, 1]. Each row of tests is one family.
    attainable
        Least p-value that each test can have given what it conditions on (for McNemar's test the number of
        discordant pairs), same shape, at most the p-value.

    Returns
    -------
    FloatArray
        Adjusted values in the same order and shape: at least the p-values, at most those of Holm's method,
        monotone in them, at most 1.

    Raises
    ------
    TaisError
        Where a number lies outside [0, 1], the shapes differ, or a p-value is below what its test can attain.

    Notes
    -----
    For a set S of tests let f(S, p) = p * #{j in S: attainable[j] <= p}. A test whose least p-value exceeds p
    cannot have a p-value of p or less, so by Bonferroni's inequality the set is rejected at alpha where
    f(S, p) <= alpha for one of its p-values, and f grows with p and with S. Closing this test over all sets
    gives, with p-values in rising order and S(l) the tests from the l-th on, exactly

        adjusted(k) = max over l <= k of f(S(l), p(l)),

    since any set whose smallest p-value is the l-th is a part of S(l). The family-wise error is therefore at
    most alpha in the strong sense under any dependence between the p-values. Tarone's own bound allows only
    p-values of alpha / K for a whole K and is not monotone in alpha; Hommel and Krummenauer mended both.

    Fails where the p-values are not valid *given all* of the `attainable`. Each of several contrasts with one
    reference is valid given its own number of flips, but the signs of its flips are not even given the number
    of another contrast's. The simulations of `tools/tables/verdict_tables.py` share the reference for this
    reason; there the error stays below alpha.

    References
    ----------
    Tarone (1990), Biometrics 46, 515-522.
    Hommel, Krummenauer (1998), Biometrics 54, 673-681.
    Marcus, Peritz, Gabriel (1976), Biometrika 63, 655-660.
    """
    p, least = np.asarray(p_values, np.float64), np.asarray(attainable, np.float64)
    _check(p, least)
    if p.size == 0:
        return p.copy()
    order = np.argsort(p, axis=-1, kind="stable")
    p_sorted = np.take_along_axis(p, order, -1).reshape(-1, p.shape[-1])
    least_sorted = np.take_along_axis(least, order, -1).reshape(p_sorted.shape)
    stepped = np.maximum.accumulate(p_sorted * _able(p_sorted, least_sorted), axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1).reshape(p.shape), -1)
    return adjusted


def _check(p: FloatArray, least: FloatArray) -> None:
    if p.ndim == 0 or p.shape != least.shape:
        raise TaisError(
            f"p-values of shape {p.shape} and attainable ones of shape {least.shape} do not match"
        )
    if not np.all((least >= 0) & (least <= p * _SAME) & (p <= 1)):
        raise TaisError("Tarone's method needs 0 <= attainable <= p-value <= 1")


def _able(p: FloatArray, least: FloatArray) -> FloatArray:
    """Tests from each one on (in rising order) that could have its p-value; shape (families, tests)."""
    families, tests = p.shape
    later = np.triu(np.ones((tests, tests), dtype=bool))
    counts = np.empty_like(p)
    step = max(1, _BLOCK // tests**2)
    for start in range(0, families, step):
        part = slice(start, start + step)
        able = least[part, None, :] <= p[part, :, None] * _SAME
        counts[part] = np.count_nonzero(able & later, axis=-1)
    return counts
