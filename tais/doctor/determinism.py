"""How often answers differ when nothing but batches, order, threads or dtype changes: no arm speculates.

What a screen sees as noise is measured before it: arms of one model that differ in their schedule alone go
the ordinary road of a run, each pair a calibration contrast, and their stored answers are compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TypedDict, TypeVar

import numpy as np

from tais.analysis.first_difference import first_difference
from tais.doctor.made_run import run_made
from tais.errors import UsageError
from tais.rundir.layout import RunDir
from tais.rundir.samples import read_batches
from tais.runs.observer import Observer
from tais.runs.options import RunOptions
from tais.stats.proportions import as_interval, wilson

__all__ = [
    "BATCH_OPTION",
    "DeterminismOptions",
    "Variant",
    "batch_invariance",
    "compare_answers",
    "measure",
    "read_arm",
    "variants",
]

BATCH_OPTION = {"vllm": "max_num_seqs", "transformers": "batch_size", "fake": None}
"""The option of ``engine_args`` that says how many sequences go together."""
_SCHEMA = "tais/doctor/determinism/v1"
_INVARIANT = "VLLM_BATCH_INVARIANT"
# The least compute capability for which vLLM 0.32 has batch-invariant kernels.
_INVARIANT_FROM = 8.0
_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class DeterminismOptions:
    """What ``tais doctor --determinism`` was asked for."""

    model: str
    engine: str = "vllm"
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    batches: tuple[int, ...] = (32, 7, 1)
    """Sequences at once; the first is the reference's."""
    threads: tuple[int, ...] = ()
    """Numbers of threads, each a run of its own; the first is the reference's. Empty leaves them alone."""
    batteries: tuple[str, ...] = ("demo_refuse", "demo_answer", "demo_choice", "demo_json")
    items: int = 32
    """Of each battery."""
    max_tokens: int = 64
    engine_args: Mapping[str, object] | None = None
    out: Path = Path("reports")


Key = TypeVar("Key")
Answers = dict[tuple[str, str, int], tuple[int, ...]]
"""Token ids, or bytes, by battery, item and repeat."""


class Invariance(TypedDict):
    """Whether batches can be kept from changing the rounding."""

    available: bool
    why: str


class Compared(TypedDict):
    """How many answers of two arms differ, and where they first do."""

    n: int
    differing: int
    share: float | None
    wilson: list[float]
    first_divergences: list[int]
    median_first_divergence: float | None


class Pair(Compared):
    """Two arms and what tells them apart."""

    reference: str
    candidate: str
    dtype: str
    changed: str
    from_reference: bool


class Measured(TypedDict):
    """What ``tais doctor --determinism`` prints, but for the machine."""

    schema: str
    model: str
    engine: str
    items: int
    batteries: list[str]
    max_tokens: int
    batch_invariant: Invariance
    runs: list[str]
    pairs: list[Pair]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to ask the same model the same things."""

    dtype: str
    change: str
    """What tells it from the reference; empty for the reference itself."""
    batch: int
    order: str = "battery"
    threads: int | None = None
    invariant: bool = False

    @property
    def name(self) -> str:
        """Return a name for an arm."""
        return f"{self.dtype}_{self.change or 'reference'}"


def variants(options: DeterminismOptions, *, invariant: bool = False) -> list[Variant]:
    """Return every way to ask, the reference of each dtype first.

    Parameters
    ----------
    options
        What was asked for.
    invariant
        Whether the hardware has batch-invariant kernels: the reference and the other batches with them.
    """
    found: list[Variant] = []
    for dtype in options.dtypes:
        first = Variant(dtype, "", options.batches[0], threads=next(iter(options.threads), None))
        found += [first, replace(first, change="again"), replace(first, change="shuffled", order="shuffled")]
        if BATCH_OPTION[options.engine] is not None:
            found += [replace(first, change=f"batch_{n}", batch=n) for n in options.batches[1:]]
        found += [replace(first, change=f"threads_{n}", threads=n) for n in options.threads[1:]]
        if invariant:
            steady = replace(first, change="invariant", invariant=True)
            found.append(steady)
            found += [replace(steady, change=f"invariant_batch_{n}", batch=n) for n in options.batches[1:]]
    return found


def measure(
    options: DeterminismOptions, observer: Observer | None, gpus: Sequence[Mapping[str, str]]
) -> Measured:
    """Run all variants and compare them.

    Parameters
    ----------
    options
        What to run.
    observer
        Watches the runs.
    gpus
        Of :func:`tais.common.machine.describe_environment`.

    Returns
    -------
    dict
        Ready for JSON: per pair n, differing answers, their share with a 95 % Wilson interval, and where they
        first differ, in tokens (in bytes where an engine shows none).

    Raises
    ------
    UsageError
        For an engine or a battery that cannot be compared.
    EngineError
        Where an arm fails; what was stored stays.
    """
    if options.engine not in BATCH_OPTION:
        known = ", ".join(name for name in BATCH_OPTION if name != "fake")
        raise UsageError(f"the doctor does not run engine {options.engine!r}", remedy=f"Known: {known}")
    invariance = batch_invariance(options.engine, gpus)
    listed = variants(options, invariant=invariance["available"])
    answers: dict[str, Answers] = {}
    run_dirs = []
    for settings in dict.fromkeys((v.threads, v.invariant) for v in listed):
        group = [variant for variant in listed if (variant.threads, variant.invariant) == settings]
        with _environment(*settings):
            run_dir = _run(options, group, observer)
        run_dirs.append(str(run_dir))
        answers |= {v.name: read_arm(RunDir(run_dir).arm(v.name)) for v in group}
    return {
        "schema": _SCHEMA,
        "model": options.model,
        "engine": options.engine,
        "items": options.items,
        "batteries": list(options.batteries),
        "max_tokens": options.max_tokens,
        "batch_invariant": invariance,
        "runs": run_dirs,
        "pairs": list(_pairs(listed, answers)),
    }


def batch_invariance(engine: str, gpus: Sequence[Mapping[str, str]]) -> Invariance:
    """Say whether batches can be kept from changing the rounding here, and why not."""
    if engine != "vllm":
        return {"available": False, "why": f"engine {engine} has no such mode"}
    fitting = [gpu for gpu in gpus if _capability(gpu) >= _INVARIANT_FROM]
    if not fitting:
        what = f"vLLM 0.32 has it on NVIDIA GPUs of compute capability {_INVARIANT_FROM:g} and later"
        return {"available": False, "why": f"{what} (and some of AMD and Intel); none is here"}
    return {"available": True, "why": f"{_INVARIANT}=1 on {fitting[0]['name']}"}


def _capability(gpu: Mapping[str, str]) -> float:
    try:
        return float(gpu.get("compute_capability", ""))
    except ValueError:
        return 0.0


@contextmanager
def _environment(threads: int | None, invariant: bool) -> Iterator[None]:
    """Set what workers take from the environment, for as long as they run."""
    wanted = ({_THREADS: str(threads)} if threads else {}) | ({_INVARIANT: "1"} if invariant else {})
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _run(options: DeterminismOptions, group: list[Variant], observer: Observer | None) -> Path:
    """Run arms by the ordinary road; the reference of each dtype is contrasted with the others."""
    arms = {variant.name: _arm(options, variant) for variant in group}
    contrasts = [
        {"reference": first.name, "candidate": other.name, "role": "calibration"}
        for first in group
        for other in group
        if first.dtype == other.dtype and first is not other and first is _first(group, first.dtype)
    ]
    manifest = {
        "name": "doctor",
        "record": True,
        "arms": arms,
        "contrasts": contrasts,
        "batteries": [_battery(name, options.items) for name in options.batteries],
        "sampling": {"temperature": 0, "max_tokens": options.max_tokens},
    }
    return run_made(manifest, RunOptions(out=options.out), observer).run_dir


def _first(group: list[Variant], dtype: str) -> Variant:
    return next(variant for variant in group if variant.dtype == dtype)


def _battery(name: str, items: int) -> dict[str, object]:
    path = Path(name)
    if path.is_file():
        return {"name": path.stem, "path": str(path.resolve()), "limit": items}
    return {"name": name, "limit": items}


def _arm(options: DeterminismOptions, variant: Variant) -> dict[str, object]:
    model = Path(options.model)
    settings = dict(options.engine_args or {})
    batch = BATCH_OPTION[options.engine]
    if batch is not None:
        settings[batch] = variant.batch
    return {
        "engine": options.engine,
        "model": str(model.resolve()) if model.is_dir() else options.model,
        "dtype": variant.dtype,
        "order": variant.order,
        "engine_args": settings,
    }


def read_arm(arm_dir: Path) -> Answers:
    """Return the answers of an arm by item: token ids where the engine shows them, else bytes."""
    columns = ("battery", "item_id", "repeat", "token_ids", "text")
    found: Answers = {}
    for batch in read_batches(arm_dir, columns):
        for row in batch.to_pylist():
            ids = row["token_ids"]
            answer = tuple(ids) if ids is not None else tuple(row["text"].encode())
            found[row["battery"], row["item_id"], row["repeat"]] = answer
    return found


def compare_answers(
    reference: Mapping[Key, Sequence[int]], candidate: Mapping[Key, Sequence[int]]
) -> Compared:
    """Count the answers of two arms that differ, and where they first do.

    Parameters
    ----------
    reference, candidate
        Answers by item, as :func:`read_arm` gives them; the same items.

    Returns
    -------
    dict
        n, differing, share, wilson (95 %), and first_divergences: 0-based positions, ascending.
    """
    shared = reference.keys() & candidate.keys()
    places = [first_difference(reference[key], candidate[key]) for key in shared]
    found = sorted(place for place in places if place is not None)
    n = len(shared)
    low, high = as_interval(wilson(len(found), n)) if n else (0.0, 1.0)
    return {
        "n": n,
        "differing": len(found),
        "share": len(found) / n if n else None,
        "wilson": [float(low), float(high)],
        "first_divergences": found,
        "median_first_divergence": float(np.median(found)) if found else None,
    }


def _pairs(listed: list[Variant], answers: Mapping[str, Answers]) -> Iterator[Pair]:
    """Yield every pair within a dtype, then the references of two dtypes."""
    for one, other in combinations(listed, 2):
        bare = not one.change and not other.change
        if one.dtype == other.dtype or bare:
            yield {
                "reference": one.name,
                "candidate": other.name,
                "dtype": one.dtype,
                "changed": f"dtype {other.dtype}" if bare else other.change,
                "from_reference": not one.change,
                **compare_answers(answers[one.name], answers[other.name]),
            }
