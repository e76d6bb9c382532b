"""Sketch-and-extrude programs, scored by the solid that they make.

A program is a JSON object. Each feature extrudes the union of its shapes between two heights and is then
added to, or cut from, what stands already::

    {"part": [
      {"sketch": [{"rect": {"x": 0, "y": 0, "width": 40, "height": 20}}], "extrude": {"from": 0, "to": 5}},
      {"sketch": [{"circle": {"x": 10, "y": 0, "radius": 4}}], "extrude": {"from": 0, "to": 5}, "mode": "cut"}
    ]}

``rect`` is given by its centre; ``polygon`` by ``{"points": [[x, y], ...]}`` (even-odd rule).

The solid becomes the points of a lattice that lie inside it; two solids are compared by the Chamfer
distance of their points, divided by the diagonal of the expected solid's box. A mean hides a missing
hole, so no point may lie farther than one cell from the other solid either (Hausdorff distance).
Differences below the lattice spacing, an 80th of the diagonal, are not seen.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.json_answer import MalformedJson, parse_json

__all__ = ["BadProgram", "CadScorer", "Solid", "parse_program", "point_distances", "solid_points"]

Points = NDArray[np.float64]

_CELLS = 80
"""Lattice cells along the diagonal of the expected solid's box."""
_NEIGHBOUR = 1.1
"""Farthest that a point may lie from the other solid, in cells: the next lattice point, no diagonal one."""
_MAX_FEATURES = 64
_SHAPES: Mapping[str, frozenset[str]] = {
    "rect": frozenset({"x", "y", "width", "height"}),
    "circle": frozenset({"x", "y", "radius"}),
    "polygon": frozenset({"points"}),
}


class BadProgram(ValueError):
    """A program that does not parse; the message is the label of its score."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One closed outline: a name and its numbers; a polygon's numbers are x and y in turn."""

    name: str
    numbers: tuple[float, ...]

    def box(self) -> tuple[float, float, float, float]:
        """Return lowest and highest x, then lowest and highest y."""
        n = self.numbers
        if self.name == "rect":
            return n[0] - n[2] / 2, n[0] + n[2] / 2, n[1] - n[3] / 2, n[1] + n[3] / 2
        if self.name == "circle":
            return n[0] - n[2], n[0] + n[2], n[1] - n[2], n[1] + n[2]
        return min(n[::2]), max(n[::2]), min(n[1::2]), max(n[1::2])

    def inside(self, x: Points, y: Points) -> NDArray[np.bool_]:
        """Return which points lie inside."""
        n = self.numbers
        if self.name == "rect":
            return _true((np.abs(x - n[0]) <= n[2] / 2) & (np.abs(y - n[1]) <= n[3] / 2))
        if self.name == "circle":
            return _true((x - n[0]) ** 2 + (y - n[1]) ** 2 <= n[2] ** 2)
        return _inside_polygon(x, y, np.reshape(n, (-1, 2)))


def _true(mask: Any) -> NDArray[np.bool_]:
    return np.asarray(mask, dtype=np.bool_)


def _inside_polygon(x: Points, y: Points, corners: Points) -> NDArray[np.bool_]:
    inside = np.zeros(x.shape, dtype=np.bool_)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay != by:
            crosses = (ay > y) != (by > y)
            inside ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside


@dataclass(frozen=True, slots=True)
class Feature:
    """One extrusion."""

    shapes: tuple[Shape, ...]
    low: float
    high: float
    cut: bool


Solid = tuple[Feature, ...]


def parse_program(value: object) -> Solid:
    """Return the features of a parsed program.

    Raises
    ------
    BadProgram
        Unknown or missing command, argument of the wrong type, or a size that is not above zero.
    """
    part = value.get("part") if isinstance(value, dict) and set(value) == {"part"} else None
    if not isinstance(part, list) or not 0 < len(part) <= _MAX_FEATURES:
        raise BadProgram("not_a_part")
    return tuple(_feature(one) for one in part)


def _feature(value: object) -> Feature:
    if not isinstance(value, dict) or not {"sketch", "extrude"} <= set(value) <= {
        "sketch",
        "extrude",
        "mode",
    }:
        raise BadProgram("bad_feature")
    sketch, extrude, mode = value["sketch"], value["extrude"], value.get("mode", "add")
    if not isinstance(extrude, dict) or set(extrude) != {"from", "to"} or mode not in ("add", "cut"):
        raise BadProgram("bad_extrude")
    low, high = _number(extrude["from"]), _number(extrude["to"])
    if low >= high:
        raise BadProgram("bad_extrude")
    if not isinstance(sketch, list) or not 0 < len(sketch) <= _MAX_FEATURES:
        raise BadProgram("bad_sketch")
    return Feature(tuple(_shape(one) for one in sketch), low, high, mode == "cut")


def _shape(value: object) -> Shape:
    if not isinstance(value, dict) or len(value) != 1:
        raise BadProgram("bad_shape")
    ((name, arguments),) = value.items()
    if name not in _SHAPES or not isinstance(arguments, dict) or set(arguments) != _SHAPES[name]:
        raise BadProgram("bad_shape")
    if name == "polygon":
        points = arguments["points"]
        if not isinstance(points, list) or not 3 <= len(points) <= _MAX_FEATURES:
            raise BadProgram("bad_shape")
        if not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise BadProgram("bad_shape")
        return Shape(name, tuple(_number(number) for point in points for number in point))
    order = ("x", "y", "width", "height", "radius")
    numbers = tuple(_number(arguments[key]) for key in order if key in arguments)
    if any(number <= 0 for number in numbers[2:]):
        raise BadProgram("bad_size")
    return Shape(name, numbers)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e6:
        raise BadProgram("bad_number")
    return float(value)


def solid_box(solid: Solid) -> tuple[Points, Points]:
    """Return lowest and highest corner of the box around everything a program adds."""
    corners = []
    for feature in solid:
        if not feature.cut:
            for shape in feature.shapes:
                x0, x1, y0, y1 = shape.box()
                corners += [(x0, y0, feature.low), (x1, y1, feature.high)]
    if not corners:
        raise BadProgram("empty_solid")
    array = np.array(corners, dtype=np.float64)
    return array.min(axis=0), array.max(axis=0)


def solid_points(solid: Solid, spacing: float, origin: Points, shape: tuple[int, int, int]) -> Points:
    """Return the lattice points inside a solid.

    Parameters
    ----------
    solid
        Features in order.
    spacing
        Distance between lattice points.
    origin
        Lowest point of the lattice, shape (3,).
    shape
        Points along x, y and z.

    Returns
    -------
    Points
        Shape (n, 3); n is 0 where everything is cut away.
    """
    x, y, z = (origin[axis] + spacing * np.arange(shape[axis]) for axis in range(3))
    grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
    filled = np.zeros(shape, dtype=np.bool_)
    for feature in solid:
        flat = np.zeros(grid_x.shape, dtype=np.bool_)
        for one in feature.shapes:
            flat |= one.inside(grid_x, grid_y)
        block = flat[:, :, None] & ((z >= feature.low) & (z <= feature.high))
        filled = filled & ~block if feature.cut else filled | block
    return np.argwhere(filled) * spacing + origin


def point_distances(a: Points, b: Points) -> tuple[float, float]:
    """Return the Chamfer and the Hausdorff distance of two point sets.

    Chamfer: mean distance to the nearest point of the other set, both ways, summed. Hausdorff: the largest
    of these distances.
    """
    from scipy.spatial import cKDTree

    there, back = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
    return float(there.mean() + back.mean()), float(max(there.max(), back.max()))


def _same_solid(wanted: Solid, given: Solid, tolerance: float) -> bool:
    low, high = solid_box(wanted)
    other_low, other_high = solid_box(given)
    size = high - low
    # A solid far outside, or many times larger, is wrong whatever the distance; no lattice is built for it.
    # Some room is left for programs that add more than they keep.
    if np.any(other_low < low - size / 4) or np.any(other_high > high + size / 4):
        return False
    diagonal = float(np.linalg.norm(size))
    spacing = diagonal / _CELLS
    # Half a cell off the faces, so that rounding cannot decide whether a face's points are inside.
    start = np.minimum(low, other_low) + spacing / 2
    counts = np.ceil((np.maximum(high, other_high) - start) / spacing).astype(int) + 1
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    a, b = (solid_points(solid, spacing, start, shape) for solid in (wanted, given))
    if len(a) == 0 or len(b) == 0:
        return len(a) == len(b)
    chamfer, hausdorff = point_distances(a, b)
    return chamfer <= tolerance * diagonal and hausdorff <= _NEIGHBOUR * spacing


@functools.lru_cache(maxsize=256)
def _expected(program: str) -> Solid:
    return parse_program(json.loads(program))


@dataclass(frozen=True, slots=True)
class CadScorer:
    """1 when the answer's program matches the expected one.

    Parameters
    ----------
    match
        ``geometry``: the solids agree; ``structure``: the same features and shapes in the same order, with
        any numbers; ``parse``: the program is well-formed.
    tolerance
        Largest Chamfer distance, as a share of the expected solid's diagonal.
    """

    match: Literal["geometry", "structure", "parse"] = "geometry"
    tolerance: float = 0.01

    name: ClassVar[str] = "cad"
    version: ClassVar[str] = "1"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def __post_init__(self) -> None:
        if self.match not in ("geometry", "structure", "parse"):
            raise ValueError(f"match must be geometry, structure or parse, not {self.match!r}")
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance must be in [0, 1), not {self.tolerance!r}")

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` is a program that makes a solid."""
        try:
            solid_box(parse_program(expect))
        except BadProgram as error:
            raise ValueError(f"expect must be a sketch-and-extrude program: {error}") from error

    def score(self, text: str, expect: object, finish_reason: str | None = None) -> Score:
        """Score one answer; the label says what is wrong with it."""
        if not text or text.isspace():
            return EMPTY
        try:
            given = parse_program(parse_json(text))
            wanted = _expected(json.dumps(expect, sort_keys=True))
            if self.match == "parse":
                return Score(1.0, False, "match")
            if self.match == "structure":
                matches = _outline(given) == _outline(wanted)
                return Score(float(matches), False, "match" if matches else "other_structure")
            matches = given == wanted or _same_solid(wanted, given, self.tolerance)
            return Score(float(matches), False, "match" if matches else "other_solid")
        except MalformedJson as error:
            cut = finish_reason == "length" and error.label == "unparseable"
            return Score(0.0, cut, "truncated" if cut else error.label)
        except BadProgram as error:
            return Score(0.0, False, str(error))


def _outline(solid: Solid) -> tuple[tuple[bool, tuple[str, ...]], ...]:
    return tuple((feature.cut, tuple(shape.name for shape in feature.shapes)) for feature in solid)
