"""The address of an arm: the digest of everything that decides what it answers.

Two arms with one address are the same stack asked the same questions in the same order on the same kind
of machine. What cannot be known before an engine starts has no address, and the arm is then not cached.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import JsonValue

from tais.common.files import json_digest, sha256_file
from tais.common.machine import describe_environment
from tais.manifest.model import Sampling
from tais.rundir.lock_model import LockedArm, LockedModel, plain

__all__ = ["SCHEMA", "address_of", "day_key", "items_digest", "machine_facts", "why_not"]

SCHEMA = "tais/cache/v1"

_PACKAGE = Path(__file__).resolve().parent.parent
# What renders prompts, speaks to engines and writes answers down. Any change makes other addresses: a
# version number would have to be remembered.
_ANSWERING = (
    "common/foreign.py",
    "common/template.py",
    "engines",
    "lab/decoding",
    "lab/reference",
    "lab/verification",
    "manifest/sampling.py",
    "records.py",
    "rundir/items.py",
    "rundir/samples.py",
    "worker",
)
# What an item is asked; what is expected of the answer is for the scorer.
_ASKED = ("battery", "item_id", "messages", "chat")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def why_not(arm: LockedArm, *, looks: bool) -> str | None:
    """Say why an arm cannot be cached; None where it can.

    Parameters
    ----------
    arm
        As the lock fixes it.
    looks
        Whether it may be stopped early.
    """
    engine = arm.engine
    if looks:
        return "it may stop early, so how much it answers depends on the arms beside it"
    if engine == "import":
        return "its answers exist already"
    if arm.attached:
        return "it is a server that runs elsewhere, whose state is not known"
    if arm.fault:
        return "a fault is planted in it"
    for what, model, revision in _models(arm):
        if isinstance(model, str) and engine != "fake" and not _COMMIT.fullmatch(str(revision)):
            return f"its {what} {model!r} is named without a commit, so its weights are not known"
    return next((f"{key} names {value!r}, which the lock does not fix" for key, value in _loose(arm)), None)


def _models(arm: LockedArm) -> Iterator[tuple[str, LockedModel, str | None]]:
    yield "model", arm.model, arm.revision
    yield "tokenizer", arm.tokenizer, arm.revision
    yield "draft", arm.draft, arm.draft_revision


def _loose(arm: LockedArm) -> Iterator[tuple[str, str]]:
    """Yield settings that lead to code or files of which the lock holds no digest."""
    config = {key: v for key, v in (arm.speculative_config or {}).items() if key != "model"}
    for key, value in _strings({"engine_args": arm.engine_args, "speculative_config": config}):
        dotted = re.fullmatch(r"[A-Za-z_][\w.]*[:.][A-Za-z_]\w*", value) is not None
        if (dotted and not value.startswith("torch.")) or os.sep in value:
            yield key, value


def _strings(value: JsonValue, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)
    elif isinstance(value, str):
        yield key, value


def machine_facts(variables: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return what of this machine decides an answer: kind of processor and accelerator, threads, libraries.

    Parameters
    ----------
    variables
        Environment of the process in which arms run.

    Notes
    -----
    Memory and kernel are left out: they decide how much runs at once and how fast, and differ between
    machines of one kind. Two machines of one kind give the same address although no promise is made that
    they round alike; the report says on which one an arm ran.
    """
    found = describe_environment(variables)
    hardware = {key: found["hardware"][key] for key in ("machine", "cpu", "logical_cores", "gpus")}
    return {
        "hardware": {**hardware, "usable_cores": _usable_cores(), "instructions": _instructions()},
        "libc": found["system"]["libc"],
        "libraries": found["libraries"],
        "variables": found["variables"],
    }


def accelerator(machine: Mapping[str, JsonValue]) -> str:
    """Return what answers on a machine, of :func:`machine_facts`: its GPUs, or its processor."""
    hardware = machine["hardware"]
    assert isinstance(hardware, dict)
    listed = hardware["gpus"]
    gpus = [str(gpu["name"]) for gpu in listed if isinstance(gpu, dict)] if isinstance(listed, list) else []
    return ", ".join(gpus) or str(hardware["cpu"])


def _usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _instructions() -> str:
    """Return a digest of the instruction sets: a virtual machine may hide some from one host to the next."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return hashlib.sha256(" ".join(sorted(match.group(1).split())).encode()).hexdigest() if match else ""


def items_digest(path: Path) -> str:
    """Return the sha256 (hex) of what items.parquet asks, in its order."""
    digest = hashlib.sha256()
    with pq.ParquetFile(path) as file:
        # A file has the column only where an item has settings of its own.
        asked = [*_ASKED, *(name for name in ("sampling",) if name in file.schema_arrow.names)]
        for batch in file.iter_batches(columns=asked):
            for row in zip(*(batch.column(name).to_pylist() for name in asked), strict=True):
                text = "\x1f".join(map(str, row)) + "\x1e"
                digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@cache
def _answering() -> str:
    files = [_PACKAGE / name for name in _ANSWERING]
    found = [p for f in files for p in (sorted(f.rglob("*.py")) if f.is_dir() else [f])]
    return json_digest({p.relative_to(_PACKAGE).as_posix(): sha256_file(p) for p in found})


def address_of(
    name: str, arm: LockedArm, sampling: Sampling, items: str, machine: Mapping[str, JsonValue]
) -> str:
    """Return the address of an arm.

    Parameters
    ----------
    name, arm
        As in the lock, weights by digest; of a further start the name of the first.
    sampling
        Of the lock.
    items
        Of :func:`items_digest`.
    machine
        Of :func:`machine_facts`.
    """
    return json_digest(
        {
            "schema": SCHEMA,
            "arm": _nameless(plain(arm)),
            # A shuffled order is drawn from the arm's name.
            "name": name if arm.order == "shuffled" else None,
            "sampling": plain(sampling),
            "items": items,
            "machine": dict(machine),
            "answering": _answering(),
        }
    )


def day_key(arm: LockedArm) -> str:
    """Return the digest under which a cache keeps the day of an arm's template: of all else that is fixed."""
    said = {key: value for key, value in plain(arm).items() if key != "chat_template_date"}
    return json_digest({"schema": SCHEMA, "day of": _nameless(said)})


def _nameless(value: JsonValue) -> JsonValue:
    """Return a locked arm without the names of its folders and files, whose digests it holds."""
    if not isinstance(value, dict):
        return value
    fixed = "files" in value or "sha256" in value
    return {k: _nameless(v) for k, v in value.items() if not (fixed and k in ("folder", "file"))}
