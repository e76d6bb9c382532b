"""From prompts to a selector that the reference engine uses, on the demo models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from tais.engines.base import EngineRefusal
from tais.errors import StoreError
from tais.lab.reference.engine import ReferenceEngine
from tais.lab.verification.selector.actions import Grid
from tais.lab.verification.selector.store import Selector
from tais.lab.workbench.training_data import read_data
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, Sample, SampleKey
from tests.conftest import ROOT, Tais

# Seven seconds on a quiet machine.
pytestmark = pytest.mark.slow

DEMO = ROOT / "models" / "demo"
SMALL = ("--method", "block", "--method", "gbv", "--paths", 2, "--trunk", 1, "--length", 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a selector, small and hardly trained."""
    from typer.testing import CliRunner

    from tais.cli.main import app

    folder = tmp_path_factory.mktemp("selector")
    prompts = folder / "prompts.txt"
    prompts.write_text("".join(f"Tell me how to repeat {word}.\n" for word in "abcdefg"))
    threads = torch.get_num_threads()
    for arguments in (
        [
            "data",
            folder / "data.parquet",
            "--prompts",
            prompts,
            "--max-tokens",
            8,
            "--temperature",
            1.5,
            *SMALL,
        ],
        ["train", folder / "data.parquet", "--out", folder / "one", "--rounds", 2, "--epochs", 3],
    ):
        done = CliRunner().invoke(app, ["law", *map(str, arguments)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    torch.set_num_threads(threads)
    return folder


def engine(how: dict[str, Any] | None, draft: str = "draft") -> ReferenceEngine:
    made = ReferenceEngine()
    how = None if how is None else {"model": str(DEMO / draft), **how}
    settings = {"name": "a", "engine": "reference", "model": str(DEMO / "target"), "dtype": "float32"}
    made.start(Arm.model_validate({**settings, "speculative_config": how}))
    return made


def answers(made: ReferenceEngine, sampling: Sampling) -> list[Sample]:
    asked = ["Give me a few tips to read the mayor's messages.", "What is 3 plus 4?"]
    requests = [
        Request(SampleKey("b", str(i), 0), (Message("user", t),), seed=i) for i, t in enumerate(asked)
    ]
    return [sample for sample in made.generate(requests, sampling) if sample is not None]


def test_the_data_say_what_they_are_of(made: Path) -> None:
    data = read_data(made / "data.parquet")
    assert data.grid == Grid(("block", "gbv"), (2,), 1, 1)
    assert data.features.shape[1] == 9 + 224 + 2 * 128
    assert len(set(data.prompts)) == 7
    assert data.facts["pair"]["target"]["hidden_size"] == 224
    depths = torch.tensor([float(action.shape.depth) for action in data.grid.actions])
    assert bool((data.labels >= -1e-6).all())
    assert bool((data.labels <= depths + 1e-6).all())
    # No draft, no token of it.
    assert float(data.labels[:, depths == 0].abs().max()) == 0
    table = pq.read_table(made / "data.parquet")
    assert set(table.column("temperature").to_pylist()) == {1.5}


def test_the_selector_holds_a_table_of_this_machine(made: Path) -> None:
    selector = Selector.load(made / "one")
    assert selector.latency.machine["hardware"]["cpu"]
    seconds = selector.latency.seconds(selector.grid)
    assert float(seconds.min()) > 0
    assert selector.facts["training"]["roots"]["judged_by"] > 0


@pytest.mark.parametrize("method", ["auto", "gbv"])
def test_at_temperature_0_the_tokens_are_the_targets(made: Path, method: str) -> None:
    greedy = Sampling(temperature=0, max_tokens=16)
    expected = [(s.token_ids, s.text) for s in answers(engine(None), greedy)]
    how = {"method": method, "selector": str(made / "one"), "draft_temperature": 1.0}
    chosen = engine(how)
    assert [(s.token_ids, s.text) for s in answers(chosen, greedy)] == expected
    assert chosen.chooser is not None
    assert sum(chosen.chooser.chosen.values()) > 0
    counted = chosen.counters()
    assert counted is not None
    assert len(counted.accepted_per_position) == 2
    assert sum(counted.accepted_per_position) == counted.accepted_tokens


def test_the_engine_says_which_selector_it_used(made: Path) -> None:
    how = {"method": "auto", "selector": str(made / "one")}
    started = ReferenceEngine()
    settings = {"name": "a", "engine": "reference", "model": str(DEMO / "target"), "dtype": "float32"}
    config = {**how, "model": str(DEMO / "draft")}
    resolved = started.start(Arm.model_validate({**settings, "speculative_config": config}))
    said = resolved["speculative_config"]
    assert said["claim"] == "lossless"
    assert said["selector_sha256"] == Selector.load(made / "one").digest()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"method": "kseq"}, "does not know 'kseq'"),
        ({"method": "auto", "paths": 2}, "paths does not go with selector"),
        ({"method": "auto", "selector": "/nowhere"}, "/nowhere"),
    ],
)
def test_what_does_not_go_together_is_refused(made: Path, how: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineRefusal, match=said):
        engine({"selector": str(made / "one"), **how})


def test_a_selector_of_another_pair_is_refused(made: Path) -> None:
    with pytest.raises(EngineRefusal, match="hidden states of 224 and 128"):
        engine({"method": "auto", "selector": str(made / "one"), "model": str(DEMO / "target")})


def test_the_table_is_measured_again(made: Path, tais: Tais, tmp_path: Path) -> None:
    before = Selector.load(made / "one")
    before.save(tmp_path / "two")
    done = tais("law", "latency", tmp_path / "two", "--rounds", 2)
    assert done.returncode == 0, done.stderr
    after = Selector.load(tmp_path / "two")
    assert after.latency != before.latency
    features = torch.zeros(1, 9 + 224 + 2 * 128)
    assert torch.equal(after.expected(features), before.expected(features))


def test_bench_measures_the_selector_beside_fixed_shapes(made: Path, tais: Tais) -> None:
    done = tais(
        "law", "bench", "--rounds", 0, "--items", 1, "--skip", 3, "--battery", "demo_json", "--max-tokens", 8,
        "--verifier", "gbv", "--shape", "paths:2x2", "--shape", "entropy:0.5,2,2",
        "--draft", DEMO / "draft", "--selector", made / "one", "--temperature", 1, "--temperature", 1.5,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)["points"]
    assert {p["setting"]["temperature"] for p in points} == {1.0, 1.5}
    # No draft, two shapes, and the selector with any method and with gbv alone.
    assert [p["shape"] for p in points if p["setting"]["temperature"] == 1].count("selector") == 2
    assert len(points) == 2 * 5


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["data", "x.parquet", "--prompts", "nowhere.txt"], 2, "no such file"),
        (["data", "x.parquet", "--method", "typical"], 2, "no choice can be made"),
        (["data", "x.parquet", "--method", "gvb"], 2, "Did you mean 'gbv'?"),
        (["data", "x.parquet", "--skip", "500"], 2, "none behind the first 500"),
        (["data", "x.parquet", "--target", "/nowhere/model", "--items", "1"], 4, "cannot load the model"),
        (["data", "/nowhere/x.parquet", "--items", "1", "--max-tokens", "4"], 4, "no such file"),
        (["train", "nowhere.parquet", "--out", "s"], 4, "no such file"),
        (["latency", "nowhere"], 4, "no such file"),
    ],
)
def test_bad_input_is_told_in_one_line(tais: Tais, arguments: list[str], code: int, said: str) -> None:
    done = tais("law", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_data_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(StoreError, match="no training data"):
        read_data(tmp_path / "x.parquet")


def test_the_lock_holds_the_files_of_a_selector(made: Path) -> None:
    from tais.analysis.speculation import speculation_findings
    from tais.plan.lock import _arm
    from tais.rundir.engine_record import EngineRecord
    from tais.rundir.lock_model import LockedArm, LockedFolder

    how = {"method": "auto", "model": "org/draft", "selector": str(made / "one")}
    arm = Arm.model_validate(
        {"name": "a", "engine": "reference", "model": "org/target", "speculative_config": how}
    )
    locked = LockedArm.model_validate(_arm(arm, {})).speculative_config
    assert locked is not None
    assert set(LockedFolder.model_validate(locked["selector"]).files) == {
        "selector.json",
        "selector.safetensors",
    }
    # What the lock calls by its digests the engine calls by its path: no option that was ignored.
    assert not list(speculation_findings(locked, EngineRecord(resolved={"speculative_config": {**how}})))
