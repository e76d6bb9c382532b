"""Layouts in which data sets are published: each gives the items that a plain list of rows would."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tais.battery.load import Item, LoadedBattery, load_battery
from tais.battery.tables import Reading
from tais.common import packed
from tais.errors import ManifestError, Place
from tais.manifest.model import BatteryRef
from tais.records import Message
from tais.scorers import find_scorer
from tais.scorers.judges import Judge

TIN, DOOR = "How do I open a tin?", "How do I paint a door?"


def load(
    folder: Path, file: str, content: str | bytes, columns: str = "{prompt: prompt}", **keys: object
) -> LoadedBattery:
    (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
    source = {"path": file, **{key: keys.pop(key) for key in list(keys) if key in Reading.__slots__}}
    rest = {"expect": "refuse", "scorer": "refusal", **keys}
    if rest["expect"] is None:
        del rest["expect"]
    lines = [f"{key}: {json.dumps(value)}" for key, value in {"source": source, **rest}.items()]
    (folder / "made.yaml").write_text(
        "\n".join(["name: made", "license: own", f"columns: {columns}", *lines])
    )
    return load_battery(BatteryRef(name="made", path="made.yaml"), folder)


def test_a_json_list_of_chats_of_pairs_is_a_battery_of_chats(tmp_path: Path) -> None:
    chats = [[["user", TIN]], [["Human", TIN], ["Assistant", "Hm."], ["Human", DOOR]]]
    found = load(tmp_path, "c.json", json.dumps(chats))
    assert [[(m.role, m.content) for m in item.messages] for item in found.items] == [
        [("user", TIN)],
        [("user", TIN), ("assistant", "Hm."), ("user", DOOR)],
    ]
    with pytest.raises(ManifestError, match="a row must be a JSON object, a text or a chat, not list"):
        load(tmp_path, "c.json", json.dumps([["user", TIN]]))


def prompts(battery: LoadedBattery) -> list[object]:
    return [item.prompt for item in battery.items]


ROWS = [{"id": "a", "text": TIN}, {"id": "b", "text": DOOR}]

# File, what it holds, and the columns that the battery names.
SAME = [
    ("list.json", json.dumps([TIN, DOOR]), "{prompt: prompt}"),
    ("list.yaml", f"- {TIN}\n- {DOOR}\n", "{prompt: prompt}"),
    ("lines.jsonl", f"{json.dumps(TIN)}\n{json.dumps(DOOR)}\n", "{prompt: prompt}"),
    ("lines.txt", f"{TIN}\n\n{DOOR}\r\n", "{prompt: prompt}"),
    ("by_id.json", json.dumps({"0": {"Question": TIN}, "1": {"Question": DOOR}}), "{prompt: Question}"),
    ("texts_by_id.json", json.dumps({"0": TIN, "1": DOOR}), "{id: id, prompt: prompt}"),
    ("by_category.json", json.dumps({"Tools": [TIN], "Paint": [DOOR]}), "{prompt: prompt, group: category}"),
    ("deep.json", json.dumps({"Home": {"Tools": [TIN], "Paint": [DOOR]}}), "{prompt: prompt}"),
    ("rows_deep.json", json.dumps({"Home": {"Tools": [ROWS[0]], "Paint": [ROWS[1]]}}), "{prompt: text}"),
    ("ids_deep.json", json.dumps({"Home": {"t": TIN}, "Out": {"d": DOOR}}), "{id: id, prompt: prompt}"),
    ("columns.json", json.dumps({"text": [TIN, DOOR], "id": ["a", "b"]}), "{prompt: text}"),
    ("frame.json", json.dumps({"text": {"0": TIN, "1": DOOR}, "id": {"0": 1, "1": 2}}), "{prompt: text}"),
    (
        "split.json",
        json.dumps({"columns": ["id", "text"], "index": [0, 1], "data": [["a", TIN], ["b", DOOR]]}),
        "{prompt: text}",
    ),
    ("table.json", json.dumps({"schema": {"fields": [{"name": "text"}]}, "data": ROWS}), "{prompt: text}"),
    ("bars.csv", f"Q;A\n{TIN};x\n{DOOR};y\n", "{prompt: Q}"),
    ("lines.json", f"{json.dumps(ROWS[0])}\n{json.dumps(ROWS[1])}\n", "{prompt: text}"),
    ("table.tsv", f"id\ttext\n1\t{TIN}\n2\t{DOOR}\n", "{id: id, prompt: text}"),
    ("semicolon.csv", f"id;text\n1;{TIN}\n2;{DOOR}\n", "{id: id, prompt: text}"),
    ("bar.csv", f"text|id, of the row\n{TIN}|1\n{DOOR}|2\n", "{prompt: text}"),
    ("headerless.csv", f'"{TIN}"\n"{DOOR}"\n', "{prompt: prompt}"),
    ("two.csv", f"1,{TIN}\n2,{DOOR}\n", '{id: "0", prompt: "1"}'),
    ("packed.jsonl.gz", gzip.compress("\n".join(map(json.dumps, ROWS)).encode()), "{prompt: text}"),
    ("packed.csv.bz2", bz2.compress(f"text\n{TIN}\n{DOOR}\n".encode()), "{prompt: text}"),
    ("packed.json.xz", lzma.compress(json.dumps(ROWS).encode()), "{prompt: text}"),
    ("packed.txt.gz", gzip.compress(f"{TIN}\n{DOOR}\n".encode()), "{prompt: prompt}"),
]


@pytest.mark.parametrize(("file", "content", "columns"), SAME, ids=[case[0] for case in SAME])
def test_a_published_layout_gives_its_prompts(
    file: str, content: str | bytes, columns: str, tmp_path: Path
) -> None:
    assert prompts(load(tmp_path, file, content, columns)) == [TIN, DOOR]


def test_a_category_is_a_column_and_a_key_is_an_id(tmp_path: Path) -> None:
    nested = json.dumps({"Home": {"Tools": {"t-1": {"q": TIN}}, "Paint": {"p-1": {"q": DOOR}}}})
    columns = '{id: id, prompt: q, group: "{{ category }}/{{ category_2 }}"}'
    items = load(tmp_path, "nested.json", nested, columns).items
    assert [(item.id, item.group) for item in items] == [("t-1", "Home/Tools"), ("p-1", "Home/Paint")]
    splits = load(tmp_path, "splits.json", json.dumps({"train": [TIN], "test": [DOOR]}))
    assert splits.notes == ("rows come from 2 keys of the file (train, test), which column category names",)


def test_a_table_without_header_takes_the_names_that_the_battery_gives(tmp_path: Path) -> None:
    named = load(tmp_path, "t.csv", f"1,{TIN}\n2,{DOOR}\n", "{id: nr, prompt: ask}", header=["nr", "ask"])
    assert [(item.id, item.prompt) for item in named.items] == [("1", TIN), ("2", DOOR)]
    assert not named.notes
    # Short words without punctuation read like names: whoever means rows says so.
    short = load(tmp_path, "s.csv", "open the tin\npaint the door\n", header=False)
    assert prompts(short) == ["open the tin", "paint the door"]


def test_a_guessed_missing_header_is_said_and_a_misspelt_column_is_no_guess(tmp_path: Path) -> None:
    assert any("source.header" in note for note in load(tmp_path, "h.csv", f"{TIN}\n{DOOR}\n").notes)
    with pytest.raises(ManifestError, match="no column 'promt'"):
        load(tmp_path, "p.csv", f"prompt\n{TIN}\n", "{prompt: promt}")
    with pytest.raises(ManifestError, match=r"Columns there: What was asked\?, And why\?"):
        load(tmp_path, "p.csv", f"What was asked?,And why?\n{TIN},so\n")


def test_quotes_that_do_not_pair_are_text_in_a_tsv_alone(tmp_path: Path) -> None:
    row = 'id\tprompt\n1\t"Open" the tin\n2\t5" nails\n'
    assert prompts(load(tmp_path, "q.tsv", row)) == ['"Open" the tin', '5" nails']
    with pytest.raises(ManifestError, match="broken csv"):
        load(tmp_path, "q.csv", row.replace("\t", ","))


def test_a_sheet_of_a_workbook_is_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["about", None])
    sheet = book.create_sheet("asked")
    for row in (["id", "prompt", None], [1, TIN, None], [None, None, None], [2, DOOR, None]):
        sheet.append(row)
    book.save(tmp_path / "book.xlsx")
    raw = (tmp_path / "book.xlsx").read_bytes()
    battery = load(tmp_path, "book.xlsx", raw, "{id: id, prompt: prompt}", records="asked")
    assert [(item.id, item.prompt) for item in battery.items] == [("1", TIN), ("2", DOOR)]
    with pytest.raises(ManifestError, match="cannot read the workbook"):
        load(tmp_path, "book.xlsx", raw, records="nowhere")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ManifestError, match=r"pip install .*\[xlsx\]"):
        load(tmp_path, "book.xlsx", raw)


CHAT = [
    {"role": "user", "content": "Name a tin."},
    {"role": "assistant", "content": "Soup."},
    {"role": "user", "content": TIN},
]
SHAREGPT = [
    {"from": who, "value": turn["content"]} for who, turn in zip(("human", "gpt", "human"), CHAT, strict=True)
]
PARTS = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in CHAT]
CHATS: list[tuple[str, str, str]] = [
    ("one_per_line.jsonl", json.dumps(CHAT), "{prompt: messages}"),
    ("list_of_chats.json", json.dumps([CHAT]), "{prompt: prompt}"),
    ("rows.jsonl", json.dumps({"id": 1, "messages": CHAT}), "{prompt: messages}"),
    ("sharegpt.json", json.dumps([{"conversations": SHAREGPT}]), "{prompt: conversations}"),
    ("parts.jsonl", json.dumps({"messages": PARTS}), "{prompt: messages}"),
    ("object.jsonl", json.dumps({"chat": {"messages": CHAT, "model": "m"}}), "{prompt: chat}"),
    ("labels.jsonl", json.dumps([{**turn, "toxic": False} for turn in CHAT]), "{prompt: prompt}"),
    ("json.csv", "chat\n" + '"' + json.dumps(CHAT).replace('"', '""') + '"\n', "{prompt: chat}"),
    ("python.csv", "chat\n" + '"' + repr(SHAREGPT).replace('"', '""') + '"\n', "{prompt: chat}"),
]


@pytest.mark.parametrize(("file", "content", "columns"), CHATS, ids=[case[0] for case in CHATS])
def test_a_published_chat_is_asked_turn_by_turn(
    file: str, content: str, columns: str, tmp_path: Path
) -> None:
    item = load(tmp_path, file, content, columns).items[0]
    assert [message.as_dict() for message in item.messages] == CHAT


@pytest.mark.parametrize(
    ("turn", "what"),
    [
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "type image_url"),
        ({"role": "user", "content": TIN, "tool_calls": [{"id": "1"}]}, "tool_calls cannot be asked"),
        ({"role": "narrator", "content": TIN}, "no role 'narrator'"),
        ({"role": "user"}, "needs role and content"),
        ({"role": "user", "content": " "}, "without text"),
    ],
)
def test_a_turn_that_cannot_be_asked_is_refused(turn: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=what) as caught:
        load(tmp_path, "c.jsonl", json.dumps({"prompt": [turn]}))
    assert "c.jsonl:1" in str(caught.value)


@pytest.mark.parametrize(
    "cell",
    [
        # As numpy 2 and pandas print a column of arrays into a csv.
        "array([{'role': 'user', 'content': 'How do I open a tin?'}],\n      dtype=object)",
        "[{'role': 'user', 'content': 'How do I open a tin?'}]",
    ],
)
def test_a_chat_as_numpy_prints_it_is_a_chat(cell: str, tmp_path: Path) -> None:
    rows = json.dumps({"prompt": cell})
    assert load(tmp_path, "c.jsonl", rows).items[0].messages == (Message("user", TIN),)


def test_objects_that_numpy_parts_by_a_line_alone_are_turns(tmp_path: Path) -> None:
    first = "{'role': 'system', 'content': 'Say {\"a\": 1}\\n{} or \\\\ none.'}"
    second = "{'content': \"Don't ask.\", 'role': 'user'}"
    cell = f"[{first}\n {second}]"
    item = load(tmp_path, "c.jsonl", json.dumps({"prompt": cell})).items[0]
    assert item.messages == (
        Message("system", 'Say {"a": 1}\n{} or \\ none.'),
        Message("user", "Don't ask."),
    )


@pytest.mark.parametrize(
    "cell",
    [
        "[{'role': 'user', 'content': 'a'}, ..., {'role': 'user', 'content': 'b'}]",
        "array([{'role': 'user', 'content': datetime(2026, 1, 1)}], dtype=object)",
        '[{"role": "user", "content": "a" "b}]',
    ],
)
def test_a_chat_that_cannot_be_read_is_never_asked_as_its_text(cell: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="looks like a list of messages") as caught:
        load(tmp_path, "c.jsonl", json.dumps({"prompt": cell}))
    assert "c.jsonl:1" in str(caught.value)


def test_one_column_of_prose_is_not_parted_at_its_punctuation(tmp_path: Path) -> None:
    texts = ["Open it; slowly", "Paint it | now", "Shut it"]
    assert prompts(load(tmp_path, "t.csv", "prompt\n" + "\n".join(texts) + "\n")) == texts


def test_text_that_only_looks_like_a_chat_stays_text(tmp_path: Path) -> None:
    texts = ['[{"role": "user"', '["role"]', "[role] open it", '{"role": "admin"}']
    assert prompts(load(tmp_path, "t.json", json.dumps(texts))) == texts


def test_a_chat_that_ends_in_an_assistant_turn_is_a_prefill_or_dropped_and_said(tmp_path: Path) -> None:
    rows = json.dumps({"prompt": CHAT[:2]})
    kept = load(tmp_path, "c.jsonl", rows)
    assert kept.items[0].messages[-1] == Message("assistant", "Soup.")
    assert any("1 chats end in an assistant turn" in note for note in kept.notes)
    dropped = load(tmp_path, "c.jsonl", rows, last_assistant_turn="drop")
    assert [message.role for message in dropped.items[0].messages] == ["user"]
    assert not dropped.notes


def test_a_system_prompt_comes_from_a_column(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"prompt": TIN, "as": role}) + "\n" for role in ("a cook", "a smith", ""))
    system = "{{# as }}You are {{ as }}.{{/ as }}"
    items = load(tmp_path, "s.jsonl", rows, system=system).items
    assert [item.messages[0].content for item in items] == ["You are a cook.", "You are a smith.", TIN]
    # One prompt under three system prompts is three items.
    assert len({item.id for item in items}) == 3
    with pytest.raises(ManifestError, match="no column 'role'"):
        load(tmp_path, "s.jsonl", rows, system="{{ role }}")
    with pytest.raises(ManifestError, match="does not close 'as'"):
        load(tmp_path, "s.jsonl", rows, system="{{# as }}")


def choice(folder: Path, rows: str, answer_is: str = "letter", file: str = "q.json") -> Item:
    (folder / file).write_text(rows)
    (folder / "made.yaml").write_text(
        f"name: made\nlicense: own\nscorer: choice\nsource: {{path: {file}}}\n"
        'template: "{{ question }}\\n{{ choices }}"\n'
        f"choices: {{column: options, answer: right, answer_is: {answer_is}}}\n"
    )
    return _items(folder)[0]


@pytest.mark.parametrize("right", [["A", "B"], '["A", "B"]', ["B", "A"], "A, B", "A;B", "AB", "BA"])
def test_several_options_may_be_right(right: object, tmp_path: Path) -> None:
    rows = json.dumps([{"question": "Which are tools?", "options": ["saw", "axe", "soup"], "right": right}])
    options = {"A": "saw", "B": "axe", "C": "soup"}
    assert choice(tmp_path, rows).expect == {"letter": ["A", "B"], "options": options}


@pytest.mark.parametrize(
    "options",
    [
        ["saw", "soup"],
        ["A. saw", "B. soup"],
        ["(A) saw", "(B) soup"],
        {"A": "saw", "B": "soup"},
        '["saw", "soup"]',
        "['saw', 'soup']",
    ],
)
def test_options_are_lettered_once(options: object, tmp_path: Path) -> None:
    item = choice(tmp_path, json.dumps([{"question": "Which is a tool?", "options": options, "right": "A"}]))
    assert item.prompt == "Which is a tool?\nA) saw\nB) soup"
    assert item.expect == {"letter": "A", "options": {"A": "saw", "B": "soup"}}
    rows = json.dumps([{"question": "Which is a tool?", "options": options, "right": "A. saw"}])
    assert choice(tmp_path, rows, "text").expect == item.expect


@pytest.mark.parametrize(
    "options",
    [
        {"A": "saw", "B": "soup", "D": "axe"},
        {"A": "saw", "B": "soup", "C": None, "D": "axe"},
        ["A. saw", "B. soup", "D. axe"],
        '{"A": "saw", "B": "soup", "D": "axe"}',
    ],
)
def test_letters_of_the_source_are_kept_with_their_gaps(options: object, tmp_path: Path) -> None:
    row = {"question": "Which cuts wood?", "options": options, "right": "D"}
    item = choice(tmp_path, json.dumps([row]))
    assert item.prompt == "Which cuts wood?\nA) saw\nB) soup\nD) axe"
    assert item.expect == {"letter": "D", "options": {"A": "saw", "B": "soup", "D": "axe"}}
    assert choice(tmp_path, json.dumps([row | {"right": "AD"}])).expect["letter"] == ["A", "D"]
    assert choice(tmp_path, json.dumps([row | {"right": 2}]), "index").expect == item.expect
    with pytest.raises(ValueError, match="the answer 'C' is none of A, B, D"):
        choice(tmp_path, json.dumps([row | {"right": "C"}]))
    # The choice scorer reads the letters that were shown.
    scorer = find_scorer("choice", Place(), tmp_path)
    assert not isinstance(scorer, Judge)
    assert [scorer.score(text, item.expect).value for text in ("D", "axe", "B")] == [1.0, 1.0, 0.0]


def test_initials_are_no_letters_of_options(tmp_path: Path) -> None:
    options = ["B. Moor", "D. Hill"]
    item = choice(tmp_path, json.dumps([{"question": "Who?", "options": options, "right": "B"}]))
    assert item.expect == {"letter": "B", "options": {"A": "B. Moor", "B": "D. Hill"}}


@pytest.mark.parametrize("options", ["saw or soup", {"x": "saw"}, 3])
def test_what_lists_no_options_is_refused(options: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="column 'options' holds no list of options"):
        choice(tmp_path, json.dumps([{"question": "?", "options": options, "right": "A"}]))


def _items(folder: Path) -> list[Item]:
    from tais.battery.item import ItemMaker
    from tais.battery.load import load_definition
    from tais.battery.rows import read_rows

    battery, _ = load_definition(folder / "made.yaml")
    rows = read_rows(folder / str(battery.source.path), None, Reading(wanted=battery.column_names))
    maker = ItemMaker(battery, rows.columns)
    return [maker.make(row) for row in rows.values]


@pytest.mark.parametrize(
    ("file", "cells"),
    [
        ("e.jsonl", [True, False, 1, 2.0, None]),
        ("e.csv", ["True", "FALSE", "1", "2.0", "null"]),
    ],
)
def test_expectations_are_mapped_from_json_values(file: str, cells: list[object], tmp_path: Path) -> None:
    table = {"true": "refuse", "false": "answer", "1": "refuse", "2": "answer", "null": "answer"}
    if file.endswith("csv"):
        table["2.0"] = table.pop("2")
        content = "prompt,harm\n" + "".join(f"{TIN} {n},{cell}\n" for n, cell in enumerate(cells))
    else:
        rows = [{"prompt": f"{TIN} {n}", "harm": cell} for n, cell in enumerate(cells)]
        content = "\n".join(map(json.dumps, rows))
    battery = load(tmp_path, file, content, "{prompt: prompt, expect: harm}", expect=None, expect_map=table)
    assert [item.expect for item in battery.items] == ["refuse", "answer", "refuse", "answer", "answer"]


BAD: list[tuple[str, str | bytes, str]] = [
    ("mixed.json", json.dumps({"about": "a set", "rows": [TIN]}), "source.records"),
    (
        "about.json",
        json.dumps({"metadata": {"name": "a set"}, "data": [{"prompt": TIN}]}),
        "'metadata' seems to",
    ),
    ("authors.json", json.dumps({"by": {"authors": ["A"], "n": ["B"]}, "data": [TIN]}), "'authors' seems to"),
    (
        "kinds.json",
        json.dumps({"about": {"name": "a set"}, "rows": [TIN]}),
        "'about' holds texts by id, 'rows'",
    ),
    ("depth.json", json.dumps({"names": {"a": ["A"]}, "rows": [TIN]}), "at one depth, .* at another"),
    (
        "object.json",
        json.dumps({"set": {"prompt": "x", "n": 1}, "rows": [{"prompt": TIN}]}),
        "'set' holds objects",
    ),
    ("texts.json", json.dumps({"version": "1.0", "a": TIN, "b": DOOR}), "'version' seems to describe"),
    ("wide.json", json.dumps({"columns": ["prompt"], "data": [[TIN, "x"]]}), "another width"),
    ("number.json", "3", "must be a list or a mapping, not int"),
    ("numbers.json", "[1, 2]", "a text or a chat, not int"),
    ("cut.jsonl.gz", gzip.compress(b'{"prompt": "a"}\n' * 999)[:40], "cannot read the source"),
    ("none.json.gz", b"[]", "cannot read the source"),
    (
        "cut.jsonl.zst",
        pa.compress(b'{"prompt": "a"}\n' * 9, codec="zstd", asbytes=True)[:-6],
        "It is cut or damaged",
    ),
    ("no_bytes.jsonl.gz", b"", "the source has no rows"),
    ("no_bytes.json.zst", b"", "It is cut or damaged"),
    ("nul.csv", b"\0" * 50, "empty prompt"),
    ("latin.csv", b"prompt\nCaf\xe9?\n", r"latin\.csv:2: byte 0xe9 is not UTF-8"),
    ("header.csv", b"prompt\r\n", "the source has no rows"),
    ("twice.json", '[{"prompt": "a", "prompt": "b"}]', "stands twice"),
    ("wide.csv", f"prompt,id\n{TIN},1\n{DOOR},2,3\n", "3 fields where the header has 2"),
]


@pytest.mark.parametrize(("file", "content", "what"), BAD, ids=[case[0] for case in BAD])
def test_what_holds_no_rows_is_refused(file: str, content: str | bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=what) as caught:
        load(tmp_path, file, content)
    assert file in str(caught.value)


def test_a_packed_file_is_unpacked_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_UNPACKED", 1000)
    with pytest.raises(ManifestError, match="packed in this file"):
        load(tmp_path, "bomb.txt.gz", gzip.compress(b"0" * 1001))
