"""Format instructions."""

from __future__ import annotations

from typing import Any

import pytest

from tais.scorers.instructions import CHECKS
from tests.support import get_scorer

SCORER = get_scorer("instructions")

HOLDS: list[tuple[dict[str, Any], str, str]] = [
    ({"id": "bullets", "exactly": 2}, "- a\n* b", "- a\n- b\n- c"),
    ({"id": "ends_with", "text": "Bye."}, "Hello. Bye.\n", "Bye. Hello."),
    ({"id": "forbidden_words", "words": ["bolt"]}, "unbolted", "A Bolt!"),
    ({"id": "highlights", "at_least": 2}, "*a* and **b**", "*a* and b"),
    ({"id": "json"}, '{"a": 1}', "a: 1"),
    ({"id": "keyword", "word": "mill", "at_least": 2}, "Mill by mill.", "windmill mill"),
    ({"id": "keyword", "word": "mill"}, "The mill.", "Milling."),
    ({"id": "letter", "letter": "z", "at_most": 1}, "Zebra", "zz"),
    ({"id": "lowercase"}, "all small 1.", "One capital"),
    ({"id": "no_comma"}, "a b", "a, b"),
    ({"id": "one_of", "options": ["yes", "no"]}, " yes\n", "maybe"),
    ({"id": "paragraphs", "exactly": 2}, "a\nb\n\nc", "a\n\nb\n\nc"),
    ({"id": "placeholders", "at_least": 1}, "Dear [name]", "Dear name"),
    ({"id": "quoted"}, ' "all of it" ', 'not "all"'),
    ({"id": "sentences", "at_most": 2}, "One. Two?", "One. Two. Three!"),
    ({"id": "starts_with", "text": "Dear"}, "\nDear you", "My dear"),
    ({"id": "title"}, "<<The mill>>\ntext", "The mill"),
    ({"id": "two_answers"}, "a\n******\nb", "a\n******\na"),
    ({"id": "uppercase"}, "ALL BIG 1", "ALMOST Big"),
    ({"id": "words", "at_least": 3, "at_most": 4}, "one two three", "one two"),
]


@pytest.mark.parametrize(("check", "right", "wrong"), HOLDS)
def test_each_check_tells_right_from_wrong(check: dict[str, Any], right: str, wrong: str) -> None:
    SCORER.check_expect([check])
    assert SCORER.score(right, [check]).value == 1.0
    assert SCORER.score(wrong, [check]).label == f"breaks {check['id']}"


def test_every_check_is_tried() -> None:
    assert {check["id"] for check, _, _ in HOLDS} == set(CHECKS)


@pytest.mark.parametrize(
    ("expect", "what"),
    [
        ([], "list of checks"),
        ("words", "list of checks"),
        ([{"id": "word"}], "Did you mean 'words'"),
        ([{"id": "words"}], "needs at_least"),
        ([{"id": "keyword"}], "lacks word"),
        ([{"id": "no_comma", "at_least": 1}], "does not take"),
        ([{"id": "words", "at_least": -1}], "whole number"),
        ([{"name": "words"}], "needs an id"),
    ],
)
def test_a_check_that_cannot_be_made_is_refused(expect: object, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        SCORER.check_expect(expect)
