"""Parts come into the run directory once, whichever worker left them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tais.errors import StoreError
from tais.executors import create_executor
from tais.executors.base import Blocks, Placement
from tais.executors.needs import Needs
from tais.executors.ray.cluster import Node, like_nodes
from tais.executors.ray.host import engine_variables
from tais.executors.ray.work import ArmWork, divisible
from tais.executors.staging import STAGING, Collector, RunDepot, Shared, merge_engine, sweep
from tais.records import Sample, SampleKey
from tais.rundir.engine_record import read_engine
from tais.rundir.samples import PartWriter, part_files, stored_keys
from tais.worker.protocol import AnswerJob, ArmEvent, StoringJob, TeacherForcingJob
from tests.conftest import Screen, Tais
from tests.executors.jobs import made_job

pytestmark = pytest.mark.slow

ATTEMPT = "0123456789abcdef" * 2


def part(folder: Path, numbers: Sequence[int], text: str = "yes") -> Path:
    writer = PartWriter(folder)
    for number in numbers:
        key = SampleKey("mine", f"m-{number:03d}", 0)
        writer.add(Sample(key, "digest", 3, [1, 2], text, "stop"))
    path = writer.flush()
    assert path is not None
    return path


def test_of_two_answers_to_one_request_the_first_counts(tmp_path: Path) -> None:
    arm = tmp_path / "arms" / "target"
    collector = Collector(arm)
    assert collector.take(part(tmp_path / "a", range(4))) == 4
    # A worker that was given up answered two of them, and two more.
    assert collector.take(part(tmp_path / "b", range(2, 6), "no")) == 2
    assert collector.take(part(tmp_path / "c", range(6), "no")) == 0
    assert stored_keys(arm) == {SampleKey("mine", f"m-{i:03d}", 0) for i in range(6)}
    assert [path.name for path in part_files(arm)] == ["part-00000.parquet", "part-00001.parquet"]
    # A later attempt knows what is there.
    assert Collector(arm).take(part(tmp_path / "d", [5])) == 0


def test_a_part_that_is_cut_short_counts_as_missing(tmp_path: Path) -> None:
    path = part(tmp_path / "a", range(4))
    path.write_bytes(path.read_bytes()[:-10])
    collector = Collector(tmp_path / "arms" / "target")
    assert collector.take(path) == 0
    assert not collector.keys


def test_an_answer_that_is_stored_twice_is_refused(tmp_path: Path) -> None:
    arm = tmp_path / "arms" / "target"
    part(arm, [0, 1])
    part(arm, [1])
    with pytest.raises(StoreError, match="is stored twice"):
        Collector(arm)


def test_what_a_killed_run_left_is_taken_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    arm = tmp_path / "arms" / "target"
    part(arm, range(3))
    left = tmp_path / STAGING / ATTEMPT / "arms" / "target"
    part(left, range(2, 7))
    (left / "engine.json").write_text("{}")
    # These are no answers.
    part(tmp_path / STAGING / "inputs" / "arms" / "target", [8])
    (tmp_path / STAGING / "token").write_text("")
    create_executor(Placement(devices=()), tmp_path, stall_seconds=1, planned=[])
    assert {key.item_id for key in stored_keys(arm)} == {f"m-{i:03d}" for i in range(7)}
    assert (arm / "engine.json").read_text() == "{}"
    assert not (tmp_path / STAGING).exists()


@pytest.mark.parametrize("kind", ["folder", "url"])
def test_a_shared_place_keeps_files_by_name(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    url = str(place) if kind == "folder" else place.as_uri()
    run_dir = tmp_path / "run"
    shared = Shared(url, run_dir)
    name = f"{ATTEMPT}/arms/target/part-00000.parquet"
    shared.put(part(tmp_path / "a", range(3)), name)
    assert shared.names(ATTEMPT) == [name]
    assert shared.names("f" * 32) == []
    assert sweep(run_dir, shared) == 3
    assert len(stored_keys(run_dir / "arms" / "target")) == 3
    assert not place.exists()
    shared.remove()


def engine(cpu: str = "A", block: int = 16, cores: int = 8) -> dict[str, Any]:
    hardware = {"cpu": cpu, "logical_cores": cores, "memory_bytes": 1 << 34, "gpus": []}
    resolved = {"cache_config": {"num_gpu_blocks": cores}, "block": block}
    return {"resolved": resolved, "environment": {"hardware": hardware, "libraries": {}}}


def test_another_machine_is_noted_and_another_configuration_refused(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    arm = tmp_path / "arms" / "target"
    # Free memory differs from machine to machine, and decides nothing but how many requests run at once.
    for now in (engine(), engine(), engine("B", cores=4), engine("B", cores=4)):
        told.write_text(json.dumps(now))
        merge_engine(arm, told)
    stored = json.loads((arm / "engine.json").read_text())
    assert stored == {**engine(), "other_environments": [engine("B", cores=4)["environment"]]}
    assert read_engine(arm).machines == ["A (8 cores, 16 GiB)", "B (4 cores, 16 GiB)"]
    told.write_text(json.dumps(engine(block=32)))
    with pytest.raises(StoreError, match="block was 16 and is 32"):
        merge_engine(arm, told)


@pytest.mark.slow
def test_the_report_says_that_arms_ran_on_unlike_machines(screen: Screen, tais: Tais) -> None:
    assert tais("run", screen.path, "--out", screen.out).returncode == 0
    [run_dir] = screen.run_dirs()
    path = run_dir / "arms" / "spec" / "engine.json"
    stored = json.loads(path.read_text())
    gpu = {"name": "H100", "memory": "80 GiB", "driver": "580.1"}
    other = {**stored["environment"], "hardware": {**stored["environment"]["hardware"], "gpus": [gpu]}}
    path.write_text(json.dumps({**stored, "other_environments": [other]}))
    report = json.loads(tais("report", run_dir, "--format", "json").stdout)
    spec, again, _ = report["contrasts"]
    [said] = [reason for reason in spec["reasons"] if reason["code"] == "hardware_differs"]
    assert "1 x H100 (80 GiB, driver 580.1)" in said["message"]
    assert said["severity"] != "decides"
    assert len(said["values"]["candidate"]) == 2
    assert report["verdict"] == "pass"
    assert "hardware_differs" not in {reason["code"] for reason in again["reasons"]}


def test_arms_go_to_nodes_of_one_kind() -> None:
    small, large = Needs(1, 1), Needs(4, 1)
    old = [Node(f"o{i}", "", 8, 8, 0, "old") for i in range(3)]
    new = [Node(f"n{i}", "", 2, 8, 0, "new") for i in range(2)]
    nodes = {node.id: node for node in (*old, *new)}
    assert like_nodes(nodes, [small]) == old
    assert like_nodes({node.id: node for node in (*old[:1], *new)}, [small, large]) == old[:1]
    # No kind holds everything: all are used, and the report says which arms ran on what.
    mixed = {"cpu": Node("cpu", "", 0, 64, 0, "cpus"), "gpu": Node("gpu", "", 1, 4, 0, "gpus")}
    assert like_nodes(mixed, [Needs(0, 32), Needs(1, 1)]) == list(mixed.values())


def audit(job: AnswerJob) -> TeacherForcingJob:
    own = {"worklist": "worklist", "arms_dir": "arms", "top": 4, "total": 1, "optional": False}
    return TeacherForcingJob.model_validate(dict(job) | own | {"kind": "audit"})


@pytest.mark.parametrize(
    ("job", "unasked", "asked"),
    [
        (made_job(engine="vllm", dtype="float32"), True, True),
        (made_job(engine="vllm", dtype="bfloat16"), False, True),
        (made_job(engine="openai"), False, False),
        (audit(made_job(engine="vllm", dtype="float32")), False, False),
    ],
)
def test_only_arms_that_do_not_depend_on_their_batch_are_divided_unasked(
    job: StoringJob, unasked: bool, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_BATCH_INVARIANT", raising=False)
    assert (divisible(job, asked=False), divisible(job, asked=True)) == (unasked, asked)
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "1")
    assert divisible(made_job(engine="vllm", dtype="bfloat16"), asked=False)


def test_shards_follow_the_arm_s_order_and_leave_out_what_is_stored(screen: Screen, tais: Tais) -> None:
    screen.options("target", refuse_start="not now")
    assert tais("run", screen.path, "--out", screen.out).returncode == 4
    [run_dir] = screen.run_dirs()
    shutil.rmtree(run_dir / "arms")
    events: list[ArmEvent] = []
    job = made_job(run_dir)
    part(run_dir / "arms" / "target", [*range(60), 64, 65, 119])
    work = ArmWork(job, run_dir.resolve(), RunDepot(run_dir), 50, events.append)
    units = work.units(Needs(0, 1))
    # The first fifty are stored.
    assert [(unit.first, unit.last) for unit in units] == [(50, 100), (100, 120)]
    assert str(units[0]) == "shard 2 of 3 (items 'm-050' to 'm-099')"
    shards = [work.begin(unit, publish=False)[1] for unit in units]
    asked = [*range(60, 64), *range(66, 100)], list(range(100, 119))
    assert tuple(list(shard.places) for shard in shards if shard) == asked
    assert not work.goes_on
    mixed = made_job(run_dir, order="shuffled")
    shuffled = ArmWork(mixed, run_dir.resolve(), RunDepot(run_dir), 50, events.append)
    assert sorted(shuffled.keys) == work.keys != shuffled.keys


def test_an_arm_in_blocks_is_divided_inside_each_and_asks_before_the_next(screen: Screen, tais: Tais) -> None:
    screen.options("target", refuse_start="not now")
    assert tais("run", screen.path, "--out", screen.out).returncode == 4
    [run_dir] = screen.run_dirs()
    shutil.rmtree(run_dir / "arms")
    looked: list[int] = []

    def stops(stored: int) -> bool:
        looked.append(stored)
        return stored == 3

    odd, even = tuple(range(1, 80, 2)), tuple(range(0, 80, 2))
    blocks = Blocks((odd, even, tuple(range(80, 100)), tuple(range(100, 120))), stops)
    part(run_dir / "arms" / "target", even)
    work = ArmWork(made_job(run_dir), run_dir.resolve(), RunDepot(run_dir), 25, print, blocks)
    found = work.units(Needs(0, 1))
    assert [(unit.first, unit.last) for unit in found] == [(0, 25), (25, 40)]
    shards = [work.begin(unit, publish=False)[1] for unit in found]
    assert [shard.places for shard in shards if shard] == [odd[:25], odd[25:]]
    assert (looked, work.goes_on) == ([], True)
    # The second block is stored: the look after it comes at once.
    [third] = work.units(Needs(0, 1))
    assert (looked, third.shard, str(third)[:12]) == ([1, 2], 4, "shard 5 of 6")
    # And what stops is not asked for the fourth.
    assert work.units(Needs(0, 1)) == []
    assert (looked, work.goes_on) == ([1, 2, 3], False)


def test_what_is_secret_goes_to_no_other_machine() -> None:
    own = {"VLLM_USE_V1": "1", "OMP_NUM_THREADS": "4", "TOKENIZERS_PARALLELISM": "false"}
    secret = {"HF_TOKEN": "x", "TAIS_SIGNING_KEY": "x", "VLLM_API_KEY": "x", "OPENAI_API_KEY": "x"}
    device = {"CUDA_VISIBLE_DEVICES": "0", "NCCL_SOCKET_IFNAME": "eth0"}
    assert engine_variables(own | secret | device) == own
