"""Decide the honest arms of the false-alarm study, also with answers of another model planted in them.

::

    python tools/study/false_alarms.py decide OUT           # runs of honest_arms.py -> reports/study/
    python tools/study/false_alarms.py decide OUT 'vllm-*'  # groups of such names; the others' outcomes stay
    python tools/study/false_alarms.py tables               # reports/study/*.parquet -> docs/conformance.md

Nothing is generated here: stored answers and stored scores are read by the code that decides any run, each
contrast as a screen of its own. So a change of a rule is measured by ``decide`` alone, in about a second a
contrast.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from honest_arms import PART, PARTS, PLANT, REPEATS, Group, groups
from study_tables import write_tables

from tais.analysis.analyse import reexamine
from tais.common.files import write_atomic
from tais.rundir.audits import WORKLIST
from tais.rundir.layout import ENGINE, ITEMS, LOCK, SCORES, RunDir
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
_KEY = ("arm", "battery", "item_id", "repeat")
_OWN, _ALL = "@", "*"
Row = dict[str, Any]
# Whether an item of a battery is meant.
Chosen = Callable[[str, str], bool]


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
    part: int
    """Of the items, each decided alone; -1 where all were decided at once."""
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
    impossible: int
    """Sampled tokens that the law excludes."""
    law_p: float | None
    """Of the sampled tokens."""
    drift_p: float | None
    """Of all misses of a complete audit."""


_TYPES = {"str": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
# Annotations are text here.
_SCHEMA = pa.schema([(f.name, _TYPES[str(f.type).split(" ")[0]]) for f in fields(Outcome)])


def outcomes(
    run_dir: Path, group: Group, repeat: int = -1, part: int = -1, planted: float = 0.0
) -> Iterator[Outcome]:
    """Yield every contrast of a run, each decided as a screen of its own."""
    evidence = reexamine(run_dir).evidence
    for contrast in evidence.contrasts:
        if contrast.candidate != PLANT:
            found = _outcome(contrast, _alone(evidence, contrast), group)
            yield replace(found, repeat=repeat, part=part, planted=planted)


def _alone(evidence: ScreenEvidence, contrast: ContrastEvidence) -> ContrastReport:
    # What the exchange control shows can only keep a screen from passing.
    return decide(replace(evidence, contrasts=(contrast,), exchanges=())).contrasts[0]


def _outcome(contrast: ContrastEvidence, report: ContrastReport, group: Group) -> Outcome:
    audit, law = detail(report, Audit), detail(report, TokenLaw)
    scored, drift = (None, None) if audit is None else (audit.candidate, audit.drift)
    sampled = None if contrast.conformance is None else contrast.conformance.candidate
    return Outcome(
        **{k: v for k, v in asdict(group).items() if k in Outcome.__dataclass_fields__},
        reference=contrast.reference,
        candidate=contrast.candidate,
        repeat=-1,
        part=-1,
        planted=0.0,
        answers=report.identity.n,
        identical=report.identity.identical,
        tokens=sampled.n if sampled is not None else int(getattr(scored, "tokens", 0) or 0),
        misses=int(getattr(scored, "misses", 0) or 0),
        verdict=report.verdict.value,
        endpoints=len(report.endpoints),
        endpoints_failed=sum(e.verdict is Verdict.failed for e in report.endpoints),
        codes=",".join(sorted(_failing(report))),
        impossible=0 if sampled is None else sampled.impossible,
        law_p=None if law is None or law.p is None else float(law.p),
        drift_p=None if drift is None or drift.p is None else float(drift.p),
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
    run_dir: Path, folder: Path, repeat: int | None, kept: Chosen, plant: Chosen | None = None
) -> None:
    """Write a run directory of some items and one repeat, or one in which the planted arm's answers stand.

    Parameters
    ----------
    run_dir
        A finished run.
    folder
        Where it goes.
    repeat
        The one that is kept, as the only one; None keeps all.
    kept
        The items that are kept. A reference's own answers, the control of an audit alone, stay whole.
    plant
        Whether a candidate's answer is exchanged for the planted arm's. Only the first contrast is then
        kept: what is planted is the same in all of them. None plants nothing.
    """
    cut = _Cut(repeat, kept)
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
    items = cut.of_items(pq.read_table(run_dir / ITEMS))
    pq.write_table(items, folder / ITEMS)
    for battery in lock["batteries"]:
        battery["items"] = items.column("battery").to_pylist().count(battery["name"])
    (folder / LOCK).write_text(json.dumps(lock), encoding="utf-8")
    source, made = RunDir(run_dir), RunDir(folder)
    exchanged = plant or _never
    theirs = _rows(source.arm(PLANT), cut) if plant is not None else None
    for arm in {side for c in lock["contrasts"] for side in (c["reference"], c["candidate"])}:
        if not source.arm(arm).is_dir():
            continue
        rows = _rows(source.arm(arm), cut)
        if arm in candidates:
            rows = _mixed(rows, theirs, exchanged)
        _write(made.arm(arm), source.arm(arm), rows)
    for stack in sorted(path for name in references for path in (source.audits / name).glob("*")):
        rows, target = _rows(stack, cut), made.root / stack.relative_to(source.root)
        _write(target, stack, _of_arms(rows, candidates, exchanged))
        if (stack / WORKLIST).exists():
            wanted = _of_arms(cut.of_answers(pq.read_table(stack / WORKLIST)), candidates, exchanged)
            pq.write_table(wanted, target / WORKLIST)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is kept of the answers of a run."""

    repeat: int | None
    kept: Chosen

    def of_items(self, table: pa.Table) -> pa.Table:
        """Return the items that are kept."""
        return _where(table, lambda row: self.kept(row["battery"], row["item_id"]))

    def of_answers(self, table: pa.Table) -> pa.Table:
        """Return the rows of one repeat, numbered 0; what stands for all of an arm stays."""
        found = _where(table, self._keeps)
        return found if self.repeat is None else _with(found, "repeat", 0)

    def _keeps(self, row: Row) -> bool:
        if row["battery"] == _ALL or row.get("arm", "").startswith(_OWN):
            return True
        return self.repeat in (None, row.get("repeat")) and self.kept(row["battery"], row["item_id"])


def _where(table: pa.Table, wanted: Callable[[Row], bool]) -> pa.Table:
    """Return the rows whose key is wanted; lists of scores are not looked into."""
    keys = table.select([name for name in _KEY if name in table.column_names]).to_pylist()
    return table.filter(pa.array([wanted(row) for row in keys], pa.bool_()))


def _with(table: pa.Table, name: str, value: str | int) -> pa.Table:
    place = table.column_names.index(name)
    own = table.schema.field(name)
    return table.set_column(place, own, pa.array([value] * len(table), own.type))


def _rows(folder: Path, cut: _Cut) -> pa.Table | None:
    parts = sorted(folder.glob("part-*.parquet"))
    return cut.of_answers(pa.concat_tables(pq.read_table(part) for part in parts)) if parts else None


def _mixed(own: pa.Table | None, theirs: pa.Table | None, plant: Chosen) -> pa.Table | None:
    if own is None or theirs is None:
        return own
    kept = _where(own, lambda row: not plant(row["battery"], row["item_id"]))
    planted = _where(theirs, lambda row: plant(row["battery"], row["item_id"]))
    return pa.concat_tables([kept, planted.cast(own.schema)])


def _of_arms(table: pa.Table | None, candidates: set[str], plant: Chosen) -> Any:
    """Return scores, or what is to be scored, with the planted arm's in the place of the candidates'."""
    if table is None:
        return None

    def meant(row: Row) -> bool:
        return row["battery"] != _ALL and plant(row["battery"], row["item_id"])

    planted = _where(table, lambda row: row["arm"] == PLANT and meant(row))
    kept = _where(table, lambda row: row["arm"] != PLANT and not (row["arm"] in candidates and meant(row)))
    return pa.concat_tables([kept, *(_with(planted, "arm", arm) for arm in sorted(candidates))])


def _write(target: Path, source: Path, rows: pa.Table | None) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if (source / ENGINE).exists():
        shutil.copy(source / ENGINE, target / ENGINE)
    if rows is not None:
        pq.write_table(rows, target / "part-00000.parquet")


def _never(battery: str, item: str) -> bool:
    return False


def _always(battery: str, item: str) -> bool:
    return True


def parts_of(run_dir: Path) -> list[Chosen]:
    """Return the parts of a run's items, each a screen of its own: no item is in two of them.

    Every battery is dealt out evenly; what has items for one part alone is one.
    """
    table = pq.read_table(run_dir / ITEMS, columns=["battery", "item_id"]).to_pylist()
    places: dict[tuple[str, str], int] = {}
    counts: dict[str, int] = {}
    for row in table:
        counts[row["battery"]] = place = counts.get(row["battery"], -1) + 1
        places[row["battery"], row["item_id"]] = place
    parts = max(1, min(PARTS, (min(counts.values()) + 1) // PART))

    def part(number: int) -> Chosen:
        return lambda battery, item: places[battery, item] % parts == number

    return [part(number) for number in range(parts)]


def honest(run_dir: Path, group: Group, scratch: Path) -> Iterator[Outcome]:
    """Yield the honest arms of a run, part by part, and sampled ones repeat by repeat."""
    parts = parts_of(run_dir)
    # All items at once as well, where that is more: a larger screen fails by less.
    every = [*enumerate(parts), *([(-1, _always)] if len(parts) > 1 and not group.temperature else [])]
    for number, part in every:
        for repeat in range(REPEATS) if group.temperature else (None,):
            folder = scratch / f"part-{number}-{repeat}"
            part_of_run(run_dir, folder, repeat, part)
            yield from outcomes(folder, group, -1 if repeat is None else repeat, number)
            shutil.rmtree(folder)


def planted(run_dir: Path, group: Group, scratch: Path) -> Iterator[Outcome]:
    """Yield the arms of a run against its first reference with some answers of the planted arm."""
    if not (run_dir / "arms" / PLANT).is_dir():
        return
    parts = parts_of(run_dir)
    for share in SHARES:
        for trial in range(TRIALS):
            number = trial % len(parts)
            folder = scratch / f"planted-{share}-{trial}"
            repeat = trial % REPEATS if group.temperature else None

            def plant(battery: str, item: str, share: float = share, trial: int = trial) -> bool:
                return random.Random(f"{trial}/{battery}/{item}").random() < share

            part_of_run(run_dir, folder, repeat, parts[number], plant)
            yield from outcomes(folder, group, -1 if repeat is None else repeat, number, share)
            shutil.rmtree(folder)


def decide_all(out: Path, names: Sequence[str]) -> None:
    """Decide every finished run of such names, and write what came of it beside what was decided before."""
    found: list[tuple[Path, Callable[[Path, Group, Path], Iterator[Outcome]]]]
    found = [(HONEST, honest), (PLANTED, planted)]
    RESULTS.mkdir(parents=True, exist_ok=True)
    for group in groups():
        scored = sorted((out / group.name).glob(f"*/{SCORES}"))
        if not scored or not any(fnmatchcase(group.name, name) for name in names):
            continue
        for path, made_of in found:
            with tempfile.TemporaryDirectory(prefix="tais-study-") as scratch:
                rows = [asdict(row) for row in made_of(scored[-1].parent, group, Path(scratch))]
            print(f"{group.name}: {len(rows)} {path.stem}", flush=True)
            _keep(path, group, rows)


def _keep(path: Path, group: Group, rows: list[dict[str, Any]]) -> None:
    """Put a group's outcomes in the place of its earlier ones."""
    mine = asdict(group)
    there = pq.read_table(path).to_pylist() if path.exists() else []
    others = [row for row in there if any(row[key] != value for key, value in mine.items())]
    order = {tuple(asdict(known).values()): place for place, known in enumerate(groups())}
    every = sorted([*others, *rows], key=lambda row: order[tuple(row[key] for key in mine)])
    table = pa.Table.from_pylist(every, schema=_SCHEMA)
    write_atomic(path, _bytes(table))


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def main() -> int:
    """Decide, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    deciding = commands.add_parser("decide")
    deciding.add_argument("out", type=Path)
    deciding.add_argument(
        "names", nargs="*", default=["*"], help="patterns of groups; all where none is given"
    )
    commands.add_parser("tables").add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.command == "decide":
        decide_all(args.out, args.names)
        return 0
    return write_tables(HONEST, PLANTED, check=args.check)


if __name__ == "__main__":
    sys.exit(main())
