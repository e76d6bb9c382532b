"""The leak report as one self-contained HTML page, and its files.

It stands apart from the page of a screen: what it finds changes no verdict.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tais.common.files import store_error, write_atomic
from tais.common.text import visible
from tais.lab.leak.plots import draw
from tais.lab.leak.report import LeakReport, as_json
from tais.lab.leak.wording import COLUMNS, SAYS_NOT, defence_of, headline, rows, utility_rows
from tais.report.html import page as page_of_screens

__all__ = ["render_page", "write_report"]

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = Path(page_of_screens.__file__).parent / "templates" / "page.css"
_COMMAND = re.compile(r"^([ \t]*)::", re.MULTILINE)


def write_report(report: LeakReport, folder: Path) -> None:
    """Write leak.json and leak.html.

    Raises
    ------
    StoreError
        When the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise store_error(error, folder) from error
    values = json.dumps(as_json(report), indent=2, allow_nan=False) + "\n"
    write_atomic(folder / "leak.json", values.encode())
    write_atomic(folder / "leak.html", render_page(report).encode())


def render_page(report: LeakReport) -> str:
    """Return the page: loads nothing, runs nothing, allows its one style sheet by digest."""
    # Loads jinja2.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = visible
    page = environment.get_template("leak.html").render(
        style=Markup(style),
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        report=report,
        headline=headline(report),
        columns=COLUMNS,
        rows=list(rows(report)),
        changed=list(utility_rows(report)),
        plots=[(p.key, p.title, p.caption, Markup(p.svg)) for p in draw(report)],
        read=list(_read(report)),
        says_not=SAYS_NOT,
    )
    # A CI log that shows the page's source would take these for commands.
    return _COMMAND.sub(r"\1&#58;:", page.replace("##[", "&#35;&#35;["))


def _read(report: LeakReport) -> Iterator[tuple[str, tuple[str, ...]]]:
    for cell in report.cells:
        if cell.recovered:
            yield f"layer {cell.layer}, {defence_of(cell)}", cell.recovered
