"""Whether the ledger's tail was cut: a chain shorter than the runs beside it has no gap of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from tais.errors import TaisError
from tais.rundir.layout import REPORT, RunDir
from tais.rundir.ledger import append, ledger_entries
from tais.rundir.lock import asked_digest, read_lock

__all__ = ["tell_cut"]


def tell_cut(run: RunDir, note: Callable[[str], None]) -> None:
    """Write down finished runs beside this one that the ledger does not know.

    Parameters
    ----------
    run
        The run that is about to begin.
    note
        Takes a line for the user.

    Raises
    ------
    StoreError
        When the ledger was edited.
    """
    entries = ledger_entries(run.ledger)
    told = {str(entry.get("run")) for entry in entries} | {run.root.name}
    told |= {name for entry in entries for name in entry.get("runs") or ()}
    gone = {}
    for report in sorted(run.root.parent.glob(f"*/{REPORT}")):
        if report.parent.name not in told:
            with suppress(TaisError):
                gone[report.parent.name] = asked_digest(read_lock(report.parent))
    if gone:
        note(f"the ledger does not know {', '.join(gone)}: counted as attempts")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        append(run.ledger, {"event": "cut", "run": run.root.name, "time": now, "runs": gone}, check=True)
