"""Outputs that exist already."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tais.engines.imported_outputs import Files, read_outputs
from tais.errors import ManifestError
from tests.engines.imports import import_arm, outputs

ASSETS = Path(__file__).parents[1] / "assets" / "imports"


def test_outputs_are_read_in_order() -> None:
    found = outputs(ASSETS / "three_outputs.jsonl")
    assert [(o.item_id, o.text, o.token_ids, o.repeat, o.finish_reason, o.battery) for o in found] == [
        ("a", "Yes", None, 0, None, None),
        ("a", "No", (5, 0), 1, None, None),
        ("7", "", None, 0, "length", "x"),
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
        outputs(ASSETS / f"{defect}.jsonl")
    assert what in str(caught.value)
    assert f"{defect}.jsonl{line}" in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ({"token_ids": [2**31]}, "to 2147483647"),
        ({"token_ids": [10**30]}, "to 2147483647"),
        ({"repeat": 2**31}, "to 2147483647"),
        ({"repeat": 10**5000}, "to 2147483647"),
        ({"finish_reason": "x" * 65}, "at most 64"),
        ({"finish_reason": "stop\ud800"}, "at most 64"),
        ({"finish_reason": "stop\n::error::"}, "at most 64"),
        ({"finish_reason": ["stop"]}, "must be text, not list"),
        ({"finish_reason": {"a": 1}}, "must be text, not dict"),
    ],
)
def test_figures_and_words_beyond_what_is_stored_are_refused(
    extra: dict[str, object], what: str, tmp_path: Path
) -> None:
    path = tmp_path / "outputs.jsonl"
    sys.set_int_max_str_digits(0)
    path.write_text(json.dumps({"item_id": "a", "text": "x", **extra}) + "\n")
    sys.set_int_max_str_digits(4300)
    with pytest.raises(ManifestError) as caught:
        outputs(path)
    assert "outputs.jsonl:1" in str(caught.value)
    assert len(str(caught.value)) < 500
    if extra != {"repeat": 10**5000}:
        assert what in str(caught.value)


def test_a_null_text_is_an_empty_answer_and_other_parts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    rows: list[dict[str, object]] = [
        {"item_id": "a", "text": None, "finish_reason": "content_filter"},
        {"item_id": "b", "text": None, "refusal": "no"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [(o.text, o.finish_reason, o.parts) for o in outputs(path)] == [
        ("", "content_filter", None),
        ("", None, '{"refusal":"no"}'),
    ]


# Stop reasons of Anthropic's Messages, Google's generateContent and Cohere's Chat, from their references.
@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("end_turn", "stop"),
        ("COMPLETE", "stop"),
        ("SAFETY", "SAFETY"),
        (None, None),
    ],
)
def test_an_answer_that_was_cut_counts_as_cut_whoever_says_so(
    said: str | None, kept: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text(json.dumps({"item_id": "a", "text": "Yes", "finish_reason": said}))
    assert [o.finish_reason for o in outputs(path)] == [kept]


def test_an_answer_in_parts_is_their_text_and_one_with_an_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parts.jsonl"
    parts: list[object] = [{"type": "text", "text": "Yes, "}, {"type": "text", "text": "do."}]
    path.write_text(json.dumps({"item_id": "a", "text": parts}))
    assert [o.text for o in outputs(path)] == ["Yes, do."]
    path.write_text(json.dumps({"item_id": "a", "text": [*parts, {"type": "image_url"}]}))
    with pytest.raises(ManifestError, match="content of type image_url"):
        list(outputs(path))


def test_lone_surrogates_and_nul_are_kept() -> None:
    (output,) = outputs(ASSETS / "surrogate_and_nul.jsonl")
    assert output.text == "x\ud800y\0z"


def test_reading_streams(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    path.write_text(json.dumps({"item_id": "a", "text": "Yes"}) + "\nbroken\n")
    found = read_outputs(Files(import_arm(path)))
    assert next(found).item_id == "a"
    with pytest.raises(ManifestError):
        next(found)


ROWS = [{"Index": 0, "answer": "Yes", "who": "x"}, {"Index": 1, "answer": "No", "who": "y"}]
COLUMNS = {"item_id": "Index", "text": "answer"}


def packed(path: Path, data: bytes) -> Path:
    """Write a file, compressed as its ending says."""
    if path.suffix == ".zst":
        # The test's own frame: what reads it in TAIS is another library.
        data = pa.compress(data, codec="zstd", asbytes=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.jsonl.gz", "t.jsonl.zst", "t.json", "t.parquet"])
def test_a_table_is_read_by_the_columns_that_the_arm_names(name: str, tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    path = tmp_path / name
    if name == "t.parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        text = {".csv": "Index,answer,who\n0,Yes,x\n1,No,y\n", ".json": json.dumps(ROWS)}
        packed(path, text.get(path.suffix, lines).encode())
    assert [(o.item_id, o.text) for o in outputs(path, columns=COLUMNS)] == [("0", "Yes"), ("1", "No")]
    assert [o.text for o in outputs(path, columns=COLUMNS, only={"who": "y"})] == ["No"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.json", '[{"item_id": "1", "text": "Yes"}]'),
        ("own.txt", '{"item_id": "1", "text": "Yes"}\n'),
        ("own.csv", "item_id,text\n1,Yes\n"),
    ],
)
def test_keys_of_tais_are_known_in_every_kind_of_file(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert [(o.item_id, o.text) for o in outputs(tmp_path / name)] == [("1", "Yes")]


PARTS = {
    "p.csv": (
        "item_id,text,tool_calls,token_ids,repeat,prompt\n"
        '1,,"[{""name"": ""f"", ""arguments"": {}}]","[5, 7]",0.0,'
        '"[{""role"": ""user"", ""content"": ""Q""}]"\n'
        "2,Yes,,,,Q\n"
    ),
    "semicolons.csv": (
        "item_id;text;tool_calls;token_ids;repeat;prompt\n"
        "1;;[{'name': 'f', 'arguments': {}}];[5 7];0;"
        "\"array([{'role': 'user', 'content': 'Q'}], dtype=object)\"\n"
        "2;Yes;;;;Q\n"
    ),
    "frame.json": json.dumps(
        {
            "item_id": {"0": 1, "1": 2},
            "text": {"0": None, "1": "Yes"},
            "tool_calls": {"0": [{"name": "f", "arguments": {}}], "1": None},
            "token_ids": {"0": [5, 7], "1": None},
            "prompt": {"0": "Q", "1": "Q"},
        }
    ),
    "split.json": json.dumps(
        {
            "columns": ["item_id", "text", "tool_calls", "token_ids", "prompt"],
            "index": [0, 1],
            "data": [
                [1, None, [{"name": "f", "arguments": {}}], [5, 7], "Q"],
                [2, "Yes", None, None, "Q"],
            ],
        }
    ),
}


@pytest.mark.parametrize("file", PARTS)
def test_a_table_holds_calls_and_tokens_as_pandas_writes_them(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(PARTS[file])
    first, second = outputs(tmp_path / file)
    assert (first.item_id, first.text, first.token_ids, first.repeat) == ("1", "", (5, 7), 0)
    assert json.loads(first.parts or "") == {"tool_calls": [{"name": "f", "arguments": {}}]}
    assert first.asked.prompt == second.asked.prompt
    assert (second.item_id, second.text, second.token_ids, second.parts) == ("2", "Yes", None, None)


def test_a_cell_that_is_no_list_of_tokens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("item_id,text,token_ids\n1,Yes,[5 x]\n")
    with pytest.raises(ManifestError, match=r"t\.csv:2.*token_ids must be a list of whole numbers"):
        outputs(tmp_path / "t.csv")


def test_columns_of_a_table_with_semicolons_are_found(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Index;answer\n0;Yes, it is\n")
    assert [(o.item_id, o.text) for o in outputs(tmp_path / "t.csv", columns=COLUMNS)] == [
        ("0", "Yes, it is")
    ]
    with pytest.raises(ManifestError, match=r"no column 'reply'\. Columns there: Index, answer"):
        outputs(tmp_path / "t.csv", columns={"item_id": "Index", "text": "reply"})
    (tmp_path / "t.json").write_text('{"meta": {"a": "b"}, "rows": [{"Index": 0, "answer": "x"}]}')
    with pytest.raises(ManifestError, match="'meta' seems to describe the data"):
        outputs(tmp_path / "t.json", columns=COLUMNS)


def test_a_log_of_lines_may_be_called_json(tmp_path: Path) -> None:
    rows = [{"doc_id": n, "arguments": [["Q", {}]], "resps": [["A"]], "target": "A"} for n in (0, 1)]
    (tmp_path / "samples_x.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [o.task for o in outputs(tmp_path / "samples_x.json")] == ["x", "x"]


def test_a_column_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "t.csv", b"Index,answer\n0,Yes\n")
    with pytest.raises(ManifestError, match=r"no column 'reply'\. Columns there: Index, answer"):
        outputs(path, columns={"item_id": "Index", "text": "reply"})


def test_an_unknown_layout_is_told_with_the_two_nearest(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text('{"custom_id": "1", "output": "Yes"}\n')
    with pytest.raises(ManifestError) as caught:
        outputs(path)
    said = str(caught.value)
    assert "seen: custom_id, output" in said
    # One key is shared with each of two, and none with any other.
    assert "nearest that TAIS knows: Anthropic batch results (custom_id, result) and OpenAI batch" in said
    assert "columns: {item_id: ..., text: ...}" in said


def test_a_small_file_that_unpacks_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "o.jsonl.gz", b'{"item_id": "1", "text": "' + b"a" * 4_000_000 + b'"}\n')
    assert path.stat().st_size < 10_000
    monkeypatch.setattr("tais.common.packed.MAX_UNPACKED", 1 << 20)
    with pytest.raises(ManifestError, match="more than 1 MiB are packed"):
        outputs(path)


def test_a_cut_compressed_file_is_refused(tmp_path: Path) -> None:
    for ending in ("gz", "zst"):
        path = packed(tmp_path / f"o.jsonl.{ending}", b'{"item_id": "1", "text": "Yes"}\n' * 9)
        path.write_bytes(path.read_bytes()[:-6])
        with pytest.raises(ManifestError, match=r"broken packed file.*It is cut or damaged: fetch it again"):
            outputs(path)


@pytest.mark.parametrize("name", ["o.jsonl.gz", "o.jsonl", "o.csv", "o.csv.gz", "o.json"])
@pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b"[]"])
def test_a_file_without_any_output_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    path = packed(tmp_path / name, content)
    with pytest.raises(ManifestError) as caught:
        outputs(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert "\n" not in said


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "text"), [("o.csv", "item_id,text\n1,Yes\n"), ("o.jsonl", '{"item_id": "1", "text": "Yes"}\n')]
)
def test_a_mark_of_byte_order_and_lines_of_windows_are_no_part_of_an_answer(
    name: str, text: str, ending: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", ending).encode())
    assert [(o.item_id, o.text) for o in outputs(tmp_path / name)] == [("1", "Yes")]


def test_files_of_a_group_of_tasks_are_one_arm(tmp_path: Path) -> None:
    for task in ("law", "art"):
        row = {"doc_id": 0, "arguments": [[f"{task} 0", {}]], "resps": [["A"]], "target": "A"}
        (tmp_path / f"samples_mmlu_{task}_2026-01-01T00-00-00.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "results_2026-01-01T00-00-00.json").write_text('{"results": {}, "versions": {}}')
    files = Files(import_arm(tuple(sorted(tmp_path.iterdir()))))
    assert [(o.task, o.item_id) for o in read_outputs(files)] == [("mmlu_art", "0"), ("mmlu_law", "0")]
    assert [path.name for path in files.passed_over] == ["results_2026-01-01T00-00-00.json"]


def test_columns_that_are_called_like_their_part_need_no_word(tmp_path: Path) -> None:
    # With the id alone under `columns`, every answer was read as an empty one.
    (tmp_path / "o.csv").write_text("id,text,finish_reason\n1,Yes,length\n")
    found = outputs(tmp_path / "o.csv", columns={"item_id": "id"})
    assert [(o.item_id, o.text, o.finish_reason) for o in found] == [("1", "Yes", "length")]
    (tmp_path / "o.csv").write_text("id,response\n1,Yes\n")
    with pytest.raises(ManifestError, match="no column is said to hold the answers"):
        outputs(tmp_path / "o.csv", columns={"item_id": "id"})
