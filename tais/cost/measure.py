"""Rates from a few items of every arm on its real engine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.cost.history import devices_of
from tais.cost.rates import ArmRates, Rates, stack_digest
from tais.errors import UsageError
from tais.executors.local import LocalExecutor
from tais.plan.items import write_items
from tais.plan.plan import fitted
from tais.rundir.layout import ITEMS
from tais.verdict.facts import Hardware
from tais.worker.protocol import ArmEvent, TimingJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from tais.plan.plan import Plan

__all__ = ["calibrate", "fit", "items_to_time"]

# Where an arm does not say how many requests run at once.
_USUAL = 32
_MOST = 128


def items_to_time(engine_args: Mapping[str, object]) -> int:
    """Return how many items fill an arm's batch once: fewer would be timed slower than the run is."""
    batch = engine_args.get("max_num_seqs")
    return min(_MOST, max(8, batch)) if isinstance(batch, int) else _USUAL


def calibrate(
    plan: Plan,
    *,
    items: int | None,
    stall_seconds: float,
    note: Callable[[str], None],
) -> Rates:
    """Run a few items of every arm and return what they took.

    Parameters
    ----------
    plan
        With its batteries.
    items
        Items per arm; None for what fills the arm's batch once.
    stall_seconds
        As for a run.
    note
        Takes a line per arm.

    Raises
    ------
    UsageError
        When no arm has an engine.
    EngineError
        When an arm does not start or fails.
    """
    plan = fitted(plan)
    # Starts of one arm are one stack: the first stands for all.
    first = [name for name in plan.arms if plan.lock.first_start(name) == name]
    names = [name for name in first if plan.manifest.arms[name].engine != "import"]
    if not names:
        raise UsageError("no arm of this manifest has an engine to calibrate")
    preloaded = 0.0

    def listen(event: ArmEvent) -> None:
        nonlocal preloaded
        if event.event == "preloaded":
            preloaded += event.seconds

    arms, hardware = {}, Hardware()
    with tempfile.TemporaryDirectory(prefix="tais-") as name:
        folder = Path(name)
        write_items(folder / ITEMS, plan.batteries)
        jobs = [_job(plan, arm, folder, items) for arm in names]
        with LocalExecutor(folder, stall_seconds=stall_seconds, planned=jobs) as executor:
            for job in jobs:
                arm, arguments = job.arm.name, job.arm.engine_args
                executor.run([job], listen)
                found = json.loads(job.result.read_bytes())
                hardware = Hardware.model_validate(found["hardware"])
                devices = devices_of(arguments, hardware)
                arms[arm] = fit(found, arguments, devices, stack_digest(plan.lock, arm))
                note(
                    f"{arm}: loads in {arms[arm].load_seconds:.1f} s, "
                    f"{1 / arms[arm].seconds_per_token:,.0f} tokens/s"
                )
    arms |= {start: arms[name] for name in names for start in plan.lock.starts.get(name, ())}
    return Rates(
        source="calibration",
        said=f"{sum(job.items_timed for job in jobs)} items",
        device="gpu" if hardware.gpus else "cpu",
        import_seconds=round(preloaded, 3),
        arms=arms,
    )


def _job(plan: Plan, arm: str, folder: Path, items: int | None) -> TimingJob:
    manifest, name = plan.manifest, arm.replace(" ", "-")
    return TimingJob(
        arm=manifest.arms[arm],
        sampling=manifest.sampling,
        items=folder / ITEMS,
        items_timed=items or items_to_time(manifest.arms[arm].engine_args),
        result=folder / f"{len(list(folder.iterdir()))}-{name}.json",
        log=folder / f"{name}.log",
    )


def fit(
    found: Mapping[str, Any], engine_args: Mapping[str, object], devices: int, stack: str | None
) -> ArmRates:
    """Return the rates that a calibration shows.

    Parameters
    ----------
    found
        ``load_seconds``; ``first`` and ``others``, each with ``seconds``, ``tokens`` and ``answers`` by
        battery, and ``longest``.
    engine_args
        Of the arm.
    devices
        That it holds.
    stack
        Digest of what was measured.

    Notes
    -----
    An engine with continuous batching takes a step for the next token of every running request, and a step of
    a few requests takes about as long as one of many. The first answers therefore take as long as their
    steps do in the full batch, plus the warm-up: what is left is the warm-up. Where steps grow with the batch
    (a batch beyond what the machine computes at once) that is too little; the time per token is measured
    in the full batch and does not depend on it.
    """
    first, others = found["first"], found["others"]
    tokens = sum(others["tokens"].values())
    batch = engine_args.get("max_num_seqs")
    width = batch if isinstance(batch, int) else _USUAL
    step = others["seconds"] / max(others["longest"], tokens / width, 1)
    warmup = max(0.0, first["seconds"] - step * max(first["longest"], 1))
    by_battery = {
        name: (others["tokens"].get(name, 0) + first["tokens"].get(name, 0)) / count
        for name in sorted(others["answers"].keys() | first["answers"].keys())
        if (count := others["answers"].get(name, 0) + first["answers"].get(name, 0))
    }
    return ArmRates(
        load_seconds=round(found["load_seconds"], 3),
        warmup_seconds=round(warmup, 3),
        seconds_per_token=max(others["seconds"], 1e-9) / max(tokens, 1),
        tokens_per_answer=by_battery,
        devices=devices,
        stack=stack,
    )
