"""The doctor names what is missing, with its remedy, and its exit code says whether a screen can run."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tais.doctor import checks
from tais.doctor.checks import Check, check_machine, healthy
from tais.doctor.one_token import answer_once
from tests.conftest import Tais

pytestmark = pytest.mark.slow


def named(found: list[Check], name: str) -> Check:
    return next(check for check in found if check.name == name)


def without(*absent: str) -> Callable[..., Any]:
    real = importlib.util.find_spec
    return lambda name, package=None: None if name in absent else real(name, package)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine but the light one is looked at: importing the others takes long."""
    monkeypatch.setattr(importlib.util, "find_spec", without("vllm", "transformers"))


@pytest.mark.usefixtures("quick")
def test_a_machine_with_one_engine_is_healthy(tais: Tais) -> None:
    done = tais("doctor", "--quick")
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert told["healthy"] is True
    found = {check["name"]: check for check in told["checks"]}
    assert found["engine openai"]["status"] == "ok"
    assert found["engine vllm"] == {
        "name": "engine vllm",
        "status": "note",
        "said": "vllm is not installed",
        "remedy": "pip install '.[cpu]' ('.[gpu]' on a GPU machine) in a checkout of TAIS",
    }
    assert "python 3." in found["versions"]["said"]
    assert {"memory", "threads", "disk", "gpu", "signing key"} <= found.keys()
    # People read the same.
    assert "vllm is not installed" in done.stderr


def test_a_machine_without_any_engine_is_not(tais: Tais, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without("vllm", "transformers", "httpx"))
    done = tais("doctor", "--quiet", "--quick")
    assert done.returncode == 4
    assert done.stderr == ""
    missing = [check for check in json.loads(done.stdout)["checks"] if check["status"] == "missing"]
    assert [check["said"] for check in missing] == ["no engine that answers is installed"]


@pytest.mark.usefixtures("quick")
def test_an_engine_that_does_not_import_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "httpx.py").write_text("raise ImportError('built for another world')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = check_machine(tmp_path)
    assert not healthy(found)
    broken = named(found, "engine openai")
    assert (broken.status, "built for another world" in broken.said) == ("missing", True)
    assert broken.remedy == "pip install '.[openai]' in a checkout of TAIS"


@pytest.mark.usefixtures("quick")
def test_an_engine_that_does_not_come_back_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "httpx.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(checks, "_IMPORT_SECONDS", 0.5)
    assert "does not import within 0.5 s" in named(check_machine(tmp_path), "engine openai").said


@pytest.mark.usefixtures("quick")
def test_a_signing_key_that_is_none_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAIS_UNSIGNED", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TAIS_SIGNING_KEY", raising=False)
    assert named(check_machine(tmp_path), "signing key").status == "note"
    (tmp_path / "key.pem").write_text("no key")
    monkeypatch.setenv("TAIS_SIGNING_KEY", str(tmp_path / "key.pem"))
    damaged = named(check_machine(tmp_path), "signing key")
    assert (damaged.status, damaged.remedy) == ("missing", "tais keygen makes a key pair")


@pytest.mark.usefixtures("quick")
def test_more_threads_than_cores_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    assert named(check_machine(tmp_path), "threads").status == "note"


@pytest.mark.usefixtures("quick")
def test_a_folder_that_cannot_be_written_to_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    found = named(check_machine(tmp_path / "not" / "yet"), "disk")
    assert (found.status, str(tmp_path) in found.said) == ("missing", True)
    assert not (tmp_path / "not").exists()


def test_what_answers_no_token_is_missing(tmp_path: Path) -> None:
    (well,) = answer_once(["fake"], [None])
    assert (well.status, well.said) == ("ok", "answers a token of the demo model")
    (other,) = answer_once(["fake"], [str(tmp_path / "python")])
    assert (other.status, "no interpreter" in other.said) == ("missing", True)


@pytest.mark.engine
def test_the_real_engine_answers_a_token() -> None:
    (found,) = answer_once(["vllm"], [None])
    assert found.status == "ok", found


@pytest.mark.engine
def test_the_real_engine_of_this_machine_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # vLLM imports transformers by itself.
    monkeypatch.setattr(importlib.util, "find_spec", without("transformers"))
    found = check_machine(tmp_path)
    assert healthy(found), [check for check in found if check.status == "missing"]
    assert named(found, "engine vllm").status == "ok"
