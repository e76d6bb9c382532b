"""TAIS: screens whether a change to an LLM serving stack changed its safety-scored behaviour.

The public Python API: ``import tais`` costs nothing, and a name is imported from its room when it is first
used. See ``docs/notebook.md`` for a session.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tais.common.version import __version__ as __version__

if TYPE_CHECKING:
    from tais.api import (
        analyse_run,
        check_gate,
        compare_runs,
        decide,
        load_manifest,
        make_plan,
        run_screen,
        verify_run,
    )
    from tais.errors import (
        EngineError,
        Interrupted,
        ManifestError,
        MissingData,
        StoreError,
        TaisError,
        UsageError,
        VerificationError,
    )
    from tais.frames import list_runs, open_run
    from tais.manifest.model import Manifest
    from tais.rundir.lock_model import Lock
    from tais.verdict.report import Report, Verdict

__all__ = [
    "EngineError",
    "Interrupted",
    "Lock",
    "Manifest",
    "ManifestError",
    "MissingData",
    "Report",
    "StoreError",
    "TaisError",
    "UsageError",
    "Verdict",
    "VerificationError",
    "analyse_run",
    "check_gate",
    "compare_runs",
    "decide",
    "list_runs",
    "load_manifest",
    "make_plan",
    "open_run",
    "run_screen",
    "verify_run",
]

_ROOMS = {"Lock": "rundir.lock_model", "Manifest": "manifest.model"}
_ROOMS |= dict.fromkeys(("Report", "Verdict"), "verdict.report")
_ROOMS |= dict.fromkeys(("list_runs", "open_run"), "frames")
_ROOMS |= {name: "errors" for name in __all__ if name.endswith("Error")}
_ROOMS |= dict.fromkeys(("Interrupted", "MissingData"), "errors")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


# Not for type checkers, to which every name, even a wrong one, would then be known.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"{__name__}.{_ROOMS.get(name, 'api')}"), name)
        # Found at once from now on.
        globals()[name] = value
        return value
