"""The tail of a ledger is held against the runs beside it: no later line holds the hash of its last one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tais.errors import StoreError
from tais.runs.bound_ledger import check_bound

Entry = dict[str, Any]


@pytest.fixture
def ledger(small_run: Path, tmp_path: Path) -> Path:
    """The ledger of a folder with one finished run, which passed."""
    (tmp_path / small_run.name).mkdir()
    shutil.copy(small_run / "report.json", tmp_path / small_run.name)
    return Path(shutil.copy(small_run.parent / "ledger.jsonl", tmp_path))


def rewrite(ledger: Path, edit: Callable[[list[Entry]], object]) -> None:
    """Edit the entries and chain them anew, as somebody would who knows how."""
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    edit(entries)
    lines: list[bytes] = []
    for entry in entries:
        previous = hashlib.sha256(lines[-1] if lines else b"").hexdigest()
        lines.append(json.dumps({**entry, "previous": previous}, sort_keys=True).encode())
    ledger.write_bytes(b"".join(line + b"\n" for line in lines))


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (
            lambda entries: entries[-1].update(outcome="inconclusive"),
            "tells 'inconclusive', and its report 'pass'",
        ),
        (lambda entries: entries[-1].update(outcome="interrupted"), "tells 'interrupted'"),
        (lambda entries: entries[0].update(time="2020-01-01T00:00:00+00:00"), "was edited, or is gone"),
        (lambda entries: entries.pop(0), "was edited, or is gone"),
    ],
)
def test_a_tail_that_was_edited_and_chained_anew_is_seen(
    edit: Callable[[list[Entry]], object], what: str, ledger: Path
) -> None:
    rewrite(ledger, edit)
    with pytest.raises(StoreError, match=what):
        check_bound(ledger)


def test_what_is_honest_is_let_be(ledger: Path) -> None:
    before = ledger.read_bytes()
    check_bound(ledger)
    rewrite(ledger, lambda entries: None)
    assert ledger.read_bytes() == before
    # Killed between its report and its end, and then a line that a power cut tore.
    rewrite(ledger, lambda entries: entries.pop())
    check_bound(ledger)
    ledger.write_bytes(ledger.read_bytes() + b'{"event": "st')
    check_bound(ledger)
    # A run that was copied here, a report that is damaged, and no ledger at all.
    rewrite_without_torn = ledger.read_bytes().rpartition(b"\n")[0] + b"\n"
    ledger.write_bytes(rewrite_without_torn)
    rewrite(ledger, lambda entries: entries[0].update(run="another"))
    check_bound(ledger)
    (report,) = ledger.parent.glob("*/report.json")
    ledger.write_bytes(before)
    report.write_text("{half")
    check_bound(ledger)
    ledger.unlink()
    check_bound(ledger)
