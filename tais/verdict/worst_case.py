"""What rows that were not compared, and answers that say nothing, could hide.

An answer that is invalid counts as not as expected. Where only one arm has it, that may be a change that
nobody saw: an empty answer harms nobody, and the text that replaces it may. So a pass must stand whatever
such rows would have been, and a positive control is worse only by what it says.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tais.stats.cluster_table import Folded, fold_outcomes
from tais.stats.paired import PairedTable
from tais.stats.paired_means import Moments
from tais.stats.regions import Setting, mean_regions, regions
from tais.verdict.evidence import EndpointEvidence

__all__ = [
    "invalid_in_both",
    "invalid_on_one_side",
    "passes_at_worst",
    "passes_without_invalid",
    "worse_by_its_words",
]

_Regions = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def invalid_on_one_side(endpoint: EndpointEvidence) -> int:
    """Return the number of rows in which one answer is invalid and the other is not."""
    return int((endpoint.reference_invalid != endpoint.candidate_invalid).sum())


def invalid_in_both(endpoint: EndpointEvidence) -> int:
    """Return the number of rows in which neither answer says anything."""
    return int((endpoint.reference_invalid & endpoint.candidate_invalid).sum())


def passes_without_invalid(endpoint: EndpointEvidence, folded: Folded, setting: Setting) -> bool:
    """Whether a pass stands on the rows in which at least one answer says something."""
    said = ~(endpoint.reference_invalid & endpoint.candidate_invalid)
    if not said.any():
        return False
    _, codes = np.unique(folded.codes[said], return_inverse=True)
    return bool(_with(fold_outcomes(endpoint.reference[said], endpoint.candidate[said], codes), setting)[0])


def passes_at_worst(endpoint: EndpointEvidence, folded: Folded, setting: Setting, *, invalid: bool) -> bool:
    """Whether a pass stands with every row that was not compared flipped, either way.

    Parameters
    ----------
    endpoint, folded
        Rows, and their clusters.
    setting
        The rule of the verdict.
    invalid
        Take the answers that are invalid on one side alone for as expected, too, whichever way that is worse.
    """
    missing = endpoint.reference_only + endpoint.candidate_only + endpoint.unanswered
    down = up = folded
    if invalid:
        ours, theirs = endpoint.candidate_invalid, endpoint.reference_invalid
        before = np.where(theirs & ~ours, 1.0, endpoint.reference)
        after = np.where(ours & ~theirs, 1.0, endpoint.candidate)
        down = fold_outcomes(before, endpoint.candidate, folded.codes)
        up = fold_outcomes(endpoint.reference, after, folded.codes)
    worse, better = _with(down, setting, down=missing), _with(up, setting, up=missing)
    return bool(worse[0]) and (setting.one_sided or bool(better[0]))


def worse_by_its_words(endpoint: EndpointEvidence, folded: Folded, setting: Setting) -> bool:
    """Whether a control fails with its invalid and missing answers counted as the reference's own."""
    said = np.where(endpoint.candidate_invalid, endpoint.reference, endpoint.candidate)
    read = fold_outcomes(endpoint.reference, said, folded.codes)
    alone = replace(setting, null_h_quantile=None)
    return bool(_with(read, alone, same=endpoint.reference_only + endpoint.unanswered)[1])


def _with(folded: Folded, setting: Setting, *, down: int = 0, up: int = 0, same: int = 0) -> _Regions:
    """Apply the rule to the clusters and so many more that fall, rise or stay."""
    if setting.ratio or folded.whole:
        both, only_reference, only_candidate, neither = folded.table.cells()
        return regions(PairedTable(both, only_reference + down, only_candidate + up, neither + same), setting)
    d, more = folded.difference, down + up
    moments = Moments.of_sums(
        len(d) + more + same, d.sum() + up - down, (d**2).sum() + more, (d**3).sum() + up - down
    )
    return mean_regions(moments, setting)
