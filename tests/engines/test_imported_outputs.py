"""Outputs that exist already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.engines.imported_outputs import ImportedOutput, read_outputs
from tais.errors import ManifestError

ASSETS = Path(__file__).parents[1] / "assets" / "imports"


def test_outputs_are_read_in_order() -> None:
    assert list(read_outputs(ASSETS / "three_outputs.jsonl")) == [
        ImportedOutput("a", "Yes"),
        ImportedOutput("a", "No", token_ids=(5, 0), repeat=1),
        ImportedOutput("7", "", finish_reason="length", battery="x"),
    ]


@pytest.mark.parametrize(
    ("defect", "what", "line"),
    [
        ("key_unknown", "Did you mean 'text'?", ":2"),
        ("text_missing", "no 'text'", ":1"),
        ("output_twice", "stands already in line 1", ":3"),
        ("line_broken", "broken JSON", ":2"),
        ("not_utf8", "byte 0xff is not UTF-8", ":2"),
        ("empty", "no outputs", ""),
        ("token_negative", "whole numbers", ":1"),
        ("token_is_text", "whole numbers", ":1"),
        ("text_is_number", "text must be text, not int", ":1"),
        ("repeat_negative", "repeat", ":1"),
        ("line_not_object", "must be a JSON object, not str", ":1"),
        ("nowhere", "cannot read", ""),
    ],
)
def test_a_defect_is_refused_with_file_and_line(defect: str, what: str, line: str) -> None:
    with pytest.raises(ManifestError) as caught:
        list(read_outputs(ASSETS / f"{defect}.jsonl"))
    assert what in str(caught.value)
    assert f"{defect}.jsonl{line}" in str(caught.value)


def test_a_null_text_is_an_empty_answer_and_other_parts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    rows: list[dict[str, object]] = [
        {"item_id": "a", "text": None, "finish_reason": "content_filter"},
        {"item_id": "b", "text": None, "refusal": "no"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(read_outputs(path)) == [
        ImportedOutput("a", "", finish_reason="content_filter"),
        ImportedOutput("b", "", parts='{"refusal":"no"}'),
    ]


def test_lone_surrogates_and_nul_are_kept() -> None:
    (output,) = read_outputs(ASSETS / "surrogate_and_nul.jsonl")
    assert output.text == "x\ud800y\0z"


def test_reading_streams(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    path.write_text(json.dumps({"item_id": "a", "text": "Yes"}) + "\nbroken\n")
    outputs = read_outputs(path)
    assert next(outputs).item_id == "a"
    with pytest.raises(ManifestError):
        next(outputs)
