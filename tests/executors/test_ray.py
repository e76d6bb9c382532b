"""``tais run --executor ray`` on a real cluster of several nodes, with the fake engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import FAKE, SPECULATION, Screen, Tais, finish, start, without_times
from tests.runs.test_resume import stored

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="Ray is not installed")


class Nodes:
    """A cluster on this machine: a head without CPUs, and nodes that come and go."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # A lost node is noticed soon.
        health = {"health_check_failure_threshold": 3, "health_check_period_ms": 500}
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": health},
        )
        self.address = str(self.cluster.address)
        self.folder = folder

    def add(self, cpus: int, **more: Any) -> Any:
        return self.cluster.add_node(num_cpus=cpus, **more)

    def remove(self, node: Any, *, graceful: bool = True) -> None:
        self.cluster.remove_node(node, allow_graceful=graceful)

    def raylets(self) -> set[int]:
        return {raylet(node).pid for node in self.cluster.list_all_nodes()}


def raylet(node: Any) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Nodes(tmp_path_factory.mktemp("cluster"))
        for _ in range(2):
            found.add(2)
        yield found
        found.cluster.shutdown()


@pytest.fixture
def two(screen: Screen) -> Screen:
    """Two arms, the candidate shuffled and speculating, over 90 items."""
    screen.items(90)
    screen.data["arms"] = {
        "target": dict(FAKE),
        "spec": {**FAKE, "order": "shuffled", "speculative_config": dict(SPECULATION)},
    }
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec"}]
    screen.data["rules"] = {"margin": 0.06}
    screen.write()
    return screen


def samples(run_dir: Path, arm: str) -> pa.Table:
    """All samples of an arm by key, whichever part they lie in."""
    parts = sorted((run_dir / "arms" / arm).glob("part-*.parquet"))
    table = pa.concat_tables([pq.read_table(part).replace_schema_metadata() for part in parts])
    return table.sort_by([("battery", "ascending"), ("item_id", "ascending"), ("repeat", "ascending")])


def assert_same(local: Path, ray: Path) -> None:
    assert (local / "manifest.lock.json").read_bytes() == (ray / "manifest.lock.json").read_bytes()
    assert (local / "items.parquet").read_bytes() == (ray / "items.parquet").read_bytes()
    for arm in sorted(path.name for path in (local / "arms").iterdir()):
        one, other = samples(local, arm), samples(ray, arm)
        # How long an answer took is no part of it.
        assert one.drop_columns("seconds").equals(other.drop_columns("seconds"))
        engines = [json.loads((run / "arms" / arm / "engine.json").read_text()) for run in (local, ray)]
        assert engines[0]["resolved"] == engines[1]["resolved"]
    reports = [json.loads((run / "report.json").read_text()) for run in (local, ray)]
    assert without_times(reports[0]) == without_times(reports[1])
    files = [{p.relative_to(run) for p in run.rglob("*") if "part-" not in p.name} for run in (local, ray)]
    # A cluster asks probes in an engine of their own, whose record is one file more.
    own = {Path("probes") / arm / "engine.json" for arm in ("target", "spec")}
    assert {f for f in files[0] ^ files[1] if f.parts[0] != "logs"} <= own


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


def engines_below(process: psutil.Process) -> list[psutil.Process]:
    """Children of worker processes: each runs an engine."""

    def is_worker(one: psutil.Process | None) -> bool:
        try:
            return one is not None and "tais.worker.main" in one.cmdline()
        except psutil.Error:
            return False

    return [one for one in process.children(recursive=True) if is_worker(one) and is_worker(one.parent())]


def test_a_node_killed_in_the_middle_changes_nothing(nodes: Nodes, two: Screen, tais: Tais) -> None:
    two.options("target", delay=0.05)
    two.options("spec", delay=0.05)
    assert tais("run", two.path, "--out", two.folder / "local").returncode == 0
    [local] = [path.parent for path in (two.folder / "local").glob("*/*/report.json")]
    doomed = nodes.add(2)
    process = start(
        two, "--executor", "ray", "--ray-address", nodes.address, "--shard-items", 20, "--part-samples", 4
    )
    try:
        wait_for(lambda: engines_below(raylet(doomed)) or process.poll() is not None)
        wait_for(lambda: list(two.out.glob("*/*/arms/*/part-*")) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        nodes.remove(doomed, graceful=False)
        _, err = process.communicate(timeout=400)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    [run_dir] = two.run_dirs()
    assert set(stored(run_dir).values()) == {1}
    assert len(stored(run_dir)) == 2 * 90
    assert_same(local, run_dir)


@pytest.mark.nightly
def test_nodes_that_share_an_address_alone_give_the_same(nodes: Nodes, two: Screen, tais: Tais) -> None:
    """With a judge and an audit, whose inputs go that way too."""
    two.data["judges"] = {"small": {**FAKE, "engine_args": {"judge": True}}}
    scorer = {"name": "judge_rubric", "judge": "small"}
    two.data["batteries"] = [{"name": "mine", "path": "mine.yaml", "second_scorers": [scorer]}]
    two.options("spec", leak=0.1)
    code = tais("run", two.path, "--out", two.folder / "local").returncode
    shared = two.folder / "shared"
    done = tais(
        "run", two.path, "--out", two.out, "--executor", "ray", "--ray-address", nodes.address,
        "--shared", shared.as_uri(), "--shard-items", 40,
    )  # fmt: skip
    assert done.returncode == code != 4, done.stderr
    [local] = [path.parent for path in (two.folder / "local").glob("*/*/report.json")]
    [run_dir] = two.run_dirs()
    assert list((run_dir / "audits").rglob("part-*"))
    assert list((run_dir / "judges").rglob("part-*"))
    assert_same(local, run_dir)
    assert not [path for path in shared.rglob("*") if path.is_file()]
    assert not (run_dir / ".staging").exists()


@pytest.fixture
def early(two: Screen) -> Screen:
    """The candidate may stop at three looks; without a flip it does at the second."""
    two.data["contrasts"][0]["audit"] = False
    two.items(180)
    two.data["rules"] = {"margin": 0.06, "sequential": 3}
    two.write()
    return two


@pytest.mark.nightly
def test_an_arm_that_may_stop_early_stops_at_the_same_look_as_on_one_machine(
    nodes: Nodes, early: Screen, tais: Tais
) -> None:
    assert tais("run", early.path, "--out", early.folder / "local").returncode == 0
    [local] = [path.parent for path in (early.folder / "local").glob("*/*/report.json")]
    there = ("--executor", "ray", "--ray-address", nodes.address)
    done = tais("run", early.path, "--out", early.out, *there)
    assert done.returncode == 0, done.stderr
    assert "spec: stops at look 2 of 3: every endpoint has passed" in done.stderr
    [run_dir] = early.run_dirs()
    counted = [arm for arm, _, _ in stored(run_dir)]
    assert (counted.count("target"), counted.count("spec")) == (180, 120)
    assert_same(local, run_dir)
    # Nothing is left to do where everything but the report is there.
    (run_dir / "report.json").unlink()
    again = tais("run", early.path, "--out", early.out, "--resume", *there)
    assert again.returncode == 0, again.stderr
    assert "spec: stops at look 2 of 3" in again.stderr
    assert_same(local, run_dir)


@pytest.mark.nightly
def test_workers_that_do_not_see_the_run_directory_need_not_for_an_early_stop(
    nodes: Nodes, early: Screen, tais: Tais
) -> None:
    """Each look is divided among workers, and the run alone looks."""
    early.options("spec", leak=0.4)
    early.data["contrasts"][0]["lossless"] = False
    early.write()
    assert tais("run", early.path, "--out", early.folder / "local").returncode == 1
    [local] = [path.parent for path in (early.folder / "local").glob("*/*/report.json")]
    there = ("--executor", "ray", "--ray-address", nodes.address, "--shard-items", 20)
    shared = early.folder / "shared"
    done = tais("run", early.path, "--out", early.out, *there, "--shared", shared.as_uri())
    assert done.returncode == 1, done.stderr
    assert "an endpoint has failed" in done.stderr
    [run_dir] = early.run_dirs()
    assert len(stored(run_dir)) < 2 * 180
    assert set(stored(run_dir).values()) == {1}
    assert_same(local, run_dir)
    assert not [path for path in shared.rglob("*") if path.is_file()]


@pytest.mark.nightly
def test_a_shard_that_ends_five_workers_is_named_and_the_run_resumes(
    nodes: Nodes, two: Screen, tais: Tais
) -> None:
    flag = two.folder / "flag"
    flag.touch()
    two.options("spec", fail_at=10, fail_while=str(flag))
    there = ("--executor", "ray", "--ray-address", nodes.address)
    done = tais("run", two.path, "--out", two.out, *there, "--shard-items", 30)
    assert done.returncode == 4
    said = " ".join(done.stderr.split())
    assert "arm 'spec': shard " in said
    assert " of 3 (items 'm-0" in said
    assert "ended 5 workers; the last one: arm 'spec' was killed by SIGABRT in phase 'generate'" in said
    assert "its last words: fake engine: about to crash" in said
    assert "continue with --resume" in said
    flag.unlink()
    # Where it resumes is free: what is stored is stored.
    again = tais("run", two.path, "--out", two.out, "--resume")
    assert again.returncode == 0, again.stderr
    assert set(stored(two.run_dirs()[0]).values()) == {1}
    assert len(stored(two.run_dirs()[0])) == 2 * 90


def test_what_the_cluster_cannot_hold_is_said_at_once(nodes: Nodes, two: Screen, tais: Tais) -> None:
    there = ("--executor", "ray", "--ray-address", nodes.address)
    two.data["arms"]["spec"]["resources"] = {"gpus": 2}
    two.write()
    done = tais("run", two.path, "--out", two.out, *there)
    assert done.returncode == 4
    said = " ".join(done.stderr.split())
    assert "arm 'spec': needs 2 GPUs and 1 CPU on one node, and the largest of 3 has 2 CPUs" in said
    assert "tensor_parallel_size" in said
    two.data["arms"]["spec"]["resources"] = {"cpus": 64, "memory": "1GiB"}
    two.write()
    done = tais("run", two.path, "--out", two.out, *there)
    assert done.returncode == 4
    assert "needs 64 CPUs and 1 GiB of memory on one node" in " ".join(done.stderr.split())


def test_a_path_that_nodes_do_not_reach_is_named(nodes: Nodes, two: Screen, tais: Tais) -> None:
    # fsspec's memory is another one in every process: what the driver writes no node can read.
    done = tais(
        "run", two.path, "--out", two.out, "--executor", "ray", "--ray-address", nodes.address,
        "--shared", "memory://parts",
    )  # fmt: skip
    assert done.returncode == 4
    said = " ".join(done.stderr.split())
    assert "does not reach the shared path memory://parts" in said
    assert "node " in said
    assert "all nodes read and write with --shared" in said
    unknown = tais("run", two.path, "--executor", "ray", "--shared", "nowhere://parts")
    assert unknown.returncode == 4
    assert "Protocol not known: nowhere. Name a folder, or a URL such as s3://bucket/folder" in unknown.stderr


def test_a_node_with_another_version_is_named(nodes: Nodes, two: Screen, tais: Tais) -> None:
    other = nodes.folder / "other"
    (other / "tais-9.9.dist-info").mkdir(parents=True)
    (other / "tais-9.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tais\nVersion: 9.9\n"
    )
    path = os.pathsep.join([str(other), *filter(None, [os.environ.get("PYTHONPATH")])])
    node = nodes.add(1, env_vars={"PYTHONPATH": path})
    try:
        done = tais("run", two.path, "--out", two.out, "--executor", "ray", "--ray-address", nodes.address)
    finally:
        nodes.remove(node)
    assert done.returncode == 4
    said = " ".join(done.stderr.split())
    assert "has tais 9.9, this machine has " in said
    assert "Install the same versions on all nodes" in said


def test_without_a_cluster_at_the_address(two: Screen, tais: Tais) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = tais("run", two.path, "--out", two.out, "--executor", "ray", "--ray-address", address)
    assert done.returncode == 4
    said = " ".join(done.stderr.split())
    assert f"Ray cluster at {address}: there is no cluster (connection refused)" in said
    assert "leave out --ray-address and RAY_ADDRESS to start one here" in said
    for wrong in ("ray://head:10001", "nonsense"):
        done = tais("run", two.path, "--out", two.out, "--executor", "ray", RAY_ADDRESS=wrong)
        assert done.returncode == 4
        assert f"Ray cluster at {wrong}: this is " in " ".join(done.stderr.split())


def test_without_ray_the_extra_is_named(two: Screen, tais: Tais, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = tais("run", two.path, "--out", two.out, TAIS_EXECUTOR="ray")
    assert done.returncode == 4
    assert "ray is not installed. Install it: pip install '.[ray]'" in done.stderr
    assert not two.out.exists()
    unknown = tais("run", two.path, "--executor", "slurm")
    assert unknown.returncode == 2
    assert "no executor named 'slurm'. Executors: local, ray" in unknown.stderr


def test_ctrl_c_keeps_parts_and_leaves_nothing_running(two: Screen) -> None:
    two.options("target", delay=0.3)
    process = start(two, "--executor", "ray", "--part-samples", 2)
    try:
        wait_for(lambda: list(two.out.glob("*/*/arms/target/part-*")) or process.poll() is not None)
        # The cluster, its workers and their engines.
        started = psutil.Process(process.pid).children(recursive=True)
        names = [one.name() for one in started]
        code, err = finish(process, signal.SIGINT)
    finally:
        process.kill()
        process.communicate()
    assert code == 130, err
    assert "Continue with --resume" in err
    assert any("raylet" in name for name in names)
    wait_for(lambda: not psutil.wait_procs(started, timeout=0)[1])
    [run_dir] = two.run_dirs()
    kept = stored(run_dir)
    assert set(kept.values()) == {1}
    assert not (run_dir / ".staging").exists()


@pytest.mark.nightly
def test_a_run_killed_beside_its_cluster_resumes(nodes: Nodes, two: Screen, tais: Tais) -> None:
    """On GPUs that are only counted: each arm has one of its own."""
    room = two.folder / "room"
    room.mkdir()
    two.options("target", delay=0.3, meet={"folder": str(room), "arms": 2})
    two.options("spec", delay=0.3, meet={"folder": str(room), "arms": 2})
    node = nodes.add(2, num_gpus=2)
    process = start(two, "--executor", "ray", "--ray-address", nodes.address, "--part-samples", 3)
    try:
        wait_for(lambda: list(two.out.glob("*/*/arms/*/part-*")) or process.poll() is not None)
        engines = engines_below(raylet(node))
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        wait_for(lambda: not psutil.wait_procs(engines, timeout=0)[1])
    finally:
        process.kill()
        process.communicate()
        nodes.remove(node)
    assert len(engines) == 2
    assert sorted(path.read_text() for path in room.iterdir()) == ["0", "1"]
    [run_dir] = two.run_dirs()
    done = tais("run", two.path, "--out", two.out, "--resume")
    assert done.returncode == 0, done.stderr
    assert "already stored" in done.stderr
    assert set(stored(run_dir).values()) == {1}
    assert len(stored(run_dir)) == 2 * 90
    assert not (run_dir / ".staging").exists()


def test_a_fault_is_planted_on_this_machine_or_refused(two: Screen, tais: Tais) -> None:
    """A worker of a cluster plants none, and the arm would be shown as sound."""
    two.data["drill"] = True
    two.data["arms"]["spec"] = {
        "extends": "target",
        "speculative_config": dict(SPECULATION),
        "fault": {"name": "accept_all"},
    }
    two.data["contrasts"] = [{"reference": "target", "candidate": "spec"}]
    two.write()
    done = tais("run", two.path, "--out", two.out, "--executor", "ray", "--ray-address", "127.0.0.1:1")
    assert done.returncode == 2
    assert "the fault of arm 'spec' is planted on this machine only, not by --executor ray" in done.stderr
    assert not two.run_dirs()


def test_a_cache_is_for_this_machine_only(two: Screen, tais: Tais, tmp_path: Path) -> None:
    done = tais("run", two.path, "--out", two.out, "--executor", "ray", "--cache", tmp_path / "cache")
    assert done.returncode == 2
    assert "a cache works with arms on this machine only. Leave out --cache" in done.stderr
    assert not two.run_dirs()
