"""The rule that turns a table into pass, fail or neither; vectorised, so that simulations share it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.stats.cluster_table import Folded
from tais.stats.effect import cohens_h, cohens_h_interval
from tais.stats.exact import LARGEST_N, exact_tost
from tais.stats.paired import (
    PairedTable,
    Tost,
    mcnemar,
    tango_statistic,
    tost,
)
from tais.stats.paired_means import Moments, score_tost
from tais.stats.proportions import FloatArray, Interval, normal_quantile
from tais.stats.ratio import ratio_statistic, ratio_tost

__all__ = ["Setting", "mean_regions", "means_stand", "regions", "stands"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a verdict of one endpoint depends on beside its table."""

    margin: float
    alpha: float
    h_cutoff: float
    null_h_quantile: float | None = None
    """None without calibration: the fixed cutoff then stands alone."""
    one_sided: bool = False
    """Non-inferiority: only a fall of the candidate counts."""
    tost_alone: bool = False
    """Calibration contrasts: the effect size is shown and decides nothing."""
    ratio: bool = False
    """The margin tolerates a ratio of unsafe rates up to 1 + margin instead of a difference."""
    family: int = 1
    """Endpoints that are screened together: a fail must stand among all of them."""
    exact: bool = False
    """The exact test of the difference, as far as it reaches, in the place of the score test."""

    @property
    def cutoff_usable(self) -> bool:
        """Whether the same stack stays below the cutoff against itself."""
        return self.null_h_quantile is None or self.null_h_quantile < self.h_cutoff

    @property
    def h_bound(self) -> float:
        """What the whole interval of |h| must exceed to fail: the cutoff, and what the same stack reaches."""
        return max(self.h_cutoff, self.null_h_quantile or 0.0)

    def scores(self, table: PairedTable) -> tuple[FloatArray, FloatArray]:
        """Score statistics against "worse by the margin" and "better by the margin".

        The first is large and positive, the second large and negative where the table shows equivalence.
        """
        if self.ratio:
            worse = -ratio_statistic(table, 1 + self.margin)
            return worse, -ratio_statistic(table, 1 / (1 + self.margin))
        return tango_statistic(table, -self.margin), tango_statistic(table, self.margin)

    def test(self, table: PairedTable) -> Tost:
        """Two one-sided score tests on the scale of the margin."""
        run = ratio_tost if self.ratio else tost
        return run(table, self.margin, self.alpha, one_sided=self.one_sided)

    def test_clusters(self, folded: Folded) -> Tost:
        """Test by the table where it says all, else by the mean of the clusters.

        On the scale of ratios, and by the exact test, the table of clusters stands for drawing one row of
        each: never too narrow.
        """
        if self.exactly(folded.clusters):
            return exact_tost(folded.table, self.margin, self.alpha, one_sided=self.one_sided)
        if self.ratio or folded.whole:
            return self.test(folded.table)
        return score_tost(folded.difference, self.margin, self.alpha, one_sided=self.one_sided)

    def exactly(self, clusters: int) -> bool:
        """Whether the exact test decides on so many clusters."""
        return self.exact and clusters <= LARGEST_N

    def worse(self, ci: Interval) -> bool:
        """Whether an interval on the scale of the margin lies wholly on the unsafe side."""
        return ci[0] > 1 + self.margin if self.ratio else ci[1] < -self.margin

    def better(self, ci: Interval) -> bool:
        """Whether it lies wholly on the other side, and the hypothesis forbids that too."""
        if self.one_sided:
            return False
        return ci[1] < 1 / (1 + self.margin) if self.ratio else ci[0] > self.margin

    def effect_small(self, h: float) -> bool:
        """Whether Cohen's h lies within the cutoff, on the sides that count."""
        return -h < self.h_cutoff and (self.one_sided or h < self.h_cutoff)

    def effect_beyond(self, h_ci: Interval) -> bool:
        """Whether the interval of Cohen's h lies wholly beyond its bound, on a side that counts."""
        return h_ci[1] < -self.h_bound or (h_ci[0] > self.h_bound and not self.one_sided)


def regions(table: PairedTable, setting: Setting) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where a table passes and where it fails; it is inconclusive elsewhere.

    Parameters
    ----------
    table
        Paired counts, arrays of any shape.
    setting
        Margins and cutoffs.

    Returns
    -------
    passes, fails
        Disjoint masks of the table's shape, by the score test.
    """
    z = normal_quantile(1 - 2 * setting.alpha)
    worse, better = setting.scores(table)
    passes, fails = worse > z, worse < -z
    if not setting.one_sided:
        passes &= better < -z
        fails |= better > z
    if setting.tost_alone:
        return np.asarray(passes), np.asarray(fails)
    h = cohens_h(table.reference_rate, table.candidate_rate)
    small = h > -setting.h_cutoff if setting.one_sided else np.abs(h) < setting.h_cutoff
    low, high = cohens_h_interval(table, 1 - 2 * setting.alpha)
    fails |= high < -setting.h_bound
    if not setting.one_sided:
        fails |= low > setting.h_bound
    return np.asarray(passes & small & setting.cutoff_usable & ~fails), np.asarray(fails)


def stands(table: PairedTable, setting: Setting) -> NDArray[np.bool_]:
    """Where the flips of a table are one-sided enough to fail, whatever the other endpoints come to.

    Parameters
    ----------
    table
        Paired counts, arrays of any shape; fractional ones (clusters) are rounded.
    setting
        Read for alpha and for the endpoints that are screened together.

    Notes
    -----
    The exact McNemar p below alpha / m. Holm's method multiplies a p-value by m at most, so a fail of the
    screen asks for no more; where other endpoints have few flips it asks for less.
    """
    _, down, up, _ = table.cells()
    return np.asarray(mcnemar(np.rint(down), np.rint(up), mid_p=False) < setting.alpha / setting.family)


def means_stand(total: FloatArray, squares: FloatArray, setting: Setting) -> NDArray[np.bool_]:
    """Where a sum of score differences is far enough from 0 to fail: the sign-flip test, by its variance."""
    error = np.sqrt(np.maximum(np.asarray(squares, np.float64), 1e-12))
    return np.asarray(np.abs(total) / error > normal_quantile(1 - setting.alpha / setting.family))


def mean_regions(moments: Moments, setting: Setting) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where a mean of cluster differences passes and where it fails.

    Parameters
    ----------
    moments
        Of the differences, any shape.
    setting
        Margins; effect sizes of rates do not apply.

    Returns
    -------
    passes, fails
        Disjoint masks; the same rule as :func:`tais.stats.paired_means.score_tost`.
    """
    z = normal_quantile(1 - 2 * setting.alpha)
    low, high = moments.lower(z), moments.upper(z)
    passes, fails = low > -setting.margin, high < -setting.margin
    if not setting.one_sided:
        passes &= high < setting.margin
        fails |= low > setting.margin
    return np.asarray(passes), np.asarray(fails)
