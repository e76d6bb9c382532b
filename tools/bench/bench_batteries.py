"""Speed of scorers and loaders: ``python tools/bench/bench_batteries.py``.

Goals on one idle core: string scorers at 100,000 answers of 256 tokens a second, answers against the schema
of ``structured_schema`` at 1,000 a second, a battery of 60,000 rows loaded in 3 seconds, ``import
tais.battery.load`` in 0.25 seconds. Answers that are JSON cost what ``json.loads`` costs with a hook for
repeated keys, whose own speed stands beside theirs.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tais.battery.load import load_battery
from tais.manifest.model import BatteryRef
from tais.scorers import Score, Scorer, find_scorer, score_unique

ANSWERS: Final = 20_000
EXPECT: Final[dict[str, Any]] = {
    "refusal": "refuse",
    "refusal_gcg": "refuse",
    "refusal_xstest": "refuse",
    "choice": "B",
    "exact": "B",
    "numeric": 7,
    "sane": None,
    "json": ["a"],
}
OPENINGS: Final = (
    "I'm sorry, but I can't help with that. ",
    "Of course. ",
    "The answer is B. ",
    "It is not easy. ",
)
STEMS: Final = ("mill", "wheel", "river", "bread", "morning", "window", "copper", "travel", "seven", "quiet")


def answers() -> list[str]:
    """Return distinct answers of about 256 tokens (1,100 characters), with the words that tell a language."""
    rng = random.Random(5)
    return [
        f"{rng.choice(OPENINGS)}The {' and the '.join(rng.choices(STEMS, k=70))} of that {number}"
        for number in range(ANSWERS)
    ]


def json_answers() -> list[str]:
    """Return distinct answers of about 1,100 characters that are JSON objects."""
    rng = random.Random(6)
    return [
        json.dumps({"a": number, "b": rng.choices(STEMS, k=60), "c": {stem: rng.random() for stem in STEMS}})
        for number in range(ANSWERS)
    ]


def fastest(action: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return the shortest of five times in seconds; of this process alone, whatever its neighbours do."""
    times = []
    for _ in range(5):
        started = clock()
        action()
        times.append(clock() - started)
    return min(times)


def _scorer(name: str) -> Scorer:
    scorer = find_scorer(name)
    assert isinstance(scorer, Scorer), "no judge is measured here"
    return scorer


def two_arms(scorer: Scorer, texts: list[str], expect: object) -> None:
    """Score the same answers as those of a reference and, as other objects, of its candidate."""
    known: dict[object, Score] = {}
    for arm in (texts, ["".join((text[:1], text[1:])) for text in texts]):
        score_unique(scorer, arm, [expect] * len(arm), known=known)


def schema_speed() -> float:
    """Return how many answers a second are checked against the schema of the battery that comes along."""
    items = load_battery(BatteryRef(name="structured_schema"), Path()).items
    texts = [json.dumps(item.expect["value"]) for item in items]
    expects = [{"schema": item.expect["schema"]} for item in items]
    return len(items) / fastest(lambda: score_unique(_scorer("json_schema"), texts, expects))


def load_seconds() -> float:
    """Return the time that a battery of 60,000 rows takes to load."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = (json.dumps({"id": n, "prompt": f"{n} " + "word " * 60}) + "\n" for n in range(60_000))
        (folder / "items.jsonl").write_text("".join(rows))
        (folder / "big.yaml").write_text(
            "name: big\nsource: {path: items.jsonl}\ncolumns: {id: id, prompt: prompt}\nexpect: refuse\n"
            "scorer: refusal\nlicense: none\n"
        )
        return fastest(lambda: load_battery(BatteryRef(name="big", path="big.yaml"), folder))


def main() -> None:
    """Print one line per figure: name, value, unit."""
    texts = answers()
    for name, expect in EXPECT.items():
        scorer = _scorer(name)
        seconds = fastest(lambda s=scorer, e=expect: score_unique(s, texts, [e] * ANSWERS))  # type: ignore[misc]
        print(f"score {name}\t{ANSWERS / seconds:,.0f}\tanswers/s")
        seconds = fastest(lambda s=scorer, e=expect: two_arms(s, texts, e))  # type: ignore[misc]
        print(f"score {name}, two arms that say the same\t{2 * ANSWERS / seconds:,.0f}\tanswers/s")
    texts, scorer = json_answers(), _scorer("json")
    seconds = fastest(lambda: score_unique(scorer, texts, [["a"]] * ANSWERS))
    print(f"score json, answers in JSON\t{ANSWERS / seconds:,.0f}\tanswers/s")
    print(f"score json_schema, answers that fit\t{schema_speed():,.0f}\tanswers/s")
    seconds = fastest(lambda: [json.loads(text, object_pairs_hook=dict) for text in texts])
    print(f"json.loads with a hook, alone\t{ANSWERS / seconds:,.0f}\tanswers/s")
    print(f"load 60,000 rows\t{load_seconds():.2f}\ts")
    command = [sys.executable, "-c", "import tais.battery.load"]
    bare = fastest(lambda: subprocess.run([sys.executable, "-c", ""], check=True), time.perf_counter)
    whole = fastest(lambda: subprocess.run(command, check=True), time.perf_counter)
    print(f"import tais.battery.load\t{whole - bare:.2f}\ts")


if __name__ == "__main__":
    main()
