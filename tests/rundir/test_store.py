"""The sample store, the ledger, the lock's comparison and small files."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.analysis.first_difference import first_difference
from tais.analysis.telemetry import Telemetry
from tais.common.files import store_error, write_atomic
from tais.errors import StoreError
from tais.records import Counters, Sample, SampleKey
from tais.rundir.ledger import append, attempts, read_ledger
from tais.rundir.lock import compare_locks
from tais.rundir.lock_model import Lock
from tais.rundir.samples import PartWriter, part_files, read_batches, read_counters, stored_keys
from tests.made_lock import made_lock


def sample(item: str = "a", text: str = "x", repeat: int = 0) -> Sample:
    return Sample(SampleKey("b", item, repeat), "", None, None, text, "stop")


def test_a_part_is_never_rewritten(tmp_path: Path) -> None:
    for item in ("a", "b"):
        writer = PartWriter(tmp_path)
        writer.add(sample(item))
        writer.flush(None)
    assert [path.name for path in part_files(tmp_path)] == ["part-00000.parquet", "part-00001.parquet"]
    assert stored_keys(tmp_path) == {SampleKey("b", "a", 0), SampleKey("b", "b", 0)}


def test_an_unfinished_part_is_no_part_and_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".part-00000.parquet.123").write_bytes(b"half")
    assert part_files(tmp_path) == []
    PartWriter(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_parts_of_an_older_version_read_as_answers_that_say_nothing_beside_their_text(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    writer.add(sample("a"))
    writer.add(replace(sample("b"), parts='{"refusal":"no"}'))
    new = writer.flush(None)
    assert new is not None
    table = pq.read_table(new)
    (batch,) = read_batches(tmp_path, ("item_id", "parts"))
    assert batch.column("parts").to_pylist() == [None, '{"refusal":"no"}']
    pq.write_table(table.drop_columns("parts"), new)
    (batch,) = read_batches(tmp_path, ("item_id", "parts"))
    assert batch.column("parts").to_pylist() == [None, None]


def test_counters_are_deltas_that_add_up_over_parts(tmp_path: Path) -> None:
    for positions in ((3, 1), (2,)):
        writer = PartWriter(tmp_path)
        writer.add(sample(str(positions)))
        writer.flush(Counters(4, 8, sum(positions), positions))
    assert read_counters(tmp_path) == Counters(8, 16, 6, (5, 1))


@given(st.text(st.characters(), max_size=30))
def test_every_text_survives_the_store(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        writer = PartWriter(Path(name))
        writer.add(sample(text=text))
        writer.flush(None)
        (row,) = (row for batch in read_batches(Path(name)) for row in batch.to_pylist())
    kept = row["text"] if row["text_raw"] is None else row["text_raw"].decode("utf-8", "surrogatepass")
    assert kept == text


def test_a_lone_surrogate_is_kept_as_bytes(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    writer.add(sample(text="a\ud800b"))
    writer.flush(None)
    (row,) = (row for batch in read_batches(tmp_path) for row in batch.to_pylist())
    assert row["text"] == "a?b"
    assert row["text_raw"] == b"a\xed\xa0\x80b"


@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_first_difference_is_the_length_of_the_common_beginning(left: list[int], right: list[int]) -> None:
    position = first_difference(left, right)
    if position is None:
        assert left == right
    else:
        assert left[:position] == right[:position]
        assert left[position : position + 1] != right[position : position + 1]


def test_accepted_tokens_per_position_count_the_steps_that_reached_it() -> None:
    import pyarrow as pa

    telemetry = Telemetry()
    steps = pa.array([[3, 3, 0], None, [2]], pa.list_(pa.int16()))
    taken = pa.array([[3, 1, 0], None, [0]], pa.list_(pa.int16()))
    ids = pa.array([[1] * 9, [1], [1] * 2], pa.list_(pa.int32()))
    lengths = pa.array([127, None, 128], pa.int32())
    names = ["token_ids", "step_drafted", "step_accepted", "prompt_tokens"]
    telemetry.add(pa.RecordBatch.from_arrays([ids, steps, taken, lengths], names=names))
    found = telemetry.evidence("ngram", "ngram", Path("unused"))
    assert (found.drafts, found.draft_tokens, found.accepted_tokens) == (3, 8, 4)
    assert found.accepted_per_position == (2, 1, 1)
    # The first position of three drafts, the second after two acceptances, the third after one.
    assert found.tried_per_position == (3, 2, 1)
    assert (found.answers, found.answers_accepted) == (3, 1)
    assert [(x.least, x.below, x.answers, x.draft_tokens, x.accepted_tokens) for x in found.by_length] == [
        (0, 128, 1, 6, 4),
        (128, 512, 1, 2, 0),
    ]


def test_the_ledger_shows_a_removed_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for run in ("one", "two", "three"):
        append(path, {"event": "start", "run": run, "manifest": "m", "time": "t"})
    assert len(read_ledger(path)) == 3
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(StoreError, match="does not follow the one before it"):
        read_ledger(path)


def test_the_ledger_shows_an_edited_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for outcome in ("fail", "pass"):
        append(path, {"event": "end", "run": outcome, "manifest": "m", "time": "t", "outcome": outcome})
    path.write_text(path.read_text().replace('"fail"', '"pass"'))
    with pytest.raises(StoreError, match=r"ledger.jsonl:2"):
        read_ledger(path)


def test_a_last_line_without_its_end_is_kept_where_it_lacks_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for run in ("one", "two"):
        append(path, {"event": "start", "run": run, "manifest": "m", "time": "t"})
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    assert [entry["run"] for entry in read_ledger(path)] == ["one", "two"]
    append(path, {"event": "start", "run": "three", "manifest": "m", "time": "t"}, check=True)
    assert [entry["run"] for entry in read_ledger(path)] == ["one", "two", "three"]


def test_an_edited_ledger_takes_no_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for outcome in ("fail", "pass"):
        append(path, {"event": "end", "run": outcome, "manifest": "m", "time": "t", "outcome": outcome})
    path.write_text(path.read_text().replace('"fail"', '"pass"') + '{"torn')
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"ledger.jsonl:2"):
        append(path, {"event": "start", "run": "new", "manifest": "m", "time": "t"}, check=True)
    assert path.read_bytes() == before


def test_attempts_count_a_resumed_run_once() -> None:
    entries = [
        {"event": "start", "run": "r", "manifest": "m", "time": "1"},
        {"event": "end", "run": "r", "manifest": "m", "time": "2", "outcome": "interrupted"},
        {"event": "resume", "run": "r", "manifest": "m", "time": "3"},
        {"event": "end", "run": "r", "manifest": "m", "time": "4", "outcome": "pass"},
        {"event": "start", "run": "s", "manifest": "other", "time": "5"},
    ]
    assert attempts(entries, "m") == [{"run": "r", "started": "1", "outcome": "pass"}]


def test_locks_are_compared_key_by_key() -> None:
    def lock(second: str) -> Lock:
        return made_lock(
            batteries=[{"name": n, "items": 1, "digest": d} for n, d in (("x", "a"), ("y", second))]
        )

    assert compare_locks(lock("b"), lock("b")) == []
    assert [tuple(d) for d in compare_locks(lock("b"), lock("c"))] == [("batteries.1.digest", "b", "c")]
    assert compare_locks(lock("b"), lock("c"), ["rules", "arms"]) == []


def test_an_atomic_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_atomic(path, b"{}")
    assert path.read_bytes() == b"{}"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    with pytest.raises(StoreError, match="no such file or directory"):
        write_atomic(tmp_path / "missing" / "x", b"")


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "Free some space"), (errno.EACCES, "--out"), (errno.EROFS, "--out")]
)
def test_disk_errors_say_what_to_do(number: int, remedy: str) -> None:
    assert remedy in str(store_error(OSError(number, "text"), Path("x")))


def test_metadata_of_a_part_is_json(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    writer = PartWriter(tmp_path)
    writer.add(sample())
    path = writer.flush(Counters(1, 2, 1, (1,)))
    assert path is not None
    assert json.loads(pq.read_schema(path).metadata[b"tais.counters"])["draft_tokens"] == 2
