"""What can be chosen at a root: an algorithm, and a delayed tree for it to judge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from tais.errors import UsageError
from tais.lab.verification.registry import Claim, find_verifier
from tais.lab.verification.shapes import Shape

__all__ = ["METHODS", "Action", "Grid", "GridJson"]

METHODS = ("block", "specinfer", "kseq", "traversal", "gbv")
"""Offered unless others are asked for."""
# A selector learns one number per action; beyond this its table of latencies takes very long.
_MOST_PATHS, _MOST_DEPTH = 16, 32


class GridJson(TypedDict):
    """A grid as JSON holds it."""

    methods: list[str]
    paths: list[int]
    trunk: int
    length: int


@dataclass(frozen=True, slots=True)
class Action:
    """One choice.

    Attributes
    ----------
    method
        A name of :data:`tais.lab.verification.VERIFIERS`.
    shape
        A chain, of length 0 for no draft at all, or a delayed tree.
    """

    method: str
    shape: Shape

    def __str__(self) -> str:
        """Return method and shape."""
        return f"{self.method} {self.shape}"


@dataclass(frozen=True)
class Grid:
    """All choices: each method with each shape that it can make use of.

    Attributes
    ----------
    methods
        Lossless ones.
    paths
        Numbers K of paths of a delayed tree, each at least 2.
    trunk, length
        Most tokens L1 before the paths part, and L2 behind; a chain has up to the sum of both.

    Raises
    ------
    UsageError
        When a method is not known or not lossless on these shapes, or a number is out of range.
    """

    methods: tuple[str, ...] = METHODS
    paths: tuple[int, ...] = (2, 4)
    trunk: int = 3
    length: int = 4

    def __post_init__(self) -> None:
        if not self.methods or not all(_is_offered(name) for name in self.methods):
            raise UsageError(
                f"no choice can be made of the methods {', '.join(self.methods)}",
                remedy="Name algorithms that are lossless on delayed trees; see docs/verification.md",
            )
        if any(not 2 <= k <= _MOST_PATHS for k in self.paths) or len(set(self.paths)) < len(self.paths):
            raise UsageError(
                f"paths {list(self.paths)} are no numbers from 2 to {_MOST_PATHS}, each once",
                remedy="One path is always among the choices",
            )
        if self.trunk < 0 or self.length < 1 or self.trunk + self.length > _MOST_DEPTH:
            raise UsageError(
                f"a trunk of {self.trunk} and a length of {self.length} cannot be drafted",
                remedy=f"Take 0 or more before the paths part, 1 or more behind, {_MOST_DEPTH} at most",
            )

    @property
    def depth(self) -> int:
        """Most tokens on a path."""
        return self.trunk + self.length

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Every shape, the chains first."""
        chains = [Shape("chain", length=length) for length in range(self.depth + 1)]
        trees = [
            Shape("delayed" if trunk else "paths", trunk, paths, length)
            for paths in self.paths
            for trunk in range(self.trunk + 1)
            for length in range(1, self.length + 1)
        ]
        return (*chains, *trees)

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """Every choice; an algorithm that reads one path gets chains only."""
        return tuple(
            Action(method, shape)
            for method in self.methods
            for shape in self.shapes
            if shape.kind == "chain" or not find_verifier(method).single
        )

    def only(self, method: str) -> list[int]:
        """Return the places of the choices that one method has."""
        return [i for i, action in enumerate(self.actions) if action.method == method]

    def to_json(self) -> GridJson:
        """Return the grid as JSON-ready data."""
        return {
            "methods": list(self.methods),
            "paths": list(self.paths),
            "trunk": self.trunk,
            "length": self.length,
        }

    @classmethod
    def from_json(cls, plain: GridJson) -> Grid:
        """Return what :meth:`to_json` wrote."""
        return cls(
            tuple(map(str, plain["methods"])),
            tuple(map(int, plain["paths"])),
            plain["trunk"],
            plain["length"],
        )


def _is_offered(name: str) -> bool:
    member = find_verifier(name)
    return member.claim is Claim.lossless and "delayed" in member.kinds and name != "khisti_lp"
