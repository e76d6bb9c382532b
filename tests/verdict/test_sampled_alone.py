"""Sampled answers that stand alone (`audit: only`, T > 0): they pass within a named bound, or not at all."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from tais.analysis.planted import PlantedLeaks
from tais.stats.conformance.conformance import Conformance
from tais.stats.conformance.laws import TokenLaws
from tais.verdict.evidence import ConformanceEvidence, PlantedLeak
from tais.verdict.planted import weigh_planted_leak
from tais.verdict.report import ContrastReport, Verdict
from tais.verdict.screen import decide
from tests.stats.made import contrast, screen

TARGET, DRAFT = (0.5, 0.3, 0.2), (0.1, 0.8, 0.1)
PER_PROMPT = 40


def laws(prompts: int, drawn: tuple[float, ...] = TARGET) -> TokenLaws:
    """Forty tokens of each prompt, all with the same two laws, drawn from a third."""
    n = prompts * PER_PROMPT
    given = np.random.RandomState(1).choice(3, n, p=drawn)
    prompt = np.repeat(np.arange(prompts), PER_PROMPT)
    listed, draft = (np.tile(np.log(law[:2]), (n, 1)) for law in (TARGET, DRAFT))
    return TokenLaws(listed, given, prompt, np.zeros(n, np.int64), draft)


@lru_cache
def alone(prompts: int = 100, *, draft: bool = True) -> ConformanceEvidence:
    conformance = Conformance(7)
    made = laws(prompts)
    conformance.update(made if draft else replace(made, draft_logprobs=None))
    return ConformanceEvidence(
        candidate=conformance.result(),
        control=None,
        against=None,
        left_out=0,
        draft="sampled" if draft else "none",
        planted=PlantedLeak(0.1, 20, 20),
    )


def judged(law: ConformanceEvidence | None, **rules: Any) -> ContrastReport:
    made = contrast(
        evidence="teacher_forced", greedy=False, conformance=law, tokens_per_answer=float(PER_PROMPT)
    )
    return decide(screen(made, **({"accept_evidence": ("teacher_forced",)} | rules))).contrasts[0]


def deciding(report: ContrastReport) -> list[str]:
    return [r.code for r in report.reasons if r.severity == "decides"]


def test_a_bound_within_the_named_share_passes_where_a_planted_share_would_not() -> None:
    report = judged(alone(), max_leak=0.1)
    assert report.verdict is Verdict.passed
    (bounded,) = [r for r in report.reasons if r.code == "leak_within_bound"]
    # 4,000 tokens; information per token of a mixture of these laws at 0: sum (q - p)^2 / p = 1.203, so one
    # standard error is 1 / sqrt(4000 * 1.203) = 0.0144 and the bound of an estimate near 0 about 0.024.
    assert 0.01 < float(str(bounded.values["bound"])) < 0.05


@pytest.mark.parametrize(
    ("law", "rules", "code"),
    [
        pytest.param(
            replace(alone(), planted=PlantedLeak(0.1, 20, 17)),
            {"max_leak": 0.1},
            "planted_tokens_missed",
            id="a planted leak would pass",
        ),
        pytest.param(
            replace(alone(), planted=None), {"max_leak": 0.1}, "planted_tokens_missed", id="none planted"
        ),
    ],
)
def test_what_bounds_nothing_is_inconclusive(
    law: ConformanceEvidence | None, rules: dict[str, Any], code: str
) -> None:
    report = judged(law, **rules)
    assert report.verdict is Verdict.inconclusive
    assert code in deciding(report)


def test_a_planted_share_is_seen_where_the_bound_is_sound() -> None:
    leaks = PlantedLeaks(0.1, seed=3)
    for prompt in range(100):
        whole = laws(100)
        rows = whole.cluster == prompt
        fields = ("listed_logprobs", "given", "cluster", "sample", "draft_logprobs")
        leaks.add(replace(whole, **{name: getattr(whole, name)[rows] for name in fields}))
    found = leaks.result()
    assert found == PlantedLeak(0.1, 20, 20)
    assert weigh_planted_leak(found)[0] is Verdict.passed


def test_a_planted_share_is_missed_where_the_answers_hide_it() -> None:
    """Tokens that avoid the draft's favourite: 30 % planted do not even bring it up to the target's share."""
    leaks = PlantedLeaks(0.3, seed=3)
    leaks.add(laws(100, drawn=(0.8, 0.0, 0.2)))
    assert leaks.result() == PlantedLeak(0.3, 20, 0)


def test_what_the_target_excludes_is_seen_in_any_trial() -> None:
    """Greedy drafts propose a token that a cut has taken out of the target's law."""
    n = 100
    cut = TokenLaws(
        np.tile([0.0, -np.inf], (n, 1)),
        np.zeros(n, np.int64),
        np.arange(n),
        np.zeros(n, np.int64),
        np.tile([-np.inf, 0.0], (n, 1)),
        np.full(n, -np.inf),
    )
    leaks = PlantedLeaks(0.2, seed=3)
    leaks.add(cut)
    assert leaks.result() == PlantedLeak(0.2, 20, 20)
