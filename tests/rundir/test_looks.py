"""Which items belong to which look: each stratum brings its own share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tais.rundir.items import Items, StoredItem, write_rows
from tais.rundir.looks import LookPlan, Stratum, counts_within, look_numbers, planned_counts

EXPECTS = ["refuse"] * 12 + ["answer"] * 40


@pytest.fixture
def items(tmp_path: Path) -> Items:
    """12 items to refuse in 6 clusters, and 40 to answer, two of which share a cluster with one to refuse."""
    clusters = [f"c{k // 2}" for k in range(12)] + [f"c{k}" for k in range(40)]
    rows = [
        StoredItem("mine", f"i{k}", cluster, (), expect, group="early" if k < 9 else None)
        for k, (cluster, expect) in enumerate(zip(clusters, EXPECTS, strict=True))
    ]
    write_rows(tmp_path / "items.parquet", [rows])
    return Items(tmp_path / "items.parquet")


def test_items_know_their_stratum_and_their_category(items: Items) -> None:
    split = items.of("mine", split=True)
    assert split.stratum_names() == ("refuse", "answer")
    assert split.rows_of("answer").tolist() == list(range(12, 52))
    assert split.groups is not None
    assert split.groups.tolist() == ["early"] * 9 + [""] * 43
    assert items["mine", "i3"].group == "early"
    whole = items.of("mine")
    assert (whole.strata, whole.stratum_names(), len(whole.rows_of(None))) == (None, (None,), 52)


def test_each_stratum_brings_its_planned_share_to_every_look(items: Items) -> None:
    planned = {"refuse": planned_counts(6, 4), "answer": planned_counts(40, 4)}
    by_stratum: dict[Stratum, tuple[int, ...]] = {("mine", name): counts for name, counts in planned.items()}
    plan = LookPlan("pocock", 4, ("spec",), by_stratum, {"mine": True}, 7)
    numbers = look_numbers(plan, items)
    own = items.of("mine", split=True)
    for name, counts in planned.items():
        rows = own.rows_of(name)
        assert counts_within(numbers[rows], own.clusters[rows], 4) == counts
        for cluster in set(own.clusters[rows].tolist()):
            assert len(set(numbers[rows][own.clusters[rows] == cluster].tolist())) == 1, "it stays together"


def test_counts_are_of_clusters_by_the_look_at_which_they_are_first_seen() -> None:
    clusters = np.array(["a", "a", "b", "c"])
    assert counts_within(np.array([2, 1, 2, 4]), clusters, 4) == (1, 2, 2, 3)
