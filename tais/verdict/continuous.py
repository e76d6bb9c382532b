"""Scores in [0, 1]: equivalence of their mean, BCa bootstrap and Cohen's d beside it."""

from __future__ import annotations

from tais.stats.cluster_table import Folded
from tais.stats.clusters import cluster_bootstrap
from tais.stats.effect import cohens_d
from tais.stats.paired import Tost
from tais.stats.paired_means import means_to_decide
from tais.stats.power import zero_discordance_floor
from tais.stats.proportions import FloatArray, as_interval
from tais.stats.regions import Setting
from tais.stats.tidy import tidy, tidy_interval
from tais.verdict.categories import category_details
from tais.verdict.details import written
from tais.verdict.details.endpoint import Bootstrap, Invalid
from tais.verdict.endpoint_notes import unmatched, unmatched_reasons
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.reasons import POWERS, tost_report, why_failed, why_not_passed, why_passed
from tais.verdict.report import EndpointReport, Reason, Verdict

__all__ = ["judge_continuous"]


def judge_continuous(
    endpoint: EndpointEvidence, folded: Folded, setting: Setting, notes: list[Reason]
) -> EndpointReport:
    """Judge an endpoint of scores by TOST alone; Cohen's h is for rates."""
    test = setting.test_clusters(folded)
    ci = as_interval(test.ci)
    floor = zero_discordance_floor(setting.margin, setting.alpha)
    reasons = why_failed(ci, None, None, setting)
    verdict = Verdict.failed
    if not reasons:
        verdict = Verdict.inconclusive
        few, many = (_needed(folded.difference, setting, power) for power in POWERS)
        needed = (few, many)
        reasons = why_not_passed(
            folded.clusters, floor, needed, bool(test.equivalent), ci, None, None, setting
        )
    if not reasons:
        verdict, reasons = Verdict.passed, why_passed(ci, None, setting)
    blocks, more = unmatched_reasons(endpoint, folded, setting)
    if blocks and verdict is Verdict.passed:
        verdict, reasons = Verdict.inconclusive, []
    notes = more + notes
    return _report(endpoint, folded, setting, test, verdict, [*reasons, *notes])


def _needed(differences: FloatArray, setting: Setting, power: float) -> int | None:
    """Clusters that decide at the observed mean and spread: that pass, or that fail among all endpoints."""
    level = setting.alpha / setting.family
    return means_to_decide(
        differences, setting.margin, setting.alpha, power, one_sided=setting.one_sided, level=level
    )


def _report(
    endpoint: EndpointEvidence,
    folded: Folded,
    setting: Setting,
    test: Tost,
    verdict: Verdict,
    reasons: list[Reason],
) -> EndpointReport:
    return EndpointReport(
        battery=endpoint.battery,
        stratum=endpoint.stratum,
        scorer=endpoint.scorer,
        kind="continuous",
        n=folded.n,
        clusters=folded.clusters,
        invalid=int((endpoint.reference_invalid | endpoint.candidate_invalid).sum()),
        reference_rate=tidy(folded.reference_rate),
        candidate_rate=tidy(folded.candidate_rate),
        reference_wilson=None,
        candidate_wilson=None,
        table=None,
        difference=tidy(float(folded.difference.mean())),
        tost=tost_report(test, setting),
        cohens_h=None,
        h_cutoff=setting.h_cutoff,
        null_h_quantile=None,
        mcnemar_p=None,
        verdict=verdict,
        reasons=tuple(reasons),
        details=_details(endpoint, folded, setting),
    )


def _details(endpoint: EndpointEvidence, folded: Folded, setting: Setting) -> dict[str, object]:
    bootstrap = cluster_bootstrap(folded.difference, 1 - 2 * setting.alpha)
    d = cohens_d(folded.difference)
    return {
        **written(
            unmatched(endpoint),
            Invalid(
                reference=int(endpoint.reference_invalid.sum()),
                candidate=int(endpoint.candidate_invalid.sum()),
            ),
        ),
        "cohens_d": None if d is None else tidy(d),
        **written(
            Bootstrap(
                method=bootstrap.method, ci=tidy_interval(bootstrap.ci), replicates=bootstrap.replicates
            )
        ),
        **category_details(endpoint, setting.alpha),
    }
