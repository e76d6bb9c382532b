"""What a sweep came to: its axes, and which contrast stands for which combination of their values."""

from __future__ import annotations

from typing import Literal

from tais.common.models import Strict

__all__ = ["Swept", "SweptAxis", "SweptCell"]


class SweptAxis(Strict):
    """One setting that a sweep varies."""

    key: str
    """Dotted key of an arm; ``candidate`` where the arms themselves are varied."""
    name: str
    """Short name, as in the names of the arms."""
    values: tuple[str, ...]
    """Labels, in the order in which they were written."""


class SweptCell(Strict):
    """One combination and the contrast that shows it."""

    candidate: str
    reference: str
    values: tuple[str, ...]
    """One label per axis."""


class Swept(Strict):
    """An expanded sweep: what the lock keeps and the report draws."""

    axes: tuple[SweptAxis, ...]
    cells: tuple[SweptCell, ...]
    combinations: int
    """So many there are in all."""
    cover: Literal["pairwise", "full"]
