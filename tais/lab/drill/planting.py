"""Plant the fault of an arm in the process that runs it, and make sure that it acted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tais.common.files import canonical_json, write_atomic
from tais.engines.base import EngineRefusal
from tais.lab.drill.faults import FAULTS, Fault
from tais.manifest.model import Arm

__all__ = ["FAULT_FILE", "WARNING", "Planted", "planted"]

FAULT_FILE = "fault.json"
"""Beside an arm's parts: which fault was planted, and how often it acted."""
WARNING = "THIS IS A DRILL: a fault was planted in this arm on purpose"

# A worker process runs one arm.
_HERE: list[Planted] = []


class Planted:
    """A fault in this process.

    Parameters
    ----------
    arm
        Its ``fault`` says which.
    arm_dir
        Where its activations are noted.

    Raises
    ------
    EngineRefusal
        When the engine has no such place for it.
    """

    def __init__(self, arm: Arm, arm_dir: Path) -> None:
        assert arm.fault is not None
        values = {key: value for key, value in arm.fault.items() if key != "name"}
        self.fault: Fault = FAULTS[arm.fault["name"]](values)
        self.path = arm_dir / FAULT_FILE
        # Of an attempt that was interrupted.
        self.before = activations(arm_dir)
        if arm.engine == "vllm":
            self.fault.install()
        _HERE[:] = [self]

    def describe(self) -> dict[str, Any]:
        """Return what engine.json says of it."""
        return {
            "warning": WARNING,
            "fault": self.fault.name,
            "values": self.fault.values,
            "hook": self.fault.hook,
            "severity": self.fault.severity,
        }

    def note(self) -> None:
        """Write down how often it has acted."""
        known = {**self.describe(), "activations": self.before + self.fault.activations}
        write_atomic(self.path, canonical_json(known) + b"\n")


def activations(arm_dir: Path) -> int:
    """Return how often an arm's fault is noted to have acted."""
    path = arm_dir / FAULT_FILE
    return int(json.loads(path.read_bytes())["activations"]) if path.exists() else 0


def check_acted(arm: Arm, arm_dir: Path) -> None:
    """Refuse an arm whose fault never acted: nothing could be seen of it, and that would prove nothing.

    Raises
    ------
    EngineRefusal
        When it never did.
    """
    if arm.fault is not None and not activations(arm_dir):
        raise EngineRefusal(
            f"the fault {arm.fault['name']!r} was planted and never acted on these items: the drill of this "
            "arm would show nothing (too few items, or a configuration that it cannot act on)"
        )


def planted() -> Fault | None:
    """Return the fault in this process; None where there is none."""
    return _HERE[0].fault if _HERE else None
