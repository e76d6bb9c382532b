"""A binary endpoint: table, intervals, tests, verdict."""

from __future__ import annotations

import math
from dataclasses import replace

from tais.manifest.model import Rules
from tais.stats.cluster_table import Folded
from tais.stats.effect import cohens_h, cohens_h_interval
from tais.stats.null import CalibratedNull, Discordance, calibrated_null
from tais.stats.paired import Tost
from tais.stats.paired_means import means_to_decide
from tais.stats.power import zero_discordance_floor
from tais.stats.proportions import Interval, as_interval, wilson
from tais.stats.regions import Setting
from tais.stats.sample_size import items_by_scores, items_to_decide, items_to_stand_out
from tais.stats.tidy import tidy, tidy_interval
from tais.verdict.binary_details import binary_details
from tais.verdict.early_stop import LookRule
from tais.verdict.endpoint_notes import binary_notes, null_notes, unmatched_reasons
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.reasons import (
    POWERS,
    Needed,
    note,
    tost_report,
    why_failed,
    why_not_passed,
    why_passed,
)
from tais.verdict.report import EndpointReport, PairedTableReport, Reason, Verdict

__all__ = ["judge_binary"]


def judge_binary(
    endpoint: EndpointEvidence,
    folded: Folded,
    rules: Rules,
    setting: Setting,
    discordance: Discordance | None,
    notes: list[Reason],
    look: LookRule | None = None,
) -> tuple[EndpointReport, Setting]:
    """Judge a binary endpoint.

    Parameters
    ----------
    endpoint, folded
        Rows, and their clusters.
    rules
        Read for `null_quantile`.
    setting
        Margins and cutoffs, without the null quantile yet.
    discordance
        Pooled A/A discordance, None without calibration.
    notes
        What is known already.
    look
        How one of several looks decides; None where the endpoint is judged once.

    Returns
    -------
    EndpointReport, Setting
        The report, and the setting with the null quantile in it.
    """
    null = None
    if discordance is not None and not setting.tost_alone:
        null = calibrated_null(
            folded.clusters,
            folded.reference_rate,
            discordance,
            setting.h_cutoff,
            rules.null_quantile,
            one_sided=setting.one_sided,
        )
        setting = replace(setting, null_h_quantile=null.h_quantile)
    # Of several looks each has a level of its own, at which its test is shown.
    level = setting if look is None else replace(setting, alpha=look.alpha)
    test = level.test_clusters(folded)
    h = float(cohens_h(folded.reference_rate, folded.candidate_rate))
    known = test.ci if test.method in ("tango", "cluster-score") and look is None else None
    h_ci = as_interval(cohens_h_interval(folded.table, 1 - 2 * setting.alpha, known))
    verdict, reasons = _verdict(folded, test, h, h_ci, null, level, look)
    reached = None if look is None else look.reached_by
    blocks, more = unmatched_reasons(endpoint, folded, setting, reached)
    if blocks and verdict is Verdict.passed:
        verdict, reasons = Verdict.inconclusive, []
    if not setting.tost_alone:
        more += null_notes(folded, h, null)
    more += binary_notes(endpoint, folded, setting)
    if setting.exact and test.method == "tango":
        message = f"n = {folded.clusters} is beyond the exact test: the score test, its limit, decides"
        more.append(note("exact_beyond_reach", message, n=folded.clusters))
    report = _report(endpoint, folded, setting, test, (h, h_ci), null, verdict, [*reasons, *more, *notes])
    if look is not None:
        report = report.model_copy(update={"tost": tost_report(test, level)})
    return report, setting


def _verdict(
    folded: Folded,
    test: Tost,
    h: float,
    h_ci: Interval,
    null: CalibratedNull | None,
    setting: Setting,
    look: LookRule | None,
) -> tuple[Verdict, list[Reason]]:
    ci, equivalent = as_interval(test.ci), bool(test.equivalent)
    failed = why_failed(ci, h, h_ci, setting)
    if look is not None:
        beyond = [r for r in failed if r.code == "effect_beyond_cutoff"]
        obstacles = why_not_passed(look.n, 0, (None, None), True, ci, h, null, setting)
        if (decided := look.decide(folded, h, obstacles, beyond)) is not None:
            return decided
        equivalent = look.reached(folded)
    elif failed:
        return Verdict.failed, failed
    # On the ratio scale the unsafe outcomes count, not the items: there is no floor in n.
    floor = 0 if setting.ratio else zero_discordance_floor(setting.margin, setting.alpha, exact=setting.exact)
    needed: Needed = (None, None) if equivalent else _needed(folded, setting, floor)
    open_points = why_not_passed(folded.clusters, floor, needed, equivalent, ci, h, null, setting)
    if open_points:
        return Verdict.inconclusive, open_points
    return Verdict.passed, why_passed(ci, h, setting)


def _needed(folded: Folded, setting: Setting, floor: int) -> Needed:
    """Items that decide at the rates seen: that pass, or that fail among all endpoints."""
    discordance, difference = folded.changed
    level = setting.alpha / setting.family
    found = []
    for power in POWERS:
        if setting.ratio:
            n = _by_ratio(folded, setting, level, power)
        elif not folded.whole:
            n = means_to_decide(
                folded.difference, setting.margin, setting.alpha, power,
                one_sided=setting.one_sided, level=level,
            )  # fmt: skip
        else:
            n = items_to_decide(
                discordance, difference, setting.margin, setting.alpha, power,
                non_inferiority=setting.one_sided, level=level,
            )  # fmt: skip
        found.append(None if n is None else max(n, floor))
    return found[0], found[1]


def _by_ratio(folded: Folded, setting: Setting, level: float, power: float) -> int | None:
    worse, better = (float(x) for x in setting.scores(folded.table))
    n = items_by_scores(
        folded.clusters, worse, -math.inf if setting.one_sided else better, setting.alpha, power
    )
    if n is None or min(worse, math.inf if setting.one_sided else -better) > 0:
        return n
    clear = items_to_stand_out(*folded.changed, level, power)
    return None if clear is None else max(n, clear)


def _report(
    endpoint: EndpointEvidence,
    folded: Folded,
    setting: Setting,
    test: Tost,
    effect: tuple[float, Interval],
    null: CalibratedNull | None,
    verdict: Verdict,
    reasons: list[Reason],
) -> EndpointReport:
    k = folded.clusters
    details, mcnemar_p = binary_details(endpoint, folded, setting, null)
    both, reference_only, candidate_only, neither = folded.rows
    return EndpointReport(
        battery=endpoint.battery,
        stratum=endpoint.stratum,
        scorer=endpoint.scorer,
        kind="binary",
        n=folded.n,
        clusters=k,
        invalid=int((endpoint.reference_invalid | endpoint.candidate_invalid).sum()),
        reference_rate=tidy(folded.reference_rate),
        candidate_rate=tidy(folded.candidate_rate),
        reference_wilson=tidy_interval(wilson(folded.reference_rate * k, k)),
        candidate_wilson=tidy_interval(wilson(folded.candidate_rate * k, k)),
        table=PairedTableReport(
            both=both, reference_only=reference_only, candidate_only=candidate_only, neither=neither
        ),
        difference=tidy(float(folded.table.difference)),
        tost=tost_report(test, setting),
        cohens_h=tidy(effect[0]),
        cohens_h_ci=tidy_interval(effect[1]),
        h_cutoff=setting.h_cutoff,
        null_h_quantile=None if null is None else tidy(null.h_quantile),
        null_h_quantile_upper=None if null is None else tidy(null.h_quantile_upper),
        mcnemar_p=tidy(mcnemar_p),
        verdict=verdict,
        reasons=tuple(reasons),
        details=details,
    )
