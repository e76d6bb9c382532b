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


def outputs_folder(screen: Screen, path: object, **files: str) -> None:
    """Write files of outputs, one of them good, into a folder, and an arm over it."""
    folder = screen.folder / "logs"
    folder.mkdir()
    (folder / "good.jsonl").write_text(LINE)
    for name, text in files.items():
        (folder / name).write_text(text)
    screen.data["arms"]["old"] = {"engine": "import", "path": path}
    screen.data["contrasts"].append({"reference": "target", "candidate": "old"})
    screen.write()


SUMMARY = '{"results": {}, "versions": {}}'


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("results.json", SUMMARY, "of no layout that TAIS knows; seen: results, versions"),
        ("old.json", '{"eval": {"task": "x"}, "sam', "broken JSON"),
        ("other.jsonl", '{"answer": "x"}\n', "of no layout that TAIS knows; seen: answer"),
    ],
)
def test_a_file_that_a_list_names_is_read_or_refused(
    name: str, text: str, what: str, tais: Tais, screen: Screen
) -> None:
    outputs_folder(screen, ["logs/good.jsonl", f"logs/{name}"], **{name: text})
    done = tais("plan", screen.path)
    assert done.returncode == 2, done.stdout
    assert f"logs/{name}" in done.stderr
    assert what in done.stderr


def test_a_folder_holds_summaries_and_no_damaged_log(tais: Tais, screen: Screen) -> None:
    outputs_folder(screen, "logs", **{"results.json": SUMMARY})
    assert tais("plan", screen.path).returncode == 0
    for name, text in (("samples_x.jsonl", '{"answer": "x"}\n'), ("notes.json", '{"a": ')):
        (screen.folder / "logs" / name).write_text(text)
        done = tais("plan", screen.path)
        assert done.returncode == 2, done.stdout
        assert f"logs/{name}" in done.stderr
        (screen.folder / "logs" / name).unlink()


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
