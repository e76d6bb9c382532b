"""Preferences and folders that cannot be used are refused in one line, before any model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tais.errors import UsageError
from tais.lab.drafts.preferences import Preference, flipped, read_preferences
from tests.conftest import Tais

pytestmark = pytest.mark.slow

GOOD = {"prompt": "p", "chosen": "no", "rejected": "yes"}


def written(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "prefs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_preferences_are_turned_round(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "p"}, {"role": "assistant", "content": "yes"}]
    path = written(tmp_path, GOOD, {**GOOD, "rejected": turns}, GOOD)
    found = flipped(read_preferences(path, 2))
    assert found == [Preference("p", "yes", "no")] * 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "p", "chosen": "a"}, "no column 'rejected'"),
        ({**GOOD, "chosen": "  "}, "chosen is '  '"),
        ({**GOOD, "prompt": 3}, "prompt is 3"),
        ({**GOOD, "rejected": []}, "rejected is a list"),
        ({**GOOD, "rejected": "no"}, "both answers are the same"),
    ],
)
def test_a_row_that_is_no_preference_is_named_with_its_line(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        read_preferences(written(tmp_path, GOOD, row))
    assert "prefs.jsonl:2" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adversarial", "m", "--preferences", "none.jsonl", "--out", "new"], "cannot read the source"),
        (["adversarial", "m", "--preferences", "prefs.jsonl", "--out", "."], "this exists already"),
        (["adversarial", "./no", "--preferences", "prefs.jsonl", "--out", "new"], "no tokenizer directory"),
        (["adversarial", "m", "--preferences", "prefs.jsonl", "--out", "new", "--battery", "demo_json"],
         "does not count refusals"),
        (["quantise", "m", "--out", "new"], "gptq needs prompts"),
        (["quantise", "m", "--out", "new", "--method", "awq"], "no method named 'awq'"),
        (["quantise", "m", "--out", "new", "--calibration", "bare.jsonl"], "prompt is nothing"),
    ],
)  # fmt: skip
def test_a_draft_that_cannot_be_made_is_refused(
    tais: Tais, tmp_path: Path, arguments: list[str], said: str
) -> None:
    written(tmp_path, GOOD)
    (tmp_path / "bare.jsonl").write_text('{"text": "x"}\n')
    done = tais("draft", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "new").exists()
