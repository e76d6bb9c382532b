"""The report as one self-contained HTML page.

The page loads nothing: style, script and figures stand in it, and its content policy allows the one style
sheet and the one script by their digests and nothing else, so that even markup that slipped through could
neither run nor call out. Every text is escaped by the template engine after its hidden characters are named.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tais.common.text import one_line, visible
from tais.manifest.model import Role
from tais.report.headline import headline
from tais.report.html.contrasts import ENDPOINT_COLUMNS, contrast_views
from tais.report.html.details import configurations, detail_rows, provenance_rows, run_line
from tais.report.html.items import ItemView, count_lines, item_views
from tais.report.meaning import says, says_not
from tais.report.next_steps import next_steps
from tais.report.redact import redacted
from tais.report.tables.audit import audit_tables
from tais.report.tables.categories import category_tables
from tais.report.tables.cost import cost_tables
from tais.report.tables.people import FLIP_COLUMNS, RATER_COLUMNS, flip_rows, intro, rater_rows
from tais.report.tables.pooled import pooled_tables
from tais.report.tables.scorers import scorer_tables
from tais.report.tables.starts import starts_tables
from tais.report.tables.sweep import sweep_tables
from tais.report.tables.treatment import treatment_tables
from tais.report.wording import outcome, outcome_mark, screens_first
from tais.verdict.report import AdjudicationReport, Report, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["defused", "page_asset", "page_environment", "page_policy", "render_html"]

_TEMPLATES = Path(__file__).parent / "templates"
_MARKS = {Verdict.passed: "✓", Verdict.failed: "✗", Verdict.inconclusive: "?"}
_COMMAND = re.compile(r"^([ \t]*)::", re.MULTILINE)
_SECTIONS = {
    "contrasts": "Contrasts",
    "figures": "Figures",
    "details": "Endpoints",
    "sweep": "Sweep",
    "drafts": "Drafts",
    "audit": "Audit",
    "scorers": "Scorers and judges",
    "items": "Items",
    "people": "People",
    "configuration": "Configuration",
    "cost": "Cost",
    "meaning": "What it says",
    "provenance": "Provenance",
}


def render_html(report: Report, *, redact: bool = False) -> str:
    """Return the page of a report.

    Parameters
    ----------
    report
        A decided report.
    redact
        Leave the texts of prompts and answers out; ids and digests stay.
    """
    from markupsafe import Markup

    if redact:
        report = redacted(report)
    report = report.model_copy(update={"contrasts": screens_first(report)})
    style, script = page_asset("page.css"), page_asset("page.js")
    items = item_views(report)
    page = (
        page_environment()
        .get_template("page.html")
        .render(
            policy=page_policy(style, script if items else None),
            style=Markup(style),
            script=Markup(script),
            **_views(report),
            **_items(report, items),
        )
    )
    return defused(page)


def defused(page: str) -> str:
    """Return the same page; a CI log that shows its source would take what changes for commands."""
    return _COMMAND.sub(r"\1&#58;:", page.replace("##[", "&#35;&#35;["))


def _views(report: Report) -> dict[str, object]:
    """Return what the page shows beside its items."""
    from markupsafe import Markup

    from tais.report.figures.draw import draw_plots  # numpy and matplotlib

    plots = [
        {"key": p.key, "title": p.title, "caption": p.caption, "svg": Markup(p.svg), "flat": p.flat}
        for p in draw_plots(report)
    ]
    opinions = scorer_tables(report)
    audits = audit_tables(report)
    drafts = treatment_tables(report)
    costs = cost_tables(report)
    sweeps = sweep_tables(report)
    may_lack = (
        ("figures", plots),
        ("sweep", sweeps),
        ("drafts", drafts),
        ("audit", audits),
        ("scorers", opinions),
        ("people", report.adjudication),
        ("cost", costs),
    )
    absent = {key for key, there in may_lack if not there}
    return {
        "report": report,
        "name": one_line(report.name),
        "top": headline(report),
        "steps": next_steps(report),
        "run_line": run_line(report.facts.run),
        "plots": plots,
        "sections": [(key, title) for key, title in _SECTIONS.items() if key not in absent],
        "contrasts": contrast_views(report),
        "endpoint_columns": ENDPOINT_COLUMNS,
        "drafts": drafts,
        "audits": audits,
        "sweeps": sweeps,
        "starts": starts_tables(report),
        "pooled": pooled_tables(report),
        "categories": category_tables(report),
        "opinions": opinions,
        "costs": costs,
        "details": detail_rows(report.details),
        "people": _people(report),
        "rules": detail_rows(report.rules.model_dump(mode="json")),
        "says": says(report),
        "says_not": says_not(report),
        "configurations": configurations(report),
        "provenance": provenance_rows(report.facts),
        "version": report.facts.tais or "",
    }


def _people(report: Report) -> dict[str, object] | None:
    """Return what people said of the answers."""
    found = report.adjudication
    if found is None:
        return None
    # The last of each says how many columns of words stand before those of numbers.
    tables = [(FLIP_COLUMNS, flip_rows(found), 3), (RATER_COLUMNS, rater_rows(found), 1)]
    return {"intro": intro(found), "tables": tables, "confusion": _confusion(found)}


def _confusion(found: AdjudicationReport) -> list[tuple[str, str]]:
    return detail_rows({rater.rater: {"scorer says": rater.confusion} for rater in found.raters})


def _items(report: Report, items: list[ItemView]) -> dict[str, object]:
    """Return what the section of items needs."""
    names = {view.contrast: view.contrast_name for view in items}
    return {
        "items": items,
        "collected": any(c.items is not None for c in report.contrasts),
        "redacted": any(c.items is not None and c.items.redacted for c in report.contrasts),
        "item_counts": count_lines(report),
        "item_contrasts": sorted(names.items()),
        "item_batteries": sorted({view.battery: view.battery_name for view in items}.items()),
        # A control is meant to differ: its items back the screen and are no finding.
        "item_groups": _item_groups(report, items),
        "arms": sorted({arm for c in report.contrasts for arm in (c.reference, c.candidate)}),
    }


def _item_groups(report: Report, items: list[ItemView]) -> list[tuple[str, list[ItemView]]]:
    """Return the items of what is screened without a title, and the rest under one, folded."""
    screens = {index for index, c in enumerate(report.contrasts) if c.role is Role.screen}
    own = [item for item in items if item.contrast in screens]
    rest = [item for item in items if item.contrast not in screens]
    title = f"{len(rest):,} items of controls and calibrations, which back the screen"
    return [group for group in (("", own), (title, rest)) if group[1]]


def page_asset(name: str) -> str:
    """Return a file of the templates' folder."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def page_policy(style: str, script: str | None) -> str:
    """Return the content policy: one style sheet, at most one script, each by its digest."""
    allowed = f"script-src {_digest(script)}" if script is not None else "script-src 'none'"
    return (
        f"default-src 'none'; style-src {_digest(style)}; {allowed}; img-src 'none'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def page_environment() -> Environment:
    """Return the template engine: everything is escaped, and hidden characters are named."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["marks"] = _MARKS
    environment.globals["outcome"] = outcome
    environment.globals["outcome_mark"] = outcome_mark
    environment.filters["folder"] = _folder
    environment.filters["short"] = partial(one_line, limit=60)
    return environment


def _folder(name: str) -> str:
    """Return a name as one part of a relative address."""
    return quote(name.encode("utf-8", "replace"), safe="")


def _finalize(value: object) -> object:
    """Name the hidden characters of every text on its way into the page; markup is already clean."""
    from markupsafe import Markup

    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
