"""``starts: k``: fresh processes of one arm, from the manifest to the signed report, on the fake engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tais.common.yaml12 import loads
from tais.errors import ManifestError
from tais.manifest.load import resolve
from tais.manifest.model import Manifest, Role
from tais.report.tables.sweep import sweep_view
from tais.verdict.report import Verdict
from tais.worker.order import arm_order
from tests.conftest import FAKE, SPECULATION, Screen, Tais
from tests.report.factory import contrast
from tests.report.factory import report as made_report
from tests.runs.test_resume import stored

HERE = Path(__file__).parent


def manifest(target: str = "", spec: str = "", rest: str = "") -> Manifest:
    """Two arms with settings of their own, and further lines."""
    text = f"""
name: starts
arms:
  target: {{engine: fake, model: none, {target}}}
  spec: {{engine: fake, model: none, speculative_config: {{method: x, num_speculative_tokens: 2}}, {spec}}}
contrasts:
  - {{reference: target, candidate: spec, audit: false}}
batteries: [xstest]
{rest}
"""
    return resolve(loads(text, "starts.yaml"), HERE)


def sides(found: Manifest) -> list[tuple[str, str, Role]]:
    return [(c.reference, c.candidate, c.role) for c in found.contrasts]


def test_every_start_of_a_candidate_is_screened_and_those_of_a_reference_calibrate() -> None:
    found = manifest(target="starts: 2", spec="starts: 3")
    assert list(found.arms) == ["target", "target.start2", "spec", "spec.start2", "spec.start3"]
    assert found.starts == {
        "target": ("target", "target.start2"),
        "spec": ("spec", "spec.start2", "spec.start3"),
    }
    assert sides(found) == [
        ("target", "spec", Role.screen),
        ("target", "spec.start2", Role.screen),
        ("target", "spec.start3", Role.screen),
        ("target", "target.start2", Role.calibration),
    ]
    # What the contrast says holds for each of its starts.
    assert [found.audit_of(c) for c in found.contrasts[:3]] == ["none"] * 3
    assert found.differences("spec", "spec.start3") == []
    assert all(found.stops_early(name) is False for name in found.arms)


def test_starts_are_asked_in_one_order_and_other_arms_in_their_own() -> None:
    found = manifest(target="order: shuffled", spec="order: shuffled, starts: 2")
    orders = {name: arm_order(50, arm, found.sampling) for name, arm in found.arms.items()}
    assert orders["spec"] == orders["spec.start2"] != orders["target"]


@pytest.mark.parametrize(
    ("target", "spec", "said"),
    [
        ("", "starts: 0", "must be at least 1"),
        ("", "starts: 65", "must be at most 64"),
        ("", "starts: true", "starts"),
        ("", "start_of: target", "unknown key 'start_of'"),
    ],
)
def test_numbers_that_cannot_be_are_refused_with_their_line(target: str, spec: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said) as caught:
        manifest(target, spec)
    assert caught.value.place is not None
    assert caught.value.place.line == 5


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("old: {engine: import, path: test_starts.py, starts: 2}", "outputs that exist already"),
        (
            'there: {engine: openai, model: m, engine_args: {base_url: "http://h:1"}, starts: 2}',
            "a server that runs already",
        ),
        (
            "spec.start2: {engine: fake, model: none}\n  spec: {engine: fake, model: none, starts: 2}",
            "called",
        ),
        ("idle: {engine: fake, model: none, starts: 2}", "no contrast uses the starts of"),
    ],
)
def test_starts_that_nobody_could_make_or_use_are_refused(arms: str, said: str) -> None:
    spec = "" if "\n" in arms else "spec: {engine: fake, model: none}"
    text = f"""
name: starts
arms:
  target: {{engine: fake, model: none}}
  {spec}
  {arms}
contrasts: [{{reference: target, candidate: spec}}]
batteries: [xstest]
"""
    with pytest.raises(ManifestError, match=said):
        resolve(loads(text, "starts.yaml"), HERE)


def test_a_reference_that_answers_nothing_has_no_use_for_starts() -> None:
    with pytest.raises(ManifestError, match="no contrast uses the starts of"):
        resolve(
            loads(
                "name: x\narms:\n  t: {engine: fake, model: none, starts: 2}\n"
                "  s: {engine: fake, model: none}\n"
                "contrasts: [{reference: t, candidate: s, audit: only}]\nbatteries: [xstest]\n",
                "x.yaml",
            ),
            HERE,
        )


@pytest.fixture
def started(screen: Screen) -> Screen:
    """Two starts of the target and of a candidate, whose second is at fault; 120 items."""
    screen.data["arms"] = {
        "target": {**FAKE, "starts": 2},
        "spec": {
            **FAKE,
            "speculative_config": dict(SPECULATION),
            "starts": 2,
            "engine_args": {"leak": 0.3, "leak_starts": [2]},
        },
    }
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec"}]
    screen.data["rules"] = {"margin": 0.06}
    screen.write()
    return screen


ARMS = ("spec", "spec.start2", "target", "target.start2")
VERDICTS = {"spec": "pass", "spec.start2": "fail", "target.start2": "pass"}


def run(tais: Tais, screen: Screen, *arguments: object, code: int = 1) -> dict[str, Any]:
    done = tais("run", screen.path, "--out", screen.out, *arguments, TAIS_UNSIGNED="")
    assert done.returncode == code, done.stderr
    return screen.report()


def test_a_fault_of_one_start_fails_the_screen_and_the_run_verifies(
    started: Screen, tais: Tais, tmp_path: Path
) -> None:
    assert tais("keygen", "--out", tmp_path).returncode == 0
    report = run(tais, started, "--signing-key", tmp_path / "tais.key")
    assert {c["candidate"]: c["verdict"] for c in report["contrasts"]} == VERDICTS
    found = {seen["arm"]: seen for seen in report["details"]["starts"]}
    assert [start["verdict"] for start in found["spec"]["starts"]] == ["pass", "fail"]
    assert [start["arm"] for start in found["target"]["starts"]] == ["target", "target.start2"]
    assert found["target"]["starts"][1]["identical"] == 120 > found["spec"]["starts"][1]["identical"]
    # R: binom.test(x, 2, alternative = "less")$conf.int, where x launches fail
    assert found["spec"]["failed_upper"] == pytest.approx(0.9747, abs=1e-4)
    assert found["target"]["failed_upper"] == pytest.approx(0.7764, abs=1e-4)
    assert [r["values"]["failed"] for r in report["reasons"] if r["code"] == "starts_seen"] == [1, 0]
    run_dir = started.run_dirs()[-1]
    for page in ("report.html", "report.md"):
        assert "Starts of spec" in (run_dir / page).read_text()
    lock = json.loads((run_dir / "manifest.lock.json").read_text())
    assert lock["starts"]["spec"] == ["spec", "spec.start2"]
    assert lock["arms"]["spec"] == lock["arms"]["spec.start2"]
    done = tais("verify", run_dir, "--trusted-key", tmp_path / "tais.pub", "--recompute")
    assert done.returncode == 0, done.stderr
    # An arm is forked off a process that has imported its engine: starts of one arm share none.
    parents = {name: _parent(run_dir / "logs" / f"{name}.log") for name in ARMS}
    assert parents["target"] != parents["target.start2"]
    assert parents["spec"] != parents["spec.start2"]


def _parent(log: Path) -> str:
    found = re.search(r"fake engine: child of (\d+)", log.read_text())
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_no_two_starts_come_from_one_cache_entry(
    started: Screen, tais: Tais, tmp_path: Path
) -> None:
    broken, cache = tmp_path / "broken", tmp_path / "cache"
    broken.touch()
    started.options("spec", fail_at=50, failure="error", fail_while=str(broken))
    assert tais("run", started.path, "--out", started.out).returncode == 4
    before = stored(started.run_dirs()[0])
    assert 0 < before.total() < 4 * 120
    broken.unlink()
    report = run(tais, started, "--resume", "--unsigned", "--cache", cache)
    after = stored(started.run_dirs()[0])
    assert after >= before
    assert after == dict.fromkeys(after, 1)
    assert after.total() == 4 * 120
    assert {c["candidate"]: c["verdict"] for c in report["contrasts"]} == VERDICTS
    again = run(tais, started, "--unsigned", "--cache", cache)
    # Starts are one stack: what the cache holds of it serves one of them, and the others answer anew.
    taken = [name for name, arm in again["facts"]["arms"].items() if "origin" in arm]
    assert len([name for name in taken if name.startswith("spec")]) <= 1
    assert "target.start2" not in taken


def test_a_plan_tells_the_starts(started: Screen, tais: Tais) -> None:
    done = tais("plan", started.path)
    assert done.returncode == 0, done.stderr
    assert "spec: 2 starts, each a fresh process" in done.stdout
    assert "4 arms of 120 samples" in done.stdout


def test_a_sweep_shows_the_worst_start_of_an_arm() -> None:
    sound, faulty = (
        contrast(name, verdict=verdict)
        for name, verdict in (("a", Verdict.passed), ("a.start2", Verdict.failed))
    )
    sweep = {
        "axes": [{"key": "order", "name": "order", "values": ["battery"]}],
        "cells": [{"reference": sound.reference, "candidate": "a", "values": ["battery"]}],
        "combinations": 1,
        "cover": "full",
    }
    seen = {"starts": [{"arm": "a", "starts": [{"arm": "a"}, {"arm": "a.start2"}]}]}
    found = sweep_view(made_report(sound, faulty, facts={"sweep": sweep}, details=seen))
    assert found is not None
    assert [cell.contrast.candidate for cell in found.cells] == ["a.start2"]
