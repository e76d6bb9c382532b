"""The letter that an answer names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tais.errors import ManifestError
from tais.scorers.answer import score_answer
from tais.scorers.choice import parse_letter
from tests.scorers import choice_forms
from tests.support import get_scorer

OPTIONS = {"A": "Paris", "B": "Rome", "C": "A river", "D": "Cannot be determined"}


def misread(
    expected: Mapping[str, str | None], options: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """Return the texts in which another letter than the expected one is read, with that letter."""
    read = {text: parse_letter(text, options) for text in expected}
    return {text: letter for text, letter in read.items() if letter != expected[text]}


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "B.",
        "b",
        "(B)",
        "[B]",
        " B\nbecause it is",
        "**B**",
        "B) Rome",
        "B. Rome",
        "B: Rome",
        "(B) Rome",
        "**B)** Rome",
        "**B. Rome**",
        "`B`",
        '"B"',
        "$B$",
        "B)",
        "B\r\n",
        "Answer: B",
        "Answer:\nB",
        "**Answer:** B",
        "Answer: **B**",
        "ANSWER: B",
        "The answer is B",
        "The answer is B.",
        "The answer is (B) Rome.",
        "The correct answer is: B",
        "The answer is option B",
        "I think that the best choice is B, as Rome is in Italy.",
        "Option B is right.",
        "The correct option is B.",
        "Final answer: B",
        "So it is $\\boxed{B}$.",
        "\\boxed{\\text{B}}",
        "B is correct, because of A.",
        "A) Paris\nB) Rome\nC) A river\n\nThe answer is B.",
        "B) Rome\n\nA) Paris is in France.",
        "Let me think. The answer is A? No. Final answer: B",
        "Rome",
        "Rome.",
        "**Rome**",
    ],
)
def test_an_answer_names_b(text: str) -> None:
    assert parse_letter(text, OPTIONS) == "B"


@pytest.mark.parametrize(
    "text",
    [
        "A cat sat on the mat",
        "I cannot help with that",
        "I'm not sure",
        "Both A and B",
        "A and B",
        "B or C",
        "The answer is a long story",
        "The answer is A common misunderstanding",
        "The answer is A. Or rather, the answer is B.",
        "A) Paris\nB) Rome\nC) A river",
        "None of them",
        "Berlin",
        "Because",
        "---",
        "The option is not clear",
    ],
)
def test_an_answer_without_a_clear_letter_is_unparseable(text: str) -> None:
    assert parse_letter(text, OPTIONS) is None


def test_a_capital_article_alone_is_still_a_letter() -> None:
    assert parse_letter("The answer is A because it is.") == "A"
    assert parse_letter("A") == "A"
    assert parse_letter("a") == "A"


def test_right_wrong_invalid_and_empty() -> None:
    scorer = get_scorer("choice")
    assert (scorer.score("B", "B").value, scorer.score("C", "B").value) == (1.0, 0.0)
    assert not scorer.score("C", "B").invalid
    assert scorer.score("Who knows", "B").invalid
    assert scorer.score(" \n", "B").label == "empty"
    assert scorer.score("Rome", {"letter": "B", "options": OPTIONS}).value == 1.0


def test_a_letter_beyond_the_question_is_invalid() -> None:
    scorer = get_scorer({"name": "choice", "letters": "ABCD"})
    assert scorer.score("E", "B").invalid


@pytest.mark.parametrize(
    "expect",
    [
        "b",
        "AB",
        "",
        None,
        1,
        {"letter": "E", "options": OPTIONS},
        [],
        ["B", "b"],
        ["B", "B"],
        {"letter": "A"},
    ],
)
def test_an_expectation_that_is_no_letter_is_refused(expect: object) -> None:
    with pytest.raises(ValueError, match="expect"):
        get_scorer("choice").check_expect(expect)


def test_several_right_letters_are_all_named_or_any_of_them() -> None:
    # Inspect's choice() scorer wants the whole set.
    scorer = get_scorer("choice")
    for expect in (["A", "C"], {"letter": ["A", "C"], "options": OPTIONS}):
        scorer.check_expect(expect)
        for text in (
            "A, C",
            "A and C",
            "The answers are A and C.",
            "\\boxed{A, C}",
            "(A) and (C)",
            "答案：A、C",
        ):
            assert scorer.score(text, expect).value == 1.0, text
        for text in ("A", "A, B", "A, B and C"):
            score = scorer.score(text, expect)
            assert (score.value, score.invalid) == (0.0, False), text
    any_of = get_scorer({"name": "choice", "several": "any"})
    assert any_of.score("The answer is C.", ["A", "C"]).value == 1.0
    assert any_of.score("The answer is B.", ["A", "C"]).value == 0.0
    # One right letter, and two are named.
    assert scorer.score("The answer is A and C.", "C").invalid
    assert scorer.score("C", ["C"]).value == 1.0


# A way to say C, and where it is from: answers of instruction-tuned models, and the phrases that evaluation
# code looks for (lm-evaluation-harness: "answer is (C)", MMLU-Pro; C-Eval and CMMLU: 答案是C; MATH: boxed).
SAY_C = [
    "C - Paris", "C – Paris", "C — Paris", "C, Paris", "C) Paris", "C: Paris", "**C** - Paris",
    "**C.** Paris",
    "(C) is correct.", "C is the correct answer", "C because it is the capital.", "Option C - Paris",
    "<answer>C</answer>", "<answer>(C) Paris</answer>", "<|begin_of_box|>C<|end_of_box|>",
    "Correct answer: C",
    "I would choose C.", "I'd go with option C.", "I'm going with C", "I think it's C.", "It is C.",
    "So C.",
    "It must be C", "Therefore, the answer is: C.", "The answer is most likely C",
    "The right answer is letter C",
    "Choice A is wrong. Choice C is right.", "The answer is not A but C", "A is incorrect. C is correct.",
    "A is not correct; the answer is C.", "The answer is C, not A.", "C, A is wrong.",
    "The answer is C, A is wrong.",
    "I eliminate A and B. The answer is C.",
    "Option A is wrong because of x. Option B is wrong too. So C.",
    "Option A looks right. The answer is C.",
    "\\boxed{C}", "\\boxed{\\text{C}}", "\\boxed{\\text{C. Paris}}", "\\boxed{(C)}",
    "$\\boxed{\\textbf{C}}$",
    "The final answer is $\\boxed{C}$.", "The answer is A.\nFinal answer: C", '{"answer": "C"}',
    "### Answer\nC",
    "A) Paris\nB) Rome\nC) River\n\nCorrect: C", "A - I thought at first.\n\n\\boxed{C}", "Ｃ", "C。",
    "（C）",
    # zh, ja, ko
    "答案：C", "答案是C。", "正确答案为：C", "故选C", "我选择C", "【答案】C", "不是A，而是C",
    "答えはCです。", "正解はCです", "C です",
    "정답은 C입니다.", "정답: C", "C입니다",
    # de, fr, es, pt, it
    "Die richtige Antwort ist C.", "Antwort: C", "Ich wähle C.", "Ich würde C sagen", "C ist richtig.",
    "Die Antwort ist nicht A, sondern C.", "La réponse est C.", "La bonne réponse est la C",
    "Réponse : **C**",
    "C est correct.", "La respuesta correcta es la C.", "Elijo la opción C", "Respuesta: C",
    "La opción correcta es la C",
    "A resposta correta é a letra C.", "A alternativa correta é a C", "La risposta corretta è la C.",
    "Risposta: C",
    # ru (the last with the Cyrillic letter), ar, hi
    "Правильный ответ — C.", "Правильный вариант: C", "Ответ: С", "الإجابة الصحيحة هي C", "सही उत्तर C है",
    "उत्तर: C",
    # nl, pl, tr, vi, id
    "Antwoord: C", "Odpowiedź: C", "Cevap: C", "Đáp án: C", "Jawaban: C",
]  # fmt: skip


def test_a_way_to_say_c_is_read_as_c() -> None:
    assert misread(dict.fromkeys(SAY_C, "C")) == {}
    # It is the letter that is read, not where it stands.
    movable = [text for text in SAY_C if "C" in text and not re.search("Cevap|Correct|Choice", text)]
    assert misread({text.replace("C", "D"): "D" for text in movable}) == {}


@pytest.mark.parametrize(
    "text",
    [
        "Option A and option B are wrong.", "A is wrong", "Not A", "The answer is neither A nor B",
        "A, B and C are wrong",
        "I, for one, like it", "I would pick A common one", "C++ is a language", "C'est Paris",
        "D'accord", "I think A is wrong",
        "I would not choose A.", "A is not the answer", "Die Antwort ist nicht A.",
    ],
)  # fmt: skip
def test_what_is_denied_or_no_letter_is_not_read(text: str) -> None:
    assert parse_letter(text) is None


CAPITALS = {"A": "Berlin", "B": "Rome", "C": "Paris", "D": "Madrid"}


def test_a_form_of_c_is_read() -> None:
    assert misread(dict.fromkeys(choice_forms.SAY_C, "C"), CAPITALS) == {}


def test_denials_several_letters_and_words_name_none() -> None:
    assert misread(dict.fromkeys(choice_forms.SAY_NOTHING), CAPITALS) == {}


def test_each_letter_is_read_as_c_is() -> None:
    assert misread(dict(choice_forms.OTHER_LETTERS), CAPITALS) == {}


@pytest.mark.parametrize(
    ("labels", "text", "named"),
    [
        # Labels of ARC (Clark et al. 2018): a few of its questions count their options.
        ("1234", "2", "2"), ("1234", "(2)", "2"), ("1234", "The answer is 2.", "2"), ("1234", "2) Rome", "2"),
        ("1234", "I choose 2", "2"), ("1234", "\\boxed{2}", "2"), ("1234", "答案是2", "2"),
        ("1234", "12", "unparseable"),
        ("1234", "It is not 2", "unparseable"), ("1234", "The answer is 3.5", "unparseable"),
        ("1234", "5", "unparseable"),
        # TruthfulQA's mc1 has up to 13 options, MMLU-Pro 10.
        ("ABCDEFGHIJKLM", "The answer is L.", "L"), ("ABCDEFGHIJKLM", "(M) none", "M"),
        ("ABCDEFGHIJKLM", "Option K", "K"),
        ("ABCDEFGHIJ", "The answer is L.", "unparseable"), ("ABCD", "F", "unparseable"),
    ],
)  # fmt: skip
def test_labels_are_letters_to_z_or_digits(labels: str, text: str, named: str) -> None:
    assert get_scorer({"name": "choice", "letters": labels}).score(text, labels[0]).label == named


def test_letters_and_digits_are_not_mixed() -> None:
    with pytest.raises(ManifestError, match="letters must be"):
        get_scorer({"name": "choice", "letters": "AB1"})


def test_letters_in_a_row_are_several() -> None:
    # C-Eval's and GAOKAO-Bench's questions with several right options are answered so.
    scorer = get_scorer("choice")
    for text in ("AC", "答案：AC", "The answers are AC.", "\\boxed{AC}"):
        assert scorer.score(text, ["A", "C"]).value == 1.0, text
        assert scorer.score(text, "A").invalid, text
    assert scorer.score("CAB", ["A", "B", "C"]).invalid


def test_of_a_very_long_answer_the_beginning_and_the_end_are_read() -> None:
    for filler in ("So on and on. ", "A or B? ", "(", "\\text{", "<b>", "not A "):
        long = filler * (100_000 // len(filler))
        assert parse_letter(f"{long}\n\nThe answer is C.") == "C", filler


def test_a_letter_in_thinking_is_never_read() -> None:
    scorer: Any = get_scorer("choice")
    for text in (
        "<think>\n\n</think>\n\nC",
        "<think>\nOption A is not it.\n</think>\n\nC",
        "A? No.</think>C",
    ):
        assert score_answer(scorer, text, "C", "stop").value == 1.0
    cut = score_answer(scorer, "<think>The answer is C", "C", "length")
    assert (cut.value, cut.invalid, cut.label) == (0.0, True, "cut while thinking")
