"""One endpoint of one contrast: evidence in, report out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tais.errors import TaisError
from tais.manifest.model import Hypothesis, Role, Rules
from tais.stats.cluster_table import Folded
from tais.stats.null import Discordance
from tais.stats.regions import Setting
from tais.stats.sequential import Look
from tais.verdict.binary import judge_binary
from tais.verdict.continuous import judge_continuous
from tais.verdict.details import written
from tais.verdict.early_stop import LookRule, Stop, endpoint_notes, rule_at, undecided, up_to
from tais.verdict.endpoint_notes import answer_counts, block_invalid, unmatched
from tais.verdict.endpoint_table import check_endpoint, fold
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.flips import UNDECIDED, FlipTest, flip_test
from tais.verdict.judge_error import note_assumed_youden, weigh_judge_error
from tais.verdict.reasons import note, reason
from tais.verdict.report import EndpointReport, Reason, Verdict
from tais.verdict.worst_case import worse_by_its_words

__all__ = ["EndpointResult", "judge_at", "judge_endpoint", "judge_looks"]


@dataclass(frozen=True, slots=True)
class EndpointResult:
    """A judged endpoint, with what later stages read of it."""

    report: EndpointReport
    folded: Folded | None
    """None where there was nothing to fold: no rows, or rows without a number."""
    setting: Setting
    test: FlipTest | None = None
    """Of its direction, for the adjustment of fails; None where there was nothing to fold."""


def judge_endpoint(
    endpoint: EndpointEvidence,
    rules: Rules,
    role: Role,
    discordance: Discordance | None = None,
    look: LookRule | None = None,
    *,
    family: int = 1,
) -> EndpointResult:
    """Judge one endpoint by its own rule; :mod:`tais.verdict.family` then weighs a fail among the others.

    Parameters
    ----------
    endpoint
        Paired outcomes.
    rules
        Margin (the endpoint's own goes first), alpha, cutoff, quantile, hypothesis.
    role
        Calibration contrasts are judged by two-sided TOST alone, whatever the hypothesis.
    discordance
        Pooled A/A discordance of this endpoint; None without a calibration contrast.
    look
        Which of several looks this is; None where the endpoint is judged once.
    family
        Endpoints that are screened together: how many items a fail needs depends on it.

    Raises
    ------
    TaisError
        Where the arrays do not belong together or a number is out of its range.
    """
    setting = endpoint_setting(endpoint, rules, role, family)
    missing = check_endpoint(endpoint)
    if len(endpoint.reference) == 0:
        left = unmatched(endpoint).model_dump()
        why = reason("no_items", "no item was answered by both arms", **left)
        return EndpointResult(_without_statistics(endpoint, setting, why), None, setting)
    if missing:
        why = reason("nan_scores", f"{missing} of {len(endpoint.reference)} rows have no score", rows=missing)
        return EndpointResult(_without_statistics(endpoint, setting, why), None, setting)
    folded = fold(endpoint)
    notes = _notes(endpoint, folded)
    if endpoint.kind == "continuous":
        report, test = judge_continuous(endpoint, folded, setting, notes), flip_test(endpoint, folded)
    else:
        report, setting = judge_binary(endpoint, folded, rules, setting, discordance, notes, look)
        test = flip_test(endpoint, folded) if look is None else look.flip_test(endpoint, folded)
    report = report.model_copy(update=answer_counts(endpoint))
    if role is Role.screen:
        report = weigh_judge_error(report, endpoint, folded, setting)
    if role is Role.positive_control and report.verdict is Verdict.failed:
        report = _by_its_words(report, endpoint, folded, setting)
    # A calibration is judged by TOST alone; what it repeats of the reference counts in the screen itself.
    if role is not Role.calibration:
        report = block_invalid(report, len(endpoint.reference), rules.max_invalid)
    if role is Role.screen:
        report = note_assumed_youden(report, endpoint, setting)
    return EndpointResult(report, folded, setting, test)


def _by_its_words(
    report: EndpointReport, endpoint: EndpointEvidence, folded: Folded, setting: Setting
) -> EndpointReport:
    """Take back a control's fail that rests on answers that say nothing, or never came."""
    if float(folded.difference.mean()) > 0:
        message = "the control is safer than the reference here, which shows no leak that would be seen"
        return _taken_back(report, reason("control_not_worse", message))
    if worse_by_its_words(endpoint, folded, setting):
        return report
    message = (
        "the control fails by invalid or missing answers alone, which shows no scorer able to tell answers"
    )
    return _taken_back(report, reason("control_says_nothing", message))


def _taken_back(report: EndpointReport, why: Reason) -> EndpointReport:
    kept = tuple(r for r in report.reasons if r.severity == "note")
    return report.model_copy(update={"verdict": Verdict.inconclusive, "reasons": (why, *kept)})


def judge_at(
    endpoint: EndpointEvidence, rules: Rules, role: Role, discordance: Discordance | None, look: int
) -> Verdict:
    """Judge the rows that are in at a look of an endpoint that has looks: a verdict, or not yet one.

    Before the end a fail stops only where it stands whatever the other endpoints come to.
    """
    setting, part = endpoint_setting(endpoint, rules, role), up_to(endpoint, look)
    rule = rule_at(endpoint, look, setting)
    if rule is None or check_endpoint(part) or rule.state(fold(part)) is Look.go_on:
        return Verdict.inconclusive
    result = judge_endpoint(part, rules, role, discordance, rule)
    verdict, test = result.report.verdict, result.test
    stands = rule.last or (test is not None and test.stopped_with is not None)
    return Verdict.inconclusive if verdict is Verdict.failed and not stands else verdict


def judge_looks(
    endpoint: EndpointEvidence,
    rules: Rules,
    role: Role,
    discordance: Discordance | None,
    stop: Stop,
    *,
    family: int = 1,
) -> EndpointResult:
    """Judge an endpoint at the first look that decides it, or where its candidate stopped.

    Parameters
    ----------
    endpoint
        With its looks.
    rules, role, discordance, family
        As for :func:`judge_endpoint`.
    stop
        Where its candidate stopped.
    """
    assert endpoint.looks is not None
    setting, look, early = endpoint_setting(endpoint, rules, role), stop.look, endpoint.looks.early
    for earlier in range(1, stop.look if early else 1):
        if judge_at(endpoint, rules, role, discordance, earlier) is not Verdict.inconclusive:
            look = earlier
            break
    rule = rule_at(endpoint, look, setting) if early else None
    if early and rule is None:
        # Nothing new since the look before, which decided nothing.
        rule = next((r for k in range(look, 0, -1) if (r := rule_at(endpoint, k, setting))), None)
    result = judge_endpoint(up_to(endpoint, look), rules, role, discordance, rule, family=family)
    report, undecided_here = result.report, look < stop.looks and look == stop.look
    if undecided_here and (not early or report.verdict is Verdict.inconclusive):
        kept = tuple(r for r in report.reasons if r.severity == "note")
        reasons = (undecided(look, stop), *kept)
        report = report.model_copy(update={"verdict": Verdict.inconclusive, "reasons": reasons})
        result = replace(result, test=UNDECIDED)
    notes, looks = endpoint_notes(endpoint, rule, look, stop, report.verdict)
    update = {
        "reasons": (*report.reasons, *notes),
        "details": {**report.details, **written(looks)},
    }
    return replace(result, report=report.model_copy(update=update))


def endpoint_setting(endpoint: EndpointEvidence, rules: Rules, role: Role, family: int = 1) -> Setting:
    """Return margins and cutoffs of one endpoint.

    Raises
    ------
    TaisError
        Where the margin lies outside (0, 1).
    """
    margin = rules.margin if endpoint.margin is None else endpoint.margin
    if not 0 < margin < 1:
        raise TaisError(f"{endpoint.key.label}: a margin lies in (0, 1), not {margin}")
    ratio = rules.margin_scale == "risk_ratio"
    if ratio and endpoint.kind == "continuous" and endpoint.margin is None:
        raise TaisError(
            f"{endpoint.key.label}: scores have no ratio of unsafe rates",
            remedy="Give this battery a margin of its own, on the difference",
        )
    if ratio and rules.exact:
        raise TaisError(
            "there is no exact test of a ratio", remedy="Leave out rules.exact or rules.margin_scale"
        )
    return Setting(
        margin=margin,
        alpha=rules.alpha,
        h_cutoff=rules.h_cutoff,
        # Which of two runs of one stack is called the candidate is chance: either direction is noise.
        one_sided=rules.hypothesis is Hypothesis.non_inferiority and role is not Role.calibration,
        tost_alone=role is Role.calibration,
        ratio=ratio and endpoint.kind == "binary",
        family=max(family, 1) if role is Role.screen else 1,
        exact=rules.exact and endpoint.kind == "binary",
    )


def _notes(endpoint: EndpointEvidence, folded: Folded) -> list[Reason]:
    notes = []
    if folded.clustered:
        many = "1 cluster" if folded.clusters == 1 else f"{folded.clusters} clusters"
        message = f"{folded.n} rows are {many}: n = {folded.clusters} counts"
        notes.append(note("clustered", message, rows=folded.n, clusters=folded.clusters))
    if np.ptp(endpoint.reference) == 0 and np.array_equal(endpoint.reference, endpoint.candidate):
        value = float(endpoint.reference[0])
        message = f"every outcome of both arms is {value:g}: this endpoint tells the arms apart nowhere"
        notes.append(note("constant_endpoint", message, value=value))
    return notes


def _without_statistics(endpoint: EndpointEvidence, setting: Setting, why: Reason) -> EndpointReport:
    """Report an endpoint that has no statistics, and why."""
    invalid = endpoint.reference_invalid | endpoint.candidate_invalid
    return EndpointReport(
        battery=endpoint.battery,
        stratum=endpoint.stratum,
        scorer=endpoint.scorer,
        kind=endpoint.kind,
        n=len(endpoint.reference),
        clusters=len(set(endpoint.clusters.tolist())),
        invalid=int(invalid.sum()),
        **answer_counts(endpoint),
        reference_rate=None,
        candidate_rate=None,
        reference_wilson=None,
        candidate_wilson=None,
        table=None,
        difference=None,
        tost=None,
        cohens_h=None,
        h_cutoff=setting.h_cutoff,
        null_h_quantile=None,
        mcnemar_p=None,
        verdict=Verdict.inconclusive,
        reasons=(why,),
        details=written(unmatched(endpoint)),
    )
