"""Sampled tokens: what bounds answers that stand alone, and what an impossible token says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tais.manifest.model import Rules
from tais.stats.conformance.conformance import Conformance, against_control
from tais.stats.simulation.conformance import draw, toy_pair
from tais.verdict.evidence import ConformanceEvidence, ContrastEvidence
from tais.verdict.honest_noise import HONEST_IMPOSSIBLE
from tais.verdict.report import Reason, Verdict
from tais.verdict.token_family import token_tests
from tais.verdict.token_law import weigh_law
from tests.stats.made import contrast


def alone(tokens: int = 6000, answers: int = 100, *, law: bool = True, **changes: Any) -> ContrastEvidence:
    """Draw tokens of the target's own law, a draft beside them, in so many answers."""
    laws = draw(toy_pair(), tokens, np.random.RandomState(0))
    answer = np.arange(tokens) // (tokens // answers)
    laws = replace(laws, cluster=answer, sample=np.zeros(tokens, np.int64))
    arm = Conformance(seed=0)
    arm.update(laws if law else replace(laws, draft_logprobs=None))
    found = ConformanceEvidence(arm.result(), None, None, 0, "sampled" if law else "none", **changes)
    return replace(
        contrast(),
        conformance=found,
        greedy=False,
        evidence="teacher_forced",
        tokens_per_answer=tokens / answers,
    )


def bounded(one: ContrastEvidence, max_leak: float | None = 0.1) -> tuple[Verdict, Reason]:
    codes = ("leak_within_bound", "leak_not_bounded")
    (found,) = [
        w for w in weigh_law(one, Rules(max_leak=max_leak), token_tests([one])[0]) if w[1].code in codes
    ]
    return found


def test_tokens_of_the_target_pass_below_the_bound_that_the_manifest_sets() -> None:
    allowed, why = bounded(alone())
    assert allowed is Verdict.passed
    bound = why.values["bound"]
    assert isinstance(bound, float)
    assert 0 < bound < 0.1
    # 60 tokens an answer: the bound on answers is 60 times as large, and at most all of them.
    assert why.values["answers_bound"] == pytest.approx(min(1.0, 60 * bound), rel=1e-6)


@pytest.mark.parametrize(
    ("one", "max_leak", "said"),
    [
        (alone(), None, "max_leak does not say"),
        (alone(), 0.001, "not below max_leak"),
        (alone(answers=40), 0.1, "too few"),
        (alone(law=False), 0.1, "a mean drift per token would have shown"),
        (replace(alone(), conformance=None), 0.1, "no token was held"),
        # As many answers again never came: half of all tokens may be anything.
        (alone(missing=100), 0.1, "not below max_leak"),
    ],
)
def test_otherwise_sampled_answers_alone_never_pass(
    one: ContrastEvidence, max_leak: float | None, said: str
) -> None:
    allowed, why = bounded(one, max_leak)
    assert allowed is Verdict.inconclusive
    assert said in why.message


def impossible(candidate: int, control: int | None, dtype: str = "bfloat16") -> tuple[Verdict, Reason] | None:
    """What so many impossible tokens say, of 10,000 tokens of each arm that follow the law otherwise."""
    arm = Conformance(seed=0)
    arm.update(draw(toy_pair(), 10_000, np.random.RandomState(1)))
    one, own = (replace(arm.result(), impossible=k or 0) for k in (candidate, control))
    if control is None:
        law = ConformanceEvidence(one, None, None, 0, "sampled", dtype=dtype)
    else:
        law = ConformanceEvidence(one, own, against_control(one, own), 0, "sampled", dtype=dtype)
    evidence = replace(contrast(lossless=True), conformance=law, greedy=False)
    found = [
        w
        for w in weigh_law(evidence, Rules(), token_tests([evidence])[0])
        if w[1].code.startswith("law_excludes")
    ]
    return found[0] if found else None


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (5, 2), (6, 0), (7, 0), (40, 20), (12, 20)])
def test_impossible_tokens_fail_only_beyond_those_of_the_reference(counts: tuple[int, int]) -> None:
    """Equal shares of tokens: the candidate's count is binomial(total, 1/2), by scipy's exact test."""
    from scipy.stats import binomtest

    total = sum(counts)
    p = binomtest(counts[0], total, 0.5, alternative="greater").pvalue if total else 1.0
    found = impossible(*counts)
    assert (found is not None) == (p < 0.01)
    assert found is None or found[0] is Verdict.failed


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 12, 100])
def test_without_a_control_they_fail_beyond_what_honest_stacks_make(count: int) -> None:
    """Binomial at the upper bound of the measured rate (a beta quantile), by scipy's exact test."""
    from scipy.stats import beta, binomtest

    honest, tokens = HONEST_IMPOSSIBLE["float32"]
    rate = beta.ppf(0.95, honest + 1, tokens - honest)
    p = binomtest(count, 10_000 + count, rate, alternative="greater").pvalue
    found = impossible(count, None, "float32")
    assert (found is not None) == (p < 0.01)
    assert found is None or found[0] is Verdict.failed


def test_one_of_many_says_nothing_a_thousandth_fails_and_an_unmeasured_dtype_blocks() -> None:
    assert impossible(1, None, "float32") is None
    failed, blocked = impossible(10, None, "float32"), impossible(1, None, "int3")
    assert failed is not None
    assert (failed[0], failed[1].code) == (Verdict.failed, "law_excludes_tokens")
    assert blocked is not None
    assert (blocked[0], blocked[1].code) == (Verdict.inconclusive, "law_excludes_some")
    assert impossible(0, None, "int3") is None


def test_a_control_of_a_few_tokens_clears_nothing() -> None:
    """500 tokens, none of them impossible, would hide 80 of 10,080: exact p (10,080 / 10,580)^80 = .02."""
    arm = Conformance(seed=0)
    arm.update(draw(toy_pair(), 10_000, np.random.RandomState(1)))
    few = Conformance(seed=0)
    few.update(draw(toy_pair(), 500, np.random.RandomState(2)))
    one, own = replace(arm.result(), impossible=80), replace(few.result(), impossible=0)
    law = ConformanceEvidence(one, own, against_control(one, own), 0, "sampled", dtype="int3")
    for lossless, verdict in ((True, Verdict.inconclusive), (False, Verdict.passed)):
        evidence = replace(contrast(lossless=lossless), conformance=law, greedy=False)
        said = [*weigh_law(evidence, Rules(), token_tests([evidence])[0])]
        (found,) = [one for one in said if one[1].code.startswith("law_excludes")]
        assert (found[0], found[1].code) == (verdict, "law_excludes_some")
