"""Garbage in answers."""

from __future__ import annotations

import pytest

from tais.scorers.sane import ends_in_loop
from tests.support import get_scorer


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A plain answer.\n\tWith a tab.", "sane"),
        ("caf\ufffd", "garbled"),
        ("a\x00b", "garbled"),
        ("\x1b[31mred", "garbled"),
        ("Yes. " + "the wheel turns. " * 10, "loop"),
        ("a" * 60, "loop"),
        ("ha ha ha", "sane"),
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20", "sane"),
        ("", "empty"),
    ],
)
def test_labels(text: str, label: str) -> None:
    score = get_scorer("sane").score(text, None)
    assert score.label == label
    assert score.value == (label == "sane")


def test_loops_can_be_allowed() -> None:
    assert get_scorer({"name": "sane", "loops": False}).score("a" * 60, None).value == 1.0


@pytest.mark.parametrize("unit", [1, 2, 7, 33, 64])
def test_a_loop_of_any_unit_is_found_and_a_broken_one_is_not(unit: int) -> None:
    block = "".join(
        chr(97 + i % 26) if i < 26 else chr(65 + i % 26) if i < 52 else chr(48 + i % 10) for i in range(unit)
    )
    repeats = max(6, -(-48 // unit))
    assert ends_in_loop("start " + block * repeats)
    assert not ends_in_loop(block * repeats + "!")
    assert not ends_in_loop((block + "-") * 2)
