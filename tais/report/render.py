"""The formats of a report by name, and the files that a run leaves beside its report.json."""

from __future__ import annotations

from pathlib import Path

from tais.common.files import write_atomic
from tais.report.html.page import render_html
from tais.report.junit import render_junit
from tais.report.markdown import render_markdown
from tais.report.redact import redacted
from tais.verdict.report import Report

__all__ = ["FILES", "render", "write_views"]

FILES = {"html": "report.html", "md": "report.md", "junit": "junit.xml"}
"""Views of a run by format; report.json is no view and is written by the run itself."""


def render(report: Report, format: str, *, redact: bool = False) -> str:
    """Return a report in one of the formats html, md, junit and json.

    Parameters
    ----------
    report
        A decided report.
    format
        Name of the format.
    redact
        Leave the texts of prompts and answers out; ids and digests stay.
    """
    if format == "html":
        return render_html(report, redact=redact)
    if format == "md":
        return render_markdown(report, redact=redact)
    if format == "junit":
        return render_junit(report)
    if format == "json":
        text = (redacted(report) if redact else report).to_json()
        # The same JSON; a CI log that shows it would take "##[" for a command.
        return text.replace("##[", r"##\u005b")
    raise ValueError(f"no format {format!r}")


def write_views(report: Report, run_dir: Path, *, redact: bool = False) -> None:
    """Write report.html, report.md and junit.xml into a run directory.

    Raises
    ------
    StoreError
        When a file cannot be written.
    """
    for format, name in FILES.items():
        write_atomic(run_dir / name, render(report, format, redact=redact).encode())
