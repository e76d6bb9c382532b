"""``--resume`` of a finished run signs, and shows, only what the samples lead to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tais.attest import load_signer, verify_run
from tais.attest.keys import PublicKey, generate, load_public_key, write_pair
from tais.rundir.layout import RUN_BUNDLE, TEST_BUNDLE
from tais.rundir.ledger import append
from tests.attest.runs import resign, write_screen
from tests.conftest import Tais


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder in which a run was signed."""
    from tais.runs.options import RunOptions
    from tais.runs.run import run

    base = tmp_path_factory.mktemp("finished")
    private, _ = write_pair(base, generate())
    run(write_screen(base), RunOptions(out=base / "out", signer=load_signer(private)))
    return base


@pytest.fixture
def made(folder: Path, tmp_path: Path) -> tuple[Path, Path, PublicKey]:
    """Copy it: the folder, the run in it, and the key that is trusted."""
    shutil.copytree(folder, tmp_path / "made")
    (run_dir,) = (tmp_path / "made" / "out" / "small").glob("2*")
    return tmp_path / "made", run_dir, load_public_key(tmp_path / "made" / "tais.pub")


def _report(edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def change(run_dir: Path) -> None:
        path = run_dir / "report.json"
        report = json.loads(path.read_bytes())
        edit(report)
        path.write_text(json.dumps(report))

    return change


def _verdict(report: dict[str, Any]) -> None:
    report["verdict"] = "fail" if report["verdict"] == "pass" else "pass"


def _number(report: dict[str, Any]) -> None:
    report["contrasts"][0]["endpoints"][0]["table"]["both"] += 1


def _attempts(report: dict[str, Any]) -> None:
    report["facts"]["run"]["ledger"]["attempts"] = []


def _page(run_dir: Path) -> None:
    path = run_dir / "report.md"
    path.write_text(path.read_text() + "\nAll is well.\n")


EDITS: dict[str, Callable[[Path], object]] = {
    "verdict": _report(_verdict),
    "number": _report(_number),
    "attempts": _report(_attempts),
    "page": _page,
    "no_report": lambda run_dir: (run_dir / "report.json").write_text("[]"),
}


@pytest.mark.parametrize(("name", "unsigned"), [("verdict", True), *((name, False) for name in EDITS)])
def test_an_edited_report_of_a_finished_run_is_neither_signed_nor_shown(
    name: str, unsigned: bool, made: tuple[Path, Path, PublicKey], tais: Tais
) -> None:
    folder, run_dir, _ = made
    # Killed after its report, before its signature.
    for bundle in (RUN_BUNDLE, TEST_BUNDLE):
        (run_dir / bundle).unlink()
    EDITS[name](run_dir)
    how = {} if unsigned else {"TAIS_UNSIGNED": "", "TAIS_SIGNING_KEY": str(folder / "tais.key")}
    done = tais("run", folder / "small.yaml", "--out", folder / "out", "--resume", **how)
    assert done.returncode == 5, done.stderr
    assert not (run_dir / RUN_BUNDLE).exists()


def test_a_finished_run_is_signed_where_its_samples_lead_to_its_report(
    made: tuple[Path, Path, PublicKey], tais: Tais
) -> None:
    folder, run_dir, key = made
    for bundle in (RUN_BUNDLE, TEST_BUNDLE):
        (run_dir / bundle).unlink()
    how = {"TAIS_UNSIGNED": "", "TAIS_SIGNING_KEY": str(folder / "tais.key")}
    done = tais("run", folder / "small.yaml", "--out", folder / "out", "--resume", **how)
    assert done.returncode == 0, done.stderr
    assert verify_run(run_dir, [key]).report.verdict.value == "pass"
    # And one that is signed must verify before its exit code is told again.
    _report(_verdict)(run_dir)
    again = tais("run", folder / "small.yaml", "--out", folder / "out", "--resume", **how)
    assert again.returncode == 5, again.stderr


def test_a_clock_that_goes_back_is_noted_and_leaves_the_run_verifiable(
    made: tuple[Path, Path, PublicKey], tais: Tais
) -> None:
    folder, run_dir, key = made
    later = datetime.now(UTC) + timedelta(hours=2)
    # The lock is signed by a clock that is fast, the run by one that was set right since.
    resign(run_dir, load_signer(folder / "tais.key"), later)
    for bundle in (RUN_BUNDLE, TEST_BUNDLE):
        (run_dir / bundle).unlink()
    how = {"TAIS_UNSIGNED": "", "TAIS_SIGNING_KEY": str(folder / "tais.key")}
    done = tais("run", folder / "small.yaml", "--out", folder / "out", "--resume", **how)
    assert done.returncode == 0, done.stderr
    assert "the clock went back" in done.stderr
    assert verify_run(run_dir, [key]).signed_at == later.replace(microsecond=0)


def test_resume_takes_the_run_that_the_ledger_has_last(
    made: tuple[Path, Path, PublicKey], tais: Tais
) -> None:
    folder, run_dir, _ = made
    # A run of a clock that was fast: its name is later, and its line is earlier.
    fast = run_dir.with_name("29990101T000000000000Z")
    shutil.copytree(run_dir, fast)
    ledger = run_dir.parent / "ledger.jsonl"
    lines = ledger.read_bytes()
    ledger.unlink()
    append(ledger, {"event": "start", "run": fast.name, "time": "2999", "manifest": "m"})
    append(ledger, {"event": "start", "run": run_dir.name, "time": "2026", "manifest": "m"})
    assert lines != ledger.read_bytes()
    done = tais("run", folder / "small.yaml", "--out", folder / "out", "--resume")
    assert f"{run_dir.name} is finished" in done.stderr
