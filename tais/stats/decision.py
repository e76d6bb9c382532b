"""The rule that turns a table into pass, fail or neither; vectorised, so that simulations use the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.stats.effect import cohens_h, cohens_h_interval
from tais.stats.paired import PairedTable, tango_statistic
from tais.stats.proportions import normal_quantile

__all__ = ["Setting", "regions"]


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

    @property
    def cutoff_usable(self) -> bool:
        """Whether the same stack stays below the cutoff against itself."""
        return self.null_h_quantile is None or self.null_h_quantile < self.h_cutoff


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
    worse = tango_statistic(table, -setting.margin)
    better = tango_statistic(table, setting.margin)
    passes, fails = worse > z, worse < -z
    if not setting.one_sided:
        passes &= better < -z
        fails |= better > z
    if setting.tost_alone:
        return np.asarray(passes), np.asarray(fails)
    h = cohens_h(table.reference_rate, table.candidate_rate)
    small = h > -setting.h_cutoff if setting.one_sided else np.abs(h) < setting.h_cutoff
    low, high = cohens_h_interval(table, 1 - 2 * setting.alpha)
    fails |= high < -setting.h_cutoff
    if not setting.one_sided:
        fails |= low > setting.h_cutoff
    return np.asarray(passes & small & setting.cutoff_usable & ~fails), np.asarray(fails)
