"""What finished runs bind of the ledger beside them: its last lines, which no line after them holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tais.common.files import read_ordinary
from tais.errors import Place, StoreError
from tais.rundir.layout import REPORT
from tais.rundir.ledger import read_ledger
from tais.verdict.report import Report

__all__ = ["check_bound"]

# Of the newest runs: who edits the ledger earlier than that rewrites all lines since, theirs among them.
_LOOKED_AT = 10


def check_bound(ledger: Path) -> None:
    """Raise StoreError where a finished run beside a ledger shows that its tail was edited.

    A report names the line at which its run was decided, and its verdict is the outcome that the run's last
    line tells. A run that the ledger does not name at all says nothing here: it may have been copied.

    Parameters
    ----------
    ledger
        It lies beside the run directories; its chain is checked, too.
    """
    entries = read_ledger(ledger)
    if not entries:
        return
    lines = {hashlib.sha256(line).hexdigest() for line in ledger.read_bytes().split(b"\n")}
    for path in sorted(ledger.parent.glob(f"*/{REPORT}"))[-_LOOKED_AT:]:
        own = [entry for entry in entries if entry.get("run") == path.parent.name]
        try:
            report = Report.parse(read_ordinary(path), str(path))
        except (StoreError, OSError):
            # Whoever reads that run is told; it binds nothing.
            continue
        told = report.facts.run.ledger
        if own and told is not None:
            _check(ledger, report, told.line in lines if told.line else True, own)


def _check(ledger: Path, report: Report, there: bool, own: Sequence[Mapping[str, object]]) -> None:
    run = report.facts.run.id
    # A report is written last of all, so the end that follows tells its verdict and nothing else.
    ended, outcome = own[-1].get("event") == "end", str(own[-1].get("outcome"))
    if not there:
        what = f"the line at which the run {run} was decided was edited, or is gone"
    elif ended and outcome != report.verdict.value:
        what = f"the last line of the run {run} tells {outcome!r}, and its report {report.verdict.value!r}"
    else:
        return
    remedy = "Ledger or report was edited: restore them from a backup, or start in another --out directory"
    raise StoreError(what, place=Place(file=str(ledger)), remedy=remedy)
