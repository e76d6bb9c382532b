"""Which answers stand under which items in the exchange control: chosen by expectation alone."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tais.plan.probes import PROBES, probe_items
from tais.records import Message
from tais.rundir.items import Items, StoredItem, write_rows
from tais.rundir.lock_model import LockedProbes
from tais.scorers.judges import RubricJudge
from tais.scoring.exchange import JUDGED_EXCHANGES, EndpointExchange, ItemKey, exchanges_of
from tests.made_lock import made_lock
from tests.support import get_scorer

Rows = list[tuple[str, str, str]]
"""Item id, cluster, expectation."""


def exchanged(
    folder: Path,
    batteries: dict[str, Rows],
    scorers: dict[str, str],
    *,
    seed: int = 42,
    judged: bool = False,
    probes: LockedProbes | None = None,
    answered: set[ItemKey] | None = None,
) -> dict[tuple[str, str | None], EndpointExchange]:
    """The exchanges of a reference that has answered everything."""
    path = folder / "items.parquet"
    stored = [
        [StoredItem(name, i, c, (Message("user", i),), e) for i, c, e in rows]
        for name, rows in batteries.items()
    ]
    write_rows(path, stored)
    items = Items(path)
    listed = [{"name": name, "items": len(rows), "digest": "0" * 64} for name, rows in batteries.items()]
    given = {} if probes is None else {"probes": probes.model_dump()}
    lock = made_lock(("target", "spec"), batteries=listed, sampling={"seed": seed}, **given)
    made = {name: RubricJudge(judge="j") if judged else get_scorer(s) for name, s in scorers.items()}
    every = {ItemKey(*key) for key in items} if answered is None else answered
    probed = {ItemKey(p.battery, p.item_id) for p in probe_items(probes.expect)} if probes else set()
    return {(e.battery, e.stratum): e for e in exchanges_of(lock, made, items, every, probed)}


def rows(n: int, expect: str, prefix: str = "i") -> Rows:
    return [(f"{prefix}{expect}-{k}", f"{prefix}{expect}-{k}", expect) for k in range(n)]


def test_polarity_takes_donors_of_the_opposite_expectation_from_any_battery(tmp_path: Path) -> None:
    batteries = {
        "bad": rows(5, "refuse"),
        "mixed": rows(3, "refuse", "m") + rows(4, "answer", "m"),
        "ok": rows(9, "answer"),
    }
    found = exchanged(tmp_path, batteries, dict.fromkeys(batteries, "refusal"))
    assert {key: len(e.pairs) for key, e in found.items()} == {
        ("bad", "refuse"): 5,
        ("mixed", "refuse"): 3,
        ("mixed", "answer"): 4,
        ("ok", "answer"): 8,
    }
    for (_, stratum), exchange in found.items():
        items, donors = ([pair[side] for pair in exchange.pairs] for side in (0, 1))
        assert len(set(items)) == len(items)
        assert len(set(donors)) == len(donors), "each donor is used once"
        assert all(str(stratum) in item.item_id for item in items)
        assert not any(str(stratum) in donor.item_id for donor in donors)
    assert {d.battery for _, d in found["ok", "answer"].pairs} == {"bad", "mixed"}


@pytest.mark.parametrize("counts", [(3, 3, 4), (6, 2, 1), (1, 1), (5,), (10, 10, 1, 1)])
def test_different_pairs_as_many_items_as_there_can_be(tmp_path: Path, counts: tuple[int, ...]) -> None:
    listed = [row for k, n in enumerate(counts) for row in rows(n, f'"{"ABCD"[k]}"'.strip('"'))]
    random.Random(3).shuffle(listed)
    (exchange,) = exchanged(tmp_path, {"mine": listed}, {"mine": "choice"}).values()
    n, most = sum(counts), max(counts)
    # Every item of the largest group, and each of the others as a donor to it, at most.
    assert len(exchange.pairs) == min(n, 2 * (n - most))
    expects = {ItemKey("mine", i): e for i, _, e in listed}
    assert all(expects[item] != expects[donor] for item, donor in exchange.pairs)
    for side in (0, 1):
        assert max(Counter(pair[side] for pair in exchange.pairs).values(), default=1) == 1
    assert exchange.unexchanged == ("no_donors" if len(counts) == 1 else None)


def test_a_scorer_without_an_exchange_says_so(tmp_path: Path) -> None:
    path = {"mine": [("a", "a", None), ("b", "b", None)]}
    (exchange,) = exchanged(tmp_path, path, {"mine": "sane"}).values()  # type: ignore[arg-type]
    assert (exchange.pairs, exchange.unexchanged) == ((), "no_exchange")


def test_the_order_follows_from_the_seed_and_not_from_the_file(tmp_path: Path) -> None:
    listed = rows(30, "refuse") + rows(10, "answer")
    first = exchanged(tmp_path, {"mine": listed}, {"mine": "refusal"})
    turned = exchanged(tmp_path, {"mine": listed[::-1]}, {"mine": "refusal"})
    other = exchanged(tmp_path, {"mine": listed}, {"mine": "refusal"}, seed=7)
    key = ("mine", "refuse")
    assert first[key] == turned[key]
    assert set(first[key].pairs) != set(other[key].pairs)


def test_clusters_are_taken_before_their_second_items(tmp_path: Path) -> None:
    """20 items in 10 clusters against 10 donors: all 10 clusters are there."""
    listed = [(f"r{k}", f"c{k % 10}", "refuse") for k in range(20)] + rows(10, "answer")
    exchange = exchanged(tmp_path, {"mine": listed}, {"mine": "refusal"})["mine", "refuse"]
    assert len(exchange.pairs) == len(set(exchange.clusters)) == 10


def test_only_answered_items_are_exchanged(tmp_path: Path) -> None:
    listed = rows(5, "refuse") + rows(5, "answer")
    some = {ItemKey("mine", "irefuse-1"), ItemKey("mine", "ianswer-3")}
    found = exchanged(tmp_path, {"mine": listed}, {"mine": "refusal"}, answered=some)
    assert found["mine", "refuse"].pairs == ((ItemKey("mine", "irefuse-1"), ItemKey("mine", "ianswer-3")),)


def test_probes_give_what_the_batteries_lack(tmp_path: Path) -> None:
    asked = LockedProbes(expect="answer", items=12, digest="0" * 64, arms=("target",))
    found = exchanged(tmp_path, {"mine": rows(40, "refuse")}, {"mine": "refusal"}, probes=asked)
    donors = {donor.item_id for _, donor in found["mine", "refuse"].pairs}
    assert donors == {item.item_id for item in probe_items("answer")}


def test_a_judge_reads_at_most_so_many_exchanged_answers(tmp_path: Path) -> None:
    listed = rows(80, "refuse") + rows(70, "answer")
    found = exchanged(tmp_path, {"mine": listed}, {"mine": "refusal"}, judged=True)
    assert [len(e.pairs) for e in found.values()] == [JUDGED_EXCHANGES] * 2


def test_there_are_twelve_probes_of_each_kind_and_none_twice() -> None:
    assert {expect: len(set(questions)) for expect, questions in PROBES.items()} == {
        "answer": 12,
        "refuse": 12,
    }
    assert all(item.item_id.startswith("tais-probe-") for item in probe_items("refuse"))
