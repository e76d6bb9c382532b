"""Rates from what an earlier run of the same manifest took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tais.cost.rates import RATES, ArmRates, Rates, read_rates, stack_digest
from tais.errors import TaisError
from tais.rundir.layout import LEDGER, RunDir
from tais.rundir.ledger import read_ledger
from tais.rundir.lock import read_lock
from tais.rundir.lock_model import Lock
from tais.verdict.facts import ArmFacts, Hardware, facts_of

__all__ = ["finished_runs", "known_rates", "rates_of_run"]

_FINISHED = ("pass", "fail", "inconclusive")
# Further back another machine or driver is likely.
_LOOKED_AT = 10


def known_rates(parent: Path, lock: Lock) -> Rates | None:
    """Return the rates that are at hand for a lock: of its last calibration or finished run, the newer.

    Parameters
    ----------
    parent
        Directory of the manifest's runs.
    lock
        What is about to run.

    Returns
    -------
    Rates or None
        None where nothing was measured on these stacks.
    """
    wanted = lock.run_arms()
    path = parent / RATES
    try:
        calibrated, made = read_rates(path), path.stat().st_mtime
    except (TaisError, OSError):
        calibrated, made = None, 0.0
    for run_dir in finished_runs(parent):
        newer = RunDir(run_dir).report.stat().st_mtime > made
        found = rates_of_run(run_dir) if newer else None
        if found is not None and all(found.of(arm, stack_digest(lock, arm)) for arm in wanted):
            return found
    if calibrated is None or not any(calibrated.of(arm, stack_digest(lock, arm)) for arm in wanted):
        return None
    return calibrated


def finished_runs(parent: Path) -> list[Path]:
    """Return the finished runs of a manifest, newest first, as far back as their figures are worth."""
    try:
        entries = read_ledger(parent / LEDGER)
    except TaisError:
        return []
    names = [e["run"] for e in entries if e.get("event") == "end" and e.get("outcome") in _FINISHED]
    unique = list(dict.fromkeys(reversed(names)))[:_LOOKED_AT]
    return [parent / name for name in unique if RunDir(parent / name).report.is_file()]


def rates_of_run(run_dir: Path) -> Rates | None:
    """Return the rates that a finished run shows; None where it shows none.

    Notes
    -----
    Warm-up stands in the time per token: a run tells no more than the sum. A run that was resumed timed
    only a part of its answers, and an arm from a cache was timed elsewhere: neither gives rates.
    """
    try:
        report = RunDir(run_dir).report
        facts = facts_of(report.read_bytes(), str(report))
        lock = read_lock(run_dir)
        run, phases = facts.run, facts.run.phases
        if run.resumed or run.id is None or run.seconds is None:
            return None
        rates = {
            name: _arm(phases[name], arm, stack_digest(lock, name))
            for name, arm in facts.arms.items()
            if "generate" in phases.get(name, {}) and arm.tokens and arm.samples and arm.origin is None
        }
        decide = phases.get("", {}).get("decide", 0.0)
        told = sum(seconds for own in phases.values() for seconds in own.values()) - decide
        gpu = any(arm.hardware is not None and arm.hardware.gpus for arm in facts.arms.values())
        if not rates:
            return None
        return Rates(
            source="run",
            said=run.id,
            device="gpu" if gpu else "cpu",
            import_seconds=phases.get("", {}).get("import", 0.0),
            rest_seconds=max(0.0, round(run.seconds - told, 3)) + decide,
            arms=rates,
        )
    except (TaisError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a run of another version, or a damaged one, says nothing of what this one will take


def _arm(phases: Mapping[str, float], facts: ArmFacts, stack: str) -> ArmRates:
    work = sum(phases.get(phase, 0.0) for phase in ("check", "generate", "close"))
    return ArmRates(
        load_seconds=phases.get("load", 0.0),
        seconds_per_token=max(work, 1e-9) / facts.tokens,
        tokens_per_answer=facts.tokens / facts.samples,
        devices=devices_of(facts.engine_args, facts.hardware),
        stack=stack,
    )


def devices_of(engine_args: Mapping[str, object], hardware: Hardware | None) -> int:
    """Return the GPUs that an arm holds, or the cores of the machine where it has none."""
    if hardware is not None and not hardware.gpus:
        return hardware.logical_cores or 1
    sizes = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    product = 1
    for key in sizes:
        value = engine_args.get(key, 1)
        product *= value if isinstance(value, int) and value > 0 else 1
    return product
