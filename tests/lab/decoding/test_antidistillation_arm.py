"""Antidistillation as an arm: the manifest, the lock, and a run through the command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from tais.errors import ManifestError
from tais.manifest.load import load_manifest
from tais.manifest.steering_options import SteeringOptions, wrong_steering
from tais.plan.lock import build_lock
from tests.conftest import ROOT, Tais

DEMO = ROOT / "models" / "demo"
STEERED = {"strength": 2, "epsilon": 0.02, "proxy": "draft", "examples": "examples.jsonl"}
EXAMPLES = ("What colour is a flamingo?", "What colour is coal?")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a proxy and examples beside the manifest."""
    shutil.copytree(DEMO / "draft", tmp_path / "draft")
    rows = ({"prompt": text, "completion": "We see it as pink."} for text in EXAMPLES)
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def manifest(folder: Path, steered: Any, temperature: float = 1.0, engine: str = "reference") -> Path:
    data = {
        "name": "steered",
        "arms": {
            "plain": {"engine": engine, "model": str(DEMO / "target"), "dtype": "float32"},
            "steered": {"extends": "plain", "engine_args": {"antidistillation": steered}},
        },
        "contrasts": [{"reference": "plain", "candidate": "steered"}],
        "batteries": [{"name": "demo_choice", "limit": 6}],
        "sampling": {"temperature": temperature, "max_tokens": 40},
    }
    path = folder / "steered.yaml"
    with path.open("w") as file:
        YAML().dump(data, file)
    return path


@pytest.mark.parametrize(
    ("change", "line", "key", "said"),
    [
        ({"lambda": 1.0}, "steered.yaml:15", "antidistillation.lambda", "Here it is called strength"),
        ({"strenth": 1.0}, "steered.yaml:15", "antidistillation.strenth", "Did you mean 'strength'?"),
        ({"epsilon": 0}, "steered.yaml:12", "antidistillation.epsilon", "greater than 0, not 0"),
        ({"strength": "2"}, "steered.yaml:11", "antidistillation.strength", "a valid number, not '2'"),
        ({"strength": True}, "steered.yaml:11", "antidistillation.strength", "valid number"),
        ({"temperature": 0}, "steered.yaml:15", "antidistillation.temperature", "greater than 0"),
        ({"proxy": None}, "steered.yaml:10", "engine_args.antidistillation", "other than 0 needs proxy"),
        (
            {"examples": None},
            "steered.yaml:10",
            "engine_args.antidistillation",
            "other than 0 needs examples",
        ),
        ({"proxy": "./none"}, "steered.yaml:13", "antidistillation.proxy", "nothing at './none'"),
        ({"examples": "none"}, "steered.yaml:14", "antidistillation.examples", "no file 'none'"),
    ],
)
def test_a_wrong_option_is_named_with_its_line(
    folder: Path, change: dict[str, Any], line: str, key: str, said: str
) -> None:
    with pytest.raises(ManifestError) as refused:
        load_manifest(manifest(folder, {**STEERED, **change}))
    text = f"{refused.value} {refused.value.remedy}"
    assert f"{key} " in text
    assert line in text
    assert said in text


@pytest.mark.parametrize(
    ("steered", "temperature", "engine", "said"),
    [
        (STEERED, 0.0, "reference", "at temperature 0 none are"),
        ({}, 1.0, "reference", "antidistillation needs strength"),
        (3, 1.0, "reference", "valid dictionary"),
        (STEERED, 1.0, "vllm", "engine 'vllm' has no antidistillation sampling"),
    ],
)
def test_an_arm_that_cannot_sample_so_is_refused(
    folder: Path, steered: Any, temperature: float, engine: str, said: str
) -> None:
    with pytest.raises(ManifestError, match=said):
        load_manifest(manifest(folder, steered, temperature, engine))


def test_a_temperature_alone_needs_no_proxy(folder: Path) -> None:
    made = load_manifest(manifest(folder, {"strength": 0, "temperature": 1.4}))
    assert made.arms["steered"].engine_args["antidistillation"] == {"strength": 0, "temperature": 1.4}


def test_paths_start_from_the_manifest_and_the_lock_holds_digests(folder: Path) -> None:
    path = manifest(folder, STEERED)
    made = load_manifest(path)
    steered = made.arms["steered"].engine_args["antidistillation"]
    assert steered["proxy"] == str(folder / "draft")
    assert steered["examples"] == str(folder / "examples.jsonl")
    locked: Any = build_lock(made, "0", (), None).arms["steered"].engine_args["antidistillation"]
    digests = json.loads((DEMO / "digests.json").read_text())
    assert locked["proxy"]["files"]["model.safetensors"] == digests["draft/model.safetensors"]
    assert locked["examples"]["file"] == "examples.jsonl"
    assert str(folder) not in json.dumps(locked)
    (folder / "examples.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    other: Any = build_lock(load_manifest(path), "0", (), None).arms["steered"].engine_args
    assert other["antidistillation"]["examples"]["sha256"] != locked["examples"]["sha256"]


def test_a_law_that_was_changed_on_purpose_claims_nothing(folder: Path) -> None:
    made = load_manifest(manifest(folder, STEERED))
    assert made.is_lossless(made.contrasts[0]) is False


def test_the_manifest_that_ships_says_what_its_doses_are() -> None:
    made = load_manifest("antidistillation")
    doses = [arm.engine_args.get("antidistillation", {}).get("strength") for arm in made.arms.values()]
    assert sorted(dose for dose in doses if dose) == [0.5, 1.0, 2.0, 4.0]
    claims = {c.candidate: made.is_lossless(c) for c in made.contrasts}
    assert [name for name, claim in claims.items() if claim] == ["target_again"]


def test_the_page_lists_the_options_and_shows_an_arm_that_can_be(folder: Path) -> None:
    page = (ROOT / "docs" / "antidistillation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(SteeringOptions.model_fields)
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = folder / "shown.yaml"
    path.write_text(f"name: shown\nbatteries: [demo_choice]\n{shown}")
    guarded = load_manifest(path).arms["guarded"]
    assert wrong_steering(guarded, 1.0) is None


def samples(run_dir: Path, arm: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for part in run_dir.glob(f"arms/{arm}/part-*.parquet"):
        columns = pq.read_table(part, columns=["item_id", "token_ids"]).to_pydict()
        found.update(zip(columns["item_id"], columns["token_ids"], strict=True))
    return found


@pytest.mark.slow
def test_a_steered_arm_runs_resumes_and_gives_the_same_samples(folder: Path, tais: Tais) -> None:
    path, out = manifest(folder, {**STEERED, "strength": 4}), folder / "out"
    done = tais("run", path, "--out", out, "--part-samples", 2)
    assert done.returncode in (1, 3), done.stderr  # 6 items decide nothing, or that it is worse
    (run_dir,) = (file.parent for file in out.glob("*/*/report.json"))
    resolved = json.loads((run_dir / "arms" / "steered" / "engine.json").read_text())["resolved"]
    steered = resolved["antidistillation"]
    assert (steered["strength"], steered["epsilon"], steered["temperature"]) == (4, 0.02, 1.0)
    assert len(steered["proxy_sha256"]) == len(steered["examples_sha256"]) == 64
    assert steered["examples"] == 2
    assert steered["gradient_norm"] > 0
    whole = samples(run_dir, "steered")
    assert len(whole) == 6
    assert whole != samples(run_dir, "plain")

    parts = sorted(run_dir.glob("arms/steered/part-*.parquet"))
    assert len(parts) == 3
    parts[1].unlink()
    (run_dir / "report.json").unlink()
    again = tais("run", path, "--out", out, "--resume")
    assert again.returncode == done.returncode, again.stderr
    assert samples(run_dir, "steered") == whole


@pytest.mark.slow
def test_an_example_that_is_none_is_named_with_its_line(folder: Path, tais: Tais) -> None:
    with (folder / "examples.jsonl").open("a") as file:
        file.write('{"prompt": "only"}\n')
    done = tais("run", manifest(folder, STEERED), "--out", folder / "out")
    assert done.returncode == 4
    assert "examples.jsonl:3: no example" in done.stderr
    assert "Traceback" not in done.stderr
