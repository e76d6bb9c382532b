"""What a run will cost: rates, schedule, prediction, and the truth beside it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.cost.history import devices_of, known_rates, rates_of_run
from tais.cost.measure import fit, items_to_time
from tais.cost.predict import compared, judge_questions, predict
from tais.cost.rates import ArmRates, Rates, read_rates
from tais.cost.schedule import Job, makespan, schedule, split
from tais.errors import UsageError
from tais.report.tables.cost import prediction_lines
from tais.rundir.lock import read_lock
from tais.verdict.facts import Hardware, Seconds
from tais.worker.timing import pick
from tests.conftest import Screen, Tais
from tests.made_lock import made_lock

pytestmark = pytest.mark.slow

LOCK = made_lock(
    ("target", "spec"),
    batteries=[{"name": "one", "items": 100}, {"name": "two", "items": 50}],
    sampling={"n": 2},
)


def rates(**arms: ArmRates) -> Rates:
    return Rates(source="declared", import_seconds=10, arms=arms)


def test_tokens_seconds_and_hours_by_hand() -> None:
    own = ArmRates(
        load_seconds=20,
        warmup_seconds=5,
        seconds_per_token=0.01,
        tokens_per_answer={"one": 10, "two": 40},
        devices=4,
    )
    found = predict(LOCK, rates(**{"*": own}))
    # 200 answers of 10 tokens and 100 of 40 are 6,000 tokens: 60 s, and 25 s before them, per arm.
    assert found["arms"]["spec"]["tokens"] == 6000
    assert found["tokens"] == 12000
    assert found["arms"]["spec"]["generate"] == pytest.approx(65)
    assert found["wall_seconds"] == pytest.approx(10 + 2 * 85)
    assert found["device_hours"] == pytest.approx(2 * 85 * 4 / 3600)
    both = predict(LOCK, rates(**{"*": own}), workers=2)
    assert both["wall_seconds"] == pytest.approx(10 + 85)
    # Two shards per arm on four workers: each worker loads.
    four = predict(LOCK, rates(**{"*": own}), workers=4, shards=2)
    assert four["wall_seconds"] == pytest.approx(10 + 25 + 30)
    assert four["device_hours"] > both["device_hours"]


def test_an_arm_without_rates_is_named_and_not_guessed() -> None:
    own = ArmRates(load_seconds=1, seconds_per_token=0.01, tokens_per_answer=10)
    found = predict(LOCK, rates(target=own))
    assert found["unknown"] == ["spec"]
    assert list(found["arms"]) == ["target"]


def test_rates_of_another_stack_are_not_taken() -> None:
    own = ArmRates(load_seconds=1, seconds_per_token=0.01, tokens_per_answer=10, stack="0" * 64)
    assert predict(LOCK, rates(**{"*": own}))["unknown"] == ["spec", "target"]


def test_probes_are_answers_and_judges_are_asked_of_every_arm_and_of_exchanged_answers() -> None:
    own = ArmRates(load_seconds=0, seconds_per_token=0.01, tokens_per_answer=10)
    judge = ArmRates(load_seconds=7, seconds_per_token=0.5, tokens_per_answer=2)
    lock = made_lock(
        ("target", "spec"),
        batteries=[
            {"name": "one", "items": 100, "scorer": {"name": "judge_rubric", "version": "1", "judge": "j"}},
            {"name": "two", "items": 30, "second_scorers": [{"name": "judge_strongreject", "version": "1"}]},
        ],
        judges={name: {"engine": "fake", "engine_args": {}} for name in ("j", "judge")},
        probes={"expect": "answer", "items": 12, "digest": "0" * 64, "arms": ["target"]},
    )
    found = predict(lock, rates(**{"*": own}))
    # 130 answers of 10 tokens, and 12 probes of the reference.
    assert [found["arms"][name]["tokens"] for name in ("target", "spec")] == [1420, 1300]
    asked = judge_questions(lock)
    # 100 answers of two arms, and 50 exchanged ones; a scorer that looks on exchanges nothing.
    assert asked["j"] == {"one": 250}
    (other,) = (name for name in asked if name != "j")
    assert asked[other] == {"two": 60}
    # What stands for every arm is no judge; with an entry of its own it is timed behind the arms.
    assert found["judges"]["j"] == {"questions": 250, "seconds": None}
    timed = predict(lock, rates(**{"*": own, "j": judge}))
    assert timed["judges"]["j"]["seconds"] == 7 + 250 * 2 * 0.5
    assert timed["wall_seconds"] - found["wall_seconds"] == pytest.approx(257)
    said = "\n".join(prediction_lines(timed))
    assert "judge j: at most 250 questions, 4.3 min of it" in said
    assert f"judge {other}: at most 60 questions, whose time is not known" in said


def best(seconds: list[float], workers: int) -> float:
    """The shortest possible time, by trying every assignment."""
    times = []
    for places in itertools.product(range(workers), repeat=len(seconds)):
        sums = [0.0] * workers
        for place, value in zip(places, seconds, strict=True):
            sums[place] += value
        times.append(max(sums))
    return min(times)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=7), st.integers(1, 3))
def test_longest_first_is_within_grahams_bound(seconds: list[float], workers: int) -> None:
    jobs = [Job(str(i), 0.0, value) for i, value in enumerate(seconds)]
    found = makespan(schedule(jobs, workers))
    optimum = best(seconds, workers)
    # Graham (1969): 4/3 - 1/(3m) of the optimum for longest-first lists.
    assert optimum - 1e-9 <= found <= (4 / 3 - 1 / (3 * workers)) * optimum + 1e-9


def test_grahams_own_worst_case() -> None:
    # Graham (1969): 5, 5, 4, 4, 3, 3, 3 on three workers take 11 where 9 is possible.
    seconds = [5.0, 5.0, 4.0, 4.0, 3.0, 3.0, 3.0]
    jobs = [Job(str(i), 0.0, value) for i, value in enumerate(seconds)]
    assert makespan(schedule(jobs, 3)) == 11
    assert best(seconds, 3) == 9


def test_reference_arms_start_first_and_no_worker_does_two_things_at_once() -> None:
    jobs = [*split("spec", 5, 100, 3, first=False), *split("target", 5, 10, 2, first=True)]
    done = schedule(jobs, 2)
    assert [entry.job.arm for entry in done[:2]] == ["target", "target"]
    for worker in range(2):
        own = [entry for entry in done if entry.worker == worker]
        assert all(a.end <= b.start for a, b in itertools.pairwise(own))
    # Each worker loads each arm once, whatever the number of its shards.
    assert sum(entry.end - entry.start for entry in done) == pytest.approx(4 * 5 + 110)


def test_fit_finds_the_warm_up_and_the_rate_of_a_known_engine() -> None:
    # An engine whose steps take 0.02 s whatever the batch, with 3 s of warm-up.
    def block(answers: int, tokens: int, warmup: float) -> dict[str, Any]:
        total = {"one": answers * tokens}
        return {
            "seconds": warmup + 0.02 * tokens,
            "answers": {"one": answers},
            "tokens": total,
            "longest": tokens,
        }

    found = {"load_seconds": 7.0, "first": block(4, 50, 3.0), "others": block(32, 50, 0.0)}
    fitted = fit(found, {"max_num_seqs": 32}, 2, "s")
    assert fitted.warmup_seconds == pytest.approx(3.0)
    assert fitted.seconds_per_token == pytest.approx(0.02 / 32)
    assert fitted.tokens_per_answer == {"one": 50}
    assert (fitted.load_seconds, fitted.devices) == (7.0, 2)


def test_items_to_time_fill_the_batch() -> None:
    assert items_to_time({"max_num_seqs": 64}) == 64
    assert items_to_time({"max_num_seqs": 1}) == 8
    assert items_to_time({"max_num_seqs": 4096}) == 128
    assert items_to_time({}) == 32


def test_picked_requests_are_spread_over_all() -> None:
    numbers: Any = list(range(100))
    picked: Any = pick(numbers, 4)
    assert picked == [0, 25, 50, 75]
    assert pick(numbers, 1000) == numbers


def test_devices() -> None:
    gpu = Hardware(gpus=({"name": "x"},), logical_cores=8)
    assert devices_of({"tensor_parallel_size": 4, "pipeline_parallel_size": 2}, gpu) == 8
    assert devices_of({}, Hardware(gpus=(), logical_cores=8)) == 8


def test_compared_leaves_out_what_did_not_run() -> None:
    own = ArmRates(load_seconds=2, seconds_per_token=0.001, tokens_per_answer=10)
    prediction = predict(LOCK, rates(**{"*": own}))
    phases = {"": {"import": 9.0}, "spec": {"load": 4.0, "check": 1.0, "generate": 5.0, "close": 0.5}}
    found = compared(prediction, phases, {"spec": 2900, "target": 3000}, 30.0)
    spec, target = found.arms
    assert spec.measured == Seconds(tokens=2900, load=4.0, generate=6.5, seconds=10.5)
    assert target.measured is None
    assert found.predicted_seconds == pytest.approx(5.0)
    assert found.measured_seconds == pytest.approx(10.5)
    assert found.predicted_wall_seconds is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no rates"),
        ('{"source": "declared", "arms": {"a": {"load_seconds": -1}}}', "arms.a"),
        (
            '{"source": "declared", "arms": {"a": {"load_seconds": 1, "seconds_per_token": 0, '
            '"tokens_per_answer": 1}}}',
            "seconds_per_token",
        ),
    ],
)
def test_rates_that_cannot_be(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_rates(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_rates(tmp_path / "none.json")


def test_a_calibration_predicts_the_run_that_follows(screen: Screen, tais: Tais) -> None:
    # Answers wait for a known time: 60 items at 10 ms each, whatever the machine does besides.
    screen.items(60)
    screen.data["rules"] = {"margin": 0.06}
    for arm in ("target", "leaky"):
        screen.options(arm, delay=0.01, tokens=12)
    done = tais("plan", screen.path, "--out", screen.out, "--calibrate", "--calibrate-items", "12")
    assert done.returncode == 0, done.stderr
    assert "from a calibration on 48 items" in " ".join(done.stdout.split())
    measured = read_rates(screen.out / "fakes" / "rates.json")
    assert set(measured.arms) == {"target", "again", "spec", "leaky"}
    # A plan without an engine reads it, and so does the run, which keeps it before its first token.
    assert "from a calibration" in tais("plan", screen.path, "--out", screen.out).stdout
    assert tais("run", screen.path, "--out", screen.out).returncode == 0
    cost = screen.report()["facts"]["run"]["cost"]
    assert cost["source"] == "calibration"
    target = next(row for row in cost["arms"] if row["arm"] == "target")
    # Sleeping is never shorter than asked for: both sides are at least what was slept.
    assert target["predicted"]["generate"] >= 0.55
    assert target["measured"]["generate"] >= 0.6
    assert target["measured"]["tokens"] == screen.report()["facts"]["arms"]["target"]["tokens"]
    run_dir = screen.run_dirs()[-1]
    assert (run_dir / "prediction.json").stat().st_mtime <= min(
        path.stat().st_mtime for path in run_dir.glob("arms/*/part-*")
    )
    page = (run_dir / "report.html").read_text()
    assert "Predicted and measured time" in page


def test_an_earlier_run_gives_the_rates(screen: Screen, tais: Tais) -> None:
    assert "cost: not known" in tais("plan", screen.path, "--out", screen.out).stdout
    assert tais("run", screen.path, "--out", screen.out).returncode == 0
    run_dir = screen.run_dirs()[-1]
    assert "cost" not in screen.report()["facts"]["run"]
    found = rates_of_run(run_dir)
    assert found is not None
    assert found.source == "run"
    assert found.said == run_dir.name
    report = screen.report()
    own = found.arms["target"]
    phases = report["facts"]["run"]["phases"]["target"]
    work = sum(phases[key] for key in ("check", "generate", "close"))
    tokens = report["facts"]["arms"]["target"]["tokens"]
    assert own.seconds_per_token * tokens == pytest.approx(work, abs=1e-6)
    # The same stack over half of the items: half of the tokens.
    half = tais("plan", screen.path, "--out", screen.out, "--limit", "60").stdout
    assert f"from run {run_dir.name}" in " ".join(half.split())
    whole = predict(read_lock(run_dir), found)
    # The probes of the exchange control are answers of the mean length, and in no battery.
    probes = 12 * tokens / 120
    answered = sum(arm["tokens"] for arm in report["facts"]["arms"].values())
    assert whole["tokens"] == pytest.approx(answered + probes, abs=4)
    # Another stack under the same name has no rates.
    screen.options("target", tokens=13)
    assert "cost: not known" in tais("plan", screen.path, "--out", screen.out).stdout
    assert known_rates(screen.out / "nowhere", read_lock(run_dir)) is None


def test_declared_rates_are_called_simulated(screen: Screen, tais: Tais, tmp_path: Path) -> None:
    value = {
        "source": "run",
        "said": "a guess",
        "arms": {
            "*": {"load_seconds": 300, "seconds_per_token": 0.001, "tokens_per_answer": 200, "devices": 8}
        },
    }
    (tmp_path / "r.json").write_text(json.dumps(value))
    arguments = ("--rates", tmp_path / "r.json", "--workers", "4", "--shards", "2")
    said = " ".join(tais("plan", screen.path, *arguments).stdout.split())
    assert "simulated from declared rates: a guess" in said
    assert "on 4 workers, 2 shards per arm (simulated, not measured)" in said
    assert tais("plan", screen.path, "--calibrate", *arguments).returncode == 2


def test_a_signed_run_with_its_cost_verifies(screen: Screen, tais: Tais, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert tais("keygen", "--out", keys).returncode == 0
    arguments = ("--out", screen.out, "--key", keys / "tais.key")
    for _ in range(2):
        assert tais("run", screen.path, *arguments, TAIS_UNSIGNED="0").returncode == 0
    assert screen.report()["facts"]["run"]["cost"]["source"] == "run"
    done = tais("verify", screen.run_dirs()[-1], "--key", keys / "tais.pub", "--recompute")
    assert done.returncode == 0, done.stderr
