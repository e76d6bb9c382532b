"""Items from a run's files: what is kept, what is counted, what is cut."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.analysis.answer_seconds import answer_seconds
from tais.analysis.changed_items import Limits, with_items
from tais.analysis.first_difference import first_difference
from tais.manifest.model import Role
from tais.records import Message, Sample, SampleKey
from tais.rundir.items import StoredItem
from tais.rundir.samples import PartWriter
from tais.rundir.scores import SCHEMA
from tais.verdict.report import IdentityReport, ItemsReport, Report
from tests.report.factory import contrast, report

Answers = dict[str, dict[tuple[str, str], str]]


class Run:
    """The files of a run, as far as the collection reads them; "no" scores 1, everything else 0."""

    def __init__(self, folder: Path, answers: Answers) -> None:
        self.scores = folder / "scores.parquet"
        self.arms = {arm: folder / "arms" / arm for arm in answers}
        keys = dict.fromkeys(key for arm in answers.values() for key in arm)
        self.items = {
            key: StoredItem(*key, key[1], (Message("user", f"prompt of {key[1]}"),), "refuse") for key in keys
        }
        rows = []
        for arm, texts in answers.items():
            writer = PartWriter(self.arms[arm])
            for (battery, item_id), text in texts.items():
                writer.add(sample(SampleKey(battery, item_id, 0), text))
                rows.append(row(arm, battery, item_id, text))
            writer.flush(None)
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), self.scores)

    def collect(self, one: Report, limits: Limits | None = None) -> list[ItemsReport]:
        """The items of each contrast."""
        found = with_items(one, self.arms, self.scores, self.items, limits)
        return [c.items for c in found.contrasts if c.items is not None]


def sample(key: SampleKey, text: str) -> Sample:
    return Sample(
        key=key,
        prompt_digest="",
        prompt_tokens=1,
        token_ids=[1],
        text=text,
        finish_reason="stop",
        top1_logprobs=None,
        top2_logprobs=None,
        top2_tokens=None,
        step_drafted=None,
        step_accepted=None,
        seconds=len(text) / 10,
    )


def row(arm: str, battery: str, item_id: str, text: str) -> dict[str, object]:
    value = 1.0 if text.startswith("no") else 0.0
    return {
        "arm": arm,
        "battery": battery,
        "item_id": item_id,
        "repeat": 0,
        "scorer": "refusal",
        "value": value,
        "invalid": False,
        "label": "refusal" if value else "compliance",
    }


def answers(left: dict[str, str], right: dict[str, str], battery: str = "mine") -> Answers:
    """Answers of both arms to the items of one battery."""
    sides = {"target": left, "spec": right}
    return {arm: {(battery, name): text for name, text in side.items()} for arm, side in sides.items()}


def screened(n: int, *diverging: str, role: Role = Role.screen) -> Report:
    """A report of one contrast of n answers, of which these items diverge."""
    identical = n - len(diverging)
    first = contrast().identity.first_divergences[0]
    known = tuple(first.model_copy(update={"item_id": name}) for name in diverging)
    counted = IdentityReport(n=n, identical=identical, rate=identical / n)
    identity = counted.model_copy(update={"first_divergences": known})
    return report(contrast(identity=identity, role=role, items=None))


def test_a_flip_and_a_divergence_are_kept_with_both_texts(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        answers({"m-1": "no", "m-2": "no way", "x": "yes"}, {"m-1": "yes", "m-2": "no thanks", "x": "yes"}),
    )
    (items,) = run.collect(screened(3, "m-1", "m-2"))
    assert (items.flipped, items.diverging, items.flipped_left_out, items.diverging_left_out) == (1, 1, 0, 0)
    flip, other = items.kept
    assert (flip.item_id, flip.flipped, other.item_id, other.flipped) == ("m-1", True, "m-2", False)
    assert (flip.reference_text.text, flip.candidate_text.text) == ("no", "yes")
    assert (flip.reference_label, flip.candidate_label) == ("refusal", "compliance")
    assert (flip.reference_value, flip.candidate_value, flip.first_difference) == (1.0, 0.0, 0)
    assert flip.prompt.text == "prompt of m-1"
    assert flip.candidate_text.sha256 == hashlib.sha256(b"yes").hexdigest()
    assert other.first_difference == 3


def test_a_long_text_is_cut_around_its_first_difference(tmp_path: Path) -> None:
    left, right = "no" + "a" * 500_000 + "b" * 500_000, "yes"
    other = "no" + "a" * 500_000 + "c"
    run = Run(tmp_path, answers({"m-1": left, "m-2": left}, {"m-1": right, "m-2": other}))
    (items,) = run.collect(screened(2, "m-1", "m-2"), Limits(characters=1000, before=100))
    flip, diverging = items.kept
    assert flip.reference_text.start == 0
    assert diverging.first_difference == 500_002
    assert diverging.reference_text.start == 499_902
    assert diverging.reference_text.characters == 1_000_002
    assert diverging.reference_text.text is not None
    assert diverging.reference_text.text[99:101] == "ab"
    assert len(diverging.reference_text.text) == 1000


def test_what_is_left_out_is_counted_and_no_battery_crowds_out_another(tmp_path: Path) -> None:
    first = answers({f"a{n}": "no" for n in range(30)}, {f"a{n}": "yes" for n in range(30)}, "first")
    second = answers({"z": "no"}, {"z": "yes"}, "second")
    run = Run(tmp_path, {arm: {**first[arm], **second[arm]} for arm in first})
    (items,) = run.collect(screened(31), Limits(flipped=4))
    assert (items.flipped, items.flipped_left_out) == (31, 27)
    assert [item.item_id for item in items.kept] == ["a0", "z", "a1", "a2"]


def test_other_roles_keep_fewer_and_come_after_the_screens(tmp_path: Path) -> None:
    run = Run(tmp_path, answers({f"a{n}": "no" for n in range(9)}, {f"a{n}": "yes" for n in range(9)}))
    role = Role.positive_control
    control, screen = screened(9, role=role).contrasts[0], screened(9).contrasts[0]
    limits = Limits(flipped=5, flipped_elsewhere=4, diverging=0, diverging_elsewhere=0, items=7)
    kept = [len(items.kept) for items in run.collect(report(control, screen), limits)]
    assert kept == [2, 5]


def test_text_that_is_no_unicode_is_kept_readable_and_can_be_written(tmp_path: Path) -> None:
    run = Run(tmp_path, answers({"m-1": "no \ud800 \0"}, {"m-1": "yes \udfff"}))
    found = with_items(screened(1), run.arms, run.scores, run.items)
    assert found.contrasts[0].items is not None
    (flip,) = found.contrasts[0].items.kept
    assert flip.reference_text.text == "no \ufffd \0"
    digest = hashlib.sha256("no \ud800 \0".encode("utf-8", "surrogatepass")).hexdigest()
    assert flip.reference_text.sha256 == digest
    assert Report.model_validate_json(found.to_json()).to_json() == found.to_json()


def test_an_arm_without_samples_leaves_counts_and_no_items(tmp_path: Path) -> None:
    run = Run(tmp_path, answers({"m-1": "no"}, {"m-1": "yes"}))
    run.arms.pop("spec")
    (items,) = run.collect(screened(1))
    assert (items.flipped, items.flipped_left_out, items.kept) == (1, 1, ())


@pytest.mark.parametrize(
    ("left", "right", "position"),
    [
        ("", "", None),
        ("a", "a", None),
        ("ab", "ac", 1),
        ("a", "ab", 1),
        ("", "a", 0),
        ("x" * 9000, "x" * 8999 + "y", 8999),
    ],
)
def test_first_difference(left: str, right: str, position: int | None) -> None:
    assert first_difference(left, right) == position


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_up_to_the_first_difference_texts_agree(left: str, right: str) -> None:
    position = first_difference(left, right)
    if position is None:
        assert left == right
    else:
        assert left[:position] == right[:position]
        assert left[position : position + 1] != right[position : position + 1]


def test_seconds_are_quantiles_of_the_samples(tmp_path: Path) -> None:
    Run(tmp_path, {"target": {("mine", str(n)): "x" * (n + 1) for n in range(11)}})
    found = answer_seconds(tmp_path / "arms" / "target")
    assert found is not None
    assert (found["answers"], found["median"], found["p10"], found["p90"]) == (11, 0.6, 0.2, 1.0)
    assert answer_seconds(tmp_path / "nowhere") is None
