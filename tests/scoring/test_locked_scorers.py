"""Scorers as a lock fixes them."""

from __future__ import annotations

from tais.scorers import scorer_spec
from tais.scoring.locked_scorers import scorers_changed
from tests.made_lock import made_lock
from tests.support import get_scorer

BATTERY = {"name": "mine", "items": 4}


def test_a_run_of_another_version_of_a_scorer_is_said_to_be_that() -> None:
    now = {**BATTERY, "scorer": scorer_spec(get_scorer("refusal"))}
    assert scorers_changed(made_lock(("old", "new"), batteries=[now])) == ""
    before = {**now, "second_scorers": [{"name": "exact", "version": "0"}]}
    said = scorers_changed(made_lock(("old", "new"), batteries=[before]))
    assert said.startswith("scorers changed: this run was scored by version 0 of exact, and version")
