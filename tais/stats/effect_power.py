"""How likely equal stacks pass an endpoint when its effect size counts, too, and the A/A's own noise.

Cohen's h needs the base rate: near a ceiling a flip or two move it beyond its cutoff, and an A/A with a few
flips makes the cutoff unusable, where the difference of rates is still far within its margin.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tais.stats.effect import cohens_h
from tais.stats.null import difference_quantile
from tais.stats.proportions import FloatArray

__all__ = ["power_with_effect"]

# Quantiles of the number of items that both answer as expected, over which is averaged.
_POINTS = 41


def power_with_effect(
    n: int,
    rate: float,
    discordance: float,
    flips: FloatArray,
    mass: FloatArray,
    critical: FloatArray,
    *,
    h_cutoff: float,
    null_quantile: float,
    contrasts: int,
    calibrations: int,
    one_sided: bool,
) -> float:
    """Probability that one endpoint passes in all contrasts of a reference, its A/A with it.

    Parameters
    ----------
    n
        Independent units.
    rate
        True rate of the expected outcome, in [0, 1]; taken as at least half the discordance from 0 and 1.
    discordance
        True share of units that flip between two runs.
    flips, mass
        Numbers of flips that carry mass, and their probabilities; shape (k,).
    critical
        Least "candidate only" that passes the test of the difference on the unsafe side, for each number of
        flips; on the other side, where it counts, as many "reference only".
    h_cutoff, null_quantile
        Of the rules.
    contrasts, calibrations
        Screened and A/A contrasts.
    one_sided
        Only a change for the worse counts in the screen.

    Returns
    -------
    float
        Contrasts pass independently given the reference's answers. Of several A/A the flips of one are taken
        for the pooled ones, whose noise is smaller.

    Notes
    -----
    The units that both arms answer as expected are binomial given the flips, and carry the noise of the base
    rate; the sum over them is taken at 41 quantiles. One contrast and its A/A are within 0.011 of 20,000
    simulated screens (n = 150 to 450, rates of 0.02 to 0.99). Contrasts that share a reference pass together
    more often than this says: two of them by 0.015 to 0.051 there.
    """
    both = _both_at_quantiles(n, rate, discordance, flips)
    passed = _screened(n, flips, critical, both, h_cutoff, one_sided=one_sided) @ mass
    found = passed**contrasts
    if calibrations:
        equal = _two_sided(flips, critical)
        base = (both + flips / 2) / n
        usable = _usable(n, flips, base, h_cutoff, null_quantile, one_sided=one_sided)
        found = found * ((usable * equal) @ mass) * float(equal @ mass) ** (calibrations - 1)
    return float(found.mean())


def _both_at_quantiles(n: int, rate: float, discordance: float, flips: FloatArray) -> FloatArray:
    """Units that both answer as expected, shape (quantiles, flips)."""
    from scipy.special import bdtrik  # Heavy: the command line starts without it.

    share = min(max((rate - discordance / 2) / (1 - discordance), 0.0), 1.0) if discordance < 1 else 0.0
    steady = np.broadcast_to(n - flips, (_POINTS, len(flips)))
    if share in (0.0, 1.0):
        return np.asarray(share * steady)
    levels = (np.arange(_POINTS)[:, None] + 0.5) / _POINTS
    found = np.ceil(bdtrik(levels, np.maximum(steady, 1), share) - 1e-9)
    return np.asarray(np.clip(found, 0, steady))


def _two_sided(flips: FloatArray, critical: FloatArray) -> FloatArray:
    """Probability of each number of flips that the A/A passes, shape (flips,)."""
    from scipy.special import betainc  # Heavy: the command line starts without it.

    # Fewer candidate-only flips than the critical count, and by symmetry fewer reference-only ones.
    least = np.clip(critical, 1, np.maximum(flips, 1))
    missed = np.where(critical < 1, 0.0, 1 - betainc(least, np.maximum(flips - least + 1, 1), 0.5))
    return np.where(critical > flips, 0.0, np.clip(1 - 2 * missed, 0, 1))


def _screened(
    n: int, flips: FloatArray, critical: FloatArray, both: FloatArray, cutoff: float, *, one_sided: bool
) -> FloatArray:
    """Probability of a pass, shape (quantiles, flips)."""
    from scipy.special import gammaln  # Heavy: the command line starts without it.

    found = np.zeros(both.shape)
    for index, (d, least) in enumerate(zip(flips, critical, strict=True)):
        gained = np.arange(d + 1)
        within = (gained >= least) & (one_sided | (gained <= d - least))
        weight = np.exp(gammaln(d + 1) - gammaln(gained + 1) - gammaln(d - gained + 1) - d * np.log(2))
        own = both[:, index, None]
        h = cohens_h((own + d - gained) / n, (own + gained) / n)
        small = (h > -cutoff) & (one_sided | (h < cutoff))
        found[:, index] = (small & within) @ weight
    return found


def _usable(
    n: int, flips: FloatArray, base: FloatArray, cutoff: float, quantile: float, *, one_sided: bool
) -> FloatArray:
    """Whether so many flips of an A/A leave the cutoff usable, shape (quantiles, flips)."""
    shift = np.array([_shift(n, int(d), quantile, one_sided=one_sided) for d in flips]) / n
    down, up = -cohens_h(base, base - shift), cohens_h(base, base + shift)
    return np.asarray((down if one_sided else np.maximum(down, up)) < cutoff)


@lru_cache(maxsize=65536)
def _shift(n: int, flips: int, quantile: float, *, one_sided: bool) -> int:
    return difference_quantile(n, flips / n, quantile, one_sided=one_sided)
