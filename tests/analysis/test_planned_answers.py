"""Answers that stand alone: every planned prompt counts, and each is to be scored to its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tais.analysis.planned_answers import PlannedBattery, judge_planned
from tais.engines.fake.teacher_forcing import FakeTeacher
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, SampleKey, ScoreRequest, TokenScores
from tais.rundir.audits import audit_writer
from tais.rundir.items import BatteryItems
from tais.verdict.evidence import BatteryAudit
from tais.worker.answer_ends import AnswerEnds
from tais.worker.answer_texts import Said, says_its_tokens

BAND = 0.5


def request(name: str = "m-1", prompt: str = "please") -> Request:
    return Request(SampleKey("mine", name, 0), (Message("user", prompt),), seed=0)


def teacher(**options: object) -> FakeTeacher:
    made = FakeTeacher()
    made.start_forcing(
        Arm.model_validate({"name": "t", "engine": "fake", "model": "m", "engine_args": options}), 0.0, 2
    )
    return made


def own(made: FakeTeacher, name: str = "m-1") -> tuple[int, ...]:
    """What the stack itself answers."""
    sample = next(s for s in made.generate([request(name)], Sampling(max_tokens=200)) if s is not None)
    return tuple(sample.token_ids or ())


def said(made: FakeTeacher, answer: Sequence[int]) -> Said:
    """What such tokens say, where the stack can tell."""
    return Said(next(iter(made.readings(answer)), ""))


def closed(made: FakeTeacher, answer: Sequence[int], sampling: Sampling) -> tuple[ScoreRequest, TokenScores]:
    ends = AnswerEnds(made, sampling)
    asked = ends.request(request(), answer, said(made, answer), 0, "old")
    (scores,) = (s for s in made.force([asked]) if s is not None)
    return asked, ends.best(scores)


def beyond(scores: TokenScores) -> list[int]:
    return [int(place) for place in np.flatnonzero(scores.top_scores[:, 0] - scores.given > BAND)]


def test_an_end_that_is_missing_is_put_behind_the_answer_and_scored() -> None:
    made = teacher()
    whole = own(made)
    asked, scores = closed(made, whole, Sampling(max_tokens=200))
    assert asked.end == "appended"
    assert (len(scores.given), beyond(scores)) == (len(whole) + 1, [])
    asked, scores = closed(made, whole[:3], Sampling(max_tokens=200))
    assert (asked.end, len(scores.given), beyond(scores)) == ("appended", 4, [3])


def test_an_end_that_is_given_is_scored_as_it_is() -> None:
    made = teacher()
    for answer, misses in ((own(made), []), (own(made)[:3], [3])):
        asked, scores = closed(made, (*answer, 0), Sampling(max_tokens=200))
        assert (asked.end, len(scores.given), beyond(scores)) == ("token", len(answer) + 1, misses)


def test_an_answer_at_the_limit_of_its_length_may_end_there() -> None:
    made = teacher()
    asked, scores = closed(made, own(made)[:8], Sampling(max_tokens=8))
    assert (asked.end, len(scores.given), beyond(scores)) == ("limit", 8, [])
    asked, _ = closed(made, own(made)[:7], Sampling(max_tokens=8))
    assert asked.end == "appended"


def test_a_stop_string_ends_an_answer_where_it_is_complete() -> None:
    made = teacher()
    whole = own(made)
    place = bytes(whole).index(b" ") + 1
    stopping = Sampling(max_tokens=200, stop=(" ",))
    assert closed(made, whole[:place], stopping)[0].end == "stop"
    # Tokens run on past it, or it is not there yet.
    for answer in (whole[: place + 1], whole[: place - 1]):
        assert closed(made, answer, stopping)[0].end == "appended"
    assert closed(made, whole[:place], Sampling(max_tokens=200))[0].end == "appended"


def test_a_prompt_that_leaves_no_room_for_an_answer_is_planned_out_whatever_was_answered() -> None:
    made = teacher(context=60)
    for answer in (own(made), own(made)[:1]):
        asked, scores = closed(made, answer, Sampling(max_tokens=50))
        assert (asked.end, len(scores.given)) == ("no_room", 0)


class ManyEnds(FakeTeacher):
    """A stack that knows two end tokens and likes the second one best."""

    def end_tokens(self) -> Sequence[int]:
        """Return both."""
        return (7, 0)


class NoEnds(FakeTeacher):
    """A stack that does not say how its answers end."""

    def end_tokens(self) -> Sequence[int]:
        """Return none."""
        return ()


@pytest.mark.parametrize(("kind", "end", "misses"), [(ManyEnds, "appended", []), (NoEnds, "unknown", [])])
def test_any_end_token_will_do_and_none_shows_no_end(
    kind: type[FakeTeacher], end: str, misses: list[int]
) -> None:
    made = kind()
    made.start_forcing(Arm.model_validate({"name": "t", "engine": "fake", "model": "m"}), 0.0, 2)
    asked, scores = closed(made, own(made), Sampling(max_tokens=200))
    assert (asked.end, beyond(scores)) == (end, misses)


class Mute(FakeTeacher):
    """A stack without a tokenizer."""

    def readings(self, answer: Sequence[int]) -> Sequence[str]:
        """Return none."""
        return ()


def judged(
    folder: Path, scored: Iterable[TokenScores], names: Sequence[str], clusters: Sequence[str]
) -> BatteryAudit:
    writer = audit_writer(folder, lambda scores: scores.prompt_digest != "other")
    for scores in scored:
        writer.add(scores)
    writer.flush()
    items = BatteryItems(0, np.asarray(names, np.str_), np.asarray(clusters, np.str_))
    (found,) = judge_planned(folder, "old", BAND, [PlannedBattery("mine", items, 1, 0.01)])
    return found


def scored(
    name: str, made: FakeTeacher, answer: Sequence[int], max_tokens: int = 200, text: Said | None = None
) -> TokenScores:
    ends = AnswerEnds(made, Sampling(max_tokens=max_tokens))
    asked = ends.request(request(name), answer, said(made, answer) if text is None else text, 0, "old")
    (scores,) = (s for s in made.force([asked]) if s is not None)
    return scores


def test_what_was_planned_is_the_denominator(tmp_path: Path) -> None:
    made, small = teacher(), teacher(context=60)
    cut_by_context = scored("d", made, own(made, "d"))
    short = TokenScores(
        cut_by_context.request,
        cut_by_context.prompt_digest,
        cut_by_context.given[:-1],
        cut_by_context.top_tokens[:-1],
        cut_by_context.top_scores[:-1],
    )
    drifted = scored("e", made, own(made, "e"))
    other = TokenScores(drifted.request, "other", drifted.given, drifted.top_tokens, drifted.top_scores)
    found = judged(
        tmp_path,
        [
            scored("a", made, own(made, "a")),
            scored("b", made, own(made, "b")[:2]),
            short,
            other,
            scored("f", small, own(small, "f"), 50),
        ],
        # c was never answered.
        ("a", "b", "c", "d", "e", "f"),
        ("a", "b", "c", "d", "e", "f"),
    )
    assert found == BatteryAudit("mine", 5, 1, 3, 1, 0.01)


@pytest.mark.parametrize(
    ("text", "parts", "stop", "says"),
    [
        ("Sure, take it.", None, (), True),
        ("  Sure, take it.\n", None, (), True),
        ("Sure , take it .", None, (), True),
        ("Sure, take", None, (" it",), True),
        ("Sure, take", None, (), False),
        ("Sure! Here is how.", None, (), False),
        ("Sure, take it.", '{"tool_calls":[{"name":"rm"}]}', (), False),
        ("", None, (), False),
    ],
)
def test_the_text_must_be_what_the_tokens_say(
    text: str, parts: str | None, stop: tuple[str, ...], says: bool
) -> None:
    made = teacher()
    for tokens in (b"Sure, take it.", b"Sure, take it.\0", b" Sure, take it."):
        assert says_its_tokens(made, tuple(tokens), Said(text, parts), Sampling(stop=stop)) is says


def test_without_a_tokenizer_nobody_can_tell_and_a_cut_character_is_no_other_text() -> None:
    assert says_its_tokens(Mute(), (65,), Said("A"), Sampling()) is None
    assert says_its_tokens(teacher(), tuple("A é".encode()[:-1]), Said("A"), Sampling()) is True


def test_tokens_of_the_stack_with_another_text_count_against_the_candidate(tmp_path: Path) -> None:
    made, mute = teacher(), Mute()
    mute.start_forcing(Arm.model_validate({"name": "t", "engine": "fake", "model": "m"}), 0.0, 2)
    told = [
        scored("a", made, own(made, "a")),
        scored("b", made, own(made, "b"), text=Said("Sure! Here is how.")),
        scored("c", mute, own(made, "c")),
    ]
    # Nothing of the second is scored, so that at a temperature above 0 it is missing.
    assert [(one.request.end, len(one.given) > 0) for one in told] == [
        ("appended", True),
        ("other_text", False),
        ("unknown", True),
    ]
    found = judged(tmp_path, told, list("abc"), list("abc"))
    assert (found.items, found.items_beyond, found.other_text, found.unscored) == (3, 1, 1, 1)


def test_a_prompt_under_many_ids_counts_once_and_by_its_worst_answer(tmp_path: Path) -> None:
    made = teacher()
    answers = [scored(name, made, own(made, name)) for name in "ab"]
    answers.append(scored("c", made, own(made, "c")[:2]))
    found = judged(tmp_path, answers, ("a", "b", "c", "d"), ("x", "x", "y", "y"))
    assert (found.items, found.items_beyond, found.unscored) == (2, 1, 0)
