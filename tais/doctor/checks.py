"""What a screen needs of a machine, found out without running one; each finding has its remedy."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tais.common.install import pip_install
from tais.common.machine import describe_environment, package_versions
from tais.engines import ENGINES, EngineSpec
from tais.executors.variables import passed_on

__all__ = ["Check", "check_machine", "healthy"]

# A small model with vLLM on the CPU takes about 3 GB; this leaves room for its cache.
_MEMORY = 4 << 30
_DISK = 2 << 30
_IMPORT_SECONDS = 300
# In a process of its own: an import that crashes must not take the doctor along.
_IMPORT = """
import sys
if sys.argv[1] in ("vllm", "transformers"):
    from tais.common.foreign import hide_broken_packages
    hidden = hide_broken_packages()
    if hidden:
        print("hidden:", ", ".join(hidden))
__import__(sys.argv[1])
"""
# The reference engine needs what transformers needs.
_ENGINES = ("vllm", "transformers", "openai")
_EXTRAS = {"datasets": "hub", "trl": "drafts", "ray": "ray"}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    status: Literal["ok", "note", "missing"]
    """``missing`` stops a screen; a ``note`` does not."""
    said: str
    remedy: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it ready for JSON."""
        return asdict(self)


def healthy(checks: Sequence[Check]) -> bool:
    """Return whether nothing is missing that a screen needs."""
    return all(check.status != "missing" for check in checks)


def check_machine(out: Path) -> list[Check]:
    """Look at versions, engines, memory, threads, disk, GPUs and keys.

    Parameters
    ----------
    out
        Where run directories would go; it is not made.
    """
    environment = describe_environment()
    return [
        _versions(),
        *_engines(),
        *_extras(),
        _memory(),
        _threads(environment),
        _disk(out),
        _gpus(environment["hardware"]["gpus"]),
        _signing_key(),
    ]


def _versions() -> Check:
    told = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    return Check("versions", "ok", told)


def _engines() -> Iterator[Check]:
    """Import each engine that is installed; one that answers is enough."""
    found = [_engine(name, ENGINES[name]) for name in _ENGINES]
    yield from found
    working = [check for check in found if check.status == "ok"]
    if not working:
        yield Check("engine", "missing", "no engine that answers is installed", ENGINES["vllm"].install)


def _engine(name: str, spec: EngineSpec) -> Check:
    package, remedy, label = spec.package or name, spec.install, f"engine {name}"
    if importlib.util.find_spec(package) is None:
        return Check(label, "note", f"{package} is not installed", remedy)
    command = [sys.executable, "-P", "-c", _IMPORT, package]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_IMPORT_SECONDS,
            check=False,
            env=passed_on(os.environ),
        )
    except subprocess.TimeoutExpired:
        return Check(label, "missing", f"{package} does not import within {_IMPORT_SECONDS} s", remedy)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = lines[-1] if lines else f"status {done.returncode}"
        return Check(label, "missing", f"{package} is installed and does not import: {why}", remedy)
    hidden = [line for line in done.stdout.splitlines() if line.startswith("hidden: ")]
    broken = f"; {hidden[0].removeprefix('hidden: ')} cannot be imported and is left out" if hidden else ""
    return Check(label, "ok", f"{package} imports{broken}")


def _extras() -> Iterator[Check]:
    for package, extra in _EXTRAS.items():
        if importlib.util.find_spec(package) is None:
            remedy = pip_install(extra)
            yield Check(f"extra {extra}", "note", f"{package} is not installed", remedy)
        else:
            yield Check(f"extra {extra}", "ok", f"{package} is installed")


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    told = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    if memory.available >= _MEMORY:
        return Check("memory", "ok", told)
    return Check("memory", "note", told, "An engine may be killed: close something, or take a smaller model")


def _threads(environment: Mapping[str, Mapping[str, object]]) -> Check:
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    told = f"{usable} of {cores} cores usable ({environment['hardware']['cpu']})"
    asked = os.environ.get("OMP_NUM_THREADS")
    if asked and asked.isdigit() and int(asked) > usable:
        said = f"{told}; OMP_NUM_THREADS is {asked}"
        return Check("threads", "note", said, f"Set OMP_NUM_THREADS to {usable} at most")
    return Check("threads", "ok", told)


def _disk(out: Path) -> Check:
    place = out
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK):
        remedy = "Choose another folder with --out"
        return Check("disk", "missing", f"{place.resolve()} cannot be written to", remedy)
    free = shutil.disk_usage(place).free
    told = f"{free / 2**30:.1f} GiB free where runs go ({place.resolve()})"
    if free >= _DISK:
        return Check("disk", "ok", told)
    return Check("disk", "note", told, "A long run may fill it: free some space")


def _gpus(gpus: Sequence[dict[str, str]]) -> Check:
    if not gpus:
        return Check("gpu", "note", "none: engines run on the CPU")
    return Check("gpu", "ok", "; ".join(f"{gpu['name']}, {gpu['memory']}" for gpu in gpus))


def _signing_key() -> Check:
    from tais.attest.keys import default_key_path, load_signer
    from tais.errors import TaisError

    if os.environ.get("TAIS_UNSIGNED"):
        return Check("signing key", "note", "TAIS_UNSIGNED is set: runs are not signed")
    named = os.environ.get("TAIS_SIGNING_KEY")
    if not named and not default_key_path().exists():
        return Check("signing key", "note", "none yet: the first run makes one", "Or make one: tais keygen")
    try:
        load_signer(named or default_key_path(), os.environ.get("TAIS_KEY_PASSPHRASE") or None)
    except TaisError as error:
        return Check("signing key", "missing", error.what, error.remedy)
    return Check("signing key", "ok", "TAIS_SIGNING_KEY" if named else str(default_key_path()))
