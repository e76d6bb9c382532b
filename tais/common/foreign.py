"""Optional packages that are installed and do not load."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

__all__ = ["hide_broken_packages"]

_OPTIONAL = ("torchvision", "torchaudio", "torchcodec")


def hide_broken_packages() -> list[str]:
    """Hide optional packages that are installed and cannot be imported; return their names.

    A torchvision built for another torch breaks `import transformers`, and with it vLLM, although a
    text-only screen needs none of it. Hidden in this process and, through PYTHONPATH, in those that vLLM
    starts (its model registry inspects classes in a fresh interpreter).
    """
    # First, so that a failure below is the optional package's own; by name, because this room is for all.
    importlib.import_module("torch")
    hidden = []
    for name in _OPTIONAL:
        try:
            importlib.import_module(name)
        except Exception:  # any failure of a foreign package's import means the same: do without it
            for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
                del sys.modules[module]
            sys.modules[name] = None  # type: ignore[assignment]
            hidden.append(name)
    if hidden:
        os.environ["TAIS_HIDDEN_PACKAGES"] = ",".join(hidden)
        paths = [
            str(Path(__file__).parent / "mask"),
            *filter(None, [os.environ.get("PYTHONPATH")]),
        ]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    return hidden
