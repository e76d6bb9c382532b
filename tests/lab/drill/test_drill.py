"""The drill on fake arms: when a fault may be planted, what the table says, and that no gate opens for it."""

from __future__ import annotations

import json
import re
import warnings
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tais.attest import verify_run
from tais.attest.keys import generate
from tais.cli.views.drill import markdown
from tais.engines.base import EngineRefusal
from tais.gate.gate import judge
from tais.gate.policy import Policy
from tais.lab.drill import DrillTable, read_drill
from tais.lab.drill.acceptance import ALPHA, Paired, acceptance_p
from tais.lab.drill.faults import CHECKS, FAULTS
from tais.lab.drill.faults.verification import AcceptAll
from tais.lab.drill.needed import needed_for_any, needed_for_endpoint, needed_for_treatment
from tais.lab.drill.planting import Planted, activations
from tais.lab.drill.seen import Seen
from tais.lab.drill.select import twin_of
from tais.lab.drill.table import Row
from tais.manifest.load import load_manifest
from tais.manifest.model import Arm, Rules
from tais.runs.options import RunOptions
from tais.runs.run import run
from tais.verdict.evidence import EndpointEvidence
from tests.attest.runs import SIGNED, copy_run, resign
from tests.conftest import Screen, Tais

pytestmark = pytest.mark.slow


def faulty(name: str, **options: Any) -> dict[str, Any]:
    return {"extends": "spec", "fault": {"name": name}, "engine_args": options}


def prepare(screen: Screen) -> Screen:
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
def drill(screen: Screen) -> Screen:
    """A drill that has not run."""
    return prepare(screen)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Screen:
    """A drill that has run, for tests that only read it."""
    screen = prepare(Screen(tmp_path_factory.mktemp("drill")))
    with warnings.catch_warnings():
        # The executor leaves the closing of its log to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        run(screen.path, RunOptions(out=screen.out))
    return screen


@pytest.fixture(scope="module")
def table(done: Screen) -> dict[str, Any]:
    """Its table."""
    return read_drill(done.run_dirs()[0]).to_dict()


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


def test_the_command_prints_the_table_and_its_exit_code(
    done: Screen, table: dict[str, Any], tais: Tais
) -> None:
    said = tais("drill", "--from", done.run_dirs()[0])
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == {**table, "run_dir": str(done.run_dirs()[0])}
    assert "DRILL PASSED" in said.stderr
    assert "0 of 3 lossless configurations are flagged" in said.stderr


def test_a_page_of_the_documentation_shows_the_same(done: Screen) -> None:
    page = markdown(read_drill(done.run_dirs()[0]))
    assert "| bonus | bonus_off_by_one | gross |" in page
    assert "| again | 120/120 | - | - | pass |" in page


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
    # Nothing is planted here, and still it is a drill.
    report = drill.report()
    assert report["verdict"] != "pass"
    assert {c["candidate"]: c["verdict"] for c in report["contrasts"]}["spec"] == "pass"


def test_only_names_what_there_is(drill: Screen, tais: Tais) -> None:
    done = tais("drill", drill.path, "--out", drill.out, "--only", "bonos")
    assert done.returncode == 2
    assert "nothing is called 'bonos'" in done.stderr
    assert "'bonus'" in done.stderr


def test_a_run_that_is_no_drill_has_no_table(tais: Tais) -> None:
    said = tais("drill", "--from", SIGNED)
    assert said.returncode == 2
    assert "this run is no drill" in said.stderr


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


def test_what_an_interrupted_attempt_did_is_counted(tmp_path: Path) -> None:
    arm = Arm(name="a", engine="fake", model="none", fault={"name": "bonus_off_by_one"})
    first = Planted(arm, tmp_path)
    first.fault.act(3)
    first.note()
    # The second attempt finds nothing left to do: the fault has acted all the same.
    Planted(arm, tmp_path).note()
    assert activations(tmp_path) == 3
    Planted(arm, tmp_path).check_acted()


def test_engine_lock_and_report_say_that_it_is_a_drill(done: Screen) -> None:
    run_dir = done.run_dirs()[0]
    lock = json.loads((run_dir / "manifest.lock.json").read_text())
    assert lock["drill"] is True
    assert lock["arms"]["bonus"]["fault"] == {"name": "bonus_off_by_one"}
    assert "fault" not in lock["arms"]["target"]
    engine = json.loads((run_dir / "arms" / "bonus" / "engine.json").read_text())
    assert engine["drill"]["warning"].startswith("THIS IS A DRILL")
    assert engine["drill"]["hook"] == FAULTS["bonus_off_by_one"].hook
    assert "drill" not in json.loads((run_dir / "arms" / "target" / "engine.json").read_text())
    report = done.report()
    assert report["facts"]["drill"] is True
    assert "drill" in {reason["code"] for reason in report["reasons"] if reason["severity"] == "decides"}
    for page in ("report.html", "report.md"):
        assert "THIS IS A DRILL" in (run_dir / page).read_text()


# --- no gate, no comparison


def test_no_policy_opens_the_gate_for_a_drill(done: Screen, tmp_path: Path) -> None:
    signer, copy = generate(), copy_run(tmp_path, done.run_dirs()[0])
    resign(copy, signer)
    verified = verify_run(copy, [signer.public])
    lax = {"schema": "tais/policy/v1", "allow_inconclusive": True, "roles": [], "max_flips": None}
    policy = Policy.model_validate_json(json.dumps(lax))
    found = {objection.code: objection.level for objection in judge(verified, policy, datetime.now(UTC))}
    assert found["drill"] == "error"


def test_a_drill_is_not_compared(done: Screen, tais: Tais) -> None:
    run_dir = done.run_dirs()[0]
    said = tais("compare", run_dir, run_dir, "--reference", "target", "--candidate", "bonus")
    assert said.returncode == 2
    assert "this run is a drill" in said.stderr


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
    drafted = 4 * random.integers(3, 9, n)
    accepted, own = random.binomial(drafted, rate), random.binomial(drafted, 0.8)
    return Paired(*(column.astype(np.float64) for column in (drafted, own, drafted, accepted)))


def test_equal_acceptance_is_flagged_as_often_as_the_level_says() -> None:
    # Simulation: 1,000 pairs of arms with one true rate; p is uniform.
    found = np.array([acceptance_p(drawn(0.8, seed, 200)) for seed in range(1000)])
    assert np.mean(found < 0.05) == pytest.approx(0.05, abs=0.021)
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


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({"order": "shuffled"}, True),
        ({"engine_args": {"max_num_seqs": 1}}, True),
        ({"engine_args": {"kv_cache_memory_bytes": 1}}, False),
        ({"system_prompt": "Be brief."}, False),
        ({"fault": {"name": "accept_all"}}, False),
    ],
)
def test_acceptance_is_compared_with_a_sound_arm_that_drafts_alike(
    change: dict[str, Any], alike: bool
) -> None:
    arm = {"engine": "vllm", "engine_args": {}, "speculative_config": {"method": "ngram"}}
    arms = {"a": {**arm, **change}, "b": arm, "plain": {**arm, "speculative_config": None}}
    assert twin_of("b", arms, ["plain", "a", "b"]) == ("a" if alike else None)


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
        "accept_all", "accept_some", "typical", "fly", "bonus_off_by_one", "stale_draft_state",
        "draft_positions", "kv_not_rolled_back", "cross_sequence", "dropped_last_token", "draft_temperature",
        "dtype_drift", "template_drift", "stop_cut", "first_listed_stop", "ids_past_stop",
        "stale_temperature", "min_tokens_miscounted", "stale_prefix_hit", "exact_length", "detokenisation",
    ]  # fmt: skip
    for fault in FAULTS.values():
        assert len((fault.__doc__ or "").splitlines()) > 3, fault.name
        assert "Stands for" in (fault.__doc__ or "")
        assert re.search(r"\bHooks\s", fault.__doc__ or ""), fault.name


def test_the_shipped_drills_name_every_fault_and_many_lossless_arms() -> None:
    named: set[str] = set()
    for name, sound in (("drill", 20), ("drill-settings", 4)):
        manifest = load_manifest(name)
        candidates = [manifest.arms[contrast.candidate] for contrast in manifest.contrasts]
        named |= {arm.fault["name"] for arm in candidates if arm.fault}
        assert sum(arm.fault is None for arm in candidates) >= sound
    assert named == set(FAULTS)


def test_a_hook_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for hook, arguments, said in (
        ("no.such.module:f", ("x",), "has no module no.such.module"),
        ("json:no_such", ("x",), "has no such function"),
        ("json:dumps", ("obj", "gone"), "calls it without 'gone'"),
    ):
        monkeypatch.setattr(AcceptAll, "hook", hook)
        monkeypatch.setattr(AcceptAll, "arguments", arguments)
        with pytest.raises(EngineRefusal, match=said):
            AcceptAll().install()
