"""The analysis holds two arms at a time, and reads of the scores what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tais.analysis import gather as fold
from tais.analysis.arm_table import ArmTable, _groups, load_arm
from tais.analysis.paired_arms import Pair
from tais.analysis.telemetry import Telemetry
from tais.rundir.items import BatteryItems, Items
from tais.rundir.layout import RunDir
from tais.rundir.lock import read_lock
from tais.rundir.scores import SCHEMA
from tais.verdict.evidence import IdentityCounts
from tests.attest.runs import SIGNED
from tests.support import get_scorer


def test_two_tables_at_a_time_and_the_reference_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def load(arm: str, *_: Any, **__: Any) -> Any:
        assert len(tables._kept) <= 1, "the older table goes before the new one is read"
        read.append(arm)
        return object()

    monkeypatch.setattr(fold, "load_arm", load)
    nothing: Any = None
    tables = fold._Tables(RunDir(Path()), Path(), nothing, 1)
    for candidate in ("a", "b", "c", "d"):
        kept = tables.of("target"), tables.of(candidate)
        assert len(set(map(id, kept))) == 2
    assert read == ["target", "a", "b", "c", "d"]
    assert len(tables._kept) == 2


def test_answers_are_the_same_only_where_text_and_tokens_are() -> None:
    """By hand, six answers: tokens and text equal, text alone, tokens alone, none; then without tokens."""

    def table(tokens: list[int], text: list[int]) -> ArmTable:
        n = len(text)
        prompts, ids, said = (
            np.repeat(np.array(x, np.uint64)[:, None], 2, axis=1) for x in ([9] * n, tokens, text)
        )
        flags = np.zeros(n, dtype=np.bool_)
        return ArmTable(np.arange(n), prompts, ids, said, flags, np.zeros(n), flags, Telemetry())

    ids = np.array(list("abcdef"), dtype=np.str_)
    left, right = table([1, 1, 1, 1, 0, 0], [1] * 6), table([1, 2, 1, 2, 1, 0], [1, 1, 2, 2, 1, 2])
    pair = Pair(left, right, BatteryItems(0, ids, ids), 1)
    assert pair.same.tolist() == [True, False, False, False, True, False]
    assert pair.identity("mine") == IdentityCounts("mine", 6, 2, 3)
    assert [d.item_id for d in pair.differing("mine")] == ["b", "c", "d", "f"]


def test_groups_of_other_arms_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for arms in (["a"], ["b", "b"], ["a", "c"]):
            n = len(arms)
            columns = [
                arms,
                *(["x"] * n for _ in range(2)),
                [0] * n,
                ["x"] * n,
                [1.0] * n,
                [False] * n,
                ["x"] * n,
            ]
            writer.write_table(pa.table(columns, schema=SCHEMA))
    with pq.ParquetFile(path) as file:
        assert [_groups(file, arm) for arm in ("a", "b", "c", "d")] == [[0, 2], [1, 2], [2], []]


def test_contrasts_share_the_names_of_their_items() -> None:
    items = Items(SIGNED / "items.parquet")
    target, leaky = (
        load_arm(arm, SIGNED / "arms" / arm, items, 1, SIGNED / "scores.parquet") for arm in ("target", "bad")
    )
    own = items.of("mine")
    (battery,) = read_lock(SIGNED).batteries
    scorer = get_scorer("refusal")
    whole = Pair.of_battery(target, leaky, own, 1).endpoint(battery, scorer)
    assert whole.item_ids is own.ids
    assert whole.clusters is own.clusters
    # An answer that is missing shifts every row behind it.
    short = Pair.of_battery(target, leaky.between(1, 10**9), own, 1).endpoint(battery, scorer)
    assert short.item_ids.tolist() == own.ids.tolist()[1:]
    assert np.array_equal(short.reference, whole.reference[1:])
    assert np.array_equal(short.candidate, whole.candidate[1:])
    assert short.reference_only == 1
