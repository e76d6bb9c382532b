"""What can go wrong for a user ends in one line with the place and the remedy, and nothing half written.

Broken manifests and batteries have tests of their own; here are those that need the command.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from tais.engines import ENGINES
from tais.rundir.ledger import read_ledger
from tests.conftest import Screen, Tais


def failing(tais: Tais, screen: Screen, code: int, *arguments: object, **variables: str) -> str:
    """Run, expect one error line on standard error and return it."""
    done = tais("run", screen.path, "--out", screen.out, *arguments, **variables)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("tais: error: ")]
    assert len(errors) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == errors[0]
    return errors[0].removeprefix("tais: error: ")


def test_missing_manifest_names_the_nearest(tais: Tais) -> None:
    done = tais("run", "dmeo")
    assert done.returncode == 2
    assert "dmeo: no such manifest. Did you mean 'demo'?" in done.stderr


def test_misspelt_key_names_line_and_nearest_key(tais: Tais, screen: Screen) -> None:
    screen.data["arms"]["spec"]["engine_arg"] = {}
    screen.write()
    error = failing(tais, screen, 2)
    assert "arms.spec" in error
    assert "screen.yaml:" in error
    assert "engine_args" in error


def test_broken_yaml_names_file_and_line(tais: Tais, screen: Screen) -> None:
    screen.path.write_text("name: x\narms: [unclosed\ncontrasts: 1\n")
    assert "screen.yaml:" in failing(tais, screen, 2)
    assert not screen.out.exists()


def test_unknown_battery_names_the_nearest(tais: Tais, screen: Screen) -> None:
    screen.data["batteries"] = ["demo_refus"]
    screen.write()
    assert "demo_refuse" in failing(tais, screen, 2)
    assert not screen.out.exists()


def test_empty_battery(tais: Tais, screen: Screen) -> None:
    screen.items(0)
    assert "mine" in failing(tais, screen, 2)
    assert not screen.out.exists()


def test_duplicate_ids_name_both_lines(tais: Tais, screen: Screen) -> None:
    line = '{"id": "a", "prompt": "x"}\n'
    (screen.folder / "mine.jsonl").write_text(line * 2)
    error = failing(tais, screen, 2)
    assert "mine.jsonl:1" in error
    assert "mine.jsonl:2" in error


def test_model_path_that_is_not_there(tais: Tais, screen: Screen) -> None:
    screen.data["arms"]["target"] = {"engine": "vllm", "model": "./nowhere"}
    screen.write()
    error = failing(tais, screen, 2)
    assert "./nowhere" in error
    assert "arms.target.model" in error


@pytest.mark.parametrize(
    ("files", "said"),
    [([], "holds no weights"), (["model.safetensors"], "has no config.json")],
    ids=["empty", "without_config"],
)
def test_model_folder_that_is_not_whole(tais: Tais, screen: Screen, files: list[str], said: str) -> None:
    (screen.folder / "model").mkdir()
    for name in files:
        (screen.folder / "model" / name).touch()
    screen.data["arms"]["target"] = {"engine": "vllm", "model": "./model"}
    screen.write()
    assert said in failing(tais, screen, 2)
    assert not screen.out.exists()


def test_engine_that_is_not_installed_names_the_extra(
    tais: Tais, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is what find_spec takes for "not installed".
    monkeypatch.setitem(sys.modules, "vllm", None)
    screen.data["arms"]["target"] = {"engine": "vllm", "model": "org/name"}
    screen.write()
    error = failing(tais, screen, 4)
    assert "vllm is not installed" in error
    assert ".[cpu]" in error
    assert not screen.out.exists()


def test_stack_that_the_engine_refuses_gives_its_own_reason(tais: Tais, screen: Screen) -> None:
    screen.options("target", refuse_start="no such rope scaling")
    error = failing(tais, screen, 4)
    assert error == "arm 'target': no such rope scaling. Change the arm in the manifest"


def test_prompt_longer_than_the_limit_names_the_item_before_the_first_token(
    tais: Tais, screen: Screen
) -> None:
    screen.options("target", context=20)
    error = failing(tais, screen, 4)
    assert "item 'm-000' of battery 'mine' has" in error
    assert not list(screen.out.glob("*/*/arms/target/*"))


def test_worker_that_dies_names_arm_phase_and_last_words(tais: Tais, screen: Screen) -> None:
    # One arm before it: the fewer workers start, the sooner this ends.
    del screen.data["arms"]["again"]
    screen.data["contrasts"] = screen.data["contrasts"][::2]
    screen.options("spec", fail_at=50)
    error = failing(tais, screen, 4)
    assert error.startswith("arm 'spec' was killed by SIGABRT in phase 'generate'; its last words: ")
    assert "logs/spec.log" in error
    # The arms before it keep their samples.
    assert list(screen.out.glob("*/*/arms/target/part-*"))


@pytest.mark.slow
def test_worker_that_raises_keeps_what_it_had(tais: Tais, screen: Screen) -> None:
    screen.options("target", fail_at=50, failure="error")
    error = failing(tais, screen, 4)
    assert error.startswith("arm 'target': failed in phase 'generate': RuntimeError: fake engine raised")
    assert list(screen.out.glob("*/*/arms/target/part-*"))


@pytest.mark.slow
def test_worker_out_of_memory_says_what_to_lower(tais: Tais, screen: Screen) -> None:
    screen.options("target", fail_at=1, failure="memory")
    assert "Lower max_num_seqs" in failing(tais, screen, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("failure", "phase"), [("hang", "generate"), ("hang_load", "load")])
def test_worker_that_hangs_is_stopped(tais: Tais, screen: Screen, failure: str, phase: str) -> None:
    screen.options("spec", fail_at=5, failure=failure)
    error = failing(tais, screen, 4, "--stall-timeout", 6)
    assert f"arm 'spec' made no progress for 6 s while in phase '{phase}'" in error


@pytest.mark.slow
def test_failure_stands_in_the_ledger(tais: Tais, screen: Screen) -> None:
    screen.options("spec", fail_at=5)
    failing(tais, screen, 4)
    assert '"outcome": "failed: EngineError"' in (screen.out / "fakes" / "ledger.jsonl").read_text()


def test_unwritable_output_directory(tais: Tais, screen: Screen) -> None:
    screen.out.write_text("a file where the directory should be")
    error = failing(tais, screen, 4)
    assert str(screen.out) in error
    assert "--out" in error


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="needs root to mount a small disk")
@pytest.mark.slow
def test_full_disk_keeps_what_is_stored_and_resumes(tais: Tais, screen: Screen, tmp_path: Path) -> None:
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        screen.out = disk / "out"
        ballast = disk / "ballast"
        screen.options("spec", delay=0.02)
        from tests.conftest import start

        process = start(screen, "--part-samples", 10)
        while not list(screen.out.glob("*/*/arms/spec/part-*")):
            assert process.poll() is None
        # Unbuffered: what a buffer still holds would be written, and refused, when it is closed.
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 65536):
                    pass
            except OSError:
                pass
        _, err = process.communicate(timeout=60)
        assert process.returncode == 4, err
        assert "no space left on device" in err
        assert "--resume" in err
        ballast.unlink()
        done = tais("run", screen.path, "--out", screen.out, "--resume")
        assert done.returncode == 0, done.stderr
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_disk_that_is_too_small_is_refused_before_the_run(tais: Tais, screen: Screen) -> None:
    screen.data["sampling"]["max_tokens"] = 10**9
    screen.write()
    assert "are free" in failing(tais, screen, 4)
    assert not list(screen.out.glob("*/*/arms"))


def test_engine_of_a_later_version_is_named_unavailable(
    tais: Tais, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(ENGINES, "reference")
    screen.data["arms"]["target"] = {"engine": "reference", "model": "org/name"}
    screen.write()
    assert "engine 'reference' is not available" in failing(tais, screen, 2)


@pytest.mark.slow
def test_ledger_that_was_edited_is_refused(tais: Tais, screen: Screen) -> None:
    for _ in range(2):
        assert tais("run", screen.path, "--out", screen.out).returncode == 0
    ledger = screen.out / "fakes" / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[1:]))
    error = failing(tais, screen, 4)
    assert "ledger.jsonl:1" in error
    # Before any arm: the run that would have cost hours has not begun.
    latest = sorted(screen.out.glob("fakes/*/manifest.lock.json"))[-1].parent
    assert not list((latest / "arms").iterdir())
    assert ledger.read_text() == "".join(lines[1:])


@pytest.mark.slow
@pytest.mark.parametrize("torn", [b'{"event": "sta', b"\0" * 40])
def test_a_ledger_that_a_power_cut_tore_is_mended_and_says_so(
    tais: Tais, screen: Screen, torn: bytes
) -> None:
    assert tais("run", screen.path, "--out", screen.out).returncode == 0
    ledger = screen.out / "fakes" / "ledger.jsonl"
    before = ledger.read_bytes()
    ledger.write_bytes(before + torn)
    assert tais("run", screen.path, "--out", screen.out).returncode == 0
    assert ledger.read_bytes().startswith(before)
    *_, note, begun, end = read_ledger(ledger)
    assert [entry["event"] for entry in (note, begun, end)] == ["torn", "start", "end"]
    assert (note["run"], note["bytes"]) == (begun["run"], len(torn))
    assert note["sha256"] == hashlib.sha256(torn).hexdigest()
    # Both runs are attempts, and the note is none.
    assert len(screen.report()["facts"]["run"]["ledger"]["attempts"]) == 2


def test_usage_errors_exit_2(tais: Tais) -> None:
    assert tais("rum").returncode == 2
    assert tais("run").returncode == 2
    assert tais("run", "demo", "--limit", "0").returncode == 2
    assert tais("report", "/nowhere").returncode == 4


@pytest.mark.slow
def test_control_characters_of_an_engine_never_reach_the_terminal(tais: Tais, screen: Screen) -> None:
    screen.options("target", refuse_start="\x1b[31mred\x1b[0m\u202eevil\x07")
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 4
    assert not set(done.stderr) & {"\x1b", "\u202e", "\x07"}
