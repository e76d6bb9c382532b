"""What the law of sampled tokens means for a contrast (T > 0).

A pure function of the evidence. Where the reference answered too, its tokens are the control: the law
comes from another pass than the one that drew them, and at large n that alone drifts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TypedDict

from tais.manifest.model import Rules
from tais.stats.conformance.conformance import ConformanceResult, ControlComparison
from tais.stats.conformance.score_tests import ScoreTest
from tais.stats.tidy import points, tidy, tidy_interval
from tais.verdict.details import written
from tais.verdict.details.audit import (
    AgainstControl,
    DraftLeak,
    EValue,
    LawTest,
    PlantedShare,
    SampledTokens,
    TokenLaw,
    Uniformity,
)
from tais.verdict.evidence import ConformanceEvidence, ContrastEvidence
from tais.verdict.honest_noise import HONEST_IMPOSSIBLE
from tais.verdict.leak_bound import weigh_leak_bound
from tais.verdict.other_law import explain_drift, other_law
from tais.verdict.planted import weigh_planted_leak
from tais.verdict.reasons import Weighed, note, reason
from tais.verdict.report import Reason, Verdict
from tais.verdict.token_family import TokenTests, telling_control

__all__ = ["law_details", "weigh_law"]

_NAMES = {"own": "refusal_onset"}
# Confidence of the leak's upper bound.
_CONFIDENCE = 0.95


def weigh_law(contrast: ContrastEvidence, rules: Rules, tests: TokenTests) -> Iterator[Weighed]:
    """Yield what the test of the law says, each with the best verdict that it leaves possible.

    Parameters
    ----------
    contrast, rules
        Evidence, and what it is held against.
    tests
        Its p-values, adjusted over all tests of tokens.
    """
    if contrast.greedy:
        return
    message = (
        "answers are sampled: no two are expected to be the same, and repeats of a prompt are one cluster"
    )
    yield Verdict.passed, note("sampled_answers", message)
    law = contrast.conformance
    if law is None:
        if contrast.lossless:
            message = "whether the tokens follow the target's law was not tested: audit: true does it"
            yield Verdict.passed, note("law_not_tested", message)
        if contrast.evidence == "teacher_forced":
            yield weigh_leak_bound(contrast, rules)
        return
    weighed = _verdict(contrast, law, rules, tests)
    yield weighed
    drifts = weighed[1].code in ("law_not_followed", "law_excludes_tokens")
    if drifts:
        yield Verdict.passed, explain_drift(law)
    if contrast.evidence == "teacher_forced":
        bounded = weigh_leak_bound(contrast, rules)
        yield bounded
        if bounded[0] is Verdict.passed:
            yield weigh_planted_leak(law.planted)
    # The draft's share takes the other tokens to follow the target's law.
    shared = not drifts or (law.why is not None and law.why.name == "draft" and law.why.fits)
    yield from ((Verdict.passed, found) for found in _notes(law, shared=shared))


def _verdict(
    contrast: ContrastEvidence, law: ConformanceEvidence, rules: Rules, tests: TokenTests
) -> Weighed:
    tested, p = law.candidate, 1.0 if tests.law is None else tests.law
    values: dict[str, object] = {"p": tidy(p), "tokens": tested.n, "impossible": tested.impossible}
    beyond = "the reference's own" if law.against is not None else "chance"
    if (excluded := _excluded(law, rules, tests.impossible)) is not None:
        fails, message = excluded
        if fails:
            return _fails(contrast, reason("law_excludes_tokens", message, **values))
        if not contrast.lossless:
            return Verdict.passed, note("law_excludes_some", message, **values)
        return Verdict.inconclusive, reason("law_excludes_some", message, **values)
    if p < rules.conformance_alpha:
        message = f"the tokens do not follow the target's law: they drift beyond {beyond} (p = {p:.2g})"
        return _fails(contrast, reason("law_not_followed", message, **values))
    message = f"{tested.n} tokens follow the target's law as far as they show (p = {p:.2g}, against {beyond})"
    return Verdict.passed, note("law_followed", message, **values)


def _excluded(law: ConformanceEvidence, rules: Rules, p: float | None) -> tuple[bool, str] | None:
    """Say whether impossible tokens fail, or only stand in the way; None where they are no more than noise.

    The law comes from another pass than the one that drew the tokens. In a coarse dtype that alone moves the
    edge of a cut, so a count is held against the reference's own tokens, else against what honest stacks of
    this dtype were measured to make, or shows nothing.
    """
    count = law.candidate.impossible
    said = f"{count} of {law.candidate.n + count} tokens are impossible under the target's law"
    if not count:
        return None
    own = 0 if law.control is None else law.control.n + law.control.impossible
    if p is None:
        few = f"with {own} tokens" if own else "without tokens"
        message = f"{said}; {few} of the reference's own nothing says how many {law.dtype} makes by itself"
        return False, message
    if p >= rules.conformance_alpha:
        return None
    if (control := telling_control(law)) is not None:
        return True, f"{said}, {control.impossible} of {own} of the reference's own (p = {p:.2g})"
    impossible, tokens = HONEST_IMPOSSIBLE[law.dtype]
    return True, f"{said}, {impossible} of {tokens} of honest stacks in {law.dtype} (p = {p:.2g})"


def _fails(contrast: ContrastEvidence, why: Reason) -> Weighed:
    if contrast.lossless:
        return Verdict.failed, why
    return Verdict.passed, why.model_copy(update={"severity": "note"})


def _notes(law: ConformanceEvidence, *, shared: bool) -> Iterator[Reason]:
    leak = law.candidate.leak
    if leak is not None and shared:
        small = f"; one of {points(leak.detectable)} would have shown" if leak.detectable else ""
        message = (
            f"the share of tokens that the draft drew is estimated at {points(leak.e)}, at most "
            f"{points(leak.upper)} ({_CONFIDENCE:.0%}){small}"
        )
        yield note("draft_leak", message, e=tidy(leak.e), upper=tidy(leak.upper))
    if law.left_out:
        message = (
            f"{law.left_out} tokens were left out: their law is not known, or they lie at the edge of a cut"
        )
        yield note("tokens_left_out", message, tokens=law.left_out)


def law_details(contrast: ContrastEvidence, rules: Rules, tests: TokenTests) -> dict[str, object]:
    """Return the figures of the test for the report; nothing where there was none."""
    law = contrast.conformance
    if law is None:
        return {}
    found = TokenLaw(
        p=_tidy(tests.law),
        alpha=rules.conformance_alpha,
        draft=law.draft,
        left_out=law.left_out,
        candidate=_sampled(law.candidate),
        control=_sampled(law.control) if law.control else None,
        planted=None if law.planted is None else PlantedShare(**asdict(law.planted)),
        against_control=None if law.against is None else _against(law.against),
        why=other_law(law.why),
    )
    return written(found)


def _against(found: ControlComparison) -> AgainstControl:
    return AgainstControl(
        tests=tuple(LawTest(name=_name(t.name), z=tidy(t.z), p=tidy(t.p)) for t in found.tests),
        leak_excess=_tidy(found.leak_excess),
        leak_excess_se=_tidy(found.leak_excess_se),
        leak_excess_p=_tidy(found.leak_excess_p),
    )


def _tidy(value: float | None) -> float | None:
    return None if value is None else tidy(value)


def _name(test: str) -> str:
    return _NAMES.get(test, test)


def _test(test: ScoreTest) -> LawTest:
    drift = tidy(test.mean_drift)
    return LawTest(name=_name(test.name), n=test.n, drift=drift, z=tidy(test.z), p=tidy(test.p))


def _sampled(result: ConformanceResult) -> SampledTokens:
    uniform = result.uniform
    return SampledTokens(
        tokens=result.n,
        impossible=result.impossible,
        samples=result.samples,
        prompts=result.clusters,
        tests=tuple(_test(t) for t in result.tests),
        uniform=Uniformity(
            ks=tidy(uniform.ks),
            ks_p=tidy(uniform.ks_p),
            chi2=tidy(uniform.chi2),
            chi2_p=_tidy(uniform.chi2_p),
        ),
        **_of_the_draft(result),
    )


class _OfTheDraft(TypedDict, total=False):
    leak: DraftLeak
    e_value: EValue


def _of_the_draft(result: ConformanceResult) -> _OfTheDraft:
    """Return what needs the draft's law; a key without a value is not written."""
    found = _OfTheDraft()
    if result.leak is not None:
        leak, clustered = result.leak, result.leak.ci_clustered
        found["leak"] = DraftLeak(
            e=tidy(leak.e),
            ci=tidy_interval(leak.ci),
            ci_clustered=tidy_interval(clustered) if clustered else None,
            upper=tidy(leak.upper),
            p=tidy(leak.lr_p),
            signed=tidy(leak.signed),
            detectable=_tidy(leak.detectable),
        )
    if result.e_value is not None:
        found["e_value"] = EValue(log_e=tidy(result.e_value.log_e), p=tidy(result.e_value.p))
    return found
