"""Exhibits are whole: each has a manifest whose candidates it speaks of, on releases that are not one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.lab import museum
from tais.lab.museum import Exhibit, exhibits, said_of
from tais.manifest.load import load_manifest
from tais.manifest.model import Rules
from tais.verdict.report import Report, Verdict
from tests.conftest import ROOT, Screen, Tais


@pytest.mark.parametrize("exhibit", exhibits(), ids=lambda exhibit: exhibit.name)
def test_an_exhibit_shows_a_bug_on_one_release_and_its_absence_elsewhere(exhibit: Exhibit) -> None:
    manifest = load_manifest(exhibit.manifest)
    assert manifest.name == exhibit.name
    assert {contrast.candidate for contrast in manifest.contrasts} == set(exhibit.expect)
    assert {"pass", "fail"} <= set(exhibit.expect.values())
    for contrast in manifest.contrasts:
        # A bug of one release: both sides of a contrast run on it.
        places = {manifest.arms[side].environment for side in (contrast.reference, contrast.candidate)}
        assert len(places) == 1
    releases = {environment.requirements for environment in manifest.environments.values()}
    if exhibit.replayed:
        # One release, put right by one of the repairs, which is there.
        assert len(releases) == 1
        named = {arm.engine_args.get("worker_extension_cls") for arm in manifest.arms.values()} - {None}
        for repair in map(str, named):
            file = ROOT / Path(*repair.split(".")[:-1]).with_suffix(".py")
            assert f"class {repair.split('.')[-1]}:" in file.read_text(encoding="utf-8")
        assert named
    else:
        assert len(releases) > 1


def test_the_list_says_what_there_is(tais: Tais) -> None:
    done = tais("museum", "list")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [e.name for e in exhibits()]
    assert tais("museum", "run", "several-stop-string").returncode == 2


def test_a_run_that_says_something_else_ends_with_1(
    tais: Tais, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Exhibit(
        name="made",
        title="t",
        engine="e",
        reference="https://x",
        expect={"spec": "pass", "leaky": "fail"},
    )
    monkeypatch.setattr(Exhibit, "manifest", screen.path)
    monkeypatch.setattr(museum, "exhibits", lambda: (made,))
    done = tais("museum", "run", "--out", screen.out, "--quiet")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["right"] is True
    monkeypatch.setattr(
        museum, "exhibits", lambda: (made.model_copy(update={"expect": {"spec": "fail", "gone": "pass"}}),)
    )
    again = tais("museum", "run", "--out", screen.out, "--quiet")
    assert again.returncode == 1
    assert {row["candidate"]: row["verdict"] for row in json.loads(again.stdout)["said"]} == {
        "spec": "pass",
        "gone": "missing",
    }


def test_a_verdict_is_held_against_what_it_must_be() -> None:
    empty = Report(name="x", verdict=Verdict.passed, reasons=(), contrasts=(), rules=Rules())
    assert said_of(exhibits()[0], empty)[0].verdict == "missing"
