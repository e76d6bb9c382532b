"""Answers that try to take a scorer's time or break it: models under a fault write such things."""

from __future__ import annotations

from typing import Any

import pytest

from tais.scorers import scorer_names
from tests.support import get_scorer

N = 20_000
HOSTILE = [
    " " * N,
    "\n" * N,
    "a" + "\n" * N + "b",
    "answer" + " " * N + "x",
    ("answer" + " " * 200) * (N // 200),
    "B" + "*" * N + "x",
    "B" + ")" * N,
    "." * N + "x",
    "[" * N,
    "{" * N,
    '{"a":' * N,
    "```" * N,
    "```\n" * N,
    "<tool_call>" * (N // 10),
    "\\boxed{" + " " * N,
    "#### " * (N // 5),
    "1" * N,
    "1," * N,
    "*a" * N,
    "<<" * N,
    "\ud800" * N,
    "\0" * N,
    "İ" * N,
    "i can't " * (N // 8),
    "it's not " * (N // 9),
    "option choice answer " * (N // 20),
    "0." * N,
    "#" * N + " 1",
    "answer is ####" * (N // 14),
    "\\frac{1}{" * (N // 9),
    "1 = " * (N // 4),
    "one-" * (N // 4),
    "A, " * (N // 3),
    "not A is " * (N // 9),
    "oxed{{" * (N // 6),
    "\\text{" * (N // 6),
    "是A" * N,
    "<function=a>" * (N // 12),
    '<tool_call><invoke name="a">' + '<parameter name="b">' * (N // 20),
    "Action: a\nAction Input: " * (N // 24),
    "f(" + "a=1, " * (N // 5),
    '{"part":[' + '{"sketch":[],"extrude":{"from":0,"to":1}},' * 1000 + "]}",
    '{"a": ' + "1" * N + "}",
]
BOX = {"sketch": [{"rect": {"x": 0, "y": 0, "width": 4, "height": 2}}], "extrude": {"from": 0, "to": 1}}
EXPECT: dict[str, Any] = {
    "bbq": {
        "letter": "A",
        "options": {"A": "a", "B": "b", "C": "c"},
        "condition": "ambig",
        "polarity": "neg",
        "info": {"ans0": ["a", "a"], "ans1": ["b", "b"], "ans2": ["c", "unknown"]},
        "groups": ["b"],
    },
    "cad": {"part": [BOX]},
    "choice": {"letter": "A", "options": {"A": "a", "B": "b"}},
    "exact": "x",
    "instructions": [
        *({"id": name, "at_least": 1} for name in ("bullets", "highlights", "paragraphs", "placeholders")),
        *({"id": name, "at_least": 1} for name in ("sentences", "words")),
        {"id": "keyword", "word": "mill"},
    ],
    "json": ["a"],
    "json_schema": {
        "schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "value": {"a": 1},
    },
    "numeric": 3,
    "sane": None,
    "tool_call": {"name": "n", "arguments": {}},
    "truthfulqa": {"correct": ["a"], "incorrect": ["b"]},
}


# A pattern that backtracks without end never comes back; all answers together take a fraction of a second.
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", scorer_names())
def test_no_answer_breaks_or_stalls_a_scorer(name: str) -> None:
    scorer = get_scorer(name)
    expect = EXPECT.get(name, "refuse")
    scorer.check_expect(expect)
    # One instruction at a time, so that an early one does not hide a later one.
    expects = [[check] for check in expect] if name == "instructions" else [expect]
    for text in HOSTILE:
        for one in expects:
            score = scorer.score(text, one, "length")
            assert 0 <= score.value <= 1
            assert not (score.invalid and score.value)
