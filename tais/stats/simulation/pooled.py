"""How often a small loss that all batteries share is seen: pooled, and battery by battery; enumerated."""

from __future__ import annotations

import numpy as np

from tais.stats.paired import mcnemar, mcnemar_fall
from tais.stats.power import discordant_grid
from tais.stats.proportions import FloatArray

__all__ = ["seen_by_batteries", "seen_pooled"]


def _rejects(n: int, discordance: float, loss: float, level: float, *, one_sided: bool) -> float:
    """Probability that the exact McNemar test of n pairs is below a level, and on the unsafe side."""
    table, mass = discordant_grid(n, discordance, -loss)
    _, down, up, _ = table.cells()
    p: FloatArray = mcnemar_fall(down, up) if one_sided else mcnemar(down, up, mid_p=False)
    return float(np.asarray(mass)[(p < level) & (down > up)].sum())


def seen_pooled(
    n: int, discordance: float, loss: float, alpha: float = 0.05, *, one_sided: bool = True
) -> float:
    """Power of the exact McNemar test over all pairs.

    Parameters
    ----------
    n
        Pairs of all batteries.
    discordance
        True share of pairs that flip, at least the loss.
    loss
        True fall of the rate.
    alpha
        Level.
    one_sided
        As TAIS pools; else the two-sided test.
    """
    return _rejects(n, discordance, loss, alpha, one_sided=one_sided)


def seen_by_batteries(n: int, batteries: int, discordance: float, loss: float, alpha: float = 0.05) -> float:
    """Power to see the loss in any of equal batteries, each one-sided at alpha over their number."""
    one = _rejects(n // batteries, discordance, loss, alpha / batteries, one_sided=True)
    return 1 - (1 - one) ** batteries
