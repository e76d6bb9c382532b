"""Sampled answers that stand alone pass only within a bound that the manifest sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tais.manifest.model import Rules
from tais.stats.conformance.conformance import Conformance
from tais.stats.simulation.conformance import draw, toy_pair
from tais.verdict.evidence import ConformanceEvidence, ContrastEvidence
from tais.verdict.report import Reason, Verdict
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
    (found,) = [w for w in weigh_law(one, Rules(max_leak=max_leak)) if w[1].code in codes]
    return found


def test_tokens_of_the_target_pass_below_the_bound_that_the_manifest_sets() -> None:
    allowed, why = bounded(alone())
    assert allowed is Verdict.passed
    assert 0 < why.values["bound"] < 0.1
    # 60 tokens an answer: the bound on answers is 60 times as large, and at most all of them.
    assert why.values["answers_bound"] == pytest.approx(min(1.0, 60 * why.values["bound"]), rel=1e-6)


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
