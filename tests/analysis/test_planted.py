"""Planted tokens: an audit that could not see one shows nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tais.analysis.planted import plant_tokens
from tais.records import Message, Request, SampleKey, ScoreRequest, TokenScores
from tais.rundir.audits import audit_writer
from tais.verdict.evidence import PlantedTokens
from tais.verdict.planted import weigh_planted
from tais.verdict.report import Verdict

TOKENS = 8


def scores(arm: str, item: str, gap: float, miss: float = 0.0) -> TokenScores:
    """An answer whose runner-up lies `gap` below the best, and whose third token lies `miss` below it."""
    request = Request(SampleKey("mine", item, 0), (Message("user", item),), 0)
    given = np.full(TOKENS, 10.0, np.float32)
    given[2] -= miss
    top = np.tile(np.array([10.0, 10.0 - gap], np.float32), (TOKENS, 1))
    tokens = np.tile(np.array([5, 6], np.int32), (TOKENS, 1))
    return TokenScores(ScoreRequest(request, [5] * TOKENS, 0, arm), "", given, tokens, top)


def stored(folder: Path, *made: TokenScores) -> Path:
    folder.mkdir(exist_ok=True)
    writer = audit_writer(folder, lambda _: True)
    for one in made:
        writer.add(one)
    writer.flush()
    return folder


def test_runner_ups_beyond_the_band_are_flagged(tmp_path: Path) -> None:
    made = [scores("spec", f"far-{k}", 3.0) for k in range(7)] + [
        scores("spec", f"near-{k}", 0.4) for k in range(3)
    ]
    assert plant_tokens(stored(tmp_path, *made), "target", "spec", 0.5) == PlantedTokens(10, 7)


def test_the_references_own_answers_are_the_control_where_it_gave_any(tmp_path: Path) -> None:
    made = [scores("target", "a", 3.0), scores("spec", "a", 0.1), scores("spec", "b", 0.1)]
    assert plant_tokens(stored(tmp_path, *made), "target", "spec", 0.5) == PlantedTokens(1, 1)


def test_a_few_answers_given_for_this_purpose_are_not_the_only_controls(tmp_path: Path) -> None:
    made = [scores("@spec", "a", 0.1), scores("spec", "a", 3.0), scores("spec", "b", 3.0)]
    assert plant_tokens(stored(tmp_path, *made), "@spec", "spec", 0.5) == PlantedTokens(3, 2)


def test_answers_that_do_not_conform_are_no_control(tmp_path: Path) -> None:
    made = [scores("spec", "a", 3.0), scores("spec", "b", 3.0, miss=2.0)]
    assert plant_tokens(stored(tmp_path, *made), "target", "spec", 0.5).answers == 1


def drafted(folder: Path, count: int, choice: int) -> Path:
    """A draft that chooses the target's token 5 everywhere but at place 3, of so many answers."""
    made = []
    for k in range(count):
        one = scores("spec", f"{k}", 3.0)
        one.top_tokens[3, 0] = choice
        made.append(one)
    return stored(folder, *made)


@pytest.mark.parametrize(("near", "flagged"), [(0.1, 0), (3.0, 24)])
def test_the_drafts_choice_is_planted_where_it_is_another_token(
    near: float, flagged: int, tmp_path: Path
) -> None:
    """At a place of its own, the runner-up near or far; elsewhere it would be flagged anyway."""
    own = []
    for k in range(24):
        one = scores("spec", f"{k}", 3.0)
        one.top_scores[3, 1] = 10.0 - near
        own.append(one)
    folder, draft = stored(tmp_path / "own", *own), drafted(tmp_path / "draft", 24, 6)
    assert plant_tokens(folder, "target", "spec", 0.5, draft) == PlantedTokens(24, flagged, "draft")


def test_a_choice_that_the_stack_does_not_list_lies_at_least_as_far_as_the_last_listed(
    tmp_path: Path,
) -> None:
    folder = stored(tmp_path / "own", *(scores("spec", f"{k}", 3.0) for k in range(24)))
    draft = drafted(tmp_path / "draft", 24, 99)
    assert plant_tokens(folder, "target", "spec", 0.5, draft) == PlantedTokens(24, 24, "draft")


def test_with_few_choices_of_the_draft_the_runner_up_is_planted(tmp_path: Path) -> None:
    folder = stored(tmp_path / "own", *(scores("spec", f"{k}", 3.0) for k in range(24)))
    few = plant_tokens(folder, "target", "spec", 0.5, drafted(tmp_path / "few", 19, 6))
    alike = plant_tokens(folder, "target", "spec", 0.5, drafted(tmp_path / "alike", 24, 5))
    assert few == alike == PlantedTokens(24, 24)


@pytest.mark.parametrize(
    ("planted", "verdict", "code"),
    [
        (PlantedTokens(10, 9), Verdict.passed, "planted_tokens_flagged"),
        (PlantedTokens(100, 89), Verdict.inconclusive, "planted_tokens_missed"),
        (PlantedTokens(0, 0), Verdict.inconclusive, "planted_tokens_missed"),
        (None, Verdict.inconclusive, "planted_tokens_missed"),
    ],
)
def test_nine_in_ten_must_be_flagged(planted: PlantedTokens | None, verdict: Verdict, code: str) -> None:
    allowed, why = weigh_planted(planted)
    assert (allowed, why.code) == (verdict, code)
