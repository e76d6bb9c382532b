"""Operating characteristics: how often the tests err and the intervals cover, by enumeration.

Read by the tables of the documentation and by the tests that hold the shipped defaults to their bounds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.effect import cohens_h, cohens_h_interval
from tais.stats.exact import critical_score
from tais.stats.paired import PairedTable, tango_interval, tango_statistic
from tais.stats.paired_intervals import agresti_min, bonett_price, newcombe, unpaired_wald_tost, wald
from tais.stats.power import discordant_grid
from tais.stats.proportions import Bounds, normal_quantile

__all__ = ["INTERVALS", "TESTS", "coverage", "h_coverage", "h_size", "judged_passes", "size"]

INTERVALS: dict[str, Callable[[PairedTable, float], Bounds]] = {
    "tango": tango_interval,
    "newcombe": newcombe,
    "agresti_min": agresti_min,
    "bonett_price": bonett_price,
    "wald": wald,
}
TESTS = ("tango", "exact", "wald", "wald_unpaired")


def size(
    test: str, n: int, margin: float, discordance: float, alpha: float = 0.05, base_rate: float = 0.79
) -> float:
    """Probability that TOST passes although the candidate is worse by exactly the margin.

    Parameters
    ----------
    test
        One of `TESTS`.
    n, margin, alpha
        Of the test.
    discordance
        True share of discordant pairs, at least the margin.
    base_rate
        Rate of the reference; only the published unpaired test depends on it.

    Returns
    -------
    float
        Exact to 1e-9. For "exact" only the lower test is counted, which bounds it from above.

    Raises
    ------
    TaisError
        Where there is no such test.
    """
    table, mass = discordant_grid(n, discordance, -margin)
    z = normal_quantile(1 - 2 * alpha)
    if test == "tango":
        passes = (tango_statistic(table, -margin) > z) & (tango_statistic(table, margin) < -z)
    elif test == "exact":
        passes = tango_statistic(table, -margin) >= critical_score(n, -margin, alpha) - 1e-9
    elif test == "wald":
        low, high = wald(table, 1 - 2 * alpha)
        passes = (low > -margin) & (high < margin)
    elif test == "wald_unpaired":
        passes = unpaired_wald_tost(_split(table, base_rate), margin, alpha).equivalent
    else:
        raise TaisError(f"no test named {test!r}; there are {', '.join(TESTS)}")
    return float((mass * passes).sum())


def _split(table: PairedTable, base_rate: float) -> PairedTable:
    """Split the concordant pairs so that the reference has the base rate, as far as the flips allow."""
    a, b, c, d = table.cells()
    n = a + b + c + d
    both = np.clip(n * base_rate - b, 0, n - b - c)
    return PairedTable(both, b, c, n - b - c - both)


def coverage(method: str, n: int, discordance: float, difference: float, confidence: float = 0.9) -> float:
    """Probability that an interval of the difference covers it, at no dependence on the base rate.

    Parameters
    ----------
    method
        A key of `INTERVALS`; Newcombe's depends on the base rate too: see :func:`h_coverage` for how that
        is simulated, and here it is taken with all concordant pairs split half and half.
    n, discordance, difference
        True values, |difference| <= discordance.
    confidence
        Nominal, two-sided.
    """
    table, mass = discordant_grid(n, discordance, difference)
    low, high = INTERVALS[method](_split(table, 0.5), confidence)
    return float((mass * ((low <= difference + 1e-12) & (high >= difference - 1e-12))).sum())


def h_coverage(
    n: int, base_rate: float, discordance: float, confidence: float = 0.9, draws: int = 4000, seed: int = 0
) -> float | None:
    """Share of simulated screens of two equal stacks whose interval of h covers 0.

    Parameters
    ----------
    n, base_rate, discordance
        True values.
    confidence
        Nominal, two-sided.
    draws, seed
        Of the simulation (standard error 0.005 at 4000 draws).

    Returns
    -------
    float or None
        None where the base rate leaves no room for the discordance.
    """
    half = discordance / 2
    cells = np.array([base_rate - half, half, half, 1 - base_rate - half])
    if cells.min() < 0:
        return None
    drawn: NDArray[np.float64] = np.random.RandomState(seed).multinomial(n, cells, draws).astype(np.float64)
    low, high = cohens_h_interval(PairedTable(*drawn.T), confidence)
    true = float(cohens_h(base_rate, base_rate))
    return float(((low <= true) & (high >= true)).mean())


def h_size(
    n: int,
    base_rate: float,
    h: float,
    discordance: float = 0.0,
    confidence: float = 0.9,
    draws: int = 20_000,
    seed: int = 0,
) -> float | None:
    """Probability that the interval of h lies wholly beyond the true h, on the side away from 0.

    Parameters
    ----------
    n, base_rate, h
        True values; the candidate's rate follows from h.
    discordance
        Share of pairs that flip beside those that make up the difference.
    confidence
        Nominal, two-sided.
    draws, seed
        Of the simulation (standard error of 0.05 at 20,000 draws: 0.0015).

    Returns
    -------
    float or None
        None where the base rate leaves no room for h.
    """
    angle = np.arcsin(np.sqrt(base_rate)) + h / 2
    if not 0 <= angle <= np.pi / 2:
        return None
    shift = float(np.sin(angle) ** 2) - base_rate
    down, up = max(-shift, 0.0) + discordance / 2, max(shift, 0.0) + discordance / 2
    cells = np.array([base_rate - down, down, up, 1 - base_rate - up])
    if cells.min() < 0:
        return None
    drawn = np.random.RandomState(seed).multinomial(n, cells, draws)
    tables, counts = np.unique(drawn, axis=0, return_counts=True)
    low, high = cohens_h_interval(PairedTable(*tables.astype(np.float64).T), confidence)
    beyond = (high < h) if h < 0 else (low > h)
    return float((counts * beyond).sum() / draws)


def judged_passes(n: int, youden: float, discordance: float, loss: float, margin: float = 0.03) -> float:
    """Probability that TOST (Tango) passes a true loss that a scorer shows only a part of.

    Parameters
    ----------
    n
        Pairs.
    youden
        Sensitivity + specificity - 1 of the scorer, alike in both arms: it shows this part of the loss.
    discordance
        Share of pairs whose judged outcomes differ.
    loss
        True fall of the rate.
    margin
        Of the test, at alpha 0.05.
    """
    table, mass = discordant_grid(n, discordance, -youden * loss)
    z = normal_quantile(0.9)
    passes = (tango_statistic(table, -margin) > z) & (tango_statistic(table, margin) < -z)
    return float((mass * passes).sum())
