"""What the stated errors of a judge do to a verdict.

A judge that errs alike in both arms sees Youden's index J = sensitivity + specificity - 1 times the true
difference: it hides part of a loss. So the interval of the true difference decides beside the raw one, and
the worse verdict counts.
"""

from __future__ import annotations

from tais.stats.agreement import CorrectedRate, corrected_difference
from tais.stats.cluster_table import Folded
from tais.stats.proportions import Interval, as_interval
from tais.stats.regions import Setting
from tais.stats.tidy import points, tidy, tidy_interval
from tais.verdict.evidence import Accuracy, EndpointEvidence
from tais.verdict.reasons import note, reason
from tais.verdict.report import EndpointReport, Reason, Verdict

__all__ = ["note_assumed_youden", "weigh_judge_error"]


def weigh_judge_error(
    report: EndpointReport, endpoint: EndpointEvidence, folded: Folded, setting: Setting
) -> EndpointReport:
    """Return the report with the worse of its verdict and that of the corrected difference.

    Parameters
    ----------
    report
        Judged by what the judge said.
    endpoint, folded, setting
        Its rows, their clusters, and the rule. Without stated errors, for scores and on the scale of ratios
        the report stays as it is.
    """
    if endpoint.accuracy is None or endpoint.kind != "binary" or setting.ratio:
        return report
    corrected = _corrected(endpoint.accuracy, folded, setting)
    ci: Interval = (corrected.low, corrected.high)
    said = f"corrected for the judge's stated errors the difference is in [{points(ci[0])}, {points(ci[1])}]"
    values: dict[str, object] = {"estimate": tidy(corrected.estimate), "ci": tidy_interval(ci)}
    values["margin"] = setting.margin
    if setting.worse(ci) or setting.better(ci):
        if report.verdict is Verdict.failed:
            return report
        side = "worse" if setting.worse(ci) else "better"
        message = f"{side}: {said}, wholly beyond the margin of {points(setting.margin)}"
        why = reason("difference_outside_margin", message, side=side, **values)
        return _with(report, Verdict.failed, why)
    inside = ci[0] > -setting.margin and (setting.one_sided or ci[1] < setting.margin)
    if inside or report.verdict is not Verdict.passed:
        return report
    message = f"{said}, which crosses the margin of {points(setting.margin)}"
    return _with(report, Verdict.inconclusive, reason("judge_error_crosses_margin", message, **values))


def note_assumed_youden(
    report: EndpointReport, endpoint: EndpointEvidence, setting: Setting
) -> EndpointReport:
    """Say how well a scorer of which nothing is stated must judge for a pass to hold.

    Parameters
    ----------
    report
        A judged endpoint; any that does not pass stays as it is, and so do scores and the scale of ratios.
    endpoint, setting
        Its rows and rule.

    Notes
    -----
    A scorer that errs alike in both arms shows J times the true difference, so the true one lies in the
    interval over J. That keeps within the margin down to the J at which its far end reaches it.
    """
    stated = endpoint.accuracy is not None or endpoint.kind != "binary" or setting.ratio
    if report.verdict is not Verdict.passed or report.tost is None or stated:
        return report
    low, high = report.tost.ci
    far = max(-low, 0.0 if setting.one_sided else high, 0.0)
    least = far / setting.margin
    message = (
        f"nothing is stated of the errors of {endpoint.scorer}: a pass assumes that its sensitivity + "
        f"specificity - 1 (Youden's J) is above {least:.2g}, alike in both arms"
    )
    added = note("pass_assumes_youden", message, youden=least)
    return report.model_copy(update={"reasons": (*report.reasons, added)})


def _corrected(accuracy: Accuracy, folded: Folded, setting: Setting) -> CorrectedRate:
    ci = as_interval(setting.test_clusters(folded).ci)
    return corrected_difference(float(folded.difference.mean()), ci, *accuracy, 1 - 2 * setting.alpha)


def _with(report: EndpointReport, verdict: Verdict, why: Reason) -> EndpointReport:
    notes = tuple(r for r in report.reasons if r.severity == "note")
    return report.model_copy(update={"verdict": verdict, "reasons": (why, *notes)})
