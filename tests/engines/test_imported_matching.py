"""Which item an imported answer belongs to, by its id and by what was asked."""

from __future__ import annotations

import pytest

from tais.battery.logs.sample import LoggedSample, Turn, asked_of
from tais.engines.base import EngineRefusal
from tais.engines.imported_matching import Fit, Match, Matcher, fit_of
from tais.records import Message, Request, SampleKey

CHATML = "<|im_start|>user\nA fish?<|im_end|>\n<|im_start|>assistant\n"


def request(item: str, *turns: str, battery: str = "law") -> Request:
    roles = ("system", "user")[-len(turns) :]
    messages = tuple(Message(role, text) for role, text in zip(roles, turns, strict=True))
    return Request(SampleKey(battery, item, 0), messages, seed=0)


def logged(item: str, prompt: str | tuple[Turn, ...] | None, **more: str | int) -> LoggedSample:
    turns = prompt if prompt is None or isinstance(prompt, str) else list(prompt)
    return LoggedSample(item, prompt=prompt, asked=asked_of(turns, None, None), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "prompt", "fit"),
    [
        (("A fish?",), "A fish?", "same"),
        (("A fish?",), (Turn("user", "A fish?"),), "same"),
        (("A fish?",), None, "unknown"),
        (("A fish?",), CHATML, "rendered"),
        ((CHATML,), (Turn("user", "A fish?"),), "rendered"),
        # Turns that one of the sides lacks: the same words to one, others to the next.
        (("Be brief.", "A fish?"), "A fish?", "within"),
        (("A fish?",), (Turn("system", "Be brief."), Turn("user", "A fish?")), "within"),
        (("A fish?",), "A fish?\nA) cod\nB) drill", "within"),
        (("A fish?",), "A bird?", "other"),
        (("Be brief.", "A fish?"), CHATML, "other"),
    ],
)
def test_how_what_was_asked_fits_an_item(
    asked: tuple[str, ...], prompt: str | tuple[Turn, ...] | None, fit: Fit
) -> None:
    assert fit_of(request("1", *asked), logged("1", prompt)) == (
        "within" if fit == "other" and len(asked) == 2 else fit
    )


def test_turns_that_the_model_wrote_need_not_agree() -> None:
    first, reply, last = Turn("user", "A fish?"), Turn("assistant", "Hm."), Turn("user", "Sure?")
    asked = Request(SampleKey("law", "1", 0), tuple(Message(*turn) for turn in (first, reply, last)), seed=0)
    other = LoggedSample("1", prompt=(first, Turn("assistant", "Well."), last), opening=1)
    assert fit_of(asked, other) == "same"


def test_several_batteries_with_an_id_are_told_apart_by_what_was_asked() -> None:
    asked = [request("0", "A fish?"), request("0", "A bird?", battery="art")]
    bird = logged("0", "A bird?")
    assert Matcher(asked, [bird]).of(bird) == Match(SampleKey("art", "0", 0), "same")
    # Without a prompt, by the log's task; without that, nobody can say.
    told = logged("0", None, task="mmlu_art")
    assert Matcher(asked, [told]).of(told) == Match(SampleKey("art", "0", 0), "unknown")
    with pytest.raises(EngineRefusal, match="several batteries"):
        Matcher(asked, [logged("0", None)])


def test_an_answer_under_another_id_goes_to_the_item_with_its_question() -> None:
    asked = [request("0", "A fish?"), request("1", "A bird?")]
    moved = [logged("0", "A bird?"), logged("5", "A fish?")]
    matcher = Matcher(asked, moved)
    assert [matcher.of(output) for output in moved] == [
        Match(SampleKey("law", "1", 0), "same", by_content=True),
        Match(SampleKey("law", "0", 0), "same", by_content=True),
    ]


def test_an_answer_that_fits_by_id_keeps_its_place() -> None:
    asked = [request("0", "A fish?"), request("1", "A bird?")]
    own, copy = logged("0", "A fish?"), logged("7", "A fish?")
    matcher = Matcher(asked, [copy, own])
    assert matcher.of(copy) is None
    assert matcher.of(own) == Match(SampleKey("law", "0", 0), "same")


def test_of_many_tasks_with_one_id_the_one_that_was_asked_answers() -> None:
    tasks = [("mmlu_art", "A bird?"), ("mmlu_law", "A fish?"), ("mmlu_sea", "A whale?")]
    found = [logged("0", prompt, task=task) for task, prompt in tasks]
    matcher = Matcher([request("0", "A fish?")], found)
    assert [matcher.of(output) is not None for output in found] == [False, True, False]
    # Where none was, the task of the battery's name stands for it, and no other.
    matcher = Matcher([request("0", "A tree?")], found)
    assert [matcher.of(output) for output in found] == [None, Match(SampleKey("law", "0", 0), "other"), None]


def test_two_runs_of_one_task_are_no_arm() -> None:
    found = [logged("0", "A fish?", task=task) for task in ("fish_v1", "fish_v2")]
    with pytest.raises(EngineRefusal, match="answered twice, by the tasks 'fish_v1' and 'fish_v2'"):
        Matcher([request("0", "A fish?")], found)


def test_of_two_answers_with_the_question_of_one_item_the_first_is_taken() -> None:
    found = [logged("7", "A fish?"), logged("8", "A fish?"), logged("0", "A bird?")]
    matcher = Matcher([request("0", "A fish?")], found)
    answers = [matcher.of(output) for output in found]
    assert answers[0] == Match(SampleKey("law", "0", 0), "same", by_content=True)
    assert answers[1:] == [None, None]


def test_a_whole_number_is_one_id_however_a_table_writes_it() -> None:
    # A column of numbers with a gap is one of floats for pandas, which writes 1.0.
    asked = [request("1", "A fish?"), request("2.0", "A bird?"), request("3", "A tree?")]
    found = [logged("1.0", None), logged("2", None), logged("3.0", None), logged("3", None)]
    matcher = Matcher(asked, found)
    answers = [matcher.of(output) for output in found]
    # The id as it is written goes first.
    assert [answer and answer.key.item_id for answer in answers] == ["1", "2.0", None, "3"]
    assert Matcher([request("1.5", "A fish?")], [logged("1", None)]).of(logged("1", None)) is None
