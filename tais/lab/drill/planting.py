"""Plant the fault of an arm in the process that runs it, and make sure that it acted."""

from __future__ import annotations

import json
from pathlib import Path

from tais.common.files import canonical_json, write_atomic
from tais.engines import ENGINES
from tais.engines.base import EngineRefusal
from tais.lab.drill.faults import FAULTS, Fault
from tais.manifest.model import Arm

__all__ = ["FAULT_FILE", "WARNING", "Planted", "activations"]

FAULT_FILE = "fault.json"
"""Beside an arm's parts: which fault was planted, and how often it acted."""
WARNING = "THIS IS A DRILL: a fault was planted in this arm on purpose"


class Planted:
    """A fault in this process, once it is planted.

    Parameters
    ----------
    arm
        Its ``fault`` says which.
    arm_dir
        Where its activations are noted.
    """

    def __init__(self, arm: Arm, arm_dir: Path) -> None:
        assert arm.fault is not None
        values = {key: value for key, value in arm.fault.items() if key != "name"}
        self.fault: Fault = FAULTS[arm.fault["name"]](values)
        self.path = arm_dir / FAULT_FILE
        # Of an attempt that was interrupted.
        self.before = activations(arm_dir)
        self._in_engine = ENGINES[arm.engine].faults == "planted"

    def plant(self) -> None:
        """Put the fault into the engine, where the engine does not imitate it.

        Raises
        ------
        EngineRefusal
            When the engine has no such place for it.
        """
        if self._in_engine:
            self.fault.install()

    def describe(self) -> dict[str, object]:
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

    def check_acted(self) -> None:
        """Refuse an arm whose fault never acted: what nobody could see proves nothing.

        Raises
        ------
        EngineRefusal
            When it never did.
        """
        if not activations(self.path.parent):
            raise EngineRefusal(
                f"the fault {self.fault.name!r} was planted and never acted on these items: the drill of "
                "this arm would show nothing (too few items, or a configuration that it cannot act on)"
            )


def activations(arm_dir: Path) -> int:
    """Return how often an arm's fault is noted to have acted."""
    path = arm_dir / FAULT_FILE
    return int(json.loads(path.read_bytes())["activations"]) if path.exists() else 0
