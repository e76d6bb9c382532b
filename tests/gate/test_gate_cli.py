"""``tais keygen``, ``tais verify``, ``tais gate`` and the steps of the action, as a CI meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tais.attest.keys import generate
from tais.cli.gate import gate
from tais.cli.keys import keygen
from tais.cli.verify import verify
from tais.errors import TaisError
from tais.gate.github import annotation, code_span, defuse, write_outputs
from tests.attest.runs import ASSETS, TRUSTED, copy_run, overlay, resign

ACTION = Path(__file__).resolve().parents[2] / "action.yml"
VARIABLES = (
    "TAIS_TRUSTED_KEY",
    "TAIS_POLICY",
    "TAIS_KEY_PASSPHRASE",
    "TAIS_RECOMPUTE",
    "TAIS_GITHUB",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_OUTPUT",
)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The commands as the command line runs them, without a process for each."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    app = typer.Typer()
    for command in (keygen, verify, gate):
        app.command()(command)

    def call(*arguments: object) -> Done:
        try:
            code = app([str(a) for a in arguments], standalone_mode=False) or 0
        except TaisError as error:
            print(f"error: {error}", file=sys.stderr)
            code = error.exit_code
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return call


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return copy_run(tmp_path)


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """A policy for a run of any age and of the first verdict rules, such as the stored one."""
    path = tmp_path / "lenient.yaml"
    path.write_text("max_age_days: null\nrules_version: 1\n")
    return path


# --- keygen and verify


def test_keygen_writes_a_pair_and_prints_it_for_machines(cli: Cli, tmp_path: Path) -> None:
    done = cli("keygen", "--out", tmp_path)
    fingerprint, private, public = done.out.rstrip("\n").split("\t")
    assert (done.code, len(fingerprint)) == (0, 64)
    assert (Path(private), Path(public)) == (tmp_path / "tais.key", tmp_path / "tais.pub")
    assert Path(private).read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert cli("keygen", "--out", tmp_path).code == 2


def test_keygen_takes_the_passphrase_of_the_environment(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAIS_KEY_PASSPHRASE", "secret")
    assert cli("keygen", "--out", tmp_path, "--type", "ed25519").code == 0
    assert (tmp_path / "tais.key").read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_verify_says_authentic_and_prints_the_verdict(cli: Cli, run_dir: Path) -> None:
    done = cli("verify", run_dir, "--key", TRUSTED)
    assert (done.code, done.out) == (0, f"pass\t{run_dir}\n")
    assert done.err.startswith("authentic: ")


def test_the_trusted_key_may_stand_in_the_environment_as_text(
    cli: Cli, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (str(TRUSTED), TRUSTED.read_text()):
        monkeypatch.setenv("TAIS_TRUSTED_KEY", value)
        assert cli("verify", run_dir).code == 0


@pytest.mark.parametrize("command", ["verify", "gate"])
def test_no_key_is_exit_code_2_and_names_both_ways(command: str, cli: Cli, run_dir: Path) -> None:
    done = cli(command, run_dir)
    assert done.code == 2
    assert "--key" in done.err
    assert "TAIS_TRUSTED_KEY" in done.err


@pytest.mark.parametrize("command", ["verify", "gate"])
def test_an_edited_sample_is_exit_code_5(command: str, cli: Cli, run_dir: Path) -> None:
    overlay(run_dir, ASSETS / "runs" / "sample_text_edited_after_signing")
    done = cli(command, run_dir, "--key", TRUSTED)
    assert (done.code, done.out) == (5, "")
    assert "changed after signing" in done.err


def test_recomputing_an_older_run_says_that_the_rules_changed_and_never_that_it_differs(
    cli: Cli, run_dir: Path
) -> None:
    done = cli("verify", run_dir, "--key", TRUSTED, "--recompute")
    assert (done.code, done.out) == (0, f"pass\t{run_dir}\n")
    assert "note: rules changed: this run was decided by version 1 of the verdict rules" in done.err
    assert "authentic, not recomputed" in done.err
    assert "the samples lead to this report" not in done.err
    assert "differ" not in done.err


# --- gate


def test_the_name_of_a_directory_forges_no_line(cli: Cli, run_dir: Path, lenient: Path) -> None:
    # A script takes the last line, and what stands before its tab.
    other = run_dir.rename(run_dir.parent / "x\nfail\treports\r\u2028one")
    for command in (("verify", other), ("gate", other, "--policy", lenient)):
        done = cli(*command, "--trusted-key", TRUSTED)
        assert done.code == 0, done.err
        assert len(done.out.splitlines()) == 1
        assert done.out.count("\t") == 1
        assert done.out.startswith("pass\t")


def test_the_gate_opens_for_a_passing_run(cli: Cli, run_dir: Path, lenient: Path) -> None:
    done = cli("gate", run_dir, "--key", TRUSTED, "--policy", lenient)
    assert (done.code, done.out) == (0, f"pass\t{run_dir}\n")


def test_the_gate_stays_shut_where_a_policy_is_not_met(cli: Cli, run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("max_age_days: null\nbatteries: {advbench: {min_n: 100}}\n")
    done = cli("gate", run_dir, "--key", TRUSTED, "--policy", tmp_path / "p.yaml")
    assert (done.code, done.out) == (1, f"fail\t{run_dir}\n")
    assert "battery_missing" in done.err


def test_a_bad_policy_is_exit_code_2(cli: Cli, run_dir: Path) -> None:
    path = ASSETS / "policies" / "bad" / "unknown_key.yaml"
    assert cli("gate", run_dir, "--key", TRUSTED, "--policy", path).code == 2


def outputs(path: Path) -> dict[str, str]:
    """Read a file of outputs as GitHub does."""
    lines = path.read_text().split("\n")
    found = {}
    while lines and (head := lines.pop(0)):
        name, mark = head.split("<<", 1)
        end = lines.index(mark)
        found[name], lines = "\n".join(lines[:end]), lines[end + 1 :]
    return found


def test_github_gets_summary_and_outputs(
    cli: Cli, run_dir: Path, lenient: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    assert cli("gate", run_dir, "--key", TRUSTED, "--policy", lenient, "--github").code == 0
    assert (tmp_path / "summary").read_text().startswith("### ✅ TAIS gate: pass")
    assert outputs(tmp_path / "outputs") == {
        "outcome": "pass",
        "verdict": "pass",
        "exit-code": "0",
        "run-dir": str(run_dir),
    }


def test_github_sees_nothing_of_a_run_that_does_not_verify(
    cli: Cli, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir / "report.md").write_text("### all is well")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    done = cli("gate", run_dir, "--key", TRUSTED, "--github")
    assert done.code == 5
    assert done.out.startswith("::error title=TAIS gate%3A VerificationError::")
    assert "all is well" not in (tmp_path / "summary").read_text()
    assert outputs(tmp_path / "outputs")["exit-code"] == "5"


def test_the_summary_holds_the_signed_report(
    cli: Cli, run_dir: Path, lenient: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir / "report.md").write_text("### what was found\n")
    signer = generate()
    resign(run_dir, signer)
    monkeypatch.setenv("TAIS_TRUSTED_KEY", signer.public.to_pem().decode())
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    assert cli("gate", run_dir, "--policy", lenient, "--github").code == 0
    assert "### what was found" in (tmp_path / "summary").read_text()


HOSTILE = [
    "::error::gone",
    " ::set-output name=verdict::pass",
    "a\n::stop-commands::x",
    "a\r\n::add-mask::x",
    "##[error]x",
    "x ##[set-env name=A]b",
    "\u2028::warning::x",
    "\x1b[31m::notice::x",
    "\u202e::error::x",
    "%0A::error::x",
]


def runner_obeys(line: str) -> bool:
    """Whether the GitHub runner takes a line for a command: of the new form, or of the old one."""
    return line.lstrip().startswith("::") or "##[" in line


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_gives_no_command(text: str) -> None:
    assert not any(runner_obeys(line) for line in defuse(text).splitlines())
    (line,) = annotation("error", text, text).splitlines()
    command, _, data = line.removeprefix("::").partition("::")
    assert command.startswith("error title=")
    assert command.count(",") == command.count(":") == 0
    assert "##[" not in data


@given(st.text())
def test_any_text_stays_one_harmless_line(text: str) -> None:
    assert len(defuse(text).splitlines()) <= 1
    assert not runner_obeys(defuse(text))
    assert len(annotation("warning", text, text).splitlines()) == 1
    shown = code_span(text)
    inner = shown.removeprefix("<code>").removesuffix("</code>")
    assert not set("<>|`*_[]@\\\n") & set(inner)


def test_an_output_cannot_end_itself_and_set_another(tmp_path: Path) -> None:
    write_outputs({"run-dir": "a\nEOF\nverdict=pass"}, {"GITHUB_OUTPUT": str(tmp_path / "out")})
    assert outputs(tmp_path / "out") == {"run-dir": "a\nEOF\nverdict=pass"}


# --- the action


def steps() -> dict[str, dict[str, Any]]:
    return {step["id"]: step for step in YAML(typ="safe").load(ACTION)["runs"]["steps"]}


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Done]:
    """Run a step of the action; `tais` and `python` only note what they were called with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("tais", "python"):
        stub = folder / name
        stub.write_text(
            f'#!/bin/bash\nprintf "%s\\n" {name} "$@" >> "$CALLS"\n'
            f'[ -z "${{TAIS_SIGNING_KEY+x}}" ] || printf "key=%s\\n" "$TAIS_SIGNING_KEY" >> "$CALLS"\n'
            'echo "noise"; printf "fail\\treports/x y/1\\n"; exit "${STUB_CODE:-0}"\n'
        )
        stub.chmod(0o755)

    def call(step: str, **environment: str) -> Done:
        wanted = steps()[step].get("env", {})
        values = dict.fromkeys(wanted, "") | {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "CALLS": str(tmp_path / "calls"),
            "GITHUB_OUTPUT": str(tmp_path / "outputs"),
            "GITHUB_ACTION_PATH": "/action",
            **environment,
        }
        # As the runner starts a step with `shell: bash`.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[step]["run"]]
        done = subprocess.run(command, env=values, cwd=tmp_path, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    return call


def calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("code", ["0", "1", "3"])
def test_a_verdict_goes_on_to_the_gate(code: str, shell: Callable[..., Done], tmp_path: Path) -> None:
    done = shell("screen", TAIS_MANIFEST="m.yaml", TAIS_SIGNING_KEY="k", STUB_CODE=code)
    assert done.code == 0, done.err
    assert calls(tmp_path) == ["tais", "run", "--", "m.yaml", "key=k"]
    assert (tmp_path / "outputs").read_text() == "run-dir=reports/x y/1\n"


@pytest.mark.parametrize("code", [2, 4, 130])
def test_a_run_without_a_verdict_fails_the_step(
    code: int, shell: Callable[..., Done], tmp_path: Path
) -> None:
    assert shell("screen", TAIS_MANIFEST="m.yaml", STUB_CODE=str(code)).code == code
    assert not (tmp_path / "outputs").exists()


def test_without_a_key_the_run_is_unsigned(shell: Callable[..., Done], tmp_path: Path) -> None:
    shell("screen", TAIS_MANIFEST="m.yaml")
    assert calls(tmp_path)[:4] == ["tais", "run", "--unsigned", "--"]


def test_a_run_that_exists_is_not_run_again(shell: Callable[..., Done], tmp_path: Path) -> None:
    assert shell("screen", TAIS_RUN_DIR="reports/one").code == 0
    assert calls(tmp_path) == []
    assert (tmp_path / "outputs").read_text() == "run-dir=reports/one\n"


def test_the_name_of_a_run_directory_is_no_second_output(shell: Callable[..., Done], tmp_path: Path) -> None:
    for name in ("one\nverdict=pass", "one\rverdict=pass", "one\tx"):
        done = shell("screen", TAIS_RUN_DIR=name)
        assert (done.code, done.err.count("\n")) == (2, 1)
    assert not (tmp_path / "outputs").exists()


def test_an_input_is_never_code(shell: Callable[..., Done], tmp_path: Path) -> None:
    for text in ("$(touch pwned)", "`touch pwned`", "; touch pwned #", '" ; touch pwned ; "', "-h"):
        shell("screen", TAIS_MANIFEST=text)
        shell("gate", TAIS_RUN_DIR=text)
    assert not (tmp_path / "pwned").exists()
    assert all("${{" not in str(step.get("run", "")) for step in steps().values())


@pytest.mark.parametrize("code", [0, 1, 3, 5])
def test_the_step_of_the_gate_has_its_exit_code(
    code: int, shell: Callable[..., Done], tmp_path: Path
) -> None:
    assert shell("gate", TAIS_RUN_DIR="d", STUB_CODE=str(code)).code == code
    assert calls(tmp_path) == ["tais", "gate", "--github", "--", "d"]


@pytest.mark.parametrize(("asked", "installed"), [("", "/action"), ("tais==0.1.0", "tais==0.1.0")])
def test_the_action_installs_itself_or_what_is_asked(
    asked: str, installed: str, shell: Callable[..., Done], tmp_path: Path
) -> None:
    assert shell("install", TAIS_REQUIREMENT=asked).code == 0
    assert calls(tmp_path)[-1] == installed
    assert shell("install", TAIS_REQUIREMENT="none").code == 0
    assert calls(tmp_path).count("python") == 1


def test_what_the_action_uses_is_pinned_to_a_commit() -> None:
    used = [step["uses"] for step in steps().values() if "uses" in step]
    assert used
    assert all(len(name.partition("@")[2]) == 40 for name in used)


def test_environment_of_the_gate_step_reaches_the_command(
    cli: Cli, run_dir: Path, lenient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"TAIS_POLICY": str(lenient), "TAIS_TRUSTED_KEY": TRUSTED.read_text(), "TAIS_RECOMPUTE": "false"}
    assert values.keys() <= steps()["gate"]["env"].keys()
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert cli("gate", "--", run_dir).code == 0
    # Inputs that are left out arrive empty.
    monkeypatch.setenv("TAIS_POLICY", "")
    monkeypatch.setenv("TAIS_TRUSTED_KEY", "")
    assert cli("gate", "--", run_dir).code == 2
    assert json.loads((run_dir / "report.json").read_bytes())["verdict"] == "pass"


def test_the_action_takes_everything_that_decides_from_the_protected_commit(
    shell: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "base" / "ci").mkdir(parents=True)
    for name in ("m.yaml", "base/m.yaml", "new.yaml", "base/ci/p.yaml"):
        (tmp_path / name).write_text("x")
    assert "::warning" not in shell("screen", TAIS_PROTECTED="base", TAIS_MANIFEST="m.yaml").out
    # One that only the change has is not taken from there, and a name that ships stays one.
    shell("screen", TAIS_PROTECTED="base", TAIS_MANIFEST="new.yaml")
    shell("screen", TAIS_PROTECTED="base", TAIS_MANIFEST="demo")
    assert [c for c in calls(tmp_path) if "yaml" in c or c == "demo"] == [
        "base/m.yaml",
        "base/new.yaml",
        "demo",
    ]
    (tmp_path / "m.yaml").write_text("another draft")
    edited = shell("screen", TAIS_PROTECTED="base", TAIS_MANIFEST="m.yaml")
    assert edited.out.count("::warning title=TAIS screen::this change edits the manifest") == 1
    assert [c for c in calls(tmp_path) if "yaml" in c][-1] == "base/m.yaml"
    stub = tmp_path / "bin" / "tais"
    stub.write_text('#!/bin/bash\nprintf "%s|" "$TAIS_POLICY" "$TAIS_TRUSTED_KEY" "$TAIS_GATE_MANIFEST"\n')
    given = {"TAIS_POLICY": "ci/p.yaml", "TAIS_TRUSTED_KEY": "ci/t.pub", "TAIS_GATE_MANIFEST": "m.yaml"}
    assert shell("gate", TAIS_PROTECTED="base", **given).out == "base/ci/p.yaml|base/ci/t.pub|base/m.yaml|"
    changed = shell("gate", TAIS_PROTECTED="base", TAIS_MANIFEST_FROM="change", **given)
    assert changed.out == "base/ci/p.yaml|base/ci/t.pub|m.yaml|"
    pem = {**given, "TAIS_TRUSTED_KEY": "-----BEGIN PUBLIC KEY-----"}
    assert "|-----BEGIN PUBLIC KEY-----|" in shell("gate", TAIS_PROTECTED="base", **pem).out
    assert steps()["protected"]["with"]["ref"] == "${{ inputs.protected-ref }}"
    default = YAML(typ="safe").load(ACTION)["inputs"]["protected-ref"]["default"]
    assert default == "${{ github.event.pull_request.base.sha }}"
