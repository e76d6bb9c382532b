"""Draw the road that data travels through the rooms of ``tais/``: docs/architecture.svg.

``python tools/docs/road_figure.py``. Standard library only; the same file every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "docs" / "architecture.svg"

ROAD = (
    (
        "asked: fixed before the first token",
        ("manifest", "what the user writes"),
        ("battery", "a file becomes items"),
        ("plan", "items, rules, digests"),
        ("[manifest.lock.json]", "all that is fixed"),
    ),
    (
        "answered: asked and stored, nothing else",
        ("executors", "where arms run"),
        ("worker", "one process per arm"),
        ("engines", "who answers"),
        ("[run directory]", "every answer, in parts"),
    ),
    (
        "decided: from what is stored alone",
        ("scoring", "scorers and judges"),
        ("analysis", "answers become evidence"),
        ("verdict", "evidence becomes a report"),
        ("[report.json]", "the decision"),
    ),
    (
        "shown, signed, obeyed",
        ("report", "pages of a report"),
        ("attest", "signs and verifies"),
        ("gate", "a policy, an exit code"),
        ("[exit code]", "0 opens, 1 and 3 do not"),
    ),
)
"""Lines of the road; what stands in brackets lies on disk, or is what the shell sees."""

BESIDE = (
    ("who walks it", "cli · api · export · frames · runs · study · doctor · starter · lab"),
    ("on the way", "cache · cost · adjudication"),
    ("what it walks on", "rundir · environments · scorers · stats · records · common · errors"),
)

WIDTH, MARGIN, BOX, HIGH, GAP, LINE = 880, 24, 184, 52, 28, 112
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1b1f24 }
.name { font-weight: 600 }
.small { font-size: 12px; fill: #57606a }
.room { fill: #ddf4ff; stroke: #0969da }
.disk { fill: #fff8c5; stroke: #9a6700; stroke-dasharray: 4 3 }
.way { fill: none; stroke: #57606a; stroke-width: 1.5 }
"""


@dataclass(frozen=True)
class Box:
    """A room, or a thing on disk, and where it stands."""

    name: str
    said: str
    x: int
    y: int

    @property
    def on_disk(self) -> bool:
        """Whether it is no room."""
        return self.name.startswith("[")

    def draw(self) -> str:
        """Return the box with its name and what it is."""
        kind, name = ("disk", self.name[1:-1]) if self.on_disk else ("room", self.name)
        middle = self.x + BOX // 2
        return (
            f'<rect class="{kind}" x="{self.x}" y="{self.y}" width="{BOX}" height="{HIGH}" rx="6"/>'
            f'<text class="name" x="{middle}" y="{self.y + 22}" text-anchor="middle">{escape(name)}</text>'
            f'<text class="small" x="{middle}" y="{self.y + 40}" text-anchor="middle">'
            f"{escape(self.said)}</text>"
        )


def boxes() -> list[list[Box]]:
    """Return the boxes of every line, left to right."""
    return [
        [
            Box(name, said, MARGIN + column * (BOX + GAP), 40 + row * LINE)
            for column, (name, said) in enumerate(line[1:])
        ]
        for row, line in enumerate(ROAD)
    ]


def arrows(lines: list[list[Box]]) -> Iterator[str]:
    """Yield the arrows: along each line, and from its end to the start of the next."""
    for line in lines:
        for left, right in pairwise(line):
            y = left.y + HIGH // 2
            yield f"M{left.x + BOX} {y}H{right.x - 2}"
    for above, below in pairwise(lines):
        first, last = below[0], above[-1]
        turn = last.y + HIGH + 16
        yield f"M{last.x + BOX // 2} {last.y + HIGH}V{turn}H{first.x + 12}V{first.y - 2}"


def draw() -> str:
    """Return the figure."""
    lines = boxes()
    below = 40 + len(ROAD) * LINE
    height = below + 24 * len(BESIDE)
    titles = (
        f'<text class="small" x="{MARGIN + 24}" y="{line[0].y - 8}">{escape(said[0])}</text>'
        for line, said in zip(lines, ROAD, strict=True)
    )
    beside = (
        f'<text class="small" x="{MARGIN}" y="{below + 24 * row}">{escape(title)}</text>'
        f'<text class="name" x="{MARGIN + 130}" y="{below + 24 * row}">{escape(rooms)}</text>'
        for row, (title, rooms) in enumerate(BESIDE)
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>The road from a manifest to an exit code</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *(f'<path class="way" d="{way}" marker-end="url(#head)"/>' for way in arrows(lines)),
        *(box.draw() for line in lines for box in line),
        *titles,
        *beside,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    OUT.write_text(draw(), encoding="utf-8")
