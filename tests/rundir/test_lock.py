"""The lock as a model: its own bytes back, and nothing that a stranger made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tais.errors import StoreError
from tais.manifest.model import Role
from tais.manifest.rules_version import RULES_VERSION
from tais.plan.plan import make_plan
from tais.rundir.lock import parse_lock, read_lock
from tais.rundir.lock_model import LockedFolder
from tests.attest.runs import SIGNED
from tests.conftest import ROOT, SPECULATION, Screen, Tais
from tests.made_lock import made_lock

STORED = sorted(
    [*(ROOT / "tests" / "assets" / "runs").rglob("*.lock.json"), *(ROOT / "reports").rglob("*.lock.json")]
)
EARLY = {"looks": 3, "kind": "pocock"}


@pytest.mark.parametrize("path", STORED, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_a_stored_lock_gives_its_own_bytes_back(path: Path) -> None:
    assert parse_lock(path.read_bytes(), str(path)).to_bytes() == path.read_bytes()


def test_there_are_stored_locks() -> None:
    assert {"signed", "rule_edited_in_lock"} <= {path.parent.name for path in STORED}
    assert any("reports" in path.parts for path in STORED)


def test_the_locks_of_fresh_runs_give_their_own_bytes_back(screen: Screen, tais: Tais) -> None:
    screen.data["judges"] = {"grader": {"engine": "fake", "model": "none"}}
    screen.data["rules"] = {"sequential": EARLY}
    assert tais("run", screen.write(), "--out", screen.out).returncode in (0, 1, 3)
    for run_dir in screen.run_dirs():
        data = (run_dir / "manifest.lock.json").read_bytes()
        lock = read_lock(run_dir)
        assert lock.to_bytes() == data
        assert lock.stopping_arms == ("spec",)
        assert lock.judges["grader"].engine == "fake"
        assert set(json.loads(data)) >= {"judges", "sequential"}
        assert not {"drill", "record", "sweep"} & set(json.loads(data)), "absent keys stay absent"


@pytest.mark.parametrize("name", ["demo", "drill", "judge", "sweep", "paper"])
def test_a_plan_is_what_is_read_again(name: str) -> None:
    path = next(iter((ROOT / "manifests").glob(f"{name}.yaml")), None) or ROOT / "manifests" / name
    path = path if path.is_file() else next(path.glob("*.yaml"))
    lock = make_plan(path, limit=3, incomplete=True).lock
    assert parse_lock(lock.to_bytes(), "lock") == lock


def test_arms_contrasts_and_drafts_by_name() -> None:
    folder = {"folder": "draft", "files": {"model.safetensors": "ab"}}
    lock = made_lock(("target", "spec"), ("base", "other"), batteries=[{"name": "x", "items": 4}])
    arm = lock.arms["spec"].model_copy(update={"speculative_config": {**SPECULATION, "model": folder}})
    assert arm.draft == LockedFolder(folder="draft", files={"model.safetensors": "ab"})
    assert lock.arms["spec"].draft is None
    assert lock.run_arms() == ["base", "other", "spec", "target"]
    scored = lock.contrasts[0].model_copy(update={"audit": "only"})
    assert lock.model_copy(update={"contrasts": (scored,)}).run_arms() == ["spec"]
    assert lock.contrasts[0].role is Role.screen
    assert lock.item_count == 4


def test_a_key_that_is_taken_out_is_as_if_it_never_was() -> None:
    lock = made_lock(("a", "b"), record=True)
    assert '"record"' in lock.to_bytes().decode()
    bare = lock.without("record")
    assert bare == made_lock(("a", "b"))
    assert '"record"' not in bare.to_bytes().decode()


def test_a_lock_names_the_verdict_rules_and_one_that_does_not_is_of_the_first(screen: Screen) -> None:
    new = make_plan(screen.path).lock
    assert (new.rules_version, new.rules_changed) == (RULES_VERSION, "")
    assert f'"rules_version": {RULES_VERSION},' in new.to_bytes().decode()
    old = new.without("rules_version")
    assert old.rules_version == 1
    assert "rules_version" not in old.to_bytes().decode()
    assert parse_lock(old.to_bytes(), "x") == old
    assert old.rules_changed.startswith(
        "rules changed: this run was decided by version 1 of the verdict rules"
    )


def change(*path: str | int, value: object) -> Callable[[Any], None]:
    def edit(lock: Any) -> None:
        for key in path[:-1]:
            lock = lock[key]
        lock[path[-1]] = value

    return edit


HOSTILE = {
    "an unknown key": (change("extra", value=1), "extra"),
    "an unknown key deep down": (change("rules", "marign", value=0.9), "rules.marign"),
    "rules before the first": (change("rules_version", value=0), "rules_version"),
    "rules that are no number": (change("rules_version", value="2"), "rules_version"),
    "a name that leads out": (change("name", value="../../x"), "name"),
    "a name with a line break": (change("name", value="x\n"), "name"),
    "an arm that leads out": (lambda lock: lock["arms"].update({"../x": lock["arms"]["bad"]}), "arms.../x"),
    "a battery that leads out": (change("batteries", 0, "name", value="/etc"), "batteries.0.name"),
    "a contrast of nothing": (change("contrasts", 0, "candidate", value="nobody"), "names the arm 'nobody'"),
    "a quoted number": (change("sampling", "n", value="1"), "sampling.n"),
    "true for a number": (change("batteries", 0, "items", value=True), "batteries.0.items"),
    "fewer than no items": (change("batteries", 0, "items", value=-1), "batteries.0.items"),
    "a margin of nothing": (change("rules", "margin", value=0), "rules.margin"),
    "a draft of no kind": (change("arms", "bad", "speculative_config", value={"model": {}}), "folder"),
    "a fault of no name": (change("arms", "bad", "fault", value={}), "the fault has no name"),
    "arms as a list": (change("arms", value=[]), "arms"),
    "a role of its own": (change("contrasts", 0, "role", value="screens"), "contrasts.0.role"),
    "a scorer of no name": (change("batteries", 0, "scorer", value={}), "batteries.0.scorer.name"),
    "another schema": (change("schema", value="tais/lock/v2"), "unknown schema"),
    "looks at nothing": (
        change("sequential", value={"kind": "pocock", "looks": 2, "arms": [], "batteries": {}}),
        "other batteries",
    ),
    "looks by strangers": (
        change("sequential", value={"kind": "pocock", "looks": 2, "arms": ["nobody"], "batteries": {}}),
        "not there",
    ),
    "a look too few": (
        change(
            "sequential",
            value={
                "kind": "pocock",
                "looks": 2,
                "arms": [],
                "batteries": {"mine": {"clusters": [1], "early": True}},
            },
        ),
        "not one count for each of 2 looks",
    ),
}


@pytest.mark.parametrize("defect", HOSTILE)
def test_a_lock_that_nobody_wrote_is_refused_by_its_first_key(defect: str, tmp_path: Path) -> None:
    edit, said = HOSTILE[defect]
    lock = json.loads((SIGNED / "manifest.lock.json").read_bytes())
    edit(lock)
    (tmp_path / "manifest.lock.json").write_text(json.dumps(lock))
    with pytest.raises(StoreError) as caught:
        read_lock(tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"schema": "tais/lock/v1", "schema": "tais/lock/v1"}',
        '{"schema": "tais/lock/v1", "limit": NaN}',
        '{"schema": "tais/lock/v1", "limit": 1e999}',
        '{"schema": "tais/lock/v1", "name": "\\ud800"}',
        "\ufeff{}",
    ],
)
def test_what_is_no_lock_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.lock.json").write_text(text)
    with pytest.raises(StoreError):
        read_lock(tmp_path)


def test_a_command_says_which_key_of_a_lock_does_not_fit(tais: Tais, tmp_path: Path) -> None:
    lock = json.loads((SIGNED / "manifest.lock.json").read_bytes())
    change("rules", "alpha", value=[])(lock)
    (tmp_path / "manifest.lock.json").write_text(json.dumps(lock))
    done = tais("report", tmp_path)
    assert (done.returncode, "rules.alpha" in done.stderr) == (4, True)
