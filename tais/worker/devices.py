"""Whether this process has touched a GPU: a child that is forked from it could not use one.

CUDA cannot be used in a process that is forked after its driver was initialised (``cuInit``, by the CUDA
documentation and by torch, which refuses with "Cannot re-initialize CUDA in forked subprocess").
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["touched_device"]

# Held open from cuInit on (CUDA), and by a process of ROCm's runtime.
_OPENED = ("/dev/nvidia-uvm", "/dev/kfd")
_DESCRIPTORS = Path("/proc/self/fd")


def touched_device() -> str | None:
    """Return what shows that a GPU's driver is initialised in this process; None where nothing does."""
    torch = sys.modules.get("torch")
    for name in ("cuda", "xpu"):
        part = getattr(torch, name, None)
        if part is not None and hasattr(part, "is_initialized") and part.is_initialized():
            return f"torch.{name} is initialised"
    for descriptor in _DESCRIPTORS.iterdir() if _DESCRIPTORS.is_dir() else ():
        try:
            opened = str(descriptor.readlink())
        except OSError:  # closed by now
            continue
        if opened in _OPENED:
            return f"{opened} is open"
    return None
