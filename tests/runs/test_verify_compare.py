"""``compare_runs``: an upgrade across two runs is a run that verifies and that the gate judges."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tais.attest import verify_run
from tais.attest.keys import generate
from tais.common.files import sha256_file
from tais.errors import UsageError, VerificationError
from tais.gate.gate import gate_run
from tais.gate.policy import Policy
from tais.manifest.model import Hypothesis
from tais.rundir.layout import UPGRADE
from tais.runs.compare import Side, compare_runs
from tests.attest.runs import LOST, WON, copy_run, resign


@pytest.fixture(scope="module")
def runs(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of one screen; the second is a copy, which is as good as another day."""
    return small_run, copy_run(tmp_path_factory.mktemp("new"), small_run)


def test_an_upgrade_is_signed_recomputed_and_judged_like_any_run(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = runs
    signer = generate()
    made = compare_runs(Side(old, "target"), Side(new, "candidate"), tmp_path, signer=signer, verified=True)
    run = verify_run(made.run_dir, [signer.public], recompute=True)
    assert UPGRADE in run.files
    assert [(c.role.value, c.candidate) for c in run.report.contrasts] == [
        ("screen", "candidate"),
        ("calibration", "again"),
        ("positive_control", "bad"),
    ]
    now = datetime.fromisoformat(str(run.report.facts.run.ended)) + timedelta(days=1)
    assert gate_run(made.run_dir, Policy(), [signer.public], now=now).exit_code == 0


def test_imported_outputs_claim_nothing_in_a_comparison_either(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = runs
    made = compare_runs(Side(old, "target"), Side(new, "candidate"), tmp_path)
    assert made.said == ("not claimed to be lossless: outputs that exist already claim nothing",)
    assert not made.report.contrasts[0].lossless


def test_it_cites_both_runs_and_says_what_got_better_and_worse(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = runs
    made = compare_runs(Side(old, "target"), Side(new, "candidate"), tmp_path)
    upgrade = json.loads((made.run_dir / UPGRADE).read_bytes())
    assert upgrade["reference"]["report.json"] == sha256_file(old / "report.json")
    assert upgrade["candidate"]["manifest.lock.json"] == sha256_file(new / "manifest.lock.json")
    (battery,) = upgrade["batteries"]
    assert battery["worse"] == {"count": 1, "items": [LOST]}
    assert battery["better"] == {"count": 1, "items": [WON]}


def test_a_safer_model_is_not_inferior_though_not_equivalent(runs: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = runs
    made = compare_runs(Side(old, "bad"), Side(new, "target"), tmp_path)
    assert made.report.contrasts[0].verdict.value == "pass"
    # The other run asked its control no probes, so nothing shows that a fall from there would be seen.
    assert "endpoint_not_shown_sensitive" in {r.code for r in made.report.reasons}
    assert made.report.verdict.value == "inconclusive"
    assert made.upgrade["verdicts"] == {"equivalence": "fail", "non_inferiority": "pass"}
    strict = compare_runs(
        Side(old, "bad"), Side(new, "target"), tmp_path / "strict", hypothesis=Hypothesis.equivalence
    )
    assert strict.report.verdict.value == "fail"
    assert strict.upgrade["verdicts"] == made.upgrade["verdicts"]


@pytest.mark.slow
def test_a_worse_model_fails_and_may_bear_the_old_name(runs: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = runs
    assert compare_runs(Side(old, "target"), Side(new, "bad"), tmp_path).report.verdict.value == "fail"
    same = compare_runs(Side(old, "target"), Side(new, "target"), tmp_path)
    assert same.report.contrasts[0].candidate == "target-new"


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("batteries", 0, "digest"), "0" * 64, "the batteries differ: mine.digest"),
        (("batteries", 0, "scorer", "version"), "2", "the batteries differ: mine.scorer.version"),
        (("sampling", "seed"), 7, "the sampling differs: seed is 42 there and 7 here"),
        (("sampling", "max_tokens"), 1, "the sampling differs"),
    ],
)
def test_runs_that_asked_otherwise_are_not_compared(
    keys: tuple[str | int, ...], value: object, said: str, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    new = copy_run(tmp_path, runs[0])
    lock = json.loads((new / "manifest.lock.json").read_bytes())
    inner = lock
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (new / "manifest.lock.json").write_text(json.dumps(lock))
    with pytest.raises(UsageError, match=said):
        compare_runs(Side(runs[0], "target"), Side(new, "target"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_arm_is_named_with_the_known_ones(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Arms: again, bad, candidate, target"):
        compare_runs(Side(runs[0], "tarjet"), Side(runs[1], "target"), tmp_path)


def test_an_unfinished_run_is_not_compared(runs: tuple[Path, Path], tmp_path: Path) -> None:
    new = copy_run(tmp_path, runs[0])
    (new / "report.json").unlink()
    with pytest.raises(UsageError, match="not finished"):
        compare_runs(Side(runs[0], "target"), Side(new, "target"), tmp_path)


def test_recomputing_makes_the_upgrade_file_again(runs: tuple[Path, Path], tmp_path: Path) -> None:
    signer = generate()
    made = compare_runs(Side(runs[0], "target"), Side(runs[1], "candidate"), tmp_path, signer=signer)
    path = made.run_dir / UPGRADE
    path.write_text(path.read_text().replace(LOST, WON))
    resign(made.run_dir, signer)
    assert verify_run(made.run_dir, [signer.public]).report.verdict.value == "pass"
    with pytest.raises(VerificationError, match=r"upgrade.json.batteries\[0\].worse.items\[0\] is"):
        verify_run(made.run_dir, [signer.public], recompute=True)


def test_runs_of_older_rules_make_a_comparison_that_verifies(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Their locks lack the rules that came later, which the comparison's report writes out."""
    sides = []
    for name, run_dir in zip("ab", runs, strict=True):
        copy = copy_run(tmp_path / name, run_dir)
        lock = json.loads((copy / "manifest.lock.json").read_bytes())
        for key in ("sensitivity", "max_invalid", "min_treatment"):
            del lock["rules"][key]
        (copy / "manifest.lock.json").write_text(json.dumps({**lock, "rules_version": 1}))
        sides.append(copy)
    signer = generate()
    made = compare_runs(Side(sides[0], "target"), Side(sides[1], "candidate"), tmp_path / "c", signer=signer)
    assert any("version 1" in said for said in made.said)
    assert verify_run(made.run_dir, [signer.public], recompute=True).recomputed
