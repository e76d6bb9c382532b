"""Arms on a Ray cluster: each worker is an actor that holds what its arm needs and answers its shards.

The driver places actors on nodes of one kind, hands out shards, collects parts and counts deaths. Only it
writes into the run directory. An engine that spreads over several nodes is vLLM's own matter: it makes its
own placement group, and runs while nothing else does.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tais.errors import EngineError, Place
from tais.executors.base import NO_BLOCKS, Blocks, Placement
from tais.executors.local import LocalExecutor
from tais.executors.needs import Needs, gpus_of, needs_of, spans_nodes
from tais.executors.process import worker_environment
from tais.executors.ray.campaign import Campaign, Worker
from tais.executors.ray.cluster import Node, alive_nodes, connected, like_nodes, look_at
from tais.executors.ray.host import Host, Setup, engine_variables
from tais.executors.ray.work import SHARD_ITEMS, ArmWork, divisible
from tais.executors.staging import open_depot, sweep
from tais.rundir.layout import LOGS
from tais.worker.protocol import AnswerJob, Job, Listener, TeacherForcingJob

__all__ = ["RayExecutor"]

_CLOSE_SECONDS = 5.0


class RayExecutor:
    """Runs jobs on a Ray cluster; a context manager.

    Parameters
    ----------
    run_dir
        The run directory.
    placement
        Address of the cluster, shared path and shard size.
    stall_seconds
        An arm that tells of no progress for so long is stopped.
    planned
        All jobs that may come.
    """

    def __init__(
        self, run_dir: Path, placement: Placement, *, stall_seconds: float, planned: Sequence[Job]
    ) -> None:
        self.run_dir, self.placement = run_dir.resolve(), placement
        self.stall_seconds, self.planned = stall_seconds, planned
        self.workers: list[Worker] = []
        self._numbers = iter(range(10**9))

    def __enter__(self) -> RayExecutor:
        """Join or start the cluster and look at its nodes.

        Raises
        ------
        EngineError
            When there is no cluster, its software differs, or no node has room for an arm.
        StoreError
            When a node does not reach the shared path.
        """
        with ExitStack() as stack:
            self.depot = open_depot(self.run_dir, self.placement.shared)
            self.ray = stack.enter_context(connected(self.placement.address))
            stack.callback(self._close)
            remote = [job for job in self.planned if job.arm.engine != "import"]
            self.setup = Setup(
                run_dir=str(self.run_dir),
                shared=self.placement.shared,
                stall_seconds=self.stall_seconds,
                planned=tuple(remote),
                variables=engine_variables(os.environ),
                address=self.ray.get_runtime_context().gcs_address,
                pass_env=self.placement.pass_env,
            )
            sweep(self.run_dir, self.depot)
            self._place(look_at(self.ray, self.setup), remote)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all actors, and the cluster where it was started here."""
        self._stack.close()

    def _close(self) -> None:
        closing = [
            worker.actor.close.options(concurrency_group="control").remote() for worker in self.workers
        ]
        with contextlib.suppress(Exception):  # an actor that is gone has nothing left to close
            self.ray.wait(closing, num_returns=max(1, len(closing)), timeout=_CLOSE_SECONDS)
        for worker in self.workers:
            with contextlib.suppress(Exception):
                self.ray.kill(worker.actor, no_restart=True)
        self.workers.clear()
        with contextlib.suppress(OSError):
            sweep(self.run_dir, self.depot)

    def _place(self, nodes: dict[str, Node], jobs: Sequence[Job]) -> None:
        self.gpus = any(node.gpus for node in nodes.values())
        small = worker_environment([job.arm for job in jobs], self.setup.variables).get("OMP_NUM_THREADS", "")
        fewest = min((node.cpus for node in nodes.values() if node.cpus), default=1)
        self.threads = min(int(small), fewest) if small.isdigit() and int(small) else fewest
        wanted = [self.needs(job) for job in jobs]
        for job, needs in zip(jobs, wanted, strict=True):
            self._check_room(job, needs, nodes)
        self.nodes = {node.id: node for node in like_nodes(nodes, wanted)}

    def needs(self, job: Job) -> Needs:
        """Return what the actor of a job takes."""
        if spans_nodes(job.arm):
            return Needs(0, 1)
        return needs_of(job, gpus=self.gpus, threads=self.threads)

    def _check_room(self, job: Job, needs: Needs, nodes: dict[str, Node]) -> None:
        place = Place(key=f"arm {job.arm.name!r}")
        if spans_nodes(job.arm):
            there = sum(node.gpus for node in nodes.values())
            if gpus_of(job.arm) > there:
                what = f"needs {gpus_of(job.arm)} GPUs, and the cluster has {there}"
                raise EngineError(what, place=place, remedy="Lower its parallel sizes, or add nodes")
        elif not any(node.holds(needs) for node in nodes.values()):
            most = max(nodes.values(), key=lambda node: (node.gpus, node.cpus, node.memory))
            raise EngineError(
                f"needs {needs} on one node, and the largest of {len(nodes)} has "
                f"{Needs(most.gpus, most.cpus, most.memory)}",
                place=place,
                remedy="Lower its resources or tensor_parallel_size, or add a node that is large enough",
            )

    def run(self, jobs: Sequence[Job], listener: Listener, blocks: Mapping[str, Blocks] = NO_BLOCKS) -> None:
        """Run jobs; see :class:`tais.executors.base.Executor`.

        Raises
        ------
        EngineError
            When an arm fails, or one of its shards has ended several workers. What was stored stays.
        """
        brought = [job for job in jobs if job.arm.engine == "import"]
        if brought:
            # Answers that exist already are a file of this machine.
            with LocalExecutor(self.run_dir / LOGS, stall_seconds=self.stall_seconds) as executor:
                executor.run(brought, listener)
        rest = [job for job in jobs if job.arm.engine != "import"]
        for in_blocks in (False, True):
            group = [job for job in rest if (job.arm.name in blocks) is in_blocks]
            works = [self._work(job, listener, blocks.get(job.arm.name)) for job in group]
            if works:
                Campaign(self, works, publish=self.placement.shared is not None).run()

    def _work(self, job: Job, listener: Listener, blocks: Blocks | None) -> ArmWork:
        assert isinstance(job, AnswerJob | TeacherForcingJob)
        asked = self.placement.shard_items
        size = (asked or SHARD_ITEMS) if divisible(job, asked=asked is not None) else None
        return ArmWork(job, self.run_dir, self.depot, size, listener, blocks)

    def room(self, needs: Needs) -> Node | None:
        """Return the node with most room for one more actor; None where there is none."""

        def free(node: Node) -> Needs:
            taken = [worker.needs for worker in self.workers if worker.node.id == node.id]
            return Needs(
                node.gpus - sum(one.gpus for one in taken),
                node.cpus - sum(one.cpus for one in taken),
                node.memory - sum(one.memory for one in taken),
            )

        fitting = [
            (free(node), node.id)
            for node in self.nodes.values()
            if all(have >= want for have, want in zip(_sizes(free(node)), _sizes(needs), strict=True))
        ]
        return self.nodes[max(fitting)[1]] if fitting else None

    def start(self, node: Node, needs: Needs) -> Worker:
        """Start an actor on a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        made = self.ray.remote(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory or None,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            concurrency_groups={"control": 1},
        )(Host)
        actor = made.remote(self.setup)
        up = actor.where.options(concurrency_group="control").remote()
        worker = Worker(actor, node, needs, up, time.monotonic(), f"worker {next(self._numbers)}")
        self.workers.append(worker)
        return worker

    def dismiss(self, worker: Worker) -> None:
        """End an actor."""
        self.workers.remove(worker)
        with contextlib.suppress(Exception):  # it may be gone already, and its node with it
            closing = worker.actor.close.options(concurrency_group="control").remote()
            self.ray.wait([closing], timeout=_CLOSE_SECONDS)
            self.ray.kill(worker.actor, no_restart=True)

    def forget_dead_nodes(self) -> None:
        """Take nodes that are gone off the list."""
        alive = alive_nodes(self.ray)
        self.nodes = {name: node for name, node in self.nodes.items() if name in alive}


def _sizes(needs: Needs) -> tuple[int, int, int]:
    return needs.gpus, needs.cpus, needs.memory
