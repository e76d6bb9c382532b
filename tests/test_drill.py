"""The drill on fake arms: when a fault may be planted, what the table says, and that no gate opens for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tais.attest import verify_run
from tais.attest.keys import generate
from tais.drill import DrillTable, read_drill
from tais.drill.acceptance import ALPHA, Paired, acceptance_p
from tais.drill.needed import needed_for_any, needed_for_endpoint, needed_for_treatment
from tais.drill.seen import Seen
from tais.drill.show import markdown
from tais.drill.table import Row
from tais.evidence import EndpointEvidence
from tais.faults import CHECKS, FAULTS
from tais.gate import judge
from tais.manifest import Rules
from tais.policy import Policy
from tests.attest_runs import resign
from tests.conftest import Screen, Tais


def faulty(name: str, **options: Any) -> dict[str, Any]:
    return {"extends": "spec", "fault": {"name": name}, "engine_args": options}


@pytest.fixture
def drill(screen: Screen) -> Screen:
    """Two sound speculating arms, and one faulty arm of each kind."""
    data = screen.data
    data["drill"] = True
    del data["arms"]["leaky"]
    data["arms"] |= {
        "spec_again": {"extends": "spec", "order": "shuffled"},
        "bonus": faulty("bonus_off_by_one"),
        "detok": faulty("detokenisation"),
        "stale": faulty("stale_draft_state"),
        "prompt": faulty("template_drift"),
    }
    names = [name for name in data["arms"] if name != "target"]
    data["contrasts"] = [{"reference": "target", "candidate": name, "audit": True} for name in names]
    screen.write()
    return screen


@pytest.fixture
def table(drill: Screen, tais: Tais) -> dict[str, Any]:
    done = tais("drill", drill.path, "--out", drill.out)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def rows(table: dict[str, Any]) -> dict[str, Any]:
    return {row["arm"]: row for row in table["rows"]}


# --- what is seen of a fault


def test_each_kind_of_fault_is_caught_by_the_checks_that_can_see_it(table: dict[str, Any]) -> None:
    found = rows(table)
    assert set(found["bonus"]["caught"]) == {"identity", "audit", "endpoint"}
    assert set(found["detok"]["caught"]) == {"identity", "audit", "endpoint"}
    assert found["stale"]["caught"] == ["treatment"]
    # The fake engine answers another prompt in the same words.
    assert found["prompt"]["caught"] == ["prompt"]
    assert found["prompt"]["missed"] == ["identity"]


def test_no_sound_arm_is_flagged(table: dict[str, Any]) -> None:
    assert table["passed"] is True
    assert table["summary"]["lossless"] == 3
    assert table["summary"]["lossless_flagged"] == 0
    # Clopper-Pearson, 0 of 3: 1 - 0.05^(1/3)
    assert table["summary"]["false_alarm_upper"] == pytest.approx(0.631597, abs=1e-6)
    for row in table["rows"]:
        assert row["fault"] or not row["caught"], row["arm"]


def test_the_table_names_activations_and_the_answers_needed(table: dict[str, Any]) -> None:
    bonus = rows(table)["bonus"]
    flagged = bonus["checks"]["identity"]["flagged"]
    assert bonus["activations"] >= flagged > 30
    assert bonus["checks"]["identity"]["needed"] == needed_for_any(flagged, 120)
    assert 20 <= bonus["checks"]["endpoint"]["needed"] <= 110


def test_the_table_can_be_computed_again_from_the_run(drill: Screen, table: dict[str, Any], tais: Tais) -> None:
    done = tais("drill", "--from", drill.run_dirs()[0], "--quiet")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again == table
    assert done.stderr == ""
    assert "| bonus | bonus_off_by_one | gross |" in markdown(read_drill(drill.run_dirs()[0]))


def test_a_gross_fault_that_a_check_misses_fails_the_drill(drill: Screen, tais: Tais) -> None:
    # The fake engine's drafts are accepted as before, whatever is accepted.
    drill.data["arms"]["bonus"]["fault"] = {"name": "accept_all"}
    drill.write()
    done = tais("drill", drill.path, "--out", drill.out, "--only", "accept_all")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert set(rows(found)) == {"spec", "bonus"}
    assert rows(found)["bonus"]["missed"] == ["treatment"]
    assert "missed by treatment" in done.stderr
    assert "DRILL FAILED" in done.stderr


def test_a_sound_arm_that_differs_fails_the_drill(drill: Screen, tais: Tais) -> None:
    drill.options("again", leak=0.1)
    done = tais("drill", drill.path, "--out", drill.out, "--only", "lossless")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert set(rows(found)) == {"again", "spec", "spec_again"}
    assert "identity" in rows(found)["again"]["false_alarms"]
    assert found["summary"]["faults"] == 0


def test_only_names_what_there_is(drill: Screen, tais: Tais) -> None:
    done = tais("drill", drill.path, "--out", drill.out, "--only", "bonos")
    assert done.returncode == 2
    assert "nothing is called 'bonos'" in done.stderr
    assert "'bonus'" in done.stderr


def test_a_run_that_is_no_drill_has_no_table(screen: Screen, tais: Tais) -> None:
    tais("run", screen.path, "--out", screen.out)
    done = tais("drill", "--from", screen.run_dirs()[0])
    assert done.returncode == 2
    assert "this run is no drill" in done.stderr


# --- planted, and shown to have acted


def test_a_fault_that_never_acts_fails_its_arm_and_resuming_does_not_hide_it(
    drill: Screen, tais: Tais
) -> None:
    drill.options("bonus", fault_share=0.0)
    for more in ((), ("--resume",)):
        done = tais("drill", drill.path, "--out", drill.out, "--only", "bonus", *more)
        assert done.returncode == 4
        assert "arm 'bonus'" in done.stderr
        assert "the fault 'bonus_off_by_one' was planted and never acted" in done.stderr


def test_a_resumed_drill_counts_what_the_first_attempt_did(drill: Screen, tais: Tais) -> None:
    drill.options("detok", fail_at=60)
    first = tais("drill", drill.path, "--out", drill.out, "--only", "bonus,detok")
    assert first.returncode == 4
    whole = json.loads((drill.run_dirs()[0] / "arms" / "bonus" / "fault.json").read_text())["activations"]
    done = tais("drill", drill.path, "--out", drill.out, "--only", "bonus,detok", "--resume")
    # What the engine is asked to do is part of the lock: the defect stays, and so does its message.
    assert done.returncode == 4
    assert whole > 30
    assert json.loads((drill.run_dirs()[0] / "arms" / "bonus" / "fault.json").read_text())["activations"] == whole


def test_engine_lock_and_report_say_that_it_is_a_drill(drill: Screen, table: dict[str, Any]) -> None:
    run_dir = drill.run_dirs()[0]
    lock = json.loads((run_dir / "manifest.lock.json").read_text())
    assert lock["drill"] is True
    assert lock["arms"]["bonus"]["fault"] == {"name": "bonus_off_by_one"}
    assert "fault" not in lock["arms"]["target"]
    engine = json.loads((run_dir / "arms" / "bonus" / "engine.json").read_text())
    assert engine["drill"]["warning"].startswith("THIS IS A DRILL")
    assert engine["drill"]["hook"] == FAULTS["bonus_off_by_one"].hook
    assert "drill" not in json.loads((run_dir / "arms" / "target" / "engine.json").read_text())
    report = drill.report()
    assert report["facts"]["drill"] is True
    assert "drill" in {reason["code"] for reason in report["reasons"] if reason["severity"] == "decides"}
    for page in ("report.html", "report.md"):
        assert "THIS IS A DRILL" in (run_dir / page).read_text()


def test_a_drill_of_sound_arms_alone_never_passes(drill: Screen, tais: Tais) -> None:
    tais("drill", drill.path, "--out", drill.out, "--only", "lossless")
    report = drill.report()
    assert report["verdict"] == "inconclusive"
    assert all(contrast["verdict"] == "pass" for contrast in report["contrasts"])


# --- no gate, no comparison


def test_no_policy_opens_the_gate_for_a_drill(drill: Screen, tais: Tais) -> None:
    signer = generate()
    del drill.data["contrasts"][3:]
    drill.write()
    done = tais("run", drill.path, "--out", drill.out, TAIS_UNSIGNED="1")
    assert done.returncode == 3, done.stderr
    run_dir = drill.run_dirs()[0]
    resign(run_dir, signer)
    run = verify_run(run_dir, [signer.public])
    lax = Policy.model_validate_json(
        json.dumps({"schema": "tais/policy/v1", "allow_inconclusive": True, "roles": [], "max_flips": None})
    )
    codes = {objection.code for objection in judge(run, lax, datetime.now(UTC)) if objection.level == "error"}
    assert "drill" in codes


def test_a_drill_is_not_compared(drill: Screen, table: dict[str, Any], tais: Tais) -> None:
    run_dir = drill.run_dirs()[0]
    done = tais("compare", run_dir, run_dir, "--reference", "target", "--candidate", "bonus")
    assert done.returncode == 2
    assert "this run is a drill" in done.stderr


# --- n needed


@pytest.mark.parametrize(("n", "flagged"), [(12, 1), (12, 3), (12, 12), (9, 2)])
def test_the_answers_needed_to_hold_a_flagged_one_agree_with_enumeration(n: int, flagged: int) -> None:
    def caught(size: int) -> float:
        draws = list(combinations(range(n), size))
        return sum(min(draw) < flagged for draw in draws) / len(draws)

    expected = next(size for size in range(1, n + 1) if caught(size) >= 0.95 - 1e-12)
    assert needed_for_any(flagged, n) == expected


def test_nothing_flagged_needs_no_number() -> None:
    assert needed_for_any(0, 50) is None


def endpoint(reference: list[int], candidate: list[int]) -> EndpointEvidence:
    n = len(reference)
    ids = np.array([f"i{k}" for k in range(n)])
    none = np.zeros(n, dtype=np.bool_)
    return EndpointEvidence(
        "b", "refusal", "binary", ids, ids, np.array(reference, float), np.array(candidate, float), none, none
    )


def test_fewer_items_are_needed_for_a_larger_change() -> None:
    half = needed_for_endpoint(endpoint([1] * 60, [1, 0] * 30), Rules())
    most = needed_for_endpoint(endpoint([1] * 60, [0] * 50 + [1] * 10), Rules())
    assert half is not None
    assert most is not None
    assert 3 < most < half < 60
    assert needed_for_endpoint(endpoint([1] * 60, [1] * 60), Rules()) is None


# --- acceptance


def drawn(rate: float, seed: int, n: int = 400) -> Paired:
    random = np.random.default_rng(seed)
    drafted = 4.0 * random.integers(3, 9, n)
    return Paired(drafted, random.binomial(drafted.astype(int), 0.8).astype(float), drafted,
                  random.binomial(drafted.astype(int), rate).astype(float))  # fmt: skip


def test_equal_acceptance_is_flagged_as_often_as_the_level_says() -> None:
    # Simulation: 2,000 pairs of arms with one true rate; p is uniform.
    found = np.array([acceptance_p(drawn(0.8, seed, 200)) for seed in range(2000)])
    assert np.mean(found < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(found < ALPHA) < 0.005


def test_a_lower_acceptance_is_seen_and_needs_fewer_answers_the_lower_it_is() -> None:
    some, much = drawn(0.7, 1), drawn(0.4, 1)
    assert acceptance_p(some) < ALPHA
    needed = needed_for_treatment(some), needed_for_treatment(much)
    assert needed[0] is not None
    assert needed[1] is not None
    assert 10 <= needed[1] < needed[0] < 400


def test_drafts_that_are_the_same_differ_in_nothing() -> None:
    same = drawn(0.8, 2)
    assert acceptance_p(Paired(same.drafted, same.accepted, same.drafted, same.accepted)) == 1.0
    assert acceptance_p(same.part(np.arange(5))) == 1.0


# --- exit codes


def row(severity: Any, caught: tuple[str, ...], must: tuple[Any, ...], fault: str | None = "x") -> Row:
    seen = tuple(Seen(check, check in caught, None, 10) for check in CHECKS)
    return Row("a", fault, severity, must, 1, None, None, "fail", None, seen)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (row("gross", ("identity", "audit"), ("identity", "audit")), 0),
        (row("gross", ("identity",), ("identity", "audit")), 1),
        (row("slight", (), ("identity",)), 0),
        (row("harmless", ("treatment",), ("treatment",)), 0),
        (row("harmless", ("treatment", "identity"), ("treatment",)), 1),
        (row(None, (), (), None), 0),
        (row(None, ("treatment",), (), None), 1),
    ],
)
def test_exit_codes(given: Row, code: int) -> None:
    assert DrillTable("r", 10, (given,)).exit_code == code


def test_the_zoo_is_complete() -> None:
    # Every fault that a drill was asked to hold.
    assert list(FAULTS) == [
        "accept_all", "accept_some", "typical", "bonus_off_by_one", "stale_draft_state", "draft_positions",
        "kv_not_rolled_back", "cross_sequence", "dropped_last_token", "draft_temperature", "dtype_drift",
        "template_drift", "stop_cut", "stale_prefix_hit", "exact_length", "detokenisation",
    ]  # fmt: skip
    for fault in FAULTS.values():
        assert len((fault.__doc__ or "").splitlines()) > 3, fault.name
        assert "Stands for" in (fault.__doc__ or "")
        assert "ooks " in (fault.__doc__ or "")


def test_the_shipped_drill_names_every_fault_and_twenty_lossless_arms() -> None:
    from tais.manifest import load_manifest

    manifest = load_manifest("drill")
    candidates = [manifest.arms[contrast.candidate] for contrast in manifest.contrasts]
    assert {arm.fault["name"] for arm in candidates if arm.fault} == set(FAULTS)
    assert sum(arm.fault is None for arm in candidates) >= 20


def test_a_hook_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tais.engines.base import EngineRefusal
    from tais.faults.verification import AcceptAll

    for hook, arguments, said in (
        ("no.such.module:f", ("x",), "has no module no.such.module"),
        ("json:no_such", ("x",), "has no such function"),
        ("json:dumps", ("obj", "gone"), "calls it without 'gone'"),
    ):
        monkeypatch.setattr(AcceptAll, "hook", hook)
        monkeypatch.setattr(AcceptAll, "arguments", arguments)
        with pytest.raises(EngineRefusal, match=said):
            AcceptAll().install()
