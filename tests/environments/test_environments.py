"""Arms on interpreters of their own: what runs there, what the lock fixes, what is refused before a token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from tais.environments.facts import look_at
from tais.environments.store import create
from tais.errors import EngineError, ManifestError, Place
from tais.executors.variables import for_installers
from tais.manifest.environments import Environment, folder_of
from tests.conftest import Screen, Tais

SAID = {"python": "3.12.1", "packages": {}, "digest": "0" * 64}


@pytest.fixture(scope="session")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of another environment: the packages of this one, and a version of its own."""
    folder = tmp_path_factory.mktemp("other") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    (site / "tais-tests.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    info = site / "vllm-0.31.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.31.0\n", encoding="utf-8")
    (info / "RECORD").write_text("vllm/__init__.py,sha256=x,0\n", encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    return tmp_path / "bare" / "bin" / "python"


def lock_of(screen: Screen) -> dict[str, object]:
    text = (screen.run_dirs()[-1] / "manifest.lock.json").read_text(encoding="utf-8")
    found: dict[str, object] = json.loads(text)
    return found


def test_an_arm_runs_on_the_interpreter_that_it_names(tais: Tais, screen: Screen, other_python: Path) -> None:
    screen.data["environments"] = {"old": {"python": str(other_python)}}
    screen.data["arms"]["spec"]["environment"] = "old"
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode in (0, 3), done.stderr
    lock = lock_of(screen)
    environments, arms = lock["environments"], lock["arms"]
    assert isinstance(environments, dict)
    assert isinstance(arms, dict)
    assert environments["old"]["packages"]["vllm"] == "0.31.0"
    assert len(environments["old"]["digest"]) == 64
    assert (arms["spec"]["environment"], "environment" in arms["target"]) == ("old", False)
    assert str(other_python) not in json.dumps(arms)
    run_dir = screen.run_dirs()[-1]
    told = {
        arm: json.loads((run_dir / "arms" / arm / "engine.json").read_text(encoding="utf-8"))
        for arm in ("target", "spec")
    }
    assert told["spec"]["environment"]["libraries"]["vllm"] == "0.31.0"
    assert told["target"]["environment"]["libraries"].get("vllm") != "0.31.0"
    (contrast, *_) = screen.report()["contrasts"]
    assert contrast["lossless"] is False
    assert tais("verify", run_dir, "--recompute", "--trusted-key", screen.out / "none").returncode in (
        0,
        2,
        5,
    )


def test_releases_are_named_where_they_differ(tais: Tais, screen: Screen, other_python: Path) -> None:
    newer = other_python.parent.parent.parent / "newer"
    if not newer.exists():
        subprocess.run(["cp", "-r", str(other_python.parent.parent), str(newer)], check=True)
        (info,) = newer.rglob("vllm-0.31.0.dist-info")
        text = (info / "METADATA").read_text(encoding="utf-8").replace("0.31.0", "0.32.0")
        (info / "METADATA").write_text(text, encoding="utf-8")
    screen.data["arms"]["target"]["python"] = str(other_python)
    screen.data["arms"]["spec"]["python"] = str(newer / "bin" / "python")
    for name in ("again", "leaky"):
        screen.data["arms"].get(name, {})["python"] = str(other_python)
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode in (0, 3), done.stderr
    codes = {reason["code"]: reason for reason in screen.report()["contrasts"][0]["reasons"]}
    assert codes["engine_versions_differ"]["message"].startswith(
        "the arms ran on other releases: vllm 0.31.0"
    )
    page = (screen.run_dirs()[-1] / "report.md").read_text(encoding="utf-8")
    assert "vLLM 0.31.0 against 0.32.0" in page


def test_runs_of_two_environments_of_one_name_are_compared(
    tais: Tais, screen: Screen, other_python: Path, tmp_path: Path
) -> None:
    """Each side keeps the facts of its own."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(other_python.parent.parent), str(copy)], check=True)
    (record,) = copy.rglob("vllm-0.31.0.dist-info/RECORD")
    record.write_text("vllm/__init__.py,sha256=y,0\n", encoding="utf-8")
    screen.data["record"] = True
    screen.data["contrasts"] = []
    screen.data["arms"] = {"target": screen.data["arms"]["target"] | {"environment": "own"}}
    for python in (other_python, copy / "bin" / "python"):
        screen.data["environments"] = {"own": {"python": str(python)}}
        screen.write()
        assert tais("run", screen.path, "--out", screen.out).returncode == 3
    old, new = screen.run_dirs()
    done = tais(
        "compare", old, new, "--reference", "target", "--candidate", "target", "--out", tmp_path / "c"
    )
    assert done.returncode in (0, 3), done.stderr
    (lock,) = (tmp_path / "c").rglob("manifest.lock.json")
    found = json.loads(lock.read_text(encoding="utf-8"))
    assert sorted(found["environments"]) == ["own", "own.old"]
    assert found["environments"]["own"]["digest"] != found["environments"]["own.old"]["digest"]
    assert tais("report", lock.parent, "--format", "json").returncode == 0


@pytest.mark.parametrize(
    ("top", "arm", "said"),
    [
        ({"old": {"python": "/no/such/python"}}, {"environment": "old"}, "no interpreter '/no/such/python'"),
        ({"old": {"python": "python3"}}, {"environment": "odl"}, "'odl'. Did you mean 'old'?"),
        ({"old": {}}, {"environment": "old"}, "needs python: /path/to/python, or requirements"),
        ({"old": {"requirements": ["--index-url=http://x", "a"]}}, {}, "is no requirement"),
        ({"old": {"requirements": ["a\0b"]}}, {}, "is no requirement"),
        ({"old": {"requirements": ["a"], "overrides": ["b\u2028--pre"]}}, {}, "is no requirement"),
        ({"old": {"requirements": ["a==1"]}}, {"environment": "old"}, "is not there yet (a==1)"),
        ({"old": {"python": "python3"}}, {"environment": "old", "python": "python3"}, "an environment and"),
        ({}, {"python": "/dev/null"}, "no interpreter '/dev/null'"),
        ({"old": {"python": "~no-such-user/python"}}, {}, "no interpreter '~no-such-user/python'"),
        ({"old": {"python": "/" + "a" * 5000}}, {}, "no interpreter '/aaa"),
        ({"old": {"python": "/a\0b"}}, {}, "no interpreter '/a"),
        ({"old": {"requirements": ["a\x1b[2J==1"]}}, {}, "is no requirement"),
        ({"old": {"requirements": ["a==1"], "overrides": ["b\x07==1"]}}, {}, "is no requirement"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_before_a_token(
    tais: Tais, screen: Screen, tmp_path: Path, top: dict[str, object], arm: dict[str, object], said: str
) -> None:
    screen.data["environments"] = top
    screen.data["arms"]["spec"].update(arm)
    screen.write()
    done = tais("run", screen.path, "--out", screen.out, TAIS_ENVIRONMENTS=str(tmp_path / "none"))
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_an_interpreter_without_what_a_worker_needs_is_named(
    tais: Tais, screen: Screen, bare_python: Path
) -> None:
    screen.data["arms"]["spec"]["python"] = str(bare_python)
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 2, done.stderr
    assert "lacks pydantic, numpy, psutil, pyarrow" in " ".join(done.stderr.split())


UV = """\
#!{python}
import json, os, pathlib, sys
log = pathlib.Path({log!r})
kinds = ("TAIS_", "PYTHON")
secrets = sorted(n for n, value in os.environ.items() if n.startswith(kinds) or "canary" in value)
with log.open("a") as out:
    out.write(json.dumps([sys.argv[1:], secrets]) + "\\n")
if sys.argv[1] == "venv":
    (pathlib.Path(sys.argv[-1]) / "bin").mkdir(parents=True)
    (pathlib.Path(sys.argv[-1]) / "bin" / "python").symlink_to({python!r})
elif "broken==1" in sys.argv:
    sys.exit("\\033[31merror: no such version\\r\\n::error::forged")
"""


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for uv that writes down how it was called."""
    log, path = tmp_path / "uv.log", tmp_path / "tools" / "uv"
    path.parent.mkdir()
    path.write_text(textwrap.dedent(UV.format(python=sys.executable, log=str(log))), encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    # For this process, which says where they lie; commands get what a call names.
    monkeypatch.setenv("TAIS_ENVIRONMENTS", str(tmp_path / "store"))
    monkeypatch.setenv("UV_INDEX_URL", "https://index.example/simple")
    return log


def test_environments_are_made_once_listed_and_removed(tais: Tais, screen: Screen, uv: Path) -> None:
    variables = {"TAIS_ENVIRONMENTS": str(uv.parent / "store"), "TAIS_KEY_PASSPHRASE": "secret"}
    screen.data["environments"] = {"new": {"requirements": ["a==1"], "overrides": ["torch==2"]}}
    screen.write()
    for said in ("new: made", "new: there already"):
        done = tais("env", "create", screen.path, **variables)
        assert done.returncode == 0, done.stderr
        assert said in done.stderr
    calls = [json.loads(line) for line in uv.read_text(encoding="utf-8").splitlines()]
    (venv, _), (install, secrets) = calls
    assert venv[0] == "venv"
    assert install[-5:] == ["a==1", "pydantic", "numpy", "psutil", "pyarrow"]
    assert "--override" in install
    assert secrets == []
    folder = folder_of(Environment(requirements=("a==1",), overrides=("torch==2",)))
    assert done.stdout == f"new\t{folder}/bin/python\n"
    listed = tais("env", "list", **variables).stdout.split("\t")
    assert (listed[0], listed[2]) == (folder.name, "a==1 torch==2\n")
    assert tais("env", "remove", folder.name[:6], **variables).returncode == 0
    assert not folder.exists()
    assert tais("env", "remove", folder.name[:6], **variables).returncode == 2


def test_an_installer_gets_no_secret_of_the_environment(tais: Tais, screen: Screen, uv: Path) -> None:
    """A package that is built runs its own code: keys of servers, tokens of CI and of hubs are not there."""
    names = (
        "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "HF_TOKEN", "TAIS_SIGNING_KEY", "UV_PUBLISH_TOKEN", "tais_key_passphrase", "ANYTHING",
    )  # fmt: skip
    screen.data["environments"] = {"new": {"requirements": ["a==1"]}}
    screen.write()
    variables = {name: f"canary-{name}" for name in names}
    store = str(uv.parent / "store")
    done = tais("env", "create", screen.path, TAIS_ENVIRONMENTS=store, **variables)
    assert done.returncode == 0, done.stderr
    calls = [json.loads(line) for line in uv.read_text(encoding="utf-8").splitlines()]
    assert [secrets for _, secrets in calls] == [[], []]


def test_an_installer_that_fails_leaves_nothing_behind(tais: Tais, screen: Screen, uv: Path) -> None:
    screen.data["environments"] = {"new": {"requirements": ["broken==1"]}}
    screen.write()
    store = str(uv.parent / "store")
    done = tais("env", "create", screen.path, TAIS_ENVIRONMENTS=store)
    assert done.returncode == 4
    assert "no such version : :error::forged" in done.stderr, "what an installer says gives no command"
    assert "\033" not in done.stderr
    assert not folder_of(Environment(requirements=("broken==1",))).exists()
    assert tais("env", "list", TAIS_ENVIRONMENTS=store).stdout == ""


def test_an_installer_takes_nothing_from_where_the_user_stands(
    uv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither code (venv.py) nor settings (uv.toml) nor keys of servers and hubs."""
    here, mark = tmp_path / "here", tmp_path / "started"
    here.mkdir()
    (here / "venv.py").write_text(f"open({str(mark)!r}, 'w')\nraise SystemExit(3)\n", encoding="utf-8")
    monkeypatch.chdir(here)
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "TAIS_SIGNING_KEY"):
        monkeypatch.setenv(name, "canary-of-a-secret")
    report = tmp_path / "seen.json"
    look = (
        "import json, os, pathlib\n"
        f"pathlib.Path({str(report)!r}).write_text(json.dumps([os.getcwd(), dict(os.environ)]))\n"
        "raise SystemExit('stop')\n"
    )
    # First uv, which writes down what it sees; then no uv, and the venv of the interpreter.
    (uv.parent / "tools" / "uv").write_text(f"#!{sys.executable}\n{look}", encoding="utf-8")
    with pytest.raises(EngineError, match="stop"):
        create(Environment(requirements=("a==1",)), lambda _: None, for_installers(os.environ))
    folder, variables = json.loads(report.read_text(encoding="utf-8"))
    assert folder == str(tmp_path / "store")
    assert "canary-of-a-secret" not in variables.values()
    assert variables["UV_INDEX_URL"] == "https://index.example/simple"
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    # Without pip, whose making takes long; what follows then stops for want of it.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" --without-pip\n', encoding="utf-8")
    python.chmod(0o755)
    asked = Environment(python=str(python), requirements=("a==1",))
    with pytest.raises(EngineError, match="No module named pip"):
        create(asked, lambda _: None, for_installers(os.environ))
    assert not mark.exists()


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff",
        b"[" * 100_000,
        json.dumps({**SAID, "python": "\u00b2.11"}).encode(),
        json.dumps({**SAID, "packages": {"vllm": "1\nanother\tline"}}).encode(),
        json.dumps({**SAID, "digest": "a\x1b[2J"}).encode(),
    ],
)
def test_an_interpreter_that_says_anything_else_is_refused(tmp_path: Path, answer: bytes) -> None:
    program, said = tmp_path / "python", tmp_path / "said"
    said.write_bytes(answer)
    program.write_text(f"#!/bin/sh\ncat '{said}'\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(ManifestError, match="no interpreter that answers"):
        look_at(program, ("vllm",), Place(key="environments.old"))
