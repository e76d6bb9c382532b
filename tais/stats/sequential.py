"""Early stop: looks at a paired endpoint while its items come in, with the error rates of one look.

Items come in blocks, in an order shuffled across batteries beforehand; after a block each endpoint is looked
at. It passes when its repeated confidence interval lies inside the margin and fails when it lies wholly
outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.exact import LARGEST_N, critical_score, exact_p
from tais.stats.paired import PairedTable, tango_statistic
from tais.stats.proportions import FloatArray, normal_quantile
from tais.stats.spending import SPENDING, nominal_levels

__all__ = ["KINDS", "Boundary", "Look", "even_looks", "flip_e_value", "together"]

KINDS = ("obrien_fleming", "pocock", "betting", "fixed")
_BETS = 40


class Look(StrEnum):
    """What a look decides."""

    go_on = "continue"
    passed = "pass"
    failed = "fail"


@dataclass(frozen=True, slots=True)
class Boundary:
    """When one paired endpoint may stop.

    Notes
    -----
    ``obrien_fleming`` (default) and ``pocock`` spend alpha over the looks (Lan and DeMets) and read the score
    test at each look's level against the critical value of the exact unconditional test, so that rare flips
    do not make it liberal. ``betting`` is an e-process on the difference, valid at any item without a
    plan, but it gives away much of the power where flips are common. ``fixed`` looks once, at the end.

    References
    ----------
    Jennison, Turnbull (1989), Journal of the Royal Statistical Society B 51, 305-361 (repeated intervals).
    Waudby-Smith, Ramdas (2024), Journal of the Royal Statistical Society B 86, 1-27 (betting).
    """

    margin: float
    looks: tuple[int, ...]
    """Items at each look, rising; the last one is the plan's end."""
    alpha: float = 0.05
    """Of each one-sided test, over all looks."""
    kind: str = "obrien_fleming"
    one_sided: bool = False
    """Non-inferiority: only a worse candidate fails, and a better one passes."""
    planned: int | None = None
    """Items of the plan, where the items ended before it; see `ended`."""

    def __post_init__(self) -> None:
        """Refuse a boundary that cannot hold its level."""
        rising = all(a < b for a, b in zip((0, *self.looks), self.looks, strict=False))
        if self.kind not in KINDS or not self.looks or not rising:
            raise TaisError(f"a boundary needs rising looks and a kind of {', '.join(KINDS)}")
        if not (0 < self.margin < 1 and 0 < self.alpha < 0.5):
            raise TaisError("a boundary needs a margin in (0, 1) and alpha in (0, 0.5)")

    def look(self, table: PairedTable, n: int) -> Look:
        """Decide after n items.

        Parameters
        ----------
        table
            Counts so far, one table.
        n
            Items so far: one of `looks`, or for "betting" any number.

        Raises
        ------
        TaisError
            At a look that was not planned, or where the table holds another number of items.
        """
        if round(float(table.n)) != n:
            raise TaisError(f"a look after {n} items was given a table of {float(table.n):g}")
        passes, fails = self.decide(table, n)
        if bool(passes):
            return Look.passed
        return Look.failed if bool(fails) else Look.go_on

    def ended(self, n: int) -> Boundary:
        """Return the boundary of items that ended at n: the last look takes all of alpha that is left."""
        earlier = tuple(x for x in self.looks if x < n)
        return replace(self, looks=(*earlier, n), planned=self.planned or self.looks[-1])

    def decide(self, table: PairedTable, n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return for every table, all of n items, whether it passes and whether it fails."""
        if self.kind == "betting":
            inside, outside = _betting_sides(table, self.margin, -math.log(self.alpha))
        else:
            inside, outside = _score_sides(table, n, self.margin, self._level(n))
        if self.one_sided:
            return inside[0], outside[0]
        return inside[0] & inside[1], outside[0] | outside[1]

    def passes_without_flips(self, n: int) -> bool:
        """Whether the look after n items passes where no item has flipped: as `look`, without its search."""
        if self.kind not in SPENDING or n > LARGEST_N:
            return self.look(PairedTable(n, 0, 0, 0), n) is Look.passed
        return exact_p(n, 0, 0, -self.margin) <= self._level(n)

    def test_level(self, n: int) -> float:
        """One-sided level at which the score test of the look after n items passes what this boundary does.

        For "betting", which is no score test, alpha.
        """
        if self.kind not in SPENDING:
            return self.alpha
        from scipy.special import ndtr

        return float(ndtr(-_critical(n, -self.margin, self._level(n))))

    def _level(self, n: int) -> float:
        """One-sided level of the look after n items."""
        if n not in self.looks:
            raise TaisError(
                f"no look was planned after {n} items, but after {', '.join(map(str, self.looks))}",
                remedy="use ended() where the items ran out before the plan",
            )
        if self.kind not in SPENDING:
            return self.alpha if n == self.looks[-1] else 0.0
        fractions = tuple(x / (self.planned or self.looks[-1]) for x in self.looks)
        return nominal_levels(self.kind, fractions, self.alpha)[self.looks.index(n)]


_Sides = tuple[
    tuple[NDArray[np.bool_], NDArray[np.bool_]],
    tuple[NDArray[np.bool_], NDArray[np.bool_]],
]


def _score_sides(table: PairedTable, n: int, margin: float, level: float) -> _Sides:
    """(not worse, not better) and (worse, better) than the margin, each shown at this level."""
    lower = tango_statistic(table, -margin)
    upper = -tango_statistic(table, margin)
    # The exact search takes most of a second; where nothing points its way it is not needed.
    within = _critical(n, -margin, level) if np.any(np.maximum(lower, upper) > 0) else math.inf
    beyond = _critical(n, margin, level) if np.any(np.minimum(lower, upper) < 0) else math.inf
    return (lower >= within, upper >= within), (-lower >= beyond, -upper >= beyond)


def _critical(n: int, difference: float, level: float) -> float:
    if level <= 1e-12:
        return math.inf
    if n > LARGEST_N:
        return normal_quantile(1 - 2 * level)
    # The search inside leaves 1e-6; equal scores must not fall on either side of it.
    return critical_score(n, difference, level) - 1e-9


def _betting_sides(table: PairedTable, margin: float, threshold: float) -> _Sides:
    _, b, c, _ = table.cells()
    n = table.n
    not_worse = _log_wealth(b, c, n, margin, 1)
    not_better = _log_wealth(c, b, n, margin, 1)
    worse = _log_wealth(b, c, n, margin, -1)
    better = _log_wealth(c, b, n, margin, -1)
    return (
        (not_worse >= threshold, not_better >= threshold),
        (worse >= threshold, better >= threshold),
    )


def _log_wealth(down: FloatArray, up: FloatArray, n: FloatArray, margin: float, sign: int) -> FloatArray:
    """Log of the mean over bets x of the product of 1 + x (d + margin), d = -1, 0, 1.

    A martingale at a difference of -margin; bets of sign 1 win where it is larger, of sign -1 where smaller.
    Half of the weight lies on the largest bet, which stakes all on "no flip against the claim": the best one
    where there are no flips.
    """
    largest = 1 / (1 - margin) if sign > 0 else 1 / (1 + margin)
    bets = sign * largest * np.arange(1, _BETS + 1) / _BETS
    weights = np.full(_BETS, 0.5 / _BETS)
    weights[-1] += 0.5
    # A bet that loses everything on a flip has wealth 0 after it, and 1 (0^0) without one.
    from scipy.special import logsumexp, xlogy

    factors = [np.maximum(1 + bets * (d + margin), 0) for d in (-1, 0, 1)]
    counts = (down, n - down - up, up)
    logs = sum(xlogy(np.asarray(k)[..., None], f) for k, f in zip(counts, factors, strict=True))
    return np.asarray(logsumexp(logs, b=weights, axis=-1))


def flip_e_value(down: int, up: int) -> float:
    """Evidence that flips do not go either way alike, valid after any number of them.

    Parameters
    ----------
    down, up
        Clusters that fell and that rose, so far.

    Returns
    -------
    float
        Mean likelihood ratio over all shares of "up" against one half. Between equal stacks it exceeds
        1 / alpha at any time with probability alpha at most (Ville); its inverse is a p-value.

    References
    ----------
    Ramdas, Gruenwald, Vovk, Shafer (2023), Statistical Science 38, 576-601.
    """
    from scipy.special import betaln

    return math.exp(min((down + up) * math.log(2) + float(betaln(down + 1, up + 1)), 700.0))


def even_looks(max_n: int, looks: int = 5, first: int = 1) -> tuple[int, ...]:
    """Evenly spaced looks up to `max_n` items, none before `first`."""
    if max_n < 1 or looks < 1:
        raise TaisError("looks need at least one item and one look")
    planned = {round(max_n * (i + 1) / looks) for i in range(looks)}
    return tuple(sorted(x for x in planned if x >= min(first, max_n) and x > 0))


def together(looks: Iterable[Look]) -> Look:
    """State of a candidate: fails with any endpoint, passes with all, else goes on.

    An endpoint that has passed keeps its pass while others go on: looking at it again would spend alpha that
    it has not got.
    """
    found = tuple(looks)
    if Look.failed in found:
        return Look.failed
    return Look.passed if found and all(x is Look.passed for x in found) else Look.go_on
