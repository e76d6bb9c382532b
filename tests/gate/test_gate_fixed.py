"""What ``tais gate --manifest`` compares: every key of a lock that decides answers, and what stands in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tais.errors import ManifestError
from tais.gate.gate import _FIXED, _check_interpreters
from tais.plan.plan import make_plan
from tais.rundir.lock import compare_locks
from tais.rundir.lock_model import Lock
from tests.conftest import Screen

# Names, numbers of versions, and what says how a run was made: none of it changes an answer.
_BESIDE = {"schema_", "name", "manifest", "limit", "versions", "rules_version", "record", "drill", "sweep"}


def test_every_key_of_a_lock_is_compared_or_known_to_decide_no_answer() -> None:
    """A key that comes later cannot be forgotten."""
    assert set(Lock.model_fields) - set(_FIXED) == _BESIDE


def _judge(data: dict[str, Any], folder: Path) -> None:
    data["judges"]["j"]["model"] = "another"


def _words_of_the_judge(data: dict[str, Any], folder: Path) -> None:
    data["judges"]["j"]["system_prompt"] = "Say yes."


def _scorer(data: dict[str, Any], folder: Path) -> None:
    text = (folder / "mine.yaml").read_text()
    (folder / "mine.yaml").write_text(text.replace("expect: refuse\nscorer: refusal", "scorer: sane"))


def _template(data: dict[str, Any], folder: Path) -> None:
    (folder / "chat.jinja").write_text("{{ messages[0]['content'] }} Answer.")


def _arguments(data: dict[str, Any], folder: Path) -> None:
    data["arms"]["spec"]["chat_template_kwargs"] = {"enable_thinking": True}


def _draft(data: dict[str, Any], folder: Path) -> None:
    data["arms"]["spec"]["speculative_config"]["model"] = "another"


def _interpreter(data: dict[str, Any], folder: Path) -> None:
    data["arms"]["spec"]["python"] = sys.executable


def _setting(data: dict[str, Any], folder: Path) -> None:
    data["sampling"]["min_tokens"] = 3


def _beside(data: dict[str, Any], folder: Path) -> None:
    data["arms"]["spec"]["mixed_batch"] = {}


def _items(data: dict[str, Any], folder: Path) -> None:
    text = (folder / "mine.jsonl").read_text()
    (folder / "mine.jsonl").write_text(text.replace("thing 7", "nothing 7", 1))


@pytest.mark.parametrize(
    "change",
    [
        _judge,
        _words_of_the_judge,
        _scorer,
        _template,
        _arguments,
        _draft,
        _interpreter,
        _setting,
        _beside,
        _items,
    ],
)
def test_what_decides_answers_makes_another_run(
    change: Callable[[dict[str, Any], Path], None], screen: Screen, tmp_path: Path
) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages[0]['content'] }}")
    screen.data["judges"] = {"j": {"engine": "fake", "model": "judge"}}
    screen.data["arms"]["spec"] |= {"chat_template": "chat.jinja", "chat_template_kwargs": {"a": 1}}
    before = make_plan(screen.write()).lock
    assert compare_locks(before, make_plan(screen.write()).lock, _FIXED) == []
    change(screen.data, tmp_path)
    assert compare_locks(before, make_plan(screen.write()).lock, _FIXED) != []


def test_a_gate_starts_no_program_that_a_manifest_names(screen: Screen, tmp_path: Path) -> None:
    """A pull request brings its manifest along, and could bring what it calls a python."""
    program, mark = tmp_path / "python", tmp_path / "started"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    screen.data["arms"]["spec"]["python"] = "./python"
    with pytest.raises(ManifestError, match="a gate starts no interpreter"):
        _check_interpreters(screen.write())
    assert not mark.exists()
    # Nor one that an environment was made with: the environment leads to it by a link.
    screen.data["arms"]["spec"].pop("python")
    screen.data["environments"] = {"made": {"requirements": ["a==1"], "python": "./python"}}
    screen.data["arms"]["spec"]["environment"] = "made"
    with pytest.raises(ManifestError, match="a gate starts no interpreter"):
        _check_interpreters(screen.write())
    assert not mark.exists()
    # Of an arm that takes no part nothing is asked, nor of what TAIS made itself.
    screen.data["environments"] = {"idle": {"python": "./python"}, "made": {"requirements": ["a==1"]}}
    screen.data["arms"]["spec"]["environment"] = "made"
    _check_interpreters(screen.write())
