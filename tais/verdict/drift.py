"""Whether all misses of a candidate together are more than honest noise makes (`law_drift`, T = 0).

A pure function of the evidence. A drift fails a contrast that claims to be lossless where it stands among
all tests of tokens, and where even the lower bound of its size is beyond what honest stacks of this dtype
were measured to do against each other.
"""

from __future__ import annotations

from tais.manifest.model import Role, Rules
from tais.stats.drift import drift_test, rate_ratio_bound
from tais.stats.tidy import tidy
from tais.verdict.details.audit import Drift, DriftControl
from tais.verdict.drift_evidence import DriftEvidence
from tais.verdict.evidence import ContrastEvidence
from tais.verdict.honest_noise import HONEST_RATIOS
from tais.verdict.reasons import note, reason
from tais.verdict.report import Reason, Verdict

__all__ = ["drift_details", "drift_p", "weigh_drift"]


def drift_p(contrast: ContrastEvidence) -> tuple[float, float] | None:
    """Return the p-value of one contrast's drift and the least it can have; None without a complete audit."""
    drift = None if contrast.audit is None else contrast.audit.drift
    if drift is None:
        return None
    margins = drift.reference_margins, drift.candidate_margins
    found = drift_test(drift.reference_misses, drift.candidate_misses, *margins)
    return found.p, found.attainable


def weigh_drift(contrast: ContrastEvidence, p: float | None, rules: Rules) -> tuple[Verdict, Reason] | None:
    """Return what a drift says, with the best verdict that it leaves possible; None where there is none.

    Parameters
    ----------
    contrast
        Evidence.
    p
        Of its drift, adjusted over all tests of tokens.
    rules
        Read for `conformance_alpha`.
    """
    drift = None if contrast.audit is None else contrast.audit.drift
    if drift is None or p is None or p >= rules.conformance_alpha:
        return None
    bound, worst, usual = _bound(drift), drift.worst, HONEST_RATIOS.get(drift.dtype)
    said = (
        f"{drift.candidate.misses} of {drift.candidate.tokens} tokens are not the reference's best, against "
        f"{worst.misses.misses} of {worst.misses.tokens} of {worst.arm}'s (p = {p:.2g}), at least "
        f"{bound:.3g} times as often"
    )
    values: dict[str, object] = {"p": tidy(p), "ratio_bound": tidy(bound), "control": worst.arm}
    if usual is not None:
        values["honest_ratio"] = usual
    if not contrast.lossless or contrast.role is Role.calibration:
        return Verdict.passed, note("law_drift", said, **values)
    why = _untold(drift)
    if why is None and usual is not None and bound > usual:
        message = f"law drift: {said}; honest stacks in {drift.dtype} reach {usual:.3g} times"
        return Verdict.failed, reason("law_drift", message, **values)
    if why is None:
        why = f"honest stacks in {drift.dtype} reach {usual:.3g} times"
    return Verdict.inconclusive, reason(
        "law_drift_suspect", f"law drift is suspected: {said}; {why}", **values
    )


def _bound(drift: DriftEvidence) -> float:
    return rate_ratio_bound(drift.candidate, drift.worst.misses)


def _untold(drift: DriftEvidence) -> str | None:
    """Say why nothing tells a drift from rounding; None where something does."""
    if drift.candidate_dtype != drift.dtype:
        return f"no control computes in {drift.candidate_dtype}, as the candidate does"
    if drift.dtype not in HONEST_RATIOS:
        return f"what honest stacks do in {drift.dtype} was not measured"
    if not any(control.shape.covers(drift.shape) for control in drift.controls):
        return f"no control computes {drift.shape.rows} tokens of an answer at once, as the candidate does"
    return None


def drift_details(drift: DriftEvidence | None, p: float | None) -> Drift | None:
    """Return the figures for the report."""
    if drift is None or p is None:
        return None
    controls = [
        DriftControl(
            arm=c.arm,
            tokens=c.misses.tokens,
            misses=c.misses.misses,
            covers=c.shape.covers(drift.shape),
        )
        for c in drift.controls
    ]
    return Drift(
        p=tidy(p),
        ratio_bound=tidy(_bound(drift)),
        honest_ratio=HONEST_RATIOS.get(drift.dtype),
        rows=drift.shape.rows,
        controls=tuple(controls),
    )
