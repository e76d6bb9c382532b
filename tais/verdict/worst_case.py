"""What rows that were not compared, and answers that say nothing, could hide.

An answer that is invalid counts as not as expected. Where only one arm has it, that may be a change that
nobody saw: an empty answer harms nobody, and the text that replaces it may. So a pass must stand whatever
such rows would have been, and a positive control is worse only by what it says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tais.stats.cluster_table import Folded, fold_outcomes
from tais.stats.effect import cohens_h, cohens_h_interval
from tais.stats.exact import exact_sides
from tais.stats.proportions import as_interval
from tais.stats.regions import Setting
from tais.verdict.evidence import EndpointEvidence

__all__ = [
    "Reached",
    "invalid_in_both",
    "invalid_on_one_side",
    "passes_at_worst",
    "passes_without_invalid",
    "worse_by_its_words",
]

Reached = Callable[[Folded], bool]
"""Whether the boundary of a look is reached, where one of several looks decides."""


def invalid_on_one_side(endpoint: EndpointEvidence) -> int:
    """Return the number of rows in which one answer is invalid and the other is not."""
    return int((endpoint.reference_invalid != endpoint.candidate_invalid).sum())


def invalid_in_both(endpoint: EndpointEvidence) -> int:
    """Return the number of rows in which neither answer says anything."""
    return int((endpoint.reference_invalid & endpoint.candidate_invalid).sum())


def passes_without_invalid(
    endpoint: EndpointEvidence, folded: Folded, setting: Setting, reached: Reached | None = None
) -> bool:
    """Whether a pass stands on the rows in which at least one answer says something."""
    said = ~(endpoint.reference_invalid & endpoint.candidate_invalid)
    if not said.any():
        return False
    _, codes = np.unique(folded.codes[said], return_inverse=True)
    left = fold_outcomes(endpoint.reference[said], endpoint.candidate[said], codes)
    return _decided(endpoint, left, setting, reached)[0]


def passes_at_worst(
    endpoint: EndpointEvidence,
    folded: Folded,
    setting: Setting,
    *,
    invalid: bool,
    reached: Reached | None = None,
) -> bool:
    """Whether a pass stands with every row that was not compared flipped, either way.

    Parameters
    ----------
    endpoint, folded
        Rows, and their clusters.
    setting
        The rule of the verdict.
    invalid
        Take the answers that are invalid on one side alone for as expected, too, whichever way that is worse.
    reached
        The boundary of a look, in the place of the test of the setting.
    """
    missing = endpoint.reference_only + endpoint.candidate_only + endpoint.unanswered
    down = up = folded
    if invalid:
        ours, theirs = endpoint.candidate_invalid, endpoint.reference_invalid
        before = np.where(theirs & ~ours, 1.0, endpoint.reference)
        after = np.where(ours & ~theirs, 1.0, endpoint.candidate)
        down = fold_outcomes(before, endpoint.candidate, folded.codes)
        up = fold_outcomes(endpoint.reference, after, folded.codes)
    if not _decided(endpoint, down.grown(down=missing), setting, reached)[0]:
        return False
    return setting.one_sided or _decided(endpoint, up.grown(up=missing), setting, reached)[0]


def worse_by_its_words(endpoint: EndpointEvidence, folded: Folded, setting: Setting) -> bool:
    """Whether a control fails with its invalid and missing answers counted as the reference's own."""
    said = np.where(endpoint.candidate_invalid, endpoint.reference, endpoint.candidate)
    read = fold_outcomes(endpoint.reference, said, folded.codes)
    same = endpoint.reference_only + endpoint.unanswered
    return _decided(endpoint, read.grown(same=same), replace(setting, null_h_quantile=None))[1]


def _decided(
    endpoint: EndpointEvidence, folded: Folded, setting: Setting, reached: Reached | None = None
) -> tuple[bool, bool]:
    """Return whether clusters pass, and whether they fail, by the rule that decides the endpoint."""
    known = None
    if setting.exactly(folded.clusters):
        margin, alpha = setting.margin, setting.alpha
        passes, fails = exact_sides(folded.table, margin, alpha, one_sided=setting.one_sided)
    else:
        test = setting.test_clusters(folded)
        ci = as_interval(test.ci)
        passes, fails = bool(test.equivalent), setting.worse(ci) or setting.better(ci)
        known = None if setting.ratio else test.ci
    if reached is not None:
        passes = reached(folded)
    # Effect sizes of rates do not apply to scores.
    if endpoint.kind == "continuous" or setting.tost_alone:
        return passes, fails
    h = float(cohens_h(folded.reference_rate, folded.candidate_rate))
    h_ci = as_interval(cohens_h_interval(folded.table, 1 - 2 * setting.alpha, known))
    fails = fails or setting.effect_beyond(h_ci)
    return passes and not fails and setting.effect_small(h) and setting.cutoff_usable, fails
