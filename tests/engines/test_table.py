"""The table of engines, and what stands beside it in rooms that may not ask it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import tais
from tais.engines import ENGINES, EngineSpec
from tais.engines.base import EngineRefusal, ImitatesFaults
from tais.engines.fake.engine import FakeEngine
from tais.engines.vllm.engine import check_release
from tais.manifest.checks import KEY_CHECKS
from tais.manifest.model import ENGINE_NAMES, TEACHER_NAMES, Arm
from tais.worker.answering import HOOKS

ROWS = pytest.mark.parametrize("spec", ENGINES.values(), ids=list(ENGINES))


def test_the_names_that_a_manifest_knows_are_the_rows() -> None:
    assert sorted(ENGINE_NAMES) == sorted(ENGINES)
    assert sorted(TEACHER_NAMES) == sorted(name for name, spec in ENGINES.items() if spec.teacher)


@ROWS
def test_what_a_row_names_is_there(spec: EngineSpec) -> None:
    for path in filter(None, (spec.engine, spec.teacher, spec.preload)):
        module, _, name = path.partition(":")
        text = (Path(tais.__file__).parent.parent / f"{module.replace('.', '/')}.py").read_text()
        # Looked up in the text: importing some of them takes their package.
        assert f"class {name}" in text or f"def {name}(" in text


@ROWS
def test_an_engine_that_needs_a_package_says_how_to_get_it(spec: EngineSpec) -> None:
    assert (spec.package is None) == (spec.install == "")


def test_only_an_engine_without_a_model_imitates_faults() -> None:
    assert [name for name, spec in ENGINES.items() if spec.faults == "imitated"] == ["fake"]
    assert isinstance(FakeEngine(), ImitatesFaults)


@pytest.mark.parametrize("table", [HOOKS, KEY_CHECKS])
def test_what_is_named_for_a_key_of_an_arm_is_there(table: dict[str, str]) -> None:
    for key, path in table.items():
        assert key in Arm.model_fields
        module, _, name = path.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        ("0.25.1", False),
        ("0.26.0", True),
        ("0.32.0+cpu", True),
        ("0.33.1rc1", True),
        ("0.34.0", False),
        ("dev", True),
    ],
)
def test_a_release_outside_the_range_is_refused_by_name(version: str, taken: bool) -> None:
    if taken:
        check_release(version)
        return
    with pytest.raises(EngineRefusal, match=rf"vLLM {version} is outside of 0.26 to 0.33"):
        check_release(version)
