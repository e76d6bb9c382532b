"""One contrast: identity, treatment, findings and endpoints, and the verdict on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from tais.errors import TaisError
from tais.manifest.model import Rules
from tais.stats.proportions import wilson
from tais.stats.tidy import tidy, tidy_interval, tidy_values
from tais.verdict.audit import audit_details, weigh_audit
from tais.verdict.endpoint import EndpointResult
from tais.verdict.evidence import ContrastEvidence, Finding
from tais.verdict.reasons import Weighed, note, reason
from tais.verdict.report import (
    BatteryIdentityReport,
    ContrastReport,
    DivergenceReport,
    EndpointReport,
    IdentityReport,
    Reason,
    Verdict,
)
from tais.verdict.token_family import TokenTests
from tais.verdict.treatment import fold_treatment

__all__ = ["build_contrast", "finding_reason", "fold_identity", "worst"]

_RANK = {Verdict.passed: 0, Verdict.inconclusive: 1, Verdict.failed: 2}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Fail outranks inconclusive, which outranks pass; nothing at all is inconclusive."""
    return max(verdicts, key=_RANK.__getitem__, default=Verdict.inconclusive)


def build_contrast(
    contrast: ContrastEvidence,
    results: Sequence[EndpointResult],
    rules: Rules,
    more: Sequence[Reason] = (),
    details: dict[str, object] | None = None,
    *,
    tests: TokenTests,
) -> ContrastReport:
    """Judge a contrast by its worst endpoint and by what else stands in the way.

    Parameters
    ----------
    contrast
        Evidence.
    results
        Its judged endpoints, in the order of the evidence.
    rules
        Read for the kinds of evidence that may carry a pass.
    more
        Notes to add.
    details
        Further statistics by name.
    tests
        P-values of its tokens, adjusted over the screen.
    """
    treatment, weighed = fold_treatment(contrast, rules)
    weighed += _evidence(contrast, rules)
    weighed += [finding_reason(f, lossless=contrast.lossless) for f in contrast.findings]
    weighed += weigh_audit(contrast, rules, tests)
    if contrast.evidence == "matched":
        weighed += _endpoints([r.report for r in results])
    verdict = worst(v for v, _ in weighed)
    return ContrastReport(
        reference=contrast.reference,
        candidate=contrast.candidate,
        role=contrast.role,
        lossless=contrast.lossless,
        evidence=contrast.evidence,
        verdict=verdict,
        reasons=tuple(_explain(verdict, weighed)) + tuple(more),
        identity=fold_identity(contrast),
        treatment=treatment,
        endpoints=tuple(r.report for r in results),
        details={**(details or {}), **audit_details(contrast, rules, tests)},
    )


def _explain(verdict: Verdict, weighed: list[Weighed]) -> list[Reason]:
    """Return the reasons, the deciding ones first; "all endpoints pass" only explains a pass."""
    kept = [w for w in weighed if w[1].code != "all_endpoints_pass" or verdict is Verdict.passed]
    return [r for _, r in sorted(kept, key=lambda w: -_RANK[w[0]])]


def _endpoints(endpoints: list[EndpointReport]) -> list[Weighed]:
    if not endpoints:
        return [(Verdict.inconclusive, reason("no_endpoints", "no endpoint was scored in this contrast"))]
    weighed: list[Weighed] = []
    for e in endpoints:
        if e.verdict is not Verdict.passed:
            codes = [r.code for r in e.reasons if r.severity == "decides"]
            message = f"{e.key.name}: {e.verdict.value} ({', '.join(codes)})"
            code = "endpoint_failed" if e.verdict is Verdict.failed else "endpoint_inconclusive"
            weighed.append((e.verdict, reason(code, message, codes=codes, **e.key._asdict())))
    if not weighed:
        message = f"all {len(endpoints)} endpoints pass"
        weighed.append((Verdict.passed, reason("all_endpoints_pass", message, endpoints=len(endpoints))))
    return weighed


def _evidence(contrast: ContrastEvidence, rules: Rules) -> list[Weighed]:
    if contrast.evidence == "matched":
        return []
    if contrast.evidence in rules.accept_evidence:
        message = f"the evidence is {contrast.evidence}, which the rules accept"
        return [(Verdict.passed, note("evidence_accepted", message, evidence=contrast.evidence))]
    message = (
        f"the evidence is {contrast.evidence}: a pass needs matched outputs, or accept_evidence in the rules"
    )
    return [(Verdict.inconclusive, reason("evidence_not_accepted", message, evidence=contrast.evidence))]


def finding_reason(finding: Finding, *, lossless: bool = True) -> Weighed:
    """Weigh a finding: it fails, stands in the way of a pass, or is a note."""
    fails = finding.fails and (lossless or finding.code != "structural_divergence")
    allowed = Verdict.failed if fails else Verdict.inconclusive if finding.blocks_pass else Verdict.passed
    severity: Literal["decides", "note"] = "note" if allowed is Verdict.passed else "decides"
    values = tidy_values(finding.values)
    return allowed, Reason(code=finding.code, message=finding.message, values=values, severity=severity)


def fold_identity(contrast: ContrastEvidence) -> IdentityReport:
    """Sum the identity counts of the batteries; the rate is None where nothing was compared.

    Raises
    ------
    TaisError
        Where a count exceeds its n.
    """
    for x in contrast.identity:
        if not (0 <= x.identical <= x.n and 0 <= x.identical_text <= x.n):
            raise TaisError(f"{x.battery}: {x.identical} identical answers of {x.n} cannot be")
    n = sum(x.n for x in contrast.identity)
    identical = sum(x.identical for x in contrast.identity)
    return IdentityReport(
        n=n,
        identical=identical,
        rate=tidy(identical / n) if n else None,
        wilson=tidy_interval(wilson(identical, n)) if n else None,
        batteries=tuple(
            BatteryIdentityReport(
                battery=x.battery, n=x.n, identical=x.identical, identical_text=x.identical_text
            )
            for x in contrast.identity
        ),
        first_divergences=tuple(
            DivergenceReport(
                battery=x.battery,
                item_id=x.item_id,
                repeat=x.repeat,
                position=x.position,
                unit=x.unit,
                reference_token=x.reference_token,
                candidate_token=x.candidate_token,
                reference_margin=x.reference_margin,
                candidate_margin=x.candidate_margin,
                part=x.part,
            )
            for x in contrast.divergences
        ),
    )
