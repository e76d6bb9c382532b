"""The end of the terminal view: verdict, what it rests on, what to do next; at most 12 lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from tais.common.text import printable, visible
from tais.report.headline import Headline, headline
from tais.report.next_steps import next_steps
from tais.verdict.codes import CODES
from tais.verdict.report import Report, Verdict

__all__ = ["STYLES", "ending"]

STYLES = {Verdict.passed: "bold green", Verdict.failed: "bold red", Verdict.inconclusive: "bold yellow"}
_MOST_COLUMNS = 80
_LABEL = 12
_MOST_STEPS = 2
_MOST_LINES = 12


def ending(report: Report, run_dir: Path, width: int) -> Iterator[Text]:
    """Yield the last lines: at most 12 of at most 80 columns, but for the path of the page."""
    columns = max(min(width, _MOST_COLUMNS), 20)
    top, steps = headline(report), next_steps(report)
    verdict = (report.verdict.value.upper(), STYLES[report.verdict])
    lines = [Text.assemble(verdict, "  ", (_plain(report.name)[: columns - 16], "bold"))]
    # What a pass is worth less for, such as a waiver, is part of its claim.
    lines += _wrapped(top.claim, columns, "  ", 2 if steps else 4)
    for label, said, most in _facts(top):
        lines += _labelled(label, said, columns, most)
    for index, step in enumerate(steps[:_MOST_STEPS]):
        label = "next" if len(steps) == 1 else f"next {index + 1} of {len(steps)}"
        # The first may take what is left but for a line of the second, and of the path below.
        room = _MOST_LINES - 1 - len(lines) - (not index and len(steps) > 1)
        lines += _labelled(label, step.line, columns, max(room, 1))
    for note in _notes(report)[: _MOST_LINES - 1 - len(lines)]:
        lines += _labelled("note", note, columns, 1)
    yield from lines
    yield Text(visible(f"report: {run_dir / 'report.html'}"))


def _notes(report: Report) -> list[str]:
    """Return what the screen says beside its verdict and a user can do something about."""
    notes = (r for r in report.reasons if r.severity == "note" and r.code in CODES)
    return [note.message for note in notes if CODES[note.code].remedy]


def _facts(top: Headline) -> Iterator[tuple[str, str, int]]:
    """Yield label, words and most lines of each."""
    yield "compared", f"{top.compared.value}; {top.compared.meaning}", 1
    yield "decided by", f"{top.decided.value}: {top.decided.meaning}", 2
    yield "could see", f"{top.seen.value} {top.seen.meaning}", 2
    yield "flips", f"{top.flips.value}", 1


def _labelled(label: str, said: str, columns: int, most: int) -> Iterator[Text]:
    lines = list(_wrapped(said, columns, " " * (2 + _LABEL), most))
    lines[0] = Text(f"  {label:<{_LABEL}}{lines[0].plain.lstrip()}")
    yield from lines


def _wrapped(said: str, columns: int, indent: str, most: int) -> Iterator[Text]:
    lines = textwrap.wrap(
        _plain(said),
        columns,
        initial_indent=indent,
        subsequent_indent=indent,
        max_lines=most,
        placeholder=" …",
        break_on_hyphens=False,
    )
    yield from (Text(line) for line in lines or [indent])


def _plain(text: str) -> str:
    # A narrow terminal breaks within words too, and a line may then begin with what a CI runner obeys.
    return printable(text).replace("::", ": :")
