"""The drill: what a screen sees of planted faults, computed from an ordinary run directory."""

from __future__ import annotations

from tais.lab.drill.table import DrillTable, read_drill

__all__ = ["DrillTable", "read_drill"]
