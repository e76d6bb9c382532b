"""``tais gate --manifest``: evidence opens the gate for the stack that it is about, and for no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tais.attest.keys import generate, write_pair
from tests.conftest import FAKE, Screen, Tais, environment

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

Gate = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a screen, its signed run and the keys."""
    made = tmp_path_factory.mktemp("screen")
    write_pair(made / "keys", generate())
    screen = Screen(made)
    signed = ("--out", screen.out, "-q", "--key", made / "keys" / "tais.key")
    subprocess.run(
        [sys.executable, "-m", "tais", "run", *map(str, (screen.path, *signed))],
        check=True, cwd=made, env=environment() | {"TAIS_UNSIGNED": ""},
    )  # fmt: skip
    return made


@pytest.fixture
def screen(folder: Path) -> Screen:
    """The screen as it was run, whatever the test before wrote."""
    return Screen(folder)


@pytest.fixture
def gate(screen: Screen, tais: Tais) -> Gate:
    """The gate for the signed run and the manifest as it then stands."""
    run_dir = screen.run_dirs()[0]

    def call(*options: object, **variables: str) -> tuple[int, str]:
        done = tais("gate", run_dir, "--key", screen.folder / "keys" / "tais.pub", *options, **variables)
        return done.returncode, done.stderr

    return call


def test_the_manifest_that_was_run_opens_it(gate: Gate, screen: Screen) -> None:
    assert gate("--manifest", screen.path) == gate()
    assert gate()[0] == 0


def _other_draft(data: dict[str, Any]) -> None:
    data["arms"]["spec"]["speculative_config"]["model"] = "other"


def _other_model(data: dict[str, Any]) -> None:
    data["arms"]["target"]["model"] = "other"


def _wider_margin(data: dict[str, Any]) -> None:
    data["rules"] = {"margin": 0.2}


def _other_role(data: dict[str, Any]) -> None:
    data["contrasts"][2]["role"] = "screen"


def _hotter(data: dict[str, Any]) -> None:
    data["sampling"]["temperature"] = 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_draft, "arms.spec.speculative_config.model was 'none' in the run and is 'other' in"),
        (_other_model, "arms.again.model was 'none' in the run and is 'other' in"),
        (_wider_margin, "rules.margin was 0.03 in the run and is 0.2 in"),
        (_other_role, "contrasts.2.role was 'positive_control' in the run and is 'screen' in"),
        (_hotter, "sampling.temperature was 0.0 in the run and is 0.5 in"),
    ],
)
def test_a_change_since_the_run_shuts_it_and_is_named(
    change: Callable[[dict[str, Any]], None], said: str, gate: Gate, screen: Screen
) -> None:
    change(screen.data)
    screen.write()
    code, err = gate("--manifest", screen.path)
    assert code == 1
    assert f"manifest_differs: {said}" in err
    assert gate()[0] == 0


def test_an_item_that_changed_shuts_it(gate: Gate, screen: Screen) -> None:
    rows = (screen.folder / "mine.jsonl").read_text().splitlines()
    changed = json.dumps({**json.loads(rows[0]), "prompt": "something else"})
    (screen.folder / "mine.jsonl").write_text("\n".join([changed, *rows[1:]]) + "\n")
    code, err = gate("--manifest", screen.path)
    assert (code, "batteries.0.digest was" in err) == (1, True)


def test_an_arm_that_no_contrast_uses_and_a_comment_change_nothing(gate: Gate, screen: Screen) -> None:
    screen.data["arms"]["unused"] = dict(FAKE)
    screen.write()
    with screen.path.open("a") as file:
        file.write("# a comment\n")
    assert gate("--manifest", screen.path)[0] == 0


def test_many_changes_are_counted(gate: Gate, screen: Screen) -> None:
    for arm in screen.data["arms"].values():
        arm |= {"system_prompt": "Be brief.", "dtype": "float32"}
    screen.write()
    code, err = gate("--manifest", screen.path)
    assert (code, err.count("manifest_differs"), "and 3 more such differences" in err) == (1, 6, True)


def test_a_run_of_fewer_items_is_held_against_as_many(screen: Screen, tais: Tais) -> None:
    signed = ("--key", screen.folder / "keys" / "tais.key", "--limit", "100")
    tais("run", screen.path, "--out", screen.out, "-q", *signed, TAIS_UNSIGNED="")
    trusted = ("--key", screen.folder / "keys" / "tais.pub", "--manifest", screen.path)
    done = tais("gate", screen.run_dirs()[-1], *trusted)
    assert "manifest_differs" not in done.stderr
    assert "limited_run" in done.stderr


def test_the_environment_names_it_and_a_manifest_that_is_not_there_is_a_usage_error(gate: Gate) -> None:
    assert gate(TAIS_GATE_MANIFEST="nowhere.yaml")[0] == 2
    assert gate(TAIS_GATE_MANIFEST="")[0] == 0
