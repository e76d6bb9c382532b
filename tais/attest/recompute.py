"""Whether the samples of a run lead to its report: everything is scored and decided again, then compared."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from tais.analysis.analyse import Analysis, examine
from tais.analysis.upgrade import Upgrade, upgrade_of
from tais.attest.bundle import Json, strict_json
from tais.attest.contents import read_bytes, sha256
from tais.common.differences import differences
from tais.common.version import __version__
from tais.errors import Place, TaisError, VerificationError
from tais.report.redact import is_redacted, redacted
from tais.report.render import FILES, render
from tais.report.renderer import renderer, with_renderer
from tais.rundir.layout import SCORES, SECOND_SCORES, UPGRADE, RunDir
from tais.rundir.lock_model import Lock
from tais.verdict.facts import Facts
from tais.verdict.report import Report

__all__ = ["check_recomputed"]

_TABLES = (SCORES, SECOND_SCORES)
# Reports round to 12 digits; the last of them may differ on another processor.
_TOLERANCE = 1e-9
_NO_RESULT = ("run", "tais", "renderer")


def check_recomputed(run_dir: Path, lock: Lock, report: Json, files: Mapping[str, str]) -> str:
    """Decide again from the samples and compare verdict, every number, every stored score and every page.

    Parameters
    ----------
    run_dir
        Run directory; nothing in it changes.
    lock
        Its lock, whose digest holds.
    report
        The stored report, parsed.
    files
        sha256 of the files that are signed, by name.

    Returns
    -------
    str
        What was not compared, and why; empty where everything was. Pages are compared byte for byte, but
        only where the same renderer is at hand that made them.

    Raises
    ------
    VerificationError
        Naming the first difference.
    """
    with tempfile.TemporaryDirectory(prefix="tais-") as folder:
        scores = Path(folder) / SCORES
        again, upgrade = _again(RunDir(run_dir), lock, Report.model_validate(report), scores)
        tables = [name for name in _TABLES if name in files]
        other = next((n for n in tables if not _same_table(run_dir / n, scores.with_name(n))), None)
    stored, made = _comparable(report, again)
    if upgrade is not None:
        stored[UPGRADE], made[UPGRADE] = _stored_upgrade(run_dir, files), upgrade
    for key, before, now in differences(stored, made, tolerance=_TOLERANCE):
        raise VerificationError(
            f"the samples do not lead to this report: {key} is {_short(before)} and comes out as "
            f"{_short(now)}{_versions(report, again)}",
            place=Place(str(run_dir)),
        )
    if other is not None:
        what = f"the samples do not lead to {other}{_versions(report, again)}"
        raise VerificationError(what, place=Place(str(run_dir)))
    return _check_pages(run_dir, report, files)


def _check_pages(run_dir: Path, report: Json, files: Mapping[str, str]) -> str:
    pages = {format: name for format, name in FILES.items() if name in files}
    shown = Report.model_validate(report)
    if pages and (shown.facts.renderer, shown.facts.tais) != (renderer(), __version__):
        return f"{', '.join(pages.values())} not compared: another version rendered them"
    for format, name in pages.items():
        if sha256(render(shown, format).encode()) != files[name]:
            what = f"{name} is not what this report looks like"
            raise VerificationError(what, place=Place(str(run_dir)))
    return ""


def _comparable(report: Json, again: Json) -> tuple[Json, Json]:
    """Return both without what is no result: times and ledger of the run, the versions of TAIS.

    Reports only ever gain keys. One that this version adds is not held against an older report.
    """
    now = _results(again)
    if not _versions(report, again):
        return _results(json.loads(Report.model_validate(report).to_json())), now
    return _results(report), {key: _kept(value, report[key]) for key, value in now.items() if key in report}


def _results(report: Json) -> Json:
    facts = {key: value for key, value in report.get("facts", {}).items() if key not in _NO_RESULT}
    return {**report, "facts": facts}


def _kept(now: JsonValue, before: JsonValue) -> JsonValue:
    """Return `now` without the keys that `before` lacks."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {key: _kept(value, before[key]) for key, value in now.items() if key in before}
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [_kept(*pair) for pair in zip(now, before, strict=True)]
    return now


def _stored_upgrade(run_dir: Path, files: Mapping[str, str]) -> object:
    data = read_bytes(run_dir, UPGRADE)
    if sha256(data) != files.get(UPGRADE):
        raise VerificationError(f"{UPGRADE} changed while it was read", place=Place(str(run_dir)))
    return strict_json(data, str(run_dir / UPGRADE))


def _again(run: RunDir, lock: Lock, stored: Report, scores: Path) -> tuple[Json, Upgrade | None]:
    """Return the report that the samples lead to, and of a comparison upgrade.json."""
    try:
        made = examine(run, lock, stored.facts.run, scores)
        upgrade = upgrade_of(lock, made) if run.upgrade.exists() else None
    # Samples that someone made up can break any step: whatever it is, they do not lead to this report.
    except Exception as error:
        what = error.what if isinstance(error, TaisError) else f"{type(error).__name__}: {error}"
        raise VerificationError(
            f"the report cannot be recomputed: {what}", place=Place(str(run.root))
        ) from error
    return json.loads(_shown(made, stored).to_json()), upgrade


def _shown(made: Analysis, stored: Report) -> Report:
    whole = with_renderer(made.report)
    return redacted(whole) if is_redacted(stored) else whole


def _same_table(stored: Path, made: Path) -> bool:
    try:
        with pq.ParquetFile(stored) as before, pq.ParquetFile(made) as now:
            groups = before.metadata.num_row_groups
            if before.schema_arrow != now.schema_arrow or groups != now.metadata.num_row_groups:
                return False
            # Group by group, as both were written: the whole of a large run would not fit.
            pairs = ((before.read_row_group(i), now.read_row_group(i)) for i in range(groups))
            return all(left.equals(right) for left, right in pairs)
    except (pa.ArrowException, OSError):
        return False


def _versions(report: Json, again: Json) -> str:
    made, here = (Facts.model_validate(side.get("facts", {})).tais for side in (report, again))
    return "" if made == here else f" (made by TAIS {made}, recomputed by {here})"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
