"""An audit without a target arm: the reference answers some items itself, and its noise is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.rundir.layout import RunDir
from tais.rundir.lock import read_lock
from tais.rundir.samples import count_tokens, stored_keys
from tests.conftest import FAKE, Screen, Tais

pytestmark = pytest.mark.slow


def alone(screen: Screen, **target: object) -> None:
    screen.data["arms"]["target"] = {**FAKE, "dtype": "bfloat16", "engine_args": dict(target)}
    screen.data["contrasts"] = [
        {"reference": "target", "candidate": "spec", "audit": "only", "lossless": True}
    ]
    screen.data["rules"] = {"accept_evidence": ["teacher_forced"]}
    screen.write()


def own_answers(screen: Screen) -> Path:
    return RunDir(screen.run_dirs()[-1]).own_answers("target", "spec")


def test_about_2000_tokens_are_answered_and_set_the_band(screen: Screen, tais: Tais) -> None:
    alone(screen)
    planned = tais("plan", screen.path)
    assert "target answers some items itself" in " ".join(planned.stdout.split())
    tais("run", screen.path, "--out", screen.out)
    (control,) = read_lock(screen.run_dirs()[-1]).controls
    folder = own_answers(screen)
    answered = {(key.battery, key.item_id) for key in stored_keys(folder)}
    assert answered <= set(control.items)
    tokens = count_tokens(folder)
    # All that there is, or enough of it.
    assert tokens >= control.tokens or len(answered) == len(control.items)
    found = screen.report()["contrasts"][0]["details"]["audit"]
    # Each answer's end is scored as well.
    assert found["control"]["tokens"] == tokens + len(answered)
    assert found["drift"] is None
    # The reference has no arm: what it answered is no evidence of anything else.
    assert not (screen.run_dirs()[-1] / "arms" / "target").exists()
    again = tais("report", screen.run_dirs()[-1], "--format", "json")
    assert json.loads(again.stdout)["contrasts"][0]["details"]["audit"] == found


def test_an_audit_is_resumed_without_answering_again(screen: Screen, tais: Tais) -> None:
    alone(screen)
    tais("run", screen.path, "--out", screen.out)
    run_dir = screen.run_dirs()[-1]
    before = {path.name: path.stat().st_mtime_ns for path in own_answers(screen).glob("part-*")}
    (run_dir / "report.json").unlink()
    tais("run", screen.path, "--out", screen.out, "--resume")
    assert {path.name: path.stat().st_mtime_ns for path in own_answers(screen).glob("part-*")} == before
