"""Decide the honest arms of the false-alarm study, also with answers of another model planted in them.

::

    python tools/study/false_alarms.py decide OUT   # runs of honest_arms.py -> reports/study/*.parquet
    python tools/study/false_alarms.py tables       # reports/study/*.parquet -> docs/conformance.md

Nothing is generated here: stored answers and stored scores are read by the code that decides any run, each
contrast as a screen of its own. So a change of a rule is measured by ``decide`` alone, in a minute or two.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from honest_arms import PLANT, REPEATS, Group, groups
from study_tables import write_tables

from tais.analysis.analyse import reexamine
from tais.rundir.audits import WORKLIST
from tais.rundir.layout import ENGINE, ITEMS, LOCK, RunDir
from tais.verdict.codes import CODES
from tais.verdict.details import detail
from tais.verdict.details.audit import Audit, TokenLaw
from tais.verdict.evidence import ContrastEvidence, ScreenEvidence
from tais.verdict.report import ContrastReport, Verdict
from tais.verdict.screen import decide

RESULTS = Path(__file__).resolve().parents[2] / "reports" / "study"
HONEST, PLANTED = RESULTS / "honest_arms.parquet", RESULTS / "planted_arms.parquet"
SHARES = (0.03, 0.1)
"""Of an arm's answers that are another model's."""
TRIALS = 4
_KEY = ("battery", "item_id", "repeat")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One honest arm against one reference, decided alone."""

    engine: str
    dtype: str
    model: str
    temperature: float
    only: bool
    """Whether the arm was audited alone."""
    reference: str
    candidate: str
    repeat: int
    """Of sampled answers; -1 where all were decided at once."""
    planted: float
    """Share of answers that are another model's."""
    answers: int
    identical: int
    tokens: int
    """Scored ones of the candidate."""
    misses: int
    """Of them, those that the reference stack would not have chosen (greedy)."""
    verdict: str
    endpoints: int
    endpoints_failed: int
    codes: str
    """Codes that fail the contrast beside its endpoints, by comma."""
    law_p: float | None
    """Of the sampled tokens."""


def outcomes(run_dir: Path, group: Group, repeat: int, planted: float = 0.0) -> Iterator[Outcome]:
    """Yield every contrast of a run, each decided as a screen of its own."""
    evidence = reexamine(run_dir).evidence
    for contrast in evidence.contrasts:
        if contrast.candidate != PLANT:
            yield _outcome(contrast, _alone(evidence, contrast), group, repeat, planted)


def _alone(evidence: ScreenEvidence, contrast: ContrastEvidence) -> ContrastReport:
    exchanges = tuple(x for x in evidence.exchanges if x.reference == contrast.reference)
    report = decide(replace(evidence, contrasts=(contrast,), exchanges=exchanges))
    return report.contrasts[0]


def _outcome(
    contrast: ContrastEvidence, report: ContrastReport, group: Group, repeat: int, planted: float
) -> Outcome:
    audit, law = detail(report, Audit), detail(report, TokenLaw)
    scored = None if audit is None else audit.candidate
    sampled = None if contrast.conformance is None else contrast.conformance.candidate
    return Outcome(
        **{k: v for k, v in asdict(group).items() if k in Outcome.__dataclass_fields__},
        reference=contrast.reference,
        candidate=contrast.candidate,
        repeat=repeat,
        planted=planted,
        answers=report.identity.n,
        identical=report.identity.identical,
        tokens=sampled.n if sampled is not None else int(getattr(scored, "tokens", 0) or 0),
        misses=int(getattr(scored, "misses", 0) or 0),
        verdict=report.verdict.value,
        endpoints=len(report.endpoints),
        endpoints_failed=sum(e.verdict is Verdict.failed for e in report.endpoints),
        codes=",".join(sorted(_failing(report))),
        law_p=None if law is None or law.p is None else float(law.p),
    )


def _failing(report: ContrastReport) -> set[str]:
    """Return what fails a contrast beside its endpoints."""
    if report.verdict is not Verdict.failed:
        return set()
    return {
        reason.code
        for reason in report.reasons
        if reason.severity == "decides" and CODES[reason.code].says == "fails"
    }


def part_of_run(
    run_dir: Path,
    folder: Path,
    repeat: int | None,
    plant: Callable[[str, str], bool] | None = None,
) -> None:
    """Write a run directory of one repeat, or one in which answers of the planted arm stand in a candidate.

    Parameters
    ----------
    run_dir
        A finished run.
    folder
        Where it goes.
    repeat
        The one that is kept, as the only one; None keeps all.
    plant
        Whether a candidate's answer is exchanged for the planted arm's, by battery and item. Only the first
        contrast is then kept: what is planted is the same in all of them. None plants nothing.
    """
    lock = json.loads((run_dir / LOCK).read_bytes())
    if repeat is not None:
        lock["sampling"]["n"] = 1
    lock["contrasts"] = [c for c in lock["contrasts"] if c["candidate"] != PLANT]
    candidates: set[str] = set()
    if plant is not None:
        lock["contrasts"] = lock["contrasts"][:1]
        candidates = {lock["contrasts"][0]["candidate"]}
    references = {c["reference"] for c in lock["contrasts"]}
    folder.mkdir(parents=True)
    (folder / LOCK).write_text(json.dumps(lock), encoding="utf-8")
    shutil.copy(run_dir / ITEMS, folder / ITEMS)
    source, made = RunDir(run_dir), RunDir(folder)
    exchanged = plant or _never
    theirs = _rows(source.arm(PLANT), repeat) if plant is not None else None
    for arm in {side for c in lock["contrasts"] for side in (c["reference"], c["candidate"])}:
        if not source.arm(arm).is_dir():
            continue
        rows = _rows(source.arm(arm), repeat)
        if arm in candidates:
            rows = _mixed(rows, theirs, exchanged)
        _write(made.arm(arm), source.arm(arm), rows)
    for stack in sorted(path for name in references for path in (source.audits / name).glob("*")):
        rows, target = _rows(stack, repeat), made.root / stack.relative_to(source.root)
        _write(target, stack, _of_arms(rows, candidates, exchanged))
        if (stack / WORKLIST).exists():
            wanted = _of_arms(_kept(pq.read_table(stack / WORKLIST), repeat), candidates, exchanged)
            pq.write_table(wanted, target / WORKLIST)


def _rows(folder: Path, repeat: int | None) -> pa.Table | None:
    parts = sorted(folder.glob("part-*.parquet"))
    return _kept(pa.concat_tables(pq.read_table(part) for part in parts), repeat) if parts else None


def _kept(table: pa.Table, repeat: int | None) -> pa.Table:
    """Return the rows of one repeat, numbered 0; what stands for all of an arm stays."""
    if repeat is None:
        return table
    rows = [row for row in table.to_pylist() if row["repeat"] == repeat or row["battery"] == "*"]
    return pa.Table.from_pylist([{**row, "repeat": 0} for row in rows], schema=table.schema)


def _mixed(
    own: pa.Table | None, theirs: pa.Table | None, plant: Callable[[str, str], bool]
) -> pa.Table | None:
    if own is None or theirs is None:
        return own
    kept = [row for row in own.to_pylist() if not plant(row["battery"], row["item_id"])]
    kept += [row for row in theirs.to_pylist() if plant(row["battery"], row["item_id"])]
    return pa.Table.from_pylist(kept, schema=own.schema)


def _of_arms(table: pa.Table | None, candidates: set[str], plant: Callable[[str, str], bool]) -> Any:
    """Return scores, or what is to be scored, with the planted arm's in the place of the candidates'."""
    if table is None:
        return None
    rows = table.to_pylist()
    planted = [r for r in rows if r["arm"] == PLANT and r["battery"] != "*"]
    planted = [row for row in planted if plant(row["battery"], row["item_id"])]
    kept = [
        row
        for row in rows
        if row["arm"] != PLANT and (row["arm"] not in candidates or not plant(row["battery"], row["item_id"]))
    ]
    kept += [{**row, "arm": arm} for row in planted for arm in sorted(candidates)]
    return pa.Table.from_pylist(kept, schema=table.schema)


def _write(target: Path, source: Path, rows: pa.Table | None) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if (source / ENGINE).exists():
        shutil.copy(source / ENGINE, target / ENGINE)
    if rows is not None:
        pq.write_table(rows, target / "part-00000.parquet")


def _never(battery: str, item: str) -> bool:
    return False


def honest(run_dir: Path, group: Group, scratch: Path) -> Iterator[Outcome]:
    """Yield the honest arms of a run; sampled ones repeat by repeat."""
    if not group.temperature:
        yield from outcomes(run_dir, group, -1)
        return
    for repeat in range(REPEATS):
        folder = scratch / f"repeat-{repeat}"
        part_of_run(run_dir, folder, repeat)
        yield from outcomes(folder, group, repeat)


def planted(run_dir: Path, group: Group, scratch: Path) -> Iterator[Outcome]:
    """Yield the arms of a run against its first reference with some answers of the planted arm."""
    if not (run_dir / "arms" / PLANT).is_dir():
        return
    for share in SHARES:
        for trial in range(TRIALS):
            folder = scratch / f"planted-{share}-{trial}"
            repeat = trial % REPEATS if group.temperature else None

            def plant(battery: str, item: str, share: float = share, trial: int = trial) -> bool:
                return random.Random(f"{trial}/{battery}/{item}").random() < share

            part_of_run(run_dir, folder, repeat, plant)
            yield from outcomes(folder, group, -1 if repeat is None else repeat, share)
            shutil.rmtree(folder)


def decide_all(out: Path) -> None:
    """Decide every finished run, and write what came of it."""
    found: list[tuple[Path, Callable[[Path, Group, Path], Iterator[Outcome]]]]
    found = [(HONEST, honest), (PLANTED, planted)]
    RESULTS.mkdir(parents=True, exist_ok=True)
    for path, made_of in found:
        rows: list[Outcome] = []
        for group in groups():
            reports = sorted((out / group.name).glob("*/report.json"))
            if reports:
                with tempfile.TemporaryDirectory(prefix="tais-study-") as scratch:
                    rows += made_of(reports[-1].parent, group, Path(scratch))
                print(f"{group.name}: {len(rows)} {path.stem}", flush=True)
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows]), path, compression="zstd")


def main() -> int:
    """Decide, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("decide").add_argument("out", type=Path)
    commands.add_parser("tables").add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.command == "decide":
        decide_all(args.out)
        return 0
    return write_tables(HONEST, PLANTED, check=args.check)


if __name__ == "__main__":
    sys.exit(main())
