"""Time the reference engine: several texts at once against one after the other, in the same process.

::

    python tools/bench/bench_reference.py [--batch 16] [--items 32] [--tokens 48] [--temperature 1] [--json]

Processor time and wall time per answer token on the demo pair, one thread, prompts of demo_refuse. The two
sides take turns, and the ratio is that of the best of three turns each. Loading is not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from tais.lab.reference.engine import ReferenceEngine
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, SampleKey

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "models" / "demo"
SETTINGS: dict[str, dict[str, Any] | None] = {
    "no draft": None,
    "token, chain of 4": {"method": "token", "num_speculative_tokens": 4},
    "traversal, 3 paths of 4": {"method": "traversal", "num_speculative_tokens": 4, "paths": 3},
    "gbv, 1 + 3 paths of 3": {"method": "gbv", "num_speculative_tokens": 4, "paths": 3, "trunk": 1},
}


def engine(how: dict[str, Any] | None, batch: int) -> ReferenceEngine:
    """Return a loaded engine."""
    made = ReferenceEngine()
    told = None if how is None else {"model": str(DEMO / "draft"), **how}
    settings = {"name": "a", "engine": "reference", "model": str(DEMO / "target"), "dtype": "float32"}
    arguments = {"batch_size": batch, "device": "cpu"}
    made.start(Arm.model_validate({**settings, "speculative_config": told, "engine_args": arguments}))
    return made


def requests(count: int) -> list[Request]:
    """Return the first prompts of a battery that comes along."""
    lines = (ROOT / "batteries" / "items" / "demo_refuse.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["prompt"] for line in lines[:count]]
    return [Request(SampleKey("b", str(i), 0), (Message("user", t),), seed=i) for i, t in enumerate(texts)]


def measure(
    made: ReferenceEngine, asked: list[Request], sampling: Sampling
) -> tuple[float, float, list[Any]]:
    """Return microseconds of the processor and of the clock per token, and the answers."""
    begun, clock = time.process_time(), time.perf_counter()
    found = {s.key: s.token_ids for s in made.generate(asked, sampling) if s is not None}
    spent, waited = time.process_time() - begun, time.perf_counter() - clock
    answers = [found[request.key] for request in asked]
    tokens = sum(len(ids or ()) for ids in answers)
    return spent / tokens * 1e6, waited / tokens * 1e6, answers


def main() -> None:
    """Print one line per setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    args = parser.parse_args()
    torch.set_num_threads(1)
    asked, sampling = requests(args.items), Sampling(temperature=args.temperature, max_tokens=args.tokens)
    for name, how in SETTINGS.items():
        sides = [engine(how, size) for size in (1, args.batch)]
        turns = [[measure(side, asked, sampling) for side in sides] for _ in range(3)]
        alone, together = (min(turn[side][0] for turn in turns) for side in (0, 1))
        row = {
            "setting": name,
            "batch": args.batch,
            "us_per_token_alone": round(alone),
            "us_per_token_together": round(together),
            "ratio": round(alone / together, 2),
            "wall_ratio": round(min(t[0][1] for t in turns) / min(t[1][1] for t in turns), 2),
            "same_answers": sum(a == b for a, b in zip(turns[0][0][2], turns[0][1][2], strict=True)),
        }
        text = json.dumps(row) if args.json else "  ".join(f"{key} {value}" for key, value in row.items())
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
