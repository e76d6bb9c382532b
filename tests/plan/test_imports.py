"""Files of outputs are looked at by the plan: what cannot be read costs no engine an hour."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Screen, Tais

LINE = json.dumps({"item_id": "m-000", "text": "No."}) + "\n"
DEFECTS = {
    "a torn line": (LINE + LINE[:20], "outputs.jsonl:2", "broken JSON"),
    "an answer given twice": (LINE + LINE, "outputs.jsonl:2", "stands already in line 1"),
    "no item of the screen": (LINE.replace("m-000", "other"), "arms.old.path", "no output for any item"),
    "a token of 33 bits": (LINE[:-2] + ', "token_ids": [4294967296]}', "outputs.jsonl:1", "2147483647"),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_broken_file_of_outputs_is_refused_before_any_engine_starts(
    command: str, defect: str, tais: Tais, screen: Screen
) -> None:
    text, place, what = DEFECTS[defect]
    (screen.folder / "outputs.jsonl").write_text(text)
    screen.data["arms"]["old"] = {"engine": "import", "path": "outputs.jsonl"}
    screen.data["contrasts"].append({"reference": "target", "candidate": "old"})
    screen.write()
    done = tais(command, screen.path, *(("--out", screen.out) if command == "run" else ()))
    assert done.returncode == 2, done.stderr
    assert place in done.stderr
    assert what in done.stderr
    assert not Path(screen.out).exists()
