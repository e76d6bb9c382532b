"""Killed at any point, a run continues: nothing lost, nothing twice, the same report."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.attest.runs import ITEMS, write_screen
from tests.conftest import Screen, Tais, start, without_times

KILLS = 12
CHAINS = 2


def stored(run_dir: Path) -> Counter[tuple[str, str, int]]:
    """How often each (arm, item, repeat) is stored, over all parts that are there."""
    keys: Counter[tuple[str, str, int]] = Counter()
    for part in run_dir.glob("arms/*/part-*.parquet"):
        columns = pq.read_table(part, columns=["item_id", "repeat"]).to_pydict()
        keys.update((part.parent.name, *key) for key in zip(*columns.values(), strict=True))
    return keys


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a run without warning; return whether it had not ended by itself before."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    process.communicate()
    return False


@pytest.fixture
def slow(screen: Screen) -> Screen:
    """The same screen with answers that take a while, so that a kill meets it anywhere."""
    screen.items(60)
    screen.data["rules"] = {"margin": 0.06}  # at 3 points, 60 items could not pass
    for arm in ("target", "leaky"):
        screen.options(arm, delay=0.01)
    return screen


@pytest.mark.slow
@pytest.mark.parametrize("chain", range(CHAINS))
def test_kill_9_at_random_points_then_resume(chain: int, slow: Screen, tais: Tais, tmp_path: Path) -> None:
    begun = time.monotonic()
    undisturbed = tais("run", slow.path, "--out", tmp_path / "undisturbed")
    whole = time.monotonic() - begun
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected = json.loads(next((tmp_path / "undisturbed").glob("*/*/report.json")).read_text())

    draw = random.Random(chain)
    killed = 0
    while killed < KILLS // CHAINS:
        resume = ["--resume"] if slow.run_dirs() else []
        process = start(slow, "--part-samples", 7, *resume)
        if kill_after(process, draw.uniform(0.1, whole)):
            killed += 1
        elif killed < KILLS // CHAINS:  # ended in time: the next kill is for another run
            assert without_times(slow.report()) == without_times(expected)
            (slow.run_dirs()[-1] / "report.json").unlink()
        if slow.run_dirs():
            assert max(stored(slow.run_dirs()[-1]).values(), default=0) <= 1
    done = tais("run", slow.path, "--out", slow.out, *(["--resume"] if slow.run_dirs() else []))
    assert done.returncode == 0, done.stderr
    assert set(stored(slow.run_dirs()[-1]).values()) == {1}
    assert len(stored(slow.run_dirs()[-1])) == 4 * 60
    assert without_times(slow.report()) == without_times(expected)
    assert not [path for path in slow.run_dirs()[-1].rglob(".*") if path.is_file()]


@pytest.mark.slow
def test_two_processes_cannot_run_the_same_screen_at_once(slow: Screen, tais: Tais) -> None:
    slow.options("target", delay=0.05)
    first = start(slow)
    deadline = time.monotonic() + 30
    while not list(slow.out.glob("*/*/arms/target/engine.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = tais("run", slow.path, "--out", slow.out, "--resume")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.returncode == 4
    assert "another process is running this screen" in second.stderr


@pytest.mark.slow
def test_a_damaged_part_is_named_with_the_remedy(screen: Screen, tais: Tais) -> None:
    assert tais("run", screen.path, "--out", screen.out).returncode == 0
    part = next(screen.run_dirs()[0].glob("arms/spec/part-*"))
    part.write_bytes(part.read_bytes()[:100])
    done = tais("report", screen.run_dirs()[0])
    assert done.returncode == 4
    assert f"{part}: this part cannot be read" in done.stderr
    assert "--resume" in done.stderr
    part.unlink()
    (screen.run_dirs()[0] / "report.json").unlink()
    assert tais("run", screen.path, "--out", screen.out, "--resume").returncode == 0


@pytest.mark.slow
def test_what_a_killed_write_left_is_gone_after_the_next_attempt(screen: Screen, tais: Tais) -> None:
    assert tais("run", screen.path, "--out", screen.out).returncode == 0
    run_dir = screen.run_dirs()[0]
    leftovers = [
        run_dir / ".scores.parquet.12345.tmp",
        run_dir / "arms" / "spec" / ".part-00000.parquet.7.tmp",
        run_dir / "arms" / "target" / ".part-00001.parquet.7",
    ]
    for leftover in leftovers:
        leftover.write_bytes(b"PAR1")
    (run_dir / ".keep").write_text("not ours")
    assert tais("run", screen.path, "--out", screen.out, "--resume").returncode == 0
    assert [path for path in run_dir.rglob(".*") if path.is_file()] == [run_dir / ".keep"]


def test_an_imported_arm_that_lacks_an_answer_is_resumed(tais: Tais, tmp_path: Path) -> None:
    """The file is matched with all that is asked: what is left alone could be taken for another item."""
    manifest = write_screen(tmp_path)
    lines = (tmp_path / "candidate.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "candidate.jsonl").write_text("".join(lines[:-1]))
    first = tais("run", manifest, "--out", "out")
    (run_dir,) = (path.parent for path in tmp_path.glob("out/small/*/report.json"))
    folder = run_dir / "arms" / "candidate"
    (run_dir / "report.json").unlink()
    part = sorted(folder.glob("part-*.parquet"))[0]
    lost = pq.read_table(part)
    part.unlink()
    resumed = tais("run", manifest, "--out", "out", "--resume")
    assert (resumed.returncode, "tais: error" in resumed.stderr) == (first.returncode, False), resumed.stderr
    ids = [row for path in folder.glob("part-*") for row in pq.read_table(path)["item_id"].to_pylist()]
    assert len(lost)
    assert len(ids) == len(set(ids)) == ITEMS - 1
