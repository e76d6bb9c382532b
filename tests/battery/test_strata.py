"""Strata of a battery, limits in proportion to them, and prompts that stand under several ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tais.battery.load import LoadedBattery, load_battery
from tais.manifest.model import BatteryRef

Row = Mapping[str, object]


def load(
    folder: Path, rows: list[Row], limit: int | None = None, *, scorer: str = "refusal", columns: str = ""
) -> LoadedBattery:
    """Load rows of id, prompt and expectation."""
    (folder / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "made.yaml").write_text(
        "name: made\nsource: {path: made.jsonl}\nlicense: MIT\n"
        f"columns: {{id: id, prompt: prompt, expect: expect{columns}}}\nscorer: {scorer}\n"
    )
    return load_battery(BatteryRef(name="made", path="made.yaml", limit=limit), folder)


def rows(refuse: int, answer: int) -> list[Row]:
    """Items to refuse, then items to answer."""
    expects = ["refuse"] * refuse + ["answer"] * answer
    return [{"id": f"i{k}", "prompt": f"question {k}", "expect": e} for k, e in enumerate(expects)]


def sizes(battery: LoadedBattery) -> dict[str | None, int]:
    return {stratum: len(items) for stratum, items in battery.strata.items()}


def test_items_of_a_scorer_with_polarity_are_split_by_expectation_and_no_others(tmp_path: Path) -> None:
    assert sizes(load(tmp_path, rows(3, 2))) == {"refuse": 3, "answer": 2}
    assert sizes(load(tmp_path, rows(3, 2), scorer="judge_llama_guard")) == {None: 5}
    assert sizes(load(tmp_path, rows(3, 2), scorer="judge_rubric")) == {"refuse": 3, "answer": 2}


@pytest.mark.parametrize(
    ("refuse", "answer", "limit", "kept"),
    [
        # Largest remainders: 200 of 450 and 250 of 450 of 100 are 44.4 and 55.6.
        (200, 250, 100, {"refuse": 44, "answer": 56}),
        (500, 500, 101, {"refuse": 51, "answer": 50}),
        # A share below one half is still one item.
        (990, 10, 20, {"refuse": 19, "answer": 1}),
        (2, 300, 2, {"refuse": 1, "answer": 1}),
        # No room for both: the larger one.
        (2, 300, 1, {"answer": 1}),
        (3, 2, 9, {"refuse": 3, "answer": 2}),
        (40, 0, 7, {"refuse": 7}),
    ],
)
def test_a_limit_is_divided_in_proportion_to_the_strata(
    refuse: int, answer: int, limit: int, kept: dict[str | None, int], tmp_path: Path
) -> None:
    battery = load(tmp_path, rows(refuse, answer), limit)
    assert sizes(battery) == kept
    everything = [item.id for item in load(tmp_path, rows(refuse, answer)).items]
    asked = [item.id for item in battery.items]
    assert asked == [name for name in everything if name in set(asked)], "in the order of the source"
    first = {"refuse": 0, "answer": refuse}
    for stratum, items in battery.strata.items():
        start = first[str(stratum)]
        assert [item.id for item in items] == [f"i{start + k}" for k in range(len(items))], "the first ones"


def test_without_polarity_a_limit_takes_the_first_items(tmp_path: Path) -> None:
    battery = load(tmp_path, rows(8, 8), 6, scorer="judge_llama_guard")
    assert [item.id for item in battery.items] == [f"i{k}" for k in range(6)]


def test_equal_prompts_under_several_ids_share_a_cluster_and_a_note_says_so(tmp_path: Path) -> None:
    made: list[Row] = [
        {"id": f"i{k}", "prompt": f"question {k % 7}", "expect": "refuse" if k % 2 else "answer"}
        for k in range(16)
    ]
    battery = load(tmp_path, made)
    assert [item.cluster for item in battery.items] == [f"i{k % 7}" for k in range(16)]
    assert Counter(len({i.cluster for i in items}) for items in battery.strata.values()) == {7: 2}
    assert "7 prompts occur under several ids (16 items): n counts each once" in battery.notes


def test_more_space_what_nobody_sees_and_another_spelling_of_a_letter_make_no_other_prompt(
    tmp_path: Path,
) -> None:
    told = [
        "Où est-ce ?",
        " Où est-ce ?\n",
        "Ou\u0300 est-ce ?",
        "\ufeffOù est-ce ?\u200b ",
        "Où  e\u00adst-ce ?",
    ]
    made: list[Row] = [{"id": f"q{k}", "prompt": text, "expect": "refuse"} for k, text in enumerate(told)]
    battery = load(tmp_path, made)
    assert {item.cluster for item in battery.items} == {"q0"}
    assert [item.prompt for item in battery.items] == told
    assert "1 prompt occurs under several ids (5 items): n counts each once" in battery.notes


def test_no_prompt_twice_is_not_worth_a_note(tmp_path: Path) -> None:
    battery = load(tmp_path, rows(3, 3))
    assert not any("several ids" in note for note in battery.notes)
    assert [item.cluster for item in battery.items] == [item.id for item in battery.items]


def test_a_prompt_is_its_whole_chat(tmp_path: Path) -> None:
    chats = [
        [{"role": "user", "content": "And now?"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And now?"}],
        [{"role": "user", "content": "And now?"}],
    ]
    made: list[Row] = [{"id": f"c{k}", "prompt": chat, "expect": "refuse"} for k, chat in enumerate(chats)]
    assert [item.cluster for item in load(tmp_path, made).items] == ["c0", "c1", "c0"]


def test_clusters_that_the_battery_names_stand(tmp_path: Path) -> None:
    labels = ["a", "b", "", "", "q0"]
    made: list[Row] = [
        {"id": f"q{k}", "prompt": "The same?", "expect": "refuse", "base": label}
        for k, label in enumerate(labels)
    ]
    battery = load(tmp_path, made, columns=", cluster: base")
    # Two items without a label are one prompt; a label that looks like an id is a label.
    assert [item.cluster for item in battery.items] == ["a", "b", "q2", "q2", "q0"]
    assert any(note.endswith("n counts the clusters that the battery names") for note in battery.notes)


def test_the_digests_are_of_the_items_as_the_source_has_them(tmp_path: Path) -> None:
    twice: list[Row] = [{"id": f"q{k}", "prompt": "The same?", "expect": "refuse"} for k in range(2)]
    named: list[Row] = [{**row, "base": row["id"]} for row in twice]
    plain, labelled = load(tmp_path, twice), load(tmp_path, named, columns=", cluster: base")
    assert plain.content_digest == labelled.content_digest, "a pin of an earlier version still holds"
    assert plain.digest == labelled.digest
