"""A matplotlib figure as inline SVG for a page with a strict content policy.

matplotlib sets `style` attributes, which such a policy forbids, fixed colours, which know no dark mode, and
ids, which clash when several figures stand in one page. Here they become presentation attributes,
custom properties of the page's style sheet, and prefixed ids; everything else that is no shape goes.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

__all__ = ["COLOURS", "RC", "svg_of"]

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"

# Stand-ins: matplotlib writes these hexadecimal values, the page reads the custom property of that name.
# The fall-backs are the palette of Okabe and Ito (2008), which colour-blind readers can tell apart.
_PALETTE = {
    "ink": ("#000101", "#1b1f24"),
    "muted": ("#000102", "#57606a"),
    "grid": ("#000103", "#d0d7de"),
    "band": ("#000104", "#8c959f"),
    "pass": ("#000105", "#00735c"),
    "fail": ("#000106", "#b34700"),
    "inconclusive": ("#000107", "#8a6100"),
    "s1": ("#000108", "#0072b2"),
    "s2": ("#000109", "#d55e00"),
    "s3": ("#00010a", "#009e73"),
    "s4": ("#00010b", "#a6568b"),
    "s5": ("#00010c", "#7a6a00"),
    "s6": ("#00010d", "#3d8fbf"),
}
COLOURS = {name: stand_in for name, (stand_in, _) in _PALETTE.items()}
_VARIABLES = {stand_in: f"var(--{name}, {colour})" for name, (stand_in, colour) in _PALETTE.items()}

RC: dict[RcKeyType, object] = {
    "svg.fonttype": "none",
    # Fixed, so that one report always gives one page, byte for byte.
    "svg.hashsalt": "tais",
    # A name may hold dollar signs; nothing here is a formula.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelsize": 10,
    "axes.unicode_minus": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
}

_DROPPED = {f"{_SVG}metadata", f"{_SVG}style"}
_ATTRIBUTE = re.compile(r"\s*([a-z-]+)\s*:\s*([^;]+?)\s*(?:;|$)")
# The page's own font takes their place.
_FONT = {"font", "font-family", "font-style", "font-variant", "font-stretch"}
_SIZE = re.compile(r"([\d.]+)px")
_POINTER = re.compile(r"url\(#([^)]+)\)")


def svg_of(figure: Figure, key: str, label: str) -> str:
    """Return a figure as an SVG element with a text alternative.

    Parameters
    ----------
    figure
        Drawn under :data:`RC` with :data:`COLOURS`.
    key
        Prefix of its ids, unique within a page.
    label
        What the figure shows, in words.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.StringIO()
    with warnings.catch_warnings():
        # A glyph that matplotlib's font lacks is the reader's browser's business.
        warnings.simplefilter("ignore")
        FigureCanvasSVG(figure)
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ET.fromstring(stream.getvalue())
    _clean(root, key)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return _plain(root)


def _clean(root: ET.Element, key: str) -> None:
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag in _DROPPED]:
            parent.remove(child)
    used = _pointed_at(root)
    for element in root.iter():
        _unstyle(element)
        _rename(element, key, used)


def _pointed_at(root: ET.Element) -> set[str]:
    used = set()
    for element in root.iter():
        used.add(element.get(_LINK, "").removeprefix("#"))
        used.update(name for value in element.attrib.values() for name in _POINTER.findall(value))
    return used


def _unstyle(element: ET.Element) -> None:
    for name, value in _ATTRIBUTE.findall(element.attrib.pop("style", "")):
        if name in _FONT:
            size = _SIZE.search(value)
            if size:
                element.set("font-size", size.group(1))
        else:
            element.set(name, _VARIABLES.get(value, value.removesuffix("px")))


def _rename(element: ET.Element, key: str, used: set[str]) -> None:
    own = element.attrib.pop("id", None)
    if own in used:
        element.set("id", f"{key}-{own}")
    link = element.attrib.pop(_LINK, None)
    if link is not None:
        element.set("href", f"#{key}-{link.removeprefix('#')}")
    for name, value in element.attrib.items():
        if "url(#" in value:
            element.set(name, _POINTER.sub(rf"url(#{key}-\1)", value))


def _plain(root: ET.Element) -> str:
    """Write the tree without name-space prefixes, as HTML wants its SVG."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    text = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    return re.sub(r">\s+<", "><", text).replace("\n", " ").strip()
