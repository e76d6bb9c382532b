"""Measure the whole analysis (scoring, identity, statistics, verdict) of a made-up run, by size.

``python tools/bench/bench_analysis.py [--large]``; ``make bench`` runs it too, without the largest size (1
GB of disk). The samples are random: refusals and answers of 256 tokens, with two per cent of each candidate's
answers exchanged. Time is processor time: reading and deciding are one thread at work.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TOKENS = 256
PART = 20_000
# The published study's size: 64,855 samples, 27 contrasts.
SIZES = ((64_855, 27), (648_550, 27), (1_000_000, 27))
LARGE = ((10_000_000, 27),)
TARGET = Path(__file__).resolve().parents[2] / "reports" / "bench" / "analysis.json"
BATTERIES = ("one", "two", "three", "four")


def make_run(folder: Path, samples: int, contrasts: int) -> None:
    """Write a run directory: one reference, so many candidates, four batteries."""
    from tais.rundir.items import _SCHEMA as ITEMS

    arms = contrasts + 1
    per_battery = samples // arms // len(BATTERIES)
    ids = [f"item-{i:06d}" for i in range(per_battery)]
    table = {
        "battery": np.repeat(BATTERIES, per_battery).tolist(),
        "item_id": ids * len(BATTERIES),
        "cluster": ids * len(BATTERIES),
        "messages": ['[["user", "please"]]'] * (per_battery * len(BATTERIES)),
        "expect": ['"refuse"'] * (per_battery * len(BATTERIES)),
        "chat": [True] * (per_battery * len(BATTERIES)),
    }
    pq.write_table(pa.table(table, schema=ITEMS), folder / "items.parquet")
    names = ["target", *(f"candidate{i:02d}" for i in range(contrasts))]
    (folder / "manifest.lock.json").write_text(json.dumps(_lock(names, per_battery)), encoding="utf-8")
    for index, name in enumerate(names):
        (folder / "arms" / name).mkdir(parents=True)
        _write_arm(folder / "arms" / name, ids, index)


def _lock(names: list[str], items: int) -> dict[str, Any]:
    arm: dict[str, Any] = {
        "engine": "fake",
        "model": "made up",
        "dtype": None,
        "speculative_config": None,
        "engine_args": {},
    }
    scorer = {"name": "refusal", "version": "1"}
    battery = {"items": items, "digest": "", "scorer": scorer, "margin": None, "notes": []}
    contrast = {"reference": "target", "role": "screen", "lossless": False, "differences": ["engine_args"]}
    return {
        "schema": "tais/lock/v1",
        "name": "made-up",
        "limit": None,
        "manifest": {"sha256": "", "source": {}},
        "arms": {name: {**arm, "order": "battery", "system_prompt": None} for name in names},
        "contrasts": [{**contrast, "candidate": name} for name in names[1:]],
        "batteries": [{**battery, "name": name} for name in BATTERIES],
        "sampling": {"n": 1, "temperature": 0, "seed": 42},
        "rules": {},
        "versions": {},
    }


def _write_arm(folder: Path, ids: list[str], index: int) -> None:
    from tais.rundir.samples import SCHEMA

    rng = np.random.default_rng(0)
    rows = [(battery, item) for battery in BATTERIES for item in ids]
    refuses = rng.random(len(rows)) < 0.8
    exchanged = np.random.default_rng(index).random(len(rows)) < (0.02 if index else 0)
    filler = "and so it goes on for a while, word after word. " * 20
    for start in range(0, len(rows), PART):
        part = slice(start, start + PART)
        n = len(rows[part])
        said = refuses[part] ^ exchanged[part]
        tokens = np.tile(np.arange(TOKENS, dtype=np.int32), n) + np.repeat(said.astype(np.int32), TOKENS)
        offsets = pa.array(np.arange(0, (n + 1) * TOKENS, TOKENS, dtype=np.int32))
        scores = pa.ListArray.from_arrays(offsets, pa.array(np.full(n * TOKENS, -0.1, dtype=np.float32)))
        lists = pa.ListArray.from_arrays(offsets, pa.array(tokens))
        none = pa.nulls(n, pa.list_(pa.int16()))
        texts = [
            f"{'I cannot help with that' if s else 'Sure, here it is'} {k}: {filler}"
            for k, s in enumerate(said)
        ]
        columns = {
            "battery": [row[0] for row in rows[part]],
            "item_id": [row[1] for row in rows[part]],
            "repeat": pa.array(np.zeros(n, dtype=np.int32)),
            "prompt_digest": ["00"] * n,
            "prompt_tokens": pa.nulls(n, pa.int32()),
            "token_ids": lists,
            "text": texts,
            "text_raw": pa.nulls(n, pa.binary()),
            "finish_reason": ["length"] * n,
            "top1_logprobs": scores,
            "top2_logprobs": scores,
            "top2_tokens": lists,
            "step_drafted": none,
            "step_accepted": none,
            "seconds": pa.nulls(n, pa.float32()),
        }
        pq.write_table(pa.table(columns, schema=SCHEMA), folder / f"part-{start // PART:05d}.parquet")


def analyse_once(run_dir: str) -> None:
    """Analyse a run directory and print time, import left out, and peak memory."""
    import tais.verdict.screen  # noqa: F401
    from tais.analysis.analyse import recompute

    begun, wall = time.process_time(), time.monotonic()
    report = recompute(Path(run_dir))
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall = time.monotonic() - wall
    print(json.dumps({"seconds": seconds, "wall": wall, "peak_mb": peak, "verdict": report.verdict.value}))


def main(sizes: tuple[tuple[int, int], ...]) -> None:
    """Measure every size in a process of its own."""
    from bench_peers import facts

    kept: dict[str, Any] = {"machine": facts(), "tokens_per_answer": TOKENS, "sizes": []}
    print(f"{'samples':>10}{'contrasts':>11}{'seconds':>9}{'us/sample':>11}{'peak MB':>9}")
    for samples, contrasts in sizes:
        with tempfile.TemporaryDirectory() as name:
            make_run(Path(name), samples, contrasts)
            done = subprocess.run(
                [sys.executable, __file__, name], capture_output=True, text=True, check=True
            )
        found = json.loads(done.stdout)
        kept["sizes"].append({"samples": samples, "contrasts": contrasts, **found})
        cost = 1e6 * found["seconds"] / samples
        print(
            f"{samples:10}{contrasts:11}{found['seconds']:9.1f}{cost:11.1f}{found['peak_mb']:9.0f}",
            flush=True,
        )
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--large"]):
        main(SIZES + (LARGE if sys.argv[1:] else ()))
    else:
        analyse_once(sys.argv[1])
