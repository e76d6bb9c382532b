"""Arms side by side on the GPUs of one machine, with devices that are only names."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tais.errors import ManifestError, UsageError
from tais.executors import targets_first
from tais.executors.devices import Devices, parse_devices
from tais.executors.needs import Needs, gpus_of, needs_of, spans_nodes
from tais.manifest.load import load_manifest
from tais.manifest.model import Arm
from tests.conftest import Screen, Tais, finish, start
from tests.executors.jobs import made_job
from tests.runs.test_resume import stored

pytestmark = pytest.mark.slow


def test_a_job_takes_free_devices_and_rather_those_that_have_a_process() -> None:
    devices = Devices(("0", "1", "2", "3"))
    assert devices.choose(1, [], []) == ("0",)
    assert devices.choose(2, [("0",)], []) == ("1", "2")
    assert devices.choose(1, [("0",)], [("0",), ("3",)]) == ("3",)
    # A process on two devices is of no use while one of them is taken.
    assert devices.choose(2, [("0",)], [("0", "1")]) == ("1", "2")
    assert devices.choose(3, [("0",), ("1", "2")], []) is None


def test_without_devices_there_is_one_slot() -> None:
    assert Devices().choose(4, [], []) == ()
    assert Devices().choose(0, [()], []) is None
    assert Devices().variables(()) == {}
    assert Devices("01").variables(("1",)) == {"CUDA_VISIBLE_DEVICES": "1"}
    # A job that needs no device sees none.
    assert Devices("01").variables(()) == {"CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize(
    ("arm", "gpus"),
    [
        ({"engine": "vllm"}, 1),
        ({"engine": "vllm", "engine_args": {"tensor_parallel_size": 4, "pipeline_parallel_size": 2}}, 8),
        ({"engine": "vllm", "engine_args": {"tensor_parallel_size": 4}, "resources": {"gpus": 2}}, 2),
        ({"engine": "vllm", "resources": {"cpus": 3}}, 1),
        ({"engine": "openai", "engine_args": {"base_url": "http://localhost:1"}}, 0),
        ({"engine": "openai", "engine_args": {"serve": {"tensor_parallel_size": 2}}}, 2),
        ({"engine": "import"}, 0),
    ],
)
def test_what_an_arm_needs_follows_from_its_engine_unless_it_says_so(
    arm: dict[str, object], gpus: int
) -> None:
    assert gpus_of(Arm.model_validate({"name": "a", **arm})) == gpus


def test_cpus_and_memory_are_declared_or_what_the_engine_computes_on() -> None:
    vllm = made_job(engine="vllm")
    assert needs_of(vllm, gpus=False, threads=8) == Needs(0, 8)
    assert needs_of(vllm, gpus=True, threads=8) == Needs(1, 1)
    assert needs_of(made_job(engine="openai"), gpus=False, threads=8) == Needs(0, 1)
    own = made_job(engine="vllm", resources={"cpus": 3, "memory": "2GiB"})
    assert needs_of(own, gpus=False, threads=8) == Needs(0, 3, 2 << 30)
    assert str(Needs(2, 1, 3 << 29)) == "2 GPUs and 1 CPU and 1.5 GiB of memory"
    assert spans_nodes(made_job(engine="vllm", engine_args={"distributed_executor_backend": "ray"}).arm)


@pytest.mark.parametrize("text", ["", "0,,1", "0,0"])
def test_a_list_of_devices_names_each_once(text: str) -> None:
    with pytest.raises(UsageError, match="each once"):
        parse_devices(text)


def test_targets_come_first() -> None:
    jobs = [made_job(name=name) for name in ("spec", "target", "other", "base")]
    first = targets_first(jobs, {"target", "base"})
    assert [job.arm.name for job in first] == ["target", "base", "spec", "other"]


def test_resources_stand_in_the_manifest_and_in_no_arm_of_the_lock(screen: Screen, tais: Tais) -> None:
    screen.data["arms"]["target"]["resources"] = {"gpus": 1, "memory": "64 GiB"}
    screen.data["arms"]["leaky"]["resources"] = {"gpus": 2}
    manifest = load_manifest(screen.write())
    assert manifest.arms["spec"].resources == manifest.arms["target"].resources
    assert manifest.differences("target", "leaky") == [("engine_args.leak", None, 0.5)]
    screen.data["arms"]["target"]["resources"] = {"memory": "64"}
    with pytest.raises(ManifestError, match="amount of memory with its unit, such as 64GiB"):
        load_manifest(screen.write())
    screen.data["arms"]["target"]["resources"] = {"gpu": 1}
    with pytest.raises(ManifestError, match=r"unknown key 'gpu'.*Did you mean 'gpus'"):
        load_manifest(screen.write())


def test_more_devices_than_there_are_is_said_before_anything_runs(screen: Screen, tais: Tais) -> None:
    screen.data["arms"]["leaky"]["resources"] = {"gpus": 3}
    screen.write()
    done = tais("run", screen.path, "--out", screen.out, "--devices", "0,1")
    assert done.returncode == 4
    assert "arm 'leaky': needs 3 GPUs, and this run has 2" in done.stderr
    assert "--devices" in done.stderr
    assert not stored(screen.run_dirs()[0])


@pytest.mark.slow
def test_arms_run_at_once_each_on_devices_of_its_own(screen: Screen, tais: Tais, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    # Three arms that wait for each other, the last on two devices.
    for arm in ("target", "leaky"):
        screen.options(arm, meet={"folder": str(room), "arms": 3})
    screen.data["contrasts"] = [
        {"reference": "target", "candidate": "spec"},
        {"reference": "target", "candidate": "leaky", "role": "positive_control"},
    ]
    screen.data["arms"]["leaky"]["resources"] = {"gpus": 2}
    screen.write()
    done = tais("run", screen.path, "--out", screen.out, "--devices", "4,5,6,7")
    assert done.returncode in (0, 3), done.stderr
    met = {path.name: path.read_text() for path in room.iterdir()}
    assert met == {"target": "4", "spec": "5", "leaky": "6,7"}
    run_dir = screen.run_dirs()[0]
    for name, devices in met.items():
        engine = json.loads((run_dir / "arms" / name / "engine.json").read_text())
        assert engine["environment"]["variables"]["CUDA_VISIBLE_DEVICES"] == devices
    assert set(stored(run_dir).values()) == {1}
    # Which device it was is no difference between arms.
    codes = {r["code"] for contrast in screen.report()["contrasts"] for r in contrast["reasons"]}
    assert not codes & {"environment_differs", "hardware_differs"}
    assert set(screen.report()["facts"]["run"]["phases"]) >= {"target", "spec", "leaky"}


@pytest.mark.slow
def test_a_failing_arm_ends_the_others_and_what_they_have_stays(
    screen: Screen, tais: Tais, tmp_path: Path
) -> None:
    room, flag = tmp_path / "room", tmp_path / "flag"
    room.mkdir()
    flag.touch()
    meeting = {"folder": str(room), "arms": 2}
    # The others answer for minutes; the control fails once both are under way.
    screen.options("target", delay=0.5, meet=meeting)
    screen.options("leaky", delay=1.0, fail_at=3, fail_while=str(flag), failure="error", meet=meeting)
    screen.data["contrasts"] = [
        {"reference": "target", "candidate": "leaky", "role": "screen", "lossless": False},
    ]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out, "--devices", "0,1", "--part-samples", 100)
    assert done.returncode == 4
    assert "arm 'leaky': failed in phase 'generate': RuntimeError: fake engine raised" in done.stderr
    kept = stored(screen.run_dirs()[0])
    assert {"target", "leaky"} == {arm for arm, _, _ in kept}
    assert set(kept.values()) == {1}


@pytest.mark.slow
def test_ctrl_c_keeps_what_every_running_arm_has(screen: Screen, tais: Tais, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    screen.options("target", delay=0.3, meet={"folder": str(room), "arms": 2})
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec"}]
    screen.write()
    process = start(screen, "--devices", "0,1", "--part-samples", 1)
    deadline = time.monotonic() + 120
    while len({part.parent.name for part in screen.out.glob("*/*/arms/*/part-*")}) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    code, err = finish(process, signal.SIGINT)
    assert code == 130
    assert "Continue with --resume" in err
    kept = stored(screen.run_dirs()[0])
    assert {arm for arm, _, _ in kept} == {"target", "spec"}
    assert set(kept.values()) == {1}
