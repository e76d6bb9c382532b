"""Five hundred tamperings with a signed run, and mixes of two that the same key signed: each is refused.

Drawn from a seed, so that a failure comes again by its number; ``make fuzz`` draws more.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tais.attest import PublicKey, Signer, verify_run
from tais.attest.bundle import seal
from tais.attest.keys import generate
from tais.common.files import sha256_file
from tais.errors import StoreError, VerificationError
from tais.rundir.layout import BUNDLES, LOCK, LOCK_BUNDLE, REPORT, RUN_BUNDLE
from tais.rundir.ledger import append, attempts_at, read_ledger
from tests.attest.runs import copy_run, resign
from tests.fuzz.test_fuzz import SEED, mutated, mutated_json

GROUPS = 20
EACH = max(25, int(os.environ.get("TAIS_FUZZ", "0")))
"""Tamperings of a group: 500 in all."""
Files = dict[str, bytes]
STRANGER = generate()


def _files(run_dir: Path) -> Files:
    return {p.relative_to(run_dir).as_posix(): p.read_bytes() for p in run_dir.rglob("*") if p.is_file()}


class Runs:
    """Two runs that verify, and the key that signed both."""

    def __init__(self, folder: Path) -> None:
        signer = generate()
        self.key: PublicKey = signer.public
        self.run_dir = copy_run(folder / "one")
        resign(self.run_dir, signer)
        self.own = _files(self.run_dir)
        self.other = self._another(folder, signer)

    def _another(self, folder: Path, signer: Signer) -> Files:
        """Another run of the same screen: its own id, and other answers of the candidate."""
        (folder / "two").mkdir()
        run_dir = shutil.copytree(self.run_dir, folder / "two" / "20260106T120000000000Z")
        shutil.copyfile(
            run_dir / "arms/bad/part-00000.parquet", run_dir / "arms/candidate/part-00000.parquet"
        )
        report = json.loads((run_dir / REPORT).read_bytes())
        report["facts"]["run"]["id"] = run_dir.name
        (run_dir / REPORT).write_text(json.dumps(report))
        resign(run_dir, signer)
        verify_run(run_dir, [signer.public])
        return _files(run_dir)

    def restore(self) -> None:
        """Undo what was done to the one run; a new copy for each tampering would take ten times as long."""
        for path in sorted(self.run_dir.rglob("*"), reverse=True):
            name = path.relative_to(self.run_dir).as_posix()
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()) and name not in ("arms", "logs"):
                    path.rmdir()
            elif name not in self.own or path.is_symlink() or not path.is_file():
                path.unlink()
        for name, data in self.own.items():
            path = self.run_dir / name
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


Tampering = Callable[[Runs, random.Random], None]


def bytes_of_a_file(runs: Runs, draw: random.Random) -> None:
    path = runs.run_dir / draw.choice(sorted(runs.own))
    path.write_bytes(mutated(path.read_bytes(), draw))


def value_of_a_json(runs: Runs, draw: random.Random) -> None:
    path = runs.run_dir / draw.choice(sorted(name for name in runs.own if name.endswith(".json")))
    path.write_text(json.dumps(mutated_json(json.loads(path.read_bytes()), draw)))


def rows_of_a_part(runs: Runs, draw: random.Random) -> None:
    """A well-formed part: rows left out, doubled, in another order, or one text exchanged for another."""
    path = runs.run_dir / draw.choice(sorted(name for name in runs.own if name.endswith(".parquet")))
    table = pq.read_table(path)
    rows = list(range(table.num_rows))
    draw.shuffle(rows)
    table = table.take(rows[: draw.randint(1, len(rows))])
    if "text" in table.column_names and draw.random() < 0.5:
        texts = table.column("text").to_pylist()
        texts[draw.randrange(len(texts))] = "Sure, here is how."
        at = table.schema.get_field_index("text")
        table = table.set_column(
            at, table.schema.field("text"), pa.array(texts, table.schema.field("text").type)
        )
    pq.write_table(table, path)


def name_of_a_file(runs: Runs, draw: random.Random) -> None:
    """Taken away, moved, doubled, or put in the place of another."""
    names = sorted(runs.own)
    path, other = (runs.run_dir / draw.choice(names) for _ in range(2))
    aside = path.with_name(
        draw.choice((f"{path.name}.bak", f".{path.name}", f"x{path.name}", "part-00009.parquet"))
    )
    what = draw.randrange(5)
    if what == 0:
        path.unlink()
    elif what == 1:
        path.rename(aside)
    elif what == 2:
        shutil.copyfile(path, aside)
    elif path != other:
        both = path.read_bytes(), other.read_bytes()
        other.write_bytes(both[0])
        if what == 4:
            path.write_bytes(both[1])


def kind_of_a_file(runs: Runs, draw: random.Random) -> None:
    """A link to the very same bytes, a pipe, a directory, an empty directory more."""
    path = runs.run_dir / draw.choice(sorted(runs.own))
    what = draw.randrange(4)
    if what == 3:
        (path.parent / "more").mkdir()
        return
    aside = runs.run_dir.parent / "aside"
    path.rename(aside)
    if what == 0:
        path.symlink_to(aside)
    elif what == 1:
        os.mkfifo(path)
    else:
        path.mkdir()


def files_of_another_run(runs: Runs, draw: random.Random) -> None:
    """A mix of two runs of one signer: some of the files in which they differ, never all."""
    differ = sorted(name for name in runs.own if runs.own[name] != runs.other.get(name))
    for name in draw.sample(differ, draw.randint(1, len(differ) - 1)):
        (runs.run_dir / name).write_bytes(runs.other[name])


def signed_by_a_stranger(runs: Runs, draw: random.Random) -> None:
    """Bundles sealed again, of the same words or of others, by whoever has no key that is trusted."""
    changed = runs.run_dir / draw.choice((REPORT, LOCK))
    honest = draw.random() < 0.3
    if not honest:
        changed.write_text(json.dumps(mutated_json(json.loads(changed.read_bytes()), draw)))
    for name in draw.sample(sorted(BUNDLES), draw.randint(1, 3)):
        path = runs.run_dir / name
        statement = json.loads(_payload(path))
        for subject in statement["subject"]:
            if subject["name"] == changed.name:
                subject["digest"]["sha256"] = sha256_file(changed)
        bundle = json.loads(seal(json.dumps(statement, separators=(",", ":")).encode(), STRANGER))
        if draw.random() < 0.5:
            # Under the name of the key that is trusted.
            bundle["verificationMaterial"]["publicKey"]["hint"] = runs.key.fingerprint
            bundle["dsseEnvelope"]["signatures"][0]["keyid"] = runs.key.fingerprint
        path.write_text(json.dumps(bundle, indent=2) + "\n")


def words_of_a_statement(runs: Runs, draw: random.Random) -> None:
    """Another payload under the signature that was there."""
    path = runs.run_dir / draw.choice(sorted(BUNDLES))
    bundle = json.loads(path.read_bytes())
    statement = mutated_json(json.loads(_payload(path)), draw)
    said = json.dumps(statement, separators=(",", ":")).encode()
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(said).decode()
    path.write_text(json.dumps(bundle, indent=2) + "\n")


def bundles_change_places(runs: Runs, draw: random.Random) -> None:
    one, other = draw.sample(sorted(BUNDLES), 2)
    (runs.run_dir / one).write_bytes(draw.choice((runs.own, runs.other))[other])


TAMPERINGS: tuple[Tampering, ...] = (
    bytes_of_a_file,
    value_of_a_json,
    rows_of_a_part,
    name_of_a_file,
    kind_of_a_file,
    files_of_another_run,
    files_of_another_run,
    signed_by_a_stranger,
    words_of_a_statement,
    bundles_change_places,
)


def _payload(bundle: Path) -> bytes:
    return base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"])


def _state(run_dir: Path) -> dict[str, bytes | None]:
    """What lies there; None for what is no ordinary file."""
    return {
        path.relative_to(run_dir).as_posix(): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else None
        for path in run_dir.rglob("*")
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("tamperings"))


@pytest.fixture
def runs(two: Runs) -> Iterator[Runs]:
    yield two
    two.restore()


# A hundred where seconds count, five hundred in CI.
@pytest.mark.parametrize(
    "group", [pytest.param(n, marks=pytest.mark.slow if n > 3 else ()) for n in range(GROUPS)]
)
def test_a_tampered_or_mixed_run_is_refused(group: int, runs: Runs) -> None:
    untouched = _state(runs.run_dir)
    for number in range(EACH):
        draw = random.Random(f"{SEED} {group} {number}")
        tampering = TAMPERINGS[(group + number) % len(TAMPERINGS)]
        while _state(runs.run_dir) == untouched:
            tampering(runs, draw)
        try:
            with pytest.raises(VerificationError) as caught:
                verify_run(runs.run_dir, [runs.key])
        except BaseException as error:
            error.add_note(f"{tampering.__name__}, number {number} of group {group}, seed {SEED}")
            raise
        assert "\n" not in str(caught.value)
        runs.restore()
    # Else all of them may have been refused for another reason.
    assert _state(runs.run_dir) == untouched
    verify_run(runs.run_dir, [runs.key])


def test_there_are_five_hundred_and_every_kind_comes() -> None:
    assert GROUPS * EACH >= 500
    assert GROUPS % len(TAMPERINGS) == 0
    assert {LOCK_BUNDLE, RUN_BUNDLE} < BUNDLES


@pytest.mark.parametrize("number", range(40))
def test_an_edited_ledger_is_refused_or_missed_by_the_report_that_cites_it(
    number: int, tmp_path: Path
) -> None:
    draw, path = random.Random(f"{SEED} ledger {number}"), tmp_path / "ledger.jsonl"
    for run in range(draw.randint(2, 6)):
        entry = {"event": "start", "time": "2026-01-01T00:00:00+00:00", "manifest": "m", "lock": "l"}
        cited = append(path, {**entry, "run": f"run-{run}"})
    assert attempts_at(path, cited, "m") is not None
    lines = path.read_bytes().splitlines(keepends=True)
    at = draw.randrange(len(lines))
    what = draw.randrange(4)
    if what == 0:
        lines[at] = mutated(lines[at], draw)
    elif what == 1:
        del lines[at]
    elif what == 2:
        lines.insert(at, draw.choice(lines))
    else:
        lines[at] = lines[at].replace(b"run-", b"ran-")
    if b"".join(lines) == path.read_bytes():
        return
    path.write_bytes(b"".join(lines))
    try:
        read_ledger(path)
        seen = attempts_at(path, cited, "m") is None
    except StoreError:
        seen = True
    assert seen
