"""What an upgrade changed, and what the other hypothesis would say."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tais.manifest.model import Hypothesis
from tais.rundir.layout import FOLDER, LOCK
from tais.rundir.lock import read_lock, write_lock
from tais.verdict.details import detail
from tais.verdict.details.endpoint import Flips
from tais.verdict.facts import RunFacts
from tais.verdict.report import EndpointReport, Report

__all__ = ["upgrade_of"]


def upgrade_of(run_dir: Path, report: Report) -> dict[str, Any]:
    """Return what upgrade.json holds: both verdicts, and the items that changed.

    Parameters
    ----------
    run_dir
        Run directory of a comparison, with its lock, items and samples.
    report
        Its decision.
    """
    lock = read_lock(run_dir)
    hypothesis = Hypothesis(lock["rules"]["hypothesis"])
    other = next(h for h in Hypothesis if h is not hypothesis)
    verdicts = {
        hypothesis.value: report.contrasts[0].verdict.value,
        other.value: _under(run_dir, other).contrasts[0].verdict.value,
    }
    return {
        "schema": "tais/upgrade/v1",
        **lock["manifest"]["source"]["compare"],
        "verdicts": dict(sorted(verdicts.items())),
        "batteries": [_changes(endpoint) for endpoint in report.contrasts[0].endpoints],
    }


def _under(run_dir: Path, hypothesis: Hypothesis) -> Report:
    """Decide once more from the same samples, under another hypothesis."""
    from tais.analysis.analyse import analyse

    lock = read_lock(run_dir)
    with tempfile.TemporaryDirectory(prefix="tais-") as folder:
        shadow = Path(folder)
        for name in ("arms", "items.parquet", FOLDER):
            if (run_dir / name).exists():
                (shadow / name).symlink_to((run_dir / name).resolve())
        write_lock(shadow / LOCK, {**lock, "rules": {**lock["rules"], "hypothesis": hypothesis.value}})
        return analyse(shadow, RunFacts(), keep_scores=False)


def _changes(endpoint: EndpointReport) -> dict[str, object]:
    flips = detail(endpoint, Flips) or Flips()
    return {
        "battery": endpoint.battery,
        "scorer": endpoint.scorer,
        "worse": {"count": flips.safe_to_unsafe, "items": list(flips.safe_to_unsafe_items)},
        "better": {"count": flips.unsafe_to_safe, "items": list(flips.unsafe_to_safe_items)},
    }
