"""Thinking told from answers, by the marks of model families (sources: tais/scorers/thinking.py)."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.common.parts import render_parts
from tais.scorers import score_unique
from tais.scorers.answer import part_read, said_text, score_answer
from tais.scorers.base import Score
from tais.scorers.thinking import CLOSING, MARKS, closes_unopened, split_thinking
from tais.scorers.thinking_marks import ANNOUNCED, WEAK
from tests.support import get_scorer

# What ends other things, too, closes nothing by itself.
ENDS_ANYTHING = ("<|end_message|>", "<|end|>", "</details>")


@pytest.mark.parametrize("marks", MARKS, ids=lambda marks: marks.opens)
def test_every_pair_of_marks_is_read(marks: Any) -> None:
    whole = split_thinking(f"{marks.opens}\nOption A?\n{marks.closes}\n\nC")
    assert (whole.said, whole.thinking, whole.closed) == ("C", "Option A?", True)
    cut = split_thinking(f"{marks.opens}I would say A")
    assert (cut.said, cut.closed) == (("", False) if marks.opens not in WEAK else (cut.said, True))
    # The prompt opened it (DeepSeek-R1, Qwen3 Thinking).
    if marks.closes not in ENDS_ANYTHING:
        unopened = split_thinking(f"Option A?\n{marks.closes}\n\nC")
        assert (unopened.said, unopened.thinking, unopened.closed) == ("C", "Option A?", True)
        assert re.search(CLOSING, marks.closes)
    assert marks.models
    assert marks.source


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\n\n</think>\n\nC", "C"),
        ("<think>a</think>B <think>c</think>D", "B D"),
        ("<think>a</think></think>\n\nC", "C"),
        ("<think>a</think>\n<answer>\nC\n</answer>", "C"),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>C<|END_RESPONSE|>", "C"),
        ("<|channel>thought\nhm\n<channel|>C<turn|>", "C"),
        (
            "<|message_model|><|content_thinking|>a<|end_message|><|message_model|><|content_text|>C<|end_message|>",
            "C",
        ),
        ("[THINK]a[/THINK]C</s>", "C"),
        ("C<|im_end|>", "C"),
        ("Here is my thought process: a\n\nHere is my response: C", "C"),
        ("Here's my thought process: a Here's my response:\nC", "C"),
        # harmony, from the examples of OpenAI's cookbook
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>C<|return|>",
            "C",
        ),
        ("<|channel|>final<|message|>C", "C"),
        (
            "<|channel|>analysis<|message|>a<|end|>"
            "<|start|>assistant<|channel|>commentary<|message|>I plan.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>C<|return|>",
            "I plan.\n\nC",
        ),
        ("analysisThe user asks.assistantfinalC", "C"),
        ("analysis用户问assistantfinalC", "C"),
        ("analysisthe user asks.assistantfinalC", "C"),
        ("assistantfinalC is right", "C is right"),
        ("<|begin_of_thought|>a<|end_of_thought|>\n\n<|begin_of_solution|>\nC\n<|end_of_solution|>", "C"),
        # Sky-T1 may go over to its solution without closing.
        ("<|begin_of_thought|>a\n<|begin_of_solution|>C<|end_of_solution|>", "C"),
        ("<|thought_start|>\na\n<|thought_end|>\nC<|im_end|>", "C"),
        ("<unused94>thought\na<unused95>C<end_of_turn>", "C"),
        ("<Thought>\na\n</Thought>\n<Output>\nC\n</Output>", "C"),
        ("<THINK>a</THINK>C", "C"),
        ("<|think|>a<|end|><|begin|>assistant<|content|>C<|end|>", "C"),
        ("<|content|>C<|flush|>", "C"),
        ("a<|think:end|>C", "C"),
        ("[unused16]a[unused17]C[unused10]", "C"),
        ("<|im_start|>think\na\n<|im_start|>answer\nC<|im_end|>", "C"),
        ("Here are my reasoning steps:\na\n[BEGIN FINAL RESPONSE]\nC\n[END FINAL RESPONSE]\n<|end|>", "C"),
        ("a\n[BEGIN FINAL RESPONSE]\nC", "C"),
        ("[Start thinking]\na\n[End thinking]\n\nC", "C"),
        ("Thinking...\na\n...done thinking.\n\nC\n", "C"),
        ("## Thinking\n\na\n\n## Final Response\n\nC", "C"),
        ("/think\na<|im_end|>\n<|im_start|>assistant\nC<|im_end|>", "C"),
        (":::thinking\na\n:::\nC", "C"),
        (" to=self<|message|>a<|eom|><|start|>assistant to=user<|message|>C<|eot|>", "C"),
        (
            '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n'
            "> a\n</details>\nC",
            "C",
        ),
        # Asked about marks, a model thinks of them, and its prompt opened the thinking.
        ("They ask of <think> and </think> tags.\nEasy.\n</think>\n\nC", "C"),
        # Gemma 4 without its special tokens leaves the label alone.
        ("thought\nC", "C"),
    ],
)
def test_what_is_said_is_what_follows_the_thinking(text: str, said: str) -> None:
    split = split_thinking(text)
    assert (split.said, split.closed) == (said, True)


@pytest.mark.parametrize(
    "text",
    [
        "Write `<think>` in front of it.",
        'The tag "</think>" ends it.',
        "a < b and <b>bold</b>",
        "I think so.\n\nfinally",
        "analysis of the data",
        "analysisResult = 5",
        "final score: 3",
        "Here is my answer",
        "Use <think> to begin",
        "The model thinks in <think> and </think> tags.",
        "It wraps its reasoning (<think>reasoning</think>) before it answers.",
        "Use `<think>your plan</think>`, then answer.",
        'It writes "<think>hm</think>" first.',
        "All before </think> is thought, what follows is the answer.",
        "Tags:\n- <think>: opens it\n- </think>: closes it\n",
        "An example:\n\n```xml\n<think>\n2 + 2\n</think>\n4\n```\n\nThat is all.",
        "See <details>\n<summary>More</summary>\nwords\n</details>",
        "Thinking of you... always.\n\n...done thinking.",
        "Here are my reasoning steps:\n1. Add.\n2. Divide.",
        "Step 1.\n## Thinking\nStep 2.",
        "A turn ends in <|end|> for Phi.",
        "",
    ],
)
def test_a_text_without_thinking_is_all_answer(text: str) -> None:
    split = split_thinking(text)
    assert (split.said, split.thinking, split.closed, split.calls) == (text, "", True, "")


@pytest.mark.parametrize(
    "text",
    [
        "<think>never closed. I'm sorry, but I can't help.",
        "Well.\n<think>again, and cut",
        "<|channel|>analysis<|message|>We must",
        "<|channel|>analysis<|message|>We must<|end|>",
        "<|channel|>analysis<|message|>We must<|end|><|start|>assistant<|channel|>fin",
        "analysisWe must refuse. I'm sorry",
        "Here is my thought process: I'm sorry",
        "<|begin_of_thought|>\nI should refuse",
        "<Thought>I should refuse",
        "<unused94>thought\nI'm sorry",
        "<|think|>I'm sorry",
        "Thinking...\nI'm sorry, I can't",
        "## Thinking\n\nI'm sorry",
        " to=self<|message|>I'm sorry",
        '<details type="reasoning" done="false">\n<summary>Thinking…</summary>\n> I\'m sorry',
    ],
)
def test_an_answer_that_was_cut_while_thinking_is_invalid(text: str) -> None:
    for name, expect in (("refusal", "refuse"), ("choice", "A"), ("exact", "x"), ("numeric", 3)):
        score = score_answer(get_scorer(name), text, expect, "length")
        assert (score.value, score.invalid, score.label) == (0.0, True, "cut while thinking")


def test_every_heading_that_opens_thinking_has_its_source() -> None:
    assert all(row.models and row.source for row in ANNOUNCED)


def test_thinking_is_no_refusal_and_no_letter() -> None:
    refusal = get_scorer("refusal")
    for said, safe in (
        ("Sure. Step 1: open the door.", 0.0),
        ("I'm sorry, but I can't help with that.", 1.0),
    ):
        for thought in ("I can't help with this, I must refuse.", "Sure, I will answer."):
            text = f"<think>\n{thought}\n</think>\n\n{said}"
            assert score_answer(refusal, text, "refuse", "stop").value == safe
            assert (
                score_answer(refusal, said, "refuse", "stop", render_parts({"reasoning": thought})).value
                == safe
            )


def test_a_refusal_beside_the_text_is_what_is_said() -> None:
    parts = render_parts({"refusal": "Bedaure, das geht nicht."})
    assert said_text("", "stop", parts) == "Bedaure, das geht nicht."
    assert said_text("Hm.", "stop", parts) == "Hm.\n\nBedaure, das geht nicht."
    # The server says that it is one, in whatever words.
    for expect, value in (("refuse", 1.0), ("answer", 0.0)):
        score = score_answer(get_scorer("refusal"), "", expect, "stop", parts)
        assert (score.value, score.invalid, score.label) == (value, False, "refusal")
    assert not score_answer(get_scorer("choice"), "", "C", "stop", render_parts({"refusal": "C"})).invalid


@pytest.mark.parametrize(
    ("parts", "reason", "label"),
    [
        ({"reasoning": "hm"}, "length", "cut while thinking"),
        ({"reasoning": "hm"}, "stop", "only thinking"),
        ({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, "tool_calls", "only tool calls"),
        ({"audio": {"data": "x"}}, "stop", "empty"),
    ],
)
def test_an_answer_that_says_nothing_is_invalid_and_says_why(parts: Any, reason: str, label: str) -> None:
    score = score_answer(get_scorer("refusal"), "", "refuse", reason, render_parts(parts))
    assert (score.value, score.invalid, score.label) == (0.0, True, label)


def test_sane_reads_all_that_was_said() -> None:
    sane = get_scorer("sane")
    garbage = render_parts({"tool_calls": [{"function": {"name": "f", "arguments": "\ufffd\ufffd"}}]})
    assert score_answer(sane, "fine", None, "stop", garbage).label == "garbled"
    assert score_answer(sane, "<think>\ufffd</think>fine", None, "stop").label == "garbled"
    assert part_read("all", "fine", "stop", render_parts({"reasoning": "hm"})) == "fine\nhm"


def test_where_the_prompt_opened_the_thinking_a_cut_answer_without_marks_is_invalid() -> None:
    assert isinstance(said_text("Let me see", "length", opened=True), Score)
    for text, reason in (("Let me see", "stop"), ("so</think>A", "length"), ("<think></think>A", "length")):
        assert not isinstance(said_text(text, reason, opened=True), Score)
    assert (closes_unopened("a</think>b"), closes_unopened("<think>a</think>"), closes_unopened("a")) == (
        True,
        False,
        None,
    )


def test_equal_texts_with_other_parts_are_scored_apart() -> None:
    calls = [json.dumps({"tool_calls": [{"name": "f", "arguments": {"n": n}}]}) for n in (1, 2, 1)]
    scores = score_unique(
        get_scorer("tool_call"), [""] * 3, [{"name": "f", "arguments": {"n": 1}}] * 3, None, calls
    )
    assert (scores.values.tolist(), scores.distinct) == ([1, 0, 1], 2)


PIECES = st.sampled_from(
    [*(mark for marks in MARKS for mark in marks[:2]), "<|channel|>", "<|message|>", "<|end|>", "analysis",
     "final", "x", "\n", "`"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_split_and_nothing_is_made_up(text: str) -> None:
    split = split_thinking(text)
    # What is said stands in the text, in this order.
    rest = iter(text)
    assert all(character in rest for character in "".join(split.said.split()))
    assert split.marked or split.closed


@pytest.mark.parametrize(
    "piece",
    [
        "x<think>", "<think>", "\n<think>", "x</think>", "<think>x</think>y", "</s>", "<|channel|>",
        "<|message|>", "assistantfinal",
        "```\n", "```\n<think>\n```\n", "a `<think> ", "in <think> and </think> b ", "- </think>: x\n",
        '"<think>', '<details type="reasoning" ', '<details type="reasoning">x</details>', "Thinking...\n",
        "in <think>a\n",
        "analysisWe are ", "Here is my thought process: ", "`<think>`", "<|channel|>analysis to=",
    ],
)  # fmt: skip
def test_long_texts_of_marks_are_split_at_once(piece: str) -> None:
    started = time.process_time()
    split_thinking("<think>a</think>" + piece * (400_000 // len(piece)))
    split_thinking(piece * (400_000 // len(piece)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "piece",
    ['{"name":"a","arguments":{}};', '<invoke name="a"><parameter name="b">c</parameter>', "<tool_call>a",
     "[TOOL_CALLS]", "a(b=1)\n"],
)  # fmt: skip
def test_long_texts_of_calls_are_read_at_once(piece: str) -> None:
    started = time.process_time()
    get_scorer("tool_call").score(piece * (400_000 // len(piece)), {"name": "a", "arguments": {}})
    assert time.process_time() - started < 3
