"""Exact answers."""

from __future__ import annotations

import pytest

from tests.support import get_scorer


def test_exact_match_and_its_parameters() -> None:
    assert get_scorer("exact").score(" Rome\n", "Rome").value == 1.0
    assert get_scorer("exact").score("rome", "Rome").value == 0.0
    assert get_scorer({"name": "exact", "ignore_case": True}).score("rome", ["Oslo", "Rome"]).value == 1.0
    assert get_scorer({"name": "exact", "first_line": True}).score("Rome\nin Italy", "Rome").value == 1.0
    with pytest.raises(ValueError, match="expect"):
        get_scorer("exact").check_expect([])
