"""A screen that stops early, from the manifest to the report, on the fake engine."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.attest.recompute import check_recomputed
from tais.common.yaml12 import loads
from tais.errors import ManifestError
from tais.manifest.load import resolve
from tais.manifest.model import Manifest
from tais.rundir.items import Items, StoredItem, write_rows
from tais.rundir.lock import read_lock
from tais.rundir.looks import LookPlan, Stratum, look_numbers, planned_counts
from tais.rundir.samples import part_files
from tests.conftest import FAKE, SPECULATION, Screen, Tais, start, without_times
from tests.runs.test_resume import kill_after, stored

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

N = 180
ASSETS = Path(__file__).parents[1] / "assets" / "manifests"


@pytest.fixture
def early(screen: Screen) -> Screen:
    """Two arms over 180 items with a margin of 6 points: without a flip, look 2 of 3 passes."""
    screen.items(N)
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec", "audit": False}]
    screen.data["arms"] = {
        # First, so that the order of the manifest is not the order in which arms run.
        "spec": {**FAKE, "speculative_config": dict(SPECULATION)},
        "target": dict(FAKE),
    }
    screen.data["rules"] = {"margin": 0.06, "sequential": 3}
    screen.write()
    return screen


def leak(screen: Screen, share: float) -> None:
    screen.data["contrasts"][0] |= {"lossless": False}
    # Of another precision: what a lossy verifier owes, which is misses in an audit, it does not owe.
    screen.data["arms"]["spec"]["dtype"] = "float16"
    screen.options("spec", leak=share)


def run(tais: Tais, screen: Screen, *arguments: object, code: int = 0) -> dict[str, Any]:
    done = tais("run", screen.path, "--out", screen.out, *arguments)
    assert done.returncode == code, done.stderr
    return screen.report()


def answered(run_dir: Path) -> Counter[str]:
    """Stored answers by arm."""
    return Counter(arm for arm, _, _ in stored(run_dir).elements())


def test_identical_arms_stop_early_with_a_pass(early: Screen, tais: Tais) -> None:
    done = tais("run", early.path, "--out", early.out)
    assert done.returncode == 0, done.stderr
    assert "spec: stops at look 2 of 3: every endpoint has passed" in done.stderr
    run_dir, report = early.run_dirs()[0], early.report()
    assert answered(run_dir) == {"target": N, "spec": 120}
    lock = json.loads((run_dir / "manifest.lock.json").read_text())
    assert lock["sequential"] == {
        "kind": "obrien_fleming",
        "looks": 3,
        "arms": ["spec"],
        # Counts of each stratum, and the endpoints that a fail at a look is weighed among.
        "batteries": {
            "mine": {"clusters": [60, 120, 180], "early": True, "strata": {"refuse": [60, 120, 180]}}
        },
        "endpoints": 1,
    }
    [contrast] = report["contrasts"]
    found = contrast["details"]["sequential"]
    assert (found["look"], found["stopped"], found["answers_not_asked"]) == (2, "pass", 60)
    # The mean length of the answers that are there, for each that is not.
    tokens = report["facts"]["arms"]["spec"]["tokens"]
    assert found["tokens_saved"] == round(60 * tokens / 120)
    assert "stopped_early" in {r["code"] for r in contrast["reasons"]}
    assert contrast["endpoints"][0]["n"] == contrast["identity"]["n"] == 120
    assert contrast["endpoints"][0]["details"]["unmatched"] == {
        "reference_only": 0,
        "candidate_only": 0,
        "unanswered": 0,
    }
    # The same from the samples alone.
    again = tais("report", run_dir, "--format", "json")
    assert json.loads(again.stdout) == report
    assert check_recomputed(run_dir, read_lock(run_dir), report, {}) == ""


def test_a_leak_stops_early_with_a_fail_and_is_resumed_and_recomputed(early: Screen, tais: Tais) -> None:
    leak(early, 0.4)
    report = run(tais, early, "--part-samples", 25, code=1)
    run_dir = early.run_dirs()[0]
    look = report["contrasts"][0]["details"]["sequential"]["look"]
    assert report["contrasts"][0]["details"]["sequential"]["stopped"] == "fail"
    assert look < 3
    assert answered(run_dir) == {"target": N, "spec": 60 * look}
    assert json.loads(tais("report", run_dir, "--format", "json").stdout) == report
    kept = {path: path.read_bytes() for path in part_files(run_dir / "arms" / "spec")}

    # Nothing is asked again where nothing is missing: the stop is found once more, without an engine.
    (run_dir / "report.json").unlink()
    assert without_times(run(tais, early, "--resume", code=1)) == without_times(report)
    assert {path: path.read_bytes() for path in part_files(run_dir / "arms" / "spec")} == kept

    # A lost part is answered again, and leads to the same end.
    (run_dir / "report.json").unlink()
    list(kept)[1].unlink()
    assert without_times(run(tais, early, "--resume", code=1)) == without_times(report)
    assert answered(run_dir) == {"target": N, "spec": 60 * look}

    # How much it answered depends on its answers: no side of a comparison.
    done = tais("compare", run_dir, run_dir, "--reference", "target", "--candidate", "spec")
    assert done.returncode == 2
    assert f"arm 'spec' was stopped early, after {60 * look} of {N} answers" in done.stderr


def test_what_no_look_decides_is_answered_whole(early: Screen, tais: Tais) -> None:
    early.data["rules"]["margin"] = 0.01  # 180 items cannot pass
    early.write()
    report = run(tais, early, code=3)
    assert answered(early.run_dirs()[0]) == {"target": N, "spec": N}
    [endpoint] = report["contrasts"][0]["endpoints"]
    assert endpoint["n"] == N
    assert "n_too_small" in {r["code"] for r in endpoint["reasons"]}
    assert report["contrasts"][0]["details"]["sequential"]["stopped"] is None
    # And is then as good as any other side of a comparison.
    run_dir = early.run_dirs()[0]
    done = tais("compare", run_dir, run_dir, "--reference", "target", "--candidate", "spec")
    assert done.returncode == 3, done.stderr


def test_a_judged_battery_is_first_seen_at_the_end(early: Screen, tais: Tais) -> None:
    """Beside a battery of rules that would pass at look 2; repeats of an item stay together."""
    early.data["judges"] = {"small": {**FAKE, "engine_args": {"judge": True}}}
    early.data["sampling"] = {"max_tokens": 80, "n": 2}
    scorer = {"name": "judge_rubric", "judge": "small"}
    early.data["batteries"] = [
        {"name": "mine", "path": "mine.yaml"},
        {"name": "judged", "path": "mine.yaml", "scorer": scorer},
    ]
    early.write()
    report = run(tais, early, "--limit", 150)
    assert answered(early.run_dirs()[0])["spec"] == 2 * 2 * 150
    ends = {e["battery"]: (e["clusters"], e["n"]) for e in report["contrasts"][0]["endpoints"]}
    assert ends == {"mine": (100, 200), "judged": (150, 300)}

    leak(early, 0.4)
    failed = run(tais, early, "--limit", 150, code=1)
    by_name = {e["battery"]: e for e in failed["contrasts"][0]["endpoints"]}
    assert by_name["mine"]["verdict"] == "fail"
    assert [r["code"] for r in by_name["judged"]["reasons"] if r["severity"] == "decides"] == [
        "undecided_at_stop"
    ]
    assert answered(early.run_dirs()[-1])["spec"] < 2 * 2 * 150


def test_a_calibrated_screen_runs_its_other_arms_whole_and_first(early: Screen, tais: Tais) -> None:
    early.data["arms"] |= {
        "again": {"extends": "target", "order": "shuffled"},
        "leaky": {**FAKE, "engine_args": {"leak": 0.5}},
    }
    early.data["arms"]["spec"]["order"] = "shuffled"
    early.data["contrasts"] += [
        {"reference": "target", "candidate": "again", "role": "calibration"},
        {"reference": "target", "candidate": "leaky", "role": "positive_control"},
    ]
    early.write()
    done = tais("run", early.path, "--out", early.out)
    assert done.returncode == 0, done.stderr
    starts = [line.split(":")[0] for line in done.stderr.splitlines() if line.endswith(": loading")]
    assert starts == ["target", "again", "leaky", "spec"]
    assert answered(early.run_dirs()[0]) == {"target": N, "again": N, "leaky": N, "spec": 120}
    assert early.report()["contrasts"][0]["endpoints"][0]["null_h_quantile"] is not None
    # An audit afterwards scores what is there and asks for nothing more.
    audit = tais(
        "audit", early.run_dirs()[0], "--manifest", early.path, "--reference", "target", "--out", early.out
    )
    assert audit.returncode in (0, 3), audit.stderr
    [audited] = early.out.glob("fakes-audit/*/report.json")
    assert answered(audited.parent)["spec"] == 120
    [contrast] = json.loads(audited.read_text())["contrasts"]
    assert contrast["details"]["sequential"]["answers_not_asked"] == 60


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, pytest.param(0.4, marks=pytest.mark.nightly)])
def test_kill_9_at_random_points_then_resume(share: float, early: Screen, tais: Tais, tmp_path: Path) -> None:
    if share:
        leak(early, share)
    code = 1 if share else 0
    assert tais("run", early.path, "--out", tmp_path / "undisturbed").returncode == code
    expected = json.loads(next((tmp_path / "undisturbed").glob("*/*/report.json")).read_text())
    for arm in ("target", "spec"):
        early.options(arm, delay=0.01)
    draw = np.random.RandomState(5)
    for _ in range(6):
        process = start(early, "--part-samples", 7, *(["--resume"] if early.run_dirs() else []))
        if not kill_after(process, draw.uniform(0.5, 5)):
            break
    done = tais("run", early.path, "--out", early.out, *(["--resume"] if early.run_dirs() else []))
    assert done.returncode == code, done.stderr
    assert set(stored(early.run_dirs()[-1]).values()) == {1}
    [found], [wanted] = early.report()["contrasts"], expected["contrasts"]
    assert found == wanted


def test_plan_says_what_may_be_saved(early: Screen, tais: Tais) -> None:
    done = tais("plan", early.path)
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    assert "may stop early, at 3 looks (obrien_fleming): spec; without a flip after look 2" in said
    assert "120 of 180 independent items (33% saved)" in said
    early.data["rules"]["margin"] = 0.02
    early.write()
    assert "without a flip they answer everything" in " ".join(tais("plan", early.path).stdout.split())


def test_batteries_of_which_none_can_be_looked_at_are_refused(early: Screen, tais: Tais) -> None:
    early.data["judges"] = {"small": {**FAKE, "engine_args": {"judge": True}}}
    early.data["batteries"][0]["scorer"] = {"name": "judge_rubric", "judge": "small"}
    early.write()
    done = tais("run", early.path, "--out", early.out)
    assert done.returncode == 2
    assert "no battery can be looked at before the end" in done.stderr


def read(rules: str, *, contrast: str = "", sampling: str = "{}") -> Manifest:
    text = (
        "name: m\narms: {a: {engine: fake, model: m}, b: {engine: fake, model: m}}\n"
        f"contrasts: [{{reference: a, candidate: b{contrast}}}]\n"
        f"batteries: [{{name: mine, path: battery.yaml}}]\nsampling: {sampling}\nrules: {{{rules}}}\n"
    )
    return resolve(loads(text, "m.yaml"), ASSETS)


def test_a_number_is_short_for_so_many_looks() -> None:
    short, whole = read("sequential: 4"), read("sequential: {looks: 4, kind: obrien_fleming}")
    assert short.rules == whole.rules
    assert read("sequential: {kind: betting}").rules.sequential.looks == 5  # type: ignore[union-attr]
    assert read("sequential: null").rules.sequential is None
    assert (short.stops_early("a"), short.stops_early("b")) == (False, True)
    assert not read("margin: 0.03").stops_early("b")


@pytest.mark.parametrize(
    ("rules", "other", "message"),
    [
        ("sequential: 4, exact: true", {}, "rules.exact is one test at the end"),
        ("sequential: 4, margin_scale: risk_ratio", {}, "none for margin_scale risk_ratio"),
        ("sequential: 4", {"contrast": ", audit: only"}, "no arm could stop early"),
        ("sequential: 4", {"contrast": ", audit: true", "sampling": "{temperature: 1}"}, "no arm could stop"),
        ("sequential: 1", {}, "must be at least 2, not 1"),
        ("sequential: 51", {}, "must be at most 50, not 51"),
        ("sequential: true", {}, "must be a mapping, not true"),
        ("sequential: {looks: 4, kind: fixed}", {}, "'obrien_fleming', 'pocock' or 'betting'"),
        ("sequential: {look: 4}", {}, "unknown key 'look'"),
    ],
)
def test_what_cannot_hold_is_refused(rules: str, other: dict[str, str], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(rules, **other)
    assert message in str(caught.value)
    assert "rules.sequential" in str(caught.value)


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=60), min_size=1, max_size=3),
    st.integers(2, 9),
    st.integers(0, 2**40),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_every_battery_brings_its_planned_share_to_every_look(
    batteries: list[list[int]], looks: int, seed: int, random: Any
) -> None:
    counts = {f"b{i}": planned_counts(len(set(own)), looks) for i, own in enumerate(batteries)}
    planned: dict[Stratum, tuple[int, ...]] = {(name, None): own for name, own in counts.items()}
    plan = LookPlan("obrien_fleming", looks, ("spec",), planned, dict.fromkeys(counts, True), seed)
    rows = [
        [StoredItem(f"b{i}", f"{i}-{j}", f"c{cluster}", (), None) for j, cluster in enumerate(own)]
        for i, own in enumerate(batteries)
    ]
    found = _looks_of(plan, rows)
    for i, own in enumerate(batteries):
        look_of = {
            f"c{cluster}": {found[f"{i}-{j}"] for j, c in enumerate(own) if c == cluster} for cluster in own
        }
        # A cluster stays together, and each look has what was planned.
        assert all(len(look) == 1 for look in look_of.values())
        numbers = [look for (look,) in look_of.values()]
        assert tuple(sum(n <= k for n in numbers) for k in range(1, looks + 1)) == counts[f"b{i}"]
        assert counts[f"b{i}"][-1] == len(look_of)
        # Even shares: no look is off by a whole cluster.
        assert all(abs(n - len(look_of) * k / looks) < 1 for k, n in enumerate(counts[f"b{i}"], 1))
    # The order in which a file lists the items changes nothing.
    for own_rows in rows:
        random.shuffle(own_rows)
    assert _looks_of(plan, rows) == found


def _looks_of(plan: LookPlan, rows: list[list[StoredItem]]) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "items.parquet", rows)
        items = Items(Path(folder) / "items.parquet")
        return {key[1]: int(n) for key, n in zip(items, look_numbers(plan, items), strict=True)}


def test_another_seed_gives_another_order() -> None:
    rows = [[StoredItem("b", f"i{j}", f"c{j}", (), None) for j in range(60)]]
    plans = [LookPlan("pocock", 3, (), {("b", None): (20, 40, 60)}, {"b": True}, seed) for seed in (1, 2)]
    first, second = (_looks_of(plan, rows) for plan in plans)
    # Of 60 items in blocks of 20 about 20 stay where they are.
    assert 5 < sum(first[key] == second[key] for key in first) < 40


def test_parts_hold_whole_looks_in_their_order(early: Screen, tais: Tais) -> None:
    run(tais, early, "--part-samples", 1000)
    run_dir = early.run_dirs()[0]
    items = Items(run_dir / "items.parquet")
    plan = LookPlan.of(read_lock(run_dir))
    assert plan is not None
    look_of = dict(zip((key[1] for key in items), look_numbers(plan, items).tolist(), strict=True))
    parts = [pq.read_table(p, columns=["item_id"]) for p in part_files(run_dir / "arms" / "spec")]
    assert [{look_of[i] for i in part["item_id"].to_pylist()} for part in parts] == [{1}, {2}]
