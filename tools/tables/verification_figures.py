"""Draw one figure per family of verification algorithms into docs/figures.

::

    python tools/tables/verification_figures.py [--out docs/figures]

Text stays text, so that files are small and can be searched; each carries its own description.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["svg.hashsalt"] = "tais"

Node = tuple[float, float, str, str]
"""Place, token and role."""

# Fill and edge, told apart by the kind of line as well as by colour (Okabe and Ito's palette).
ROLES = {
    "context": ("#ffffff", "#000000", "-"),
    "accepted": ("#c7e9dc", "#009e73", "-"),
    "refused": ("#f7d9c4", "#d55e00", "--"),
    "unseen": ("#f0f0f0", "#8a8a8a", ":"),
    "drawn": ("#cfe3f3", "#0072b2", "-."),
}


@dataclass(frozen=True)
class Picture:
    """A drafted tree with what an algorithm does to it.

    Attributes
    ----------
    about
        What is to be seen, for those who cannot see it.
    nodes, edges
        Nodes by name; edges by the names of both ends.
    notes
        Place and text.
    """

    about: str
    nodes: dict[str, Node]
    edges: tuple[str, ...]
    notes: tuple[tuple[float, float, str], ...] = ()


def _chain() -> Picture:
    tops = {f"x{i}": (i + 0.0, 1.0, f"x{i}", "accepted" if i < 3 else "refused") for i in (1, 2, 3, 4)}
    tops["x4"] = (4.0, 1.0, "x4", "unseen")
    lows = {f"b{i}": (i + 0.0, 0.0, f"x{i}", "accepted" if i < 4 else "refused") for i in (1, 2, 3, 4)}
    ends = {"y": (3.0, 1.55, "y", "drawn"), "z": (4.0, -0.55, "y", "drawn")}
    context = {"c": (0.0, 1.0, "", "context"), "d": (0.0, 0.0, "", "context")}
    return Picture(
        "One path. Token verification tests x1, x2, x3 in turn, stops at the first refusal and draws "
        "y in its place. Block verification weighs the path as a whole: x3 counts although its own "
        "test would fail, because the longest prefix that passes is kept.",
        {**context, **tops, **lows, **ends},
        ("c x1", "x1 x2", "x2 x3", "x3 x4", "x2 y", "d b1", "b1 b2", "b2 b3", "b3 b4", "b3 z"),
        (
            (4.5, 1.0, "token: stops at the first refusal"),
            (4.5, 0.0, "block: keeps the longest prefix that passes"),
        ),
    )


def _tree(roles: str, extra: dict[str, Node] | None = None) -> tuple[dict[str, Node], tuple[str, ...]]:
    """Return the tree a(c, d), b(e) with a role per node in the order a b c d e."""
    names = {"a": "accepted", "r": "refused", "u": "unseen"}
    places = {"a": (1.2, 0.75), "b": (1.2, -0.75), "c": (2.4, 1.2), "d": (2.4, 0.3), "e": (2.4, -0.75)}
    made = {n: (*places[n], n, names[role]) for n, role in zip("abcde", roles, strict=True)}
    return {"o": (0.0, 0.0, "", "context"), **made, **(extra or {})}, ("o a", "o b", "a c", "a d", "b e")


def _root_down() -> Picture:
    nodes, edges = _tree("raruu", {"y": (3.6, -0.75, "y", "drawn")})
    nodes = {**nodes, "c": (2.4, 1.2, "c", "unseen"), "e": (2.4, -0.75, "e", "accepted")}
    return Picture(
        "From the root down. At each node a rule turns the children into one token with the target's "
        "law: here a is refused, b is taken, and the walk goes on at b, where e is taken. What lies "
        "below a refused child is not looked at. Behind the leaf, y is drawn from the target.",
        nodes,
        (*edges, "e y"),
        ((1.2, 1.6, "1: a or b?"), (2.4, -1.35, "2: e?"), (3.6, -1.35, "3: draw")),
    )


def _leaves_up() -> Picture:
    nodes, edges = _tree("arrar", {"y": (3.6, 0.3, "y", "drawn")})
    nodes = {**nodes, "b": (1.2, -0.75, "b", "unseen"), "e": (2.4, -0.75, "e", "unseen")}
    return Picture(
        "From the leaves up. The leaf c is tested first, with the weight of its whole path; refused, "
        "it leaves the rest of its probability to a. Then d is tested and accepted, and with it the "
        "path a, d. The other branch would have been next, then the context. Siblings are tested in "
        "the order in which they were drawn.",
        nodes,
        (*edges, "d y"),
        (
            (2.75, 1.2, "1st"),
            (2.4, -0.15, "2nd"),
            (1.5, 1.2, "3rd"),
            (2.75, -0.95, "4th"),
            (1.2, -1.3, "5th"),
        ),
    )


def _multipath() -> Picture:
    rows = {"1": (1.0, "acd", "unseen"), "2": (0.0, "bef", "accepted"), "3": (-1.0, "ghk", "unseen")}
    nodes: dict[str, Node] = {"o": (0.0, 0.0, "", "context")}
    edges = []
    for name, (y, tokens, role) in rows.items():
        for i, token in enumerate(tokens, start=1):
            last = role == "accepted" and i == 3
            nodes[f"{name}{i}"] = (i * 1.1, y, token, "refused" if last else role)
            edges.append(f"{name}{i - 1} {name}{i}" if i > 1 else f"o {name}1")
    nodes["y"] = (3.3, 0.5, "y", "drawn")
    return Picture(
        "One of several paths. The K paths are ranked by p/q, token by token; the greatest, here the "
        "second, is taken and block-verified against the law that the greatest of K has. The others "
        "are not looked at. Of the second path b, e are kept and y follows.",
        nodes,
        (*edges, "22 y"),
        ((3.7, 1.0, "path 1"), (3.7, 0.0, "path 2: greatest by p/q"), (3.7, -1.0, "path 3")),
    )


def _chosen() -> Picture:
    nodes, edges = _tree("raaau", {"y": (3.6, -0.75, "y", "drawn")})
    nodes = {
        **nodes,
        "c": (2.4, 1.2, "c", "unseen"),
        "d": (2.4, 0.3, "d", "unseen"),
        "e": (2.4, -0.75, "e", "accepted"),
    }
    return Picture(
        "A tree of chosen tokens. Its children are the draft's likeliest tokens, not draws: child a "
        "is accepted with the target's own p(a), then b with p(b) of what is left. A test with min(1, "
        "p/q) would be lossy.",
        nodes,
        (*edges, "e y"),
        ((1.2, 1.6, "p(a)?"), (1.2, -1.35, "p(b) / (1 - p(a))?"), (3.6, -1.35, "draw")),
    )


def _delayed() -> Picture:
    nodes: dict[str, Node] = {
        "o": (0.0, 0.0, "", "context"),
        "1": (1.0, 0.0, "x1", "accepted"),
        "2": (2.0, 0.0, "x2", "accepted"),
    }
    edges = ["o 1", "1 2"]
    for k, y in enumerate((0.9, 0.0, -0.9), start=1):
        for i, token in ((3, "x3"), (4, "x4")):
            nodes[f"{k}{i}"] = (float(i), y, token, "accepted" if k == 2 and i == 3 else "unseen")
            edges.append(f"{k}3 {k}4" if i == 4 else f"2 {k}3")
    return Picture(
        "A delayed tree. The first tokens are one path, the trunk; then K independent paths go on "
        "from its end. Whether and where they part may depend on all that is known before the "
        "children are drawn. The trunk is one draw: counted once per path it would be lossy.",
        nodes,
        tuple(edges),
        ((1.0, -0.6, "trunk: one draw"), (3.5, 1.45, "K draws each")),
    )


PICTURES = {
    "chain": _chain(),
    "root-down": _root_down(),
    "leaves-up": _leaves_up(),
    "multipath": _multipath(),
    "chosen": _chosen(),
    "delayed": _delayed(),
}
"""Figures by file name."""


_SAID = {"accepted": "kept", "refused": "refused", "unseen": "not asked", "drawn": "drawn"}


def _box(role: str, pad: float) -> dict[str, Any]:
    fill, rim, style = ROLES[role]
    return {"boxstyle": f"circle,pad={pad}", "facecolor": fill, "edgecolor": rim, "linestyle": style}


def draw(picture: Picture, path: Path) -> None:
    """Write one figure."""
    figure = Figure(figsize=(6.4, 2.3), layout="constrained")
    axes = figure.subplots()
    for edge in picture.edges:
        (x1, y1, _, _), (x2, y2, _, role) = (picture.nodes[name] for name in edge.split())
        axes.plot([x1, x2], [y1, y2], color=ROLES[role][1], linestyle=ROLES[role][2], linewidth=1, zorder=1)
    for x, y, text, role in picture.nodes.values():
        axes.text(x, y, text or "…", ha="center", va="center", fontsize=9, bbox=_box(role, 0.3), zorder=2)
    for x, y, text in picture.notes:
        axes.text(x, y, text, ha="left" if x > 3.6 else "center", va="center", fontsize=8)
    xs, ys = ([x for x, _, _, _ in picture.nodes.values()], [y for _, y, _, _ in picture.nodes.values()])
    wide = any(x > 3.6 for x, _, _ in picture.notes)
    axes.set(xlim=(min(xs) - 0.4, max(xs) + (3.6 if wide else 0.6)), ylim=(min(ys) - 1.3, max(ys) + 0.8))
    axes.axis("off")
    for i, (role, said) in enumerate(_SAID.items()):
        axes.text(0.02 + 0.13 * i, 0.03, " ", transform=axes.transAxes, fontsize=6, bbox=_box(role, 0.2))
        axes.text(0.045 + 0.13 * i, 0.03, said, transform=axes.transAxes, fontsize=7, va="center")
    figure.savefig(
        path, format="svg", metadata={"Date": None, "Title": path.stem, "Description": picture.about}
    )


def main() -> None:
    """Write all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs" / "figures")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        draw(picture, args.out / f"verification-{name}.svg")


if __name__ == "__main__":
    main()
