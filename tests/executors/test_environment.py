"""What an arm's process finds around it: nothing of the working directory, and no secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tais.errors import UsageError
from tais.executors.process import worker_environment
from tais.executors.variables import check_named, held_back, passed_on
from tests.conftest import Screen, Tais
from tests.executors.jobs import made_job

ROOT = Path(__file__).resolve().parents[2]
CANARY = "c4nary"
PLANTED = f"import os; open({{mark!r}}, 'a').write(__name__ + ' {CANARY}')\nraise SystemExit(9)\n"


def test_python_m_tais_takes_nothing_from_the_working_directory(tais_process: Tais, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    # What Python itself needs before the first line of TAIS is beyond it: `tais` is the safe command.
    for name in ("ctypes", "typer", "json"):
        (tmp_path / f"{name}.py").write_text(PLANTED.format(mark=str(mark)))
    assert tais_process("--version").returncode == 0
    assert not mark.exists()


def test_an_arm_gets_no_secret_and_nothing_of_the_working_directory(
    tais: Tais, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, str]] = []
    start = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> Any:
        if "tais.worker.main" in arguments[0]:
            started.append(options["env"])
        return start(*arguments, **options)

    monkeypatch.setattr("tais.executors.process.subprocess.Popen", noted)
    mark = tmp_path / "mark"
    for name in ("ctypes", "select", "psutil", "json", "encodings", "sitecustomize", "pyarrow"):
        (tmp_path / f"{name}.py").write_text(PLANTED.format(mark=str(mark)))
    (tmp_path / "tais").mkdir()
    (tmp_path / "tais" / "__init__.py").write_text(PLANTED.format(mark=str(mark)))
    # An empty entry of PYTHONPATH stands for the working directory, too.
    paths = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), "", "."])
    screen.items(4)
    screen.data["arms"] = {name: screen.data["arms"][name] for name in ("target", "spec")}
    screen.data["contrasts"] = screen.data["contrasts"][:1]
    screen.write()
    signer = tmp_path / "keys"
    secrets = {"TAIS_KEY_PASSPHRASE": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY, "OTHER": CANARY}
    assert tais("keygen", "--out", signer, TAIS_KEY_PASSPHRASE=CANARY).returncode == 0
    told = {
        "TAIS_SIGNING_KEY": str(signer / "tais.key"),
        "TAIS_UNSIGNED": "",
        "KEPT": "kept",
        "PYTHONPATH": paths,
    }
    done = tais("run", screen.path, "--out", screen.out, "--pass-env", "KEPT", **secrets, **told)
    assert done.returncode == 3, done.stderr
    assert not mark.exists()
    (seen,) = started
    assert seen["KEPT"] == "kept"
    assert seen["PATH"] == os.environ["PATH"]
    assert seen["PYTHONSAFEPATH"] == "1"
    assert CANARY not in "".join(seen.values())
    assert not {"TAIS_SIGNING_KEY", *secrets} & seen.keys()
    # Said once, by name.
    assert re.findall(r"engines do not get .*AWS_SECRET_ACCESS_KEY", done.stderr) != []
    assert done.stderr.count("engines do not get") == 1
    assert CANARY not in done.stderr


_PASSED = (
    "PATH HOME USER LC_ALL LANG LD_LIBRARY_PATH CUDA_VISIBLE_DEVICES NCCL_DEBUG HF_HOME VLLM_X TORCH_HOME "
    "RAY_ADDRESS OMP_NUM_THREADS https_proxy NO_PROXY SSL_CERT_FILE"
)
_HELD = (
    "AWS_SECRET_ACCESS_KEY GITHUB_TOKEN OPENAI_API_KEY MYPATH SSH_X TAIS_SIGNING_KEY TAIS_KEY_PASSPHRASE "
    "TAIS_TRUSTED_KEY tais_x"
)


@pytest.mark.parametrize(
    ("name", "passed"), [(name, told is _PASSED) for told in (_PASSED, _HELD) for name in told.split()]
)
def test_variables_are_passed_on_by_their_beginning(name: str, passed: bool) -> None:
    assert (name in passed_on({name: "x"})) is passed
    listed = held_back({name: "x"})
    assert listed == ([] if passed or name.upper().startswith("TAIS_") else [name])


def test_what_is_held_back_is_listed_in_families() -> None:
    own = dict.fromkeys(("GITHUB_A", "GITHUB_B", "GITHUB_C", "MY_KEY", "MY_OTHER", "PATH"), "x")
    assert held_back(own) == ["GITHUB_* (3)", "MY_KEY", "MY_OTHER"]


def test_the_key_of_a_server_reaches_the_arms_that_name_it() -> None:
    server = {"base_url": "http://localhost:1", "api_key_env": "MY_KEY"}
    own = {"MY_KEY": "x", "OPENAI_API_KEY": "y"}
    (asked, other) = (
        worker_environment([made_job(engine="openai", model="m", engine_args=server).arm], own),
        worker_environment([made_job().arm], own),
    )
    assert ("MY_KEY" in asked, "OPENAI_API_KEY" in asked) == (True, False)
    assert "MY_KEY" not in other


@pytest.mark.parametrize("name", ["TAIS_SIGNING_KEY", "TAIS_KEY_PASSPHRASE", f"A={CANARY}"])
def test_what_may_not_be_named_is_refused_unseen(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_named([name])
    assert CANARY not in str(raised.value)
    assert name not in passed_on({name: "x"}, {name}) or "=" in name


def test_every_python_that_tais_or_its_action_starts_is_kept_off_the_working_directory() -> None:
    starts = re.compile(r"\[\s*(?:#.*\s*)?\*?\(?sys\.executable, \"(-\w+)\"")
    found = [
        (path.name, option)
        for path in (ROOT / "tais").rglob("*.py")
        for option in starts.findall(path.read_text())
    ]
    assert len(found) >= 4
    assert {option for _, option in found} <= {"-P", "-I"}
    action = YAML(typ="safe").load((ROOT / "action.yml").read_text())
    shells = [step for step in action["runs"]["steps"] if "shell" in step]
    assert all(step["env"]["PYTHONSAFEPATH"] == "1" for step in shells)
    assert sys.version_info >= (3, 11)
