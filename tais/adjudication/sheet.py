"""The sheet that people fill in, and the secret that it is blind by."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tais.adjudication.cases import Answer, Selection, Shown, collect
from tais.common.files import sha256_file, write_atomic
from tais.common.text import spreadsheet_cell, visible
from tais.errors import Place, UsageError
from tais.rundir.items import Items
from tais.rundir.layout import RunDir, check_finished
from tais.rundir.lock import read_lock

__all__ = ["COLUMNS", "Key", "check_source", "export", "row_secret", "shown_of"]

COLUMNS = ("row", "label", "wanted", "prompt", "answer", "comment")
KEY_SCHEMA = "tais/adjudication-key/v1"

# Cells of a spreadsheet end at 32,767 characters; a hidden one is written out with up to 10.
_MOST_CHARACTERS = 30_000


@dataclass(frozen=True, slots=True)
class Key:
    """What ties a sheet to a run. It stays with whoever exported, until the labels are in."""

    run: str
    report_sha256: str
    salt: str
    selection: Selection

    def to_json(self) -> bytes:
        """Return the file."""
        value = {
            "schema": KEY_SCHEMA,
            "run": self.run,
            "report_sha256": self.report_sha256,
            "salt": self.salt,
            "selection": self.selection.to_dict(),
        }
        return json.dumps(value, indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, value: Any, where: str) -> Key:
        """Read it again.

        Raises
        ------
        UsageError
            When it is something else.
        """
        try:
            if value["schema"] != KEY_SCHEMA:
                raise ValueError("unknown schema")
            picked = value["selection"]
            lists = [tuple(str(name) for name in picked[key]) for key in ("batteries", "scorers")]
            selection = Selection(lists[0], lists[1], int(picked["also"]))
            salt = bytes.fromhex(value["salt"]).hex()
            return cls(str(value["run"]), str(value["report_sha256"]), salt, selection)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            remedy = "Name the key file that was written beside the sheet"
            raise UsageError("this is no key of a sheet", place=Place(where), remedy=remedy) from error


def row_secret(key: Key) -> bytes:
    """Return what makes row ids and order: they depend on the report and on the salt, so nobody can guess."""
    return hashlib.sha256(f"{key.report_sha256}\n{key.salt}".encode()).digest()


def check_source(run_dir: Path) -> None:
    """Raise UsageError unless people can be asked about a run."""
    check_finished(run_dir)
    if RunDir(run_dir).adjudication.exists():
        remedy = "Take the run that it was made from, and give all files of labels at once"
        raise UsageError("people were asked about this run already", place=Place(str(run_dir)), remedy=remedy)


def shown_of(run_dir: Path, key: Key) -> Shown:
    """Return what a key shows of a run.

    Raises
    ------
    UsageError
        When the key is of another run.
    """
    run = RunDir(run_dir)
    if key.report_sha256 != sha256_file(run.report):
        remedy = f"It was exported from the run {key.run}"
        raise UsageError("this key is of another report", place=Place(str(run_dir)), remedy=remedy)
    return collect(run, read_lock(run_dir), run.scores, Items(run.items), key.selection, row_secret(key))


def export(run_dir: Path, out: Path, selection: Selection, salt: str | None = None) -> tuple[Path, Shown]:
    """Write the sheet and, beside it, its key.

    Parameters
    ----------
    run_dir
        A finished run; it stays as it is.
    out
        ``*.csv`` or ``*.jsonl``.
    selection
        What is asked about.
    salt
        32 bytes in hexadecimal; drawn when left out.

    Returns
    -------
    (Path, Shown)
        The key's file, and what the sheet shows.

    Raises
    ------
    UsageError
        When nothing is selected, or sheet or key exist: somebody may be at work on them.
    StoreError
        When they cannot be written.
    """
    check_source(run_dir)
    key_file = out.with_suffix(".key.json")
    for path in (out, key_file):
        if path.exists():
            remedy = "Choose another --out: labels for this one may be on their way"
            raise UsageError("this file exists already", place=Place(str(path)), remedy=remedy)
    run = RunDir(run_dir)
    key = Key(run.id, sha256_file(run.report), salt or secrets.token_hex(32), selection)
    shown = shown_of(run_dir, key)
    if not shown.answers:
        remedy = "Nothing flipped there; --also N asks about items that agree"
        raise UsageError("there is nothing to ask about", place=Place(str(run_dir)), remedy=remedy)
    # The key first: a sheet without its key is lost work.
    write_atomic(key_file, key.to_json(), mode=0o600)
    write = _jsonl if out.suffix == ".jsonl" else _csv
    write_atomic(out, write(shown.answers.values()))
    return key_file, shown


def _csv(answers: Iterable[Answer]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in _lines(answers):
        writer.writerow([spreadsheet_cell(row[name]) for name in COLUMNS])
    # The mark tells a spreadsheet that it is UTF-8.
    return stream.getvalue().encode("utf-8-sig")


def _jsonl(answers: Iterable[Answer]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _lines(answers)).encode()


def _lines(answers: Iterable[Answer]) -> Iterator[dict[str, str]]:
    for answer in answers:
        expect = (
            answer.expect if isinstance(answer.expect, str) else json.dumps(answer.expect, sort_keys=True)
        )
        texts = {"wanted": expect, "prompt": answer.prompt, "answer": answer.text}
        shown = {name: _shown(text) for name, text in texts.items()}
        yield {"row": answer.row, "label": "", **shown, "comment": ""}


def _shown(text: str) -> str:
    """Return a text with hidden characters named, cut to what a cell takes; the cut is said."""
    named = visible(text[:_MOST_CHARACTERS], keep_layout=True)
    if len(text) <= _MOST_CHARACTERS and len(named) <= _MOST_CHARACTERS:
        return named
    return f"{named[:_MOST_CHARACTERS]}\n[cut: {len(text):,} characters in all]"
