"""What rendered a page: the same renderer gives the same bytes for the same report."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from tais.verdict.facts import Facts
from tais.verdict.report import Report

__all__ = ["renderer", "with_renderer"]

_PACKAGE = Path(__file__).parents[1]
# What pages are written with lies in other rooms, too.
_BESIDE = (
    "common/models.py",
    "common/text.py",
    "manifest/expanded_sweep.py",
    "verdict/details",
    "verdict/facts.py",
    "verdict/lenient.py",
    "verdict/report.py",
)
_SOURCES = {".py", ".html", ".css", ".js"}
# Layout and figures are theirs; Python brings the Unicode tables by which hidden characters are named.
_PACKAGES = ("jinja2", "markupsafe", "matplotlib", "numpy")


def renderer() -> dict[str, str]:
    """Return the digest of the renderers' own source and the versions that they stand on.

    Where two of these are equal, so are report.html, report.md and junit.xml of one report.
    """
    return dict(_renderer())


def with_renderer(report: Report) -> Report:
    """Return a report that says what its pages are rendered with, beside the version of TAIS."""
    said = {"tais": report.facts.tais, "renderer": renderer(), **report.facts.model_dump()}
    return report.model_copy(update={"facts": Facts.model_validate(said)})


def _files() -> Iterator[Path]:
    for name in ("report", *_BESIDE):
        path = _PACKAGE / name
        yield from path.rglob("*") if path.is_dir() else (path,)


@cache
def _renderer() -> tuple[tuple[str, str], ...]:
    digest = hashlib.sha256()
    for path in sorted(path for path in _files() if path.suffix in _SOURCES):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()} {content}\n".encode())
    found = {"source": digest.hexdigest(), "python": platform.python_version(), "machine": platform.machine()}
    return (*found.items(), *((name, version(name)) for name in _PACKAGES))
