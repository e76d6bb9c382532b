"""Runs that are made from others launder nothing: what nobody verified is not made good by a signature."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tais.attest import load_signer, verify_run
from tais.attest.keys import Signer, generate, write_pair
from tais.gate.gate import judge
from tais.gate.policy import Policy
from tais.rundir.layout import BUNDLES
from tais.rundir.lock import read_lock
from tais.rundir.sources import sources_of
from tests.attest.runs import copy_run, resign
from tests.conftest import Tais

SIDES = ("--reference", "target", "--candidate", "candidate")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Make a key and return it as it is read from its file."""
    return load_signer(write_pair(tmp_path_factory.mktemp("keys"), generate())[0])


@pytest.fixture
def signed(small_run: Path, signer: Signer, tmp_path: Path) -> Path:
    """Return the small run, signed."""
    run_dir = copy_run(tmp_path / "signed", small_run)
    resign(run_dir, signer)
    return run_dir


def _made(stdout: str, folder: Path) -> Path:
    return folder / stdout.strip().partition("\t")[2]


def _codes(run_dir: Path, signer: Signer, **policy: object) -> set[str]:
    run = verify_run(run_dir, [signer.public])
    return {o.code for o in judge(run, Policy.model_validate(policy), datetime.now(UTC))}


def test_an_unsigned_source_is_said_and_shuts_the_gate(
    small_run: Path, signed: Path, signer: Signer, tais: Tais, tmp_path: Path
) -> None:
    own = {"TAIS_UNSIGNED": "", "TAIS_SIGNING_KEY": signer.public.source}
    done = tais("compare", small_run, signed, *SIDES, **own)
    assert done.returncode == 0, done.stderr
    made = _made(done.stdout, tmp_path)
    assert [source.verified for source in sources_of(read_lock(made))] == [False, True]
    assert "Made from a run that was not verified." in (made / "report.md").read_text()
    assert "sources_unverified" in _codes(made, signer)
    assert "sources_unverified" not in _codes(made, signer, sources_verified=False)
    # What is made of it in turn is no better, though it is signed itself.
    again = tais("compare", made, made, *SIDES, "--out", "second", **own)
    assert [s.verified for s in sources_of(read_lock(_made(again.stdout, tmp_path)))] == [False, False]


def test_sources_that_verify_open_the_gate(signed: Path, signer: Signer, tais: Tais, tmp_path: Path) -> None:
    own = {"TAIS_UNSIGNED": "", "TAIS_SIGNING_KEY": signer.public.source}
    done = tais("compare", signed, signed, *SIDES, **own)
    assert done.returncode == 0, done.stderr
    made = _made(done.stdout, tmp_path)
    assert _codes(made, signer) == set()
    assert "not verified" not in (made / "report.md").read_text()


def _loosen(run_dir: Path) -> None:
    # Lock and report agree, as whoever edits both would have it.
    lock = json.loads((run_dir / "manifest.lock.json").read_bytes())
    report = json.loads((run_dir / "report.json").read_bytes())
    lock["rules"]["margin"] = report["rules"]["margin"] = 0.5
    (run_dir / "manifest.lock.json").write_text(json.dumps(lock))
    (run_dir / "report.json").write_text(json.dumps(report))


def _unsign_lock_only(run_dir: Path) -> None:
    _loosen(run_dir)
    for name in BUNDLES - {"manifest.lock.sigstore.json"}:
        (run_dir / name).unlink()


def _unsign(run_dir: Path) -> None:
    _loosen(run_dir)
    for name in BUNDLES:
        (run_dir / name).unlink()


@pytest.mark.parametrize("change", [_loosen, _unsign_lock_only, _unsign])
@pytest.mark.parametrize("command", ["compare", "adjudicate", "audit"])
def test_a_source_that_was_edited_is_not_signed_anew(
    command: str, change: object, signed: Path, signer: Signer, tais: Tais, tmp_path: Path
) -> None:
    assert callable(change)
    change(signed)
    (tmp_path / "labels.csv").write_text("row,label\n")
    (tmp_path / "labels.key.json").write_text("{}")
    arguments = {
        "compare": ("compare", signed, signed, *SIDES),
        "adjudicate": ("adjudicate", "import", signed, tmp_path / "labels.csv"),
        "audit": ("audit", signed, "--manifest", "x.yaml", "--reference", "target"),
    }[command]
    own = {"TAIS_UNSIGNED": "", "TAIS_SIGNING_KEY": signer.public.source}
    done = tais(*arguments, "--out", tmp_path / "made", **own)
    assert done.returncode == 5, done.stderr
    assert not (tmp_path / "made").exists()


def test_a_signed_source_needs_a_key_that_is_trusted(
    signed: Path, signer: Signer, tais: Tais, tmp_path: Path
) -> None:
    other = write_pair(tmp_path / "other", generate())[1]
    nobody = {"XDG_CONFIG_HOME": str(tmp_path / "nobody")}
    assert tais("compare", signed, signed, *SIDES, **nobody).returncode == 2
    assert tais("compare", signed, signed, *SIDES, "--trusted-key", other).returncode == 5


def test_the_old_name_of_both_keys_says_what_it_was_taken_for(
    signed: Path, signer: Signer, tais: Tais, tmp_path: Path
) -> None:
    public = signer.public.source.replace(".key", ".pub")
    done = tais("verify", signed, "--key", public)
    assert done.returncode == 0, done.stderr
    assert "--key was taken for --trusted-key" in done.stderr
    assert tais("verify", signed, "--trusted-key", public).stderr.count("taken for") == 0
    both = tais("verify", signed, "--key", public, "--trusted-key", public)
    assert both.returncode == 2
    wrong = tais("compare", signed, signed, *SIDES, "--key", signer.public.source, TAIS_UNSIGNED="")
    assert "--key was taken for --signing-key" in wrong.stderr
