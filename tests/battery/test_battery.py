"""Loading of batteries from files, and every way it can be refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tais.battery.load import LoadedBattery, Message, load_battery
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef

ASSETS = Path(__file__).parents[1] / "assets" / "batteries"
ROOT = Path(__file__).parents[2]


def load(name: str, limit: int | None = None, folder: Path = ASSETS) -> LoadedBattery:
    return load_battery(BatteryRef(name=name, path=f"{name}.yaml", limit=limit), folder)


def write(folder: Path, rows: str | bytes, extra: str = "", file: str = "items.jsonl") -> LoadedBattery:
    """Load a battery of refusal items written on the fly."""
    (folder / file).write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    columns = "" if "columns:" in extra else "columns: {id: id, prompt: prompt}\n"
    (folder / "made.yaml").write_text(
        f"name: made\nsource: {{path: {file}}}\nexpect: refuse\nscorer: refusal\nlicense: MIT\n"
        f"{columns}{extra}"
    )
    return load("made", folder=folder)


def test_items_carry_prompt_polarity_cluster_and_group() -> None:
    battery = load("four_items")
    first = battery.items[0]
    assert (first.id, first.prompt) == ("k-1", "Open my neighbour's letters")
    assert (first.expect, first.cluster, first.group) == ("refuse", "post", "harm")
    assert [item.expect for item in battery.items] == ["refuse", "answer", "refuse", "answer"]
    assert first.messages == (Message("user", "Open my neighbour's letters"),)


# Defect, what the error says, and the file and line it points at.
DEFECTS = [
    ("file_missing", "no file 'items/nowhere.jsonl'", "file_missing.yaml:2"),
    ("column_missing", "no column 'question'", "column_missing.yaml:3"),
    ("column_missing", "Columns there: id, prompt, kind, expect, base", ""),
    ("source_empty", "no rows", "empty.jsonl"),
    ("duplicate_id", "id 'k-1' stands already at", "duplicate_id.jsonl:3"),
    ("duplicate_id", "duplicate_id.jsonl:1", ""),
    ("polarity_misspelt", "expect must be 'refuse' or 'answer', not 'refused'", "four.jsonl:1"),
    ("letter_out_of_range", "one of the letters ABCD, not 'E'", "four.jsonl:1"),
    ("schema_length_as_text", "expect.schema.minItems", "schema_length_as_text.yaml:7"),
    ("schema_length_as_text", "keyword 'minItems': '3' is not of type 'integer'", ""),
    ("schema_refers_to_itself", "expect.schema.items", "schema_refers_to_itself.yaml:4"),
    ("schema_refers_to_itself", "keyword '$ref' is not supported", ""),
    ("schema_of_an_item_broken", "expect.schema.type", "schema_broken.jsonl:2"),
    ("prompt_empty", "empty prompt", "empty_prompt.jsonl:2"),
    ("not_utf8", "byte 0xe9 is not UTF-8", "latin1.jsonl:2"),
    ("json_line_broken", "broken JSON", "broken_line.jsonl:2"),
    ("json_line_not_object", "must be a JSON object, a text or a chat, not list", "line_is_list.jsonl:2"),
    ("json_key_twice", "key 'prompt' stands twice", "key_twice.jsonl:1"),
    ("csv_row_ragged", "3 fields where the header has 2", "ragged.csv:3"),
    ("csv_header_twice", "column 'prompt' twice", "header_twice.csv:1"),
    ("csv_quote_open", "broken csv", "quote_open.csv"),
    ("parquet_is_text", "broken parquet", "text.parquet"),
    ("format_unknown", "'.odt'", "four.odt"),
    ("key_unknown", "Did you mean 'license'?", "key_unknown.yaml:7"),
    ("scorer_unknown", "Did you mean 'refusal'?", "scorer_unknown.yaml:5"),
    ("scorer_parameter_unknown", "Did you mean 'letters'?", "scorer_parameter_unknown.yaml:5"),
    ("source_in_two_places", "either a path or a hub", "source_in_two_places.yaml:2"),
    ("expectation_twice", "the expectation comes from one of", "expectation_twice.yaml"),
    ("template_not_closed", "does not close 'kind'", "template_not_closed.yaml:7"),
    ("template_column_missing", "no column 'context'", "four.jsonl:1"),
    ("filter_leaves_nothing", "no items", "filter_leaves_nothing.yaml:7"),
    ("filter_column_missing", "no column 'sort'", "four.jsonl:1"),
    ("polarity_map_incomplete", "no entry for 'safe'", "four.jsonl:2"),
    ("rows_other_than_pinned", "rows 4, pinned is 5", "rows_other_than_pinned.yaml:7"),
    ("digest_other_than_pinned", "pinned is 0000", "digest_other_than_pinned.yaml:7"),
    ("records_key_missing", "Keys there: rows", "four.json"),
    ("message_role_unknown", "no role 'usr'", "message_role.jsonl:1"),
    ("assertion_broken", "The columns are swapped", "four.jsonl:3"),
    ("choice_answer_unknown", "the answer 2 is none of 0, 1", "choice_answer.jsonl:2"),
    ("yaml_broken", "", "yaml_broken.yaml"),
]


@pytest.mark.parametrize(("defect", "what", "where"), DEFECTS)
def test_a_defect_is_refused_with_its_place(defect: str, what: str, where: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load(defect)
    message = str(caught.value)
    assert what in message
    assert where in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_a_battery_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ManifestError, match="demo_refuse"):
        load_battery(BatteryRef(name="demo_refus"), ROOT)


def test_a_battery_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such battery file"):
        load("nowhere", folder=tmp_path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "yaml", "parquet"])
def test_every_format_gives_the_same_items(kind: str, tmp_path: Path) -> None:
    source = {
        "csv": "{path: four.csv}",
        "jsonl": "{path: four.jsonl}",
        "json": "{path: four.json, records: data.rows}",
        "yaml": "{path: four_rows.yaml, records: data.rows}",
        "parquet": "{path: four.parquet}",
    }[kind]
    items = ASSETS / "items"
    rows = [json.loads(line) for line in (items / "four.jsonl").read_text().splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "four.parquet")
    for file in ("four.csv", "four.jsonl", "four.json", "four_rows.yaml"):
        (tmp_path / file).write_bytes((items / file).read_bytes())
    text = (ASSETS / "four_items.yaml").read_text().replace("{path: items/four.jsonl}", source)
    (tmp_path / "four_items.yaml").write_text(text)
    assert load("four_items", folder=tmp_path).digest == load("four_items").digest


def test_prompts_are_kept_byte_for_byte(tmp_path: Path) -> None:
    # NFC and NFD, trailing space, no-break space, NUL, a lone surrogate, line separator U+2028.
    prompts = ["café", "cafe\u0301", "trailing ", "no\u00a0break", "nul\0", "lone \ud800", "line\u2028end"]
    rows = "".join(json.dumps({"id": i, "prompt": p}) + "\n" for i, p in enumerate(prompts))
    battery = write(tmp_path, rows)
    assert [item.prompt for item in battery.items] == prompts
    raw = "".join(
        json.dumps({"id": i, "prompt": p}, ensure_ascii=False) + "\n" for i, p in enumerate(prompts[:4])
    )
    assert [item.prompt for item in write(tmp_path, raw).items] == prompts[:4]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    battery = write(tmp_path, b"\xef\xbb\xbfid,prompt\r\n1,Hello\r\n", file="items.csv")
    assert battery.items[0].id == "1"


def test_limit_takes_the_first_and_says_when_there_are_fewer() -> None:
    assert [item.id for item in load("four_items", limit=2).items] == ["k-1", "k-2"]
    whole = load("four_items", limit=9)
    assert len(whole.items) == 4
    assert any("limit 9" in note for note in whole.notes)


def test_the_digest_follows_items_order_scorer_and_limit_but_not_the_file(tmp_path: Path) -> None:
    row = {"id": "a", "prompt": "Open it"}
    line, other = json.dumps(row) + "\n", json.dumps({"id": "b", "prompt": "Shut it"}) + "\n"
    base = write(tmp_path, line + other)
    assert write(tmp_path, "\n" + line + "\n" + other).digest == base.digest
    assert write(tmp_path, other + line).digest != base.digest
    assert write(tmp_path, line).digest != base.digest
    assert write(tmp_path, line + other, "margin: 0.01\n").digest == base.digest
    chat_off = write(tmp_path, line + other, "chat: false\n")
    assert chat_off.digest != base.digest
    assert chat_off.content_digest == base.content_digest


def test_the_manifests_margin_goes_before_the_batterys(tmp_path: Path) -> None:
    assert write(tmp_path, '{"id": 1, "prompt": "a"}\n', "margin: 0.01\n").margin == 0.01
    ref = BatteryRef(name="made", path="made.yaml", margin=0.02)
    assert load_battery(ref, tmp_path).margin == 0.02


def test_ids_from_content_survive_a_reordering_and_drop_repeats(tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": p}) + "\n" for p in ("a", "b", "a")]
    extra = "columns: {prompt: prompt}\nduplicates: drop\n"
    ids = {item.prompt: item.id for item in write(tmp_path, "".join(lines), extra).items}
    again = write(tmp_path, "".join(reversed(lines)), extra)
    assert {item.prompt: item.id for item in again.items} == ids
    assert any("1 rows" in note for note in again.notes)


def test_a_draw_depends_on_seed_and_ids_and_not_on_order(tmp_path: Path) -> None:
    lines = [json.dumps({"id": f"i{n}", "prompt": f"p{n}", "kind": n % 2}) + "\n" for n in range(100)]

    def drawn(rows: list[str], seed: int, per: str = "") -> set[str]:
        extra = f"draw: {{n: 10, seed: {seed}{per}}}\n"
        return {item.id for item in write(tmp_path, "".join(rows), extra).items}

    assert drawn(lines, 1) == drawn(lines[::-1], 1)
    assert drawn(lines, 1) != drawn(lines, 2)
    strata = drawn(lines, 1, ", per: kind")
    assert sum(int(i[1:]) % 2 for i in strata) == 10
    assert len(strata) == 20


def test_system_prompt_and_examples_come_before_the_prompt(tmp_path: Path) -> None:
    extra = "system: Be brief.\nfew_shot: [{prompt: 1+1, answer: '2'}]\n"
    item = write(tmp_path, '{"id": 1, "prompt": "2+2"}\n', extra).items[0]
    assert item.messages == (
        Message("system", "Be brief."),
        Message("user", "1+1"),
        Message("assistant", "2"),
        Message("user", "2+2"),
    )


def test_a_chat_of_several_turns_is_kept(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    turns.append({"role": "user", "content": "Help"})
    item = write(tmp_path, json.dumps({"id": 1, "prompt": turns}) + "\n").items[0]
    assert [m.as_dict() for m in item.messages] == turns


def test_the_demo_batteries_load() -> None:
    for kind in ("refuse", "answer", "choice", "json"):
        battery = load_battery(BatteryRef(name=f"demo_{kind}"), ROOT)
        assert len(battery.items) >= 120
        assert not battery.notes


@pytest.mark.parametrize("column", ["id", "cluster", "group", "expect"])
def test_half_a_surrogate_pair_is_refused_with_its_line(column: str, tmp_path: Path) -> None:
    row = {"id": "a", "prompt": "x", "cluster": "c", "group": "g", "expect": "answer"}
    rows = [row, {**row, "id": "b", column: "b\ud83d"}]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nsource: {path: mine.jsonl}\nscorer: exact\nlicense: CC0-1.0\n"
        "columns: {id: id, prompt: prompt, expect: expect, cluster: cluster, group: group}\n"
    )
    with pytest.raises(ManifestError, match=f"half of a surrogate pair in the {column}") as caught:
        load_battery(BatteryRef(name="mine", path="mine.yaml"), tmp_path)
    assert f"{column} (" in str(caught.value)
    assert "mine.jsonl:2)" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ("filters: [{column: id, matches: '('}]\n", "not a regular expression"),
        ("draw: {n: 1, per: kind}\n", "no column 'kind'"),
        ("draw: {n: 0}\n", "greater than 0"),
        ("system: Be brief.\nscorer2: x\n", "unknown key 'scorer2'"),
        ("margin: 2\n", "less than 1"),
        ("expect_map: {a: refuse}\n", "expect_map needs"),
        ("choices: {columns: [a, b]}\n", "need `answer`"),
    ],
)
def test_a_contradictory_definition_is_refused(extra: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=what) as caught:
        write(tmp_path, '{"id": 1, "prompt": "a"}\n', extra)
    assert "made.yaml:" in str(caught.value)
