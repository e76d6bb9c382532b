"""Where the parts of a run lie: the one place that knows the names of a run directory's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tais.errors import Place, UsageError

__all__ = [
    "ADJUDICATION",
    "ARMS",
    "AUDITS",
    "BUNDLES",
    "ENGINE",
    "ITEMS",
    "JUDGES",
    "JUDGE_ELSEWHERE",
    "LEDGER",
    "LOCK",
    "LOCK_BUNDLE",
    "LOGS",
    "OWN_ANSWERS",
    "PROBES",
    "REPORT",
    "RUN_BUNDLE",
    "SCORES",
    "SECOND_SCORES",
    "TEST_BUNDLE",
    "UPGRADE",
    "RunDir",
    "check_finished",
]

LOCK = "manifest.lock.json"
ITEMS = "items.parquet"
REPORT = "report.json"
SCORES = "scores.parquet"
SECOND_SCORES = "second_scores.parquet"
"""Of the scorers that only look on."""
LEDGER = "ledger.jsonl"
"""Beside the run directories, not in one."""
LOCK_BUNDLE = LOCK.removesuffix(".json") + ".sigstore.json"
RUN_BUNDLE = "attestation.sigstore.json"
TEST_BUNDLE = "test-result.sigstore.json"
BUNDLES = frozenset({LOCK_BUNDLE, RUN_BUNDLE, TEST_BUNDLE})
ADJUDICATION = "adjudication.json"
"""Every label, and all that is needed to count them again; in the run directory that cites them."""
UPGRADE = "upgrade.json"
"""The same contrast under each hypothesis, and the items that changed."""
ARMS = "arms"
LOGS = "logs"
JUDGES = "judges"
PROBES = "probes"
"""Questions of the exchange control, with their answers."""
AUDITS = "audits"
"""What stacks score that others answered."""
OWN_ANSWERS = "answers-"
"""What the folder of a reference's own answers begins with, beside the stacks that score."""
ENGINE = "engine.json"
"""In the folder of an arm, a judge or an audit's stack: what the engine resolved its configuration to."""
JUDGE_ELSEWHERE = "reference"
"""Inside a judge's folder: what it said in the other run that a comparison cites."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run directory; a path for each of its parts, whether that is there or not."""

    root: Path

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.root.resolve().name

    @property
    def lock(self) -> Path:
        """What was fixed before the first token."""
        return self.root / LOCK

    @property
    def items(self) -> Path:
        """What every arm was asked."""
        return self.root / ITEMS

    @property
    def scores(self) -> Path:
        """Every answer, scored by the scorer that decides."""
        return self.root / SCORES

    @property
    def second_scores(self) -> Path:
        """The same by the scorers that only look on."""
        return self.root / SECOND_SCORES

    @property
    def report(self) -> Path:
        """The decision; a run that has one is finished."""
        return self.root / REPORT

    @property
    def arms(self) -> Path:
        """Folder of all arms."""
        return self.root / ARMS

    def arm(self, name: str) -> Path:
        """Return the folder of one arm's answers."""
        return self.arms / name

    def engine(self, arm: str) -> Path:
        """Return the file that says what an arm's engine resolved to."""
        return self.arm(arm) / ENGINE

    @property
    def probes(self) -> Path:
        """Folder of the questions of TAIS's own."""
        return self.root / PROBES

    def probe(self, arm: str) -> Path:
        """Return the folder of what one arm was asked beside the batteries, and answered."""
        return self.probes / arm

    @property
    def judges(self) -> Path:
        """Folder of all judges."""
        return self.root / JUDGES

    def judge(self, name: str) -> Path:
        """Return the folder of what one judge was asked and replied."""
        return self.judges / name

    @property
    def audits(self) -> Path:
        """Folder of all audits."""
        return self.root / AUDITS

    def audit(self, reference: str, stack: str = "own") -> Path:
        """Return the folder of what a stack scored: the reference's own, or one that explains it."""
        return self.audits / reference / stack

    def own_answers(self, reference: str, control: str) -> Path:
        """Return the folder of what a reference answered as the control of an audit that has no other."""
        return self.audits / reference / f"{OWN_ANSWERS}{control}"

    @property
    def adjudication(self) -> Path:
        """What people said of the answers."""
        return self.root / ADJUDICATION

    @property
    def upgrade(self) -> Path:
        """What a comparison of two runs came to."""
        return self.root / UPGRADE

    @property
    def logs(self) -> Path:
        """Folder of what engines printed."""
        return self.root / LOGS

    def log(self, name: str) -> Path:
        """Return the log of one arm, judge or audit."""
        return self.logs / f"{name.replace(' ', '-')}.log"

    @property
    def bundles(self) -> dict[str, Path]:
        """Signatures, by name."""
        return {name: self.root / name for name in sorted(BUNDLES)}

    @property
    def ledger(self) -> Path:
        """Every attempt at this screen; it lies beside the run directories."""
        return self.root.parent / LEDGER

    def make(self) -> None:
        """Make the directory with its empty folders."""
        self.arms.mkdir(parents=True)
        self.logs.mkdir()


def run_around(path: Path) -> Path | None:
    """Return the run directory that a path is or lies in; None where it lies in none."""
    whole = path.resolve()
    return next((above for above in (whole, *whole.parents) if (above / LOCK).exists()), None)


def check_finished(run_dir: Path) -> None:
    """Raise UsageError unless a run has its report."""
    if not RunDir(run_dir).report.is_file():
        remedy = "Finish it with tais run --resume"
        raise UsageError("this run is not finished", place=Place(str(run_dir)), remedy=remedy)
