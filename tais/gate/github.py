"""What the gate says to GitHub: step summary, annotations and outputs; nothing hostile gets through.

The runner obeys lines that begin with ``::`` and, of an older form, ``##[`` anywhere in a line. Messages
can hold what a model or a battery's author wrote, so each is escaped for the place where it goes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from tais.common.files import store_error
from tais.common.text import without_hidden
from tais.gate.gate import GateResult

__all__ = [
    "annotation",
    "code_span",
    "defuse",
    "failure_summary",
    "summary",
    "write_outputs",
    "write_summary",
]

# GitHub drops a step summary above this many bytes; the report keeps below 60 kB.
_MAX_SUMMARY = 900_000
_MARKS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_LEVELS = {"error": "error", "inconclusive": "error", "warning": "warning"}


def annotation(level: str, title: str, message: str) -> str:
    """Return a workflow command that shows a message beside the check.

    Parameters
    ----------
    level
        ``error``, ``warning`` or ``notice``.
    title, message
        Any text.
    """
    return f"::{level} title={_property(title)}::{_data(without_hidden(message))}"


def defuse(text: str) -> str:
    """Return one line of text that no runner takes for a command."""
    line = without_hidden(text).replace("##[", "# #[")
    return f" {line}".replace(" ::", " : :") if line.lstrip().startswith("::") else line


def code_span(text: str) -> str:
    """Return text as it is, in Markdown that shows it and renders nothing in it."""
    # As HTML: a code span of backticks ends at the text's own, and a table cell at a pipe.
    marks = {ord(c): f"&#{ord(c)};" for c in "&<>|`*_[]@#\\~:"}
    return f"<code>{without_hidden(text).translate(marks)}</code>"


def summary(result: GateResult, run_dir: Path) -> str:
    """Return the step summary of a verified run: what the gate says, then the report."""
    run = result.run
    word = result.outcome.value
    lines = [
        f"### {_MARKS[word]} TAIS gate: {word}",
        "",
        f"{code_span(run.report.name)}: the verdict of the run is **{run.report.verdict.value}**. "
        f"Signed with the key {code_span(run.key.fingerprint[:16])}.",
        "",
    ]
    if result.objections:
        lines += ["| | code | what |", "|---|---|---|"]
        lines += [f"| {o.level} | {code_span(o.code)} | {code_span(o.message)} |" for o in result.objections]
    return "\n".join([*lines, "", *_report(result, run_dir)]) + "\n"


def failure_summary(message: str) -> str:
    """Return the step summary where nothing could be verified: of the run itself nothing is shown."""
    return f"### ❌ TAIS gate: not verified\n\n{code_span(message)}\n"


def write_summary(text: str, environment: Mapping[str, str] = os.environ) -> None:
    """Append to the step summary; nothing happens outside of GitHub.

    Raises
    ------
    StoreError
        When the file cannot be written.
    """
    _append(environment.get("GITHUB_STEP_SUMMARY"), text)


def write_outputs(values: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> None:
    """Append outputs of the step; nothing happens outside of GitHub."""
    text = ""
    for name, value in values.items():
        # The delimiter cannot be guessed, so no value can end itself and set another output.
        mark = f"tais_{secrets.token_hex(16)}"
        text += f"{name}<<{mark}\n{value}\n{mark}\n"
    _append(environment.get("GITHUB_OUTPUT"), text)


def github_level(level: str) -> str:
    """Return the level of an annotation for that of an objection."""
    return _LEVELS[level]


def _report(result: GateResult, run_dir: Path) -> list[str]:
    """Return the run's own Markdown, which is escaped by its writer and covered by the signature."""
    from tais.attest.contents import read_bytes, sha256

    if "report.md" not in result.run.files:
        return []
    data = read_bytes(run_dir, "report.md")
    if sha256(data) != result.run.files["report.md"] or len(data) > _MAX_SUMMARY:
        return []
    return [data.decode(errors="replace")]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace("##[", "# #[")


def _property(text: str) -> str:
    return _data(without_hidden(text)).replace(":", "%3A").replace(",", "%2C")


def _append(path: str | None, text: str) -> None:
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise store_error(error, Path(path)) from error
