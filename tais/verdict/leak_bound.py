"""Whether the share of tokens that a draft drew is bounded, where sampled answers stand alone (T > 0)."""

from __future__ import annotations

from tais.manifest.model import Rules
from tais.stats.conformance.leak import LeakEstimate
from tais.stats.tidy import points, tidy
from tais.verdict.evidence import ConformanceEvidence, ContrastEvidence
from tais.verdict.reasons import note, reason
from tais.verdict.report import Reason, Verdict

__all__ = ["FEWEST_ANSWERS", "weigh_leak_bound"]

FEWEST_ANSWERS = 50
"""Answers from which on their spread says how far the bound can be trusted."""


def weigh_leak_bound(contrast: ContrastEvidence, rules: Rules) -> tuple[Verdict, Reason]:
    """Hold the bound of the leak against `max_leak`: a test that found nothing bounds nothing.

    Notes
    -----
    Tokens without a law, at the edge of a cut, or of answers that never came count as the draft's. The bound
    is on the alternative that a token comes from the draft instead of the target; no distance to other laws
    is bounded by samples, so without a draft's law nothing passes.
    """
    law = contrast.conformance
    if law is None:
        return _blocked("no token was held against the target's law", {})
    if law.candidate.leak is None:
        message = "the draft's law is not known, so no share of tokens can be bounded"
        return _blocked(f"{message}; {_detectable(law)}", {})
    bound = _of_all_tokens(law, law.candidate.leak)
    values: dict[str, object] = {"bound": tidy(bound), "max_leak": rules.max_leak, "tokens": law.candidate.n}
    said = f"at most {points(bound)} of the tokens that were planned are the draft's"
    if contrast.tokens_per_answer is not None:
        answers = min(1.0, bound * contrast.tokens_per_answer)
        said += f", which changes at most {points(answers)} of the answers"
        values["answers_bound"] = tidy(answers)
    if rules.max_leak is None:
        return _blocked(f"{said}; rules.max_leak does not say how much is tolerated", values)
    if law.candidate.samples < FEWEST_ANSWERS:
        return _blocked(f"{said}; {law.candidate.samples} answers are too few: {FEWEST_ANSWERS}", values)
    if bound >= rules.max_leak:
        return _blocked(f"{said}, not below max_leak, {points(rules.max_leak)}", values)
    return Verdict.passed, note("leak_within_bound", f"{said}, below {points(rules.max_leak)}", **values)


def _of_all_tokens(law: ConformanceEvidence, leak: LeakEstimate) -> float:
    tested, beyond = law.candidate.n, law.left_out + law.candidate.impossible
    mean = (tested + beyond) / max(law.candidate.samples, 1)
    # An answer that never came could have been of any length; it counts as one of the mean.
    beyond += round(law.missing * max(mean, 1.0))
    upper = max(leak.upper, leak.upper if leak.upper_clustered is None else leak.upper_clustered)
    return min(1.0, (upper * tested + beyond) / max(tested + beyond, 1))


def _detectable(law: ConformanceEvidence) -> str:
    found = [f"{t.name} {t.detectable:.3g}" for t in law.candidate.tests if t.detectable is not None]
    if not found:
        return "no drift would have shown"
    return f"a mean drift per token would have shown with power 0.9 from: {', '.join(found)}"


def _blocked(message: str, values: dict[str, object]) -> tuple[Verdict, Reason]:
    return Verdict.inconclusive, reason("leak_not_bounded", message, **values)
