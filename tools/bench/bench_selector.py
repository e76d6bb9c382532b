"""Compare a selector with fixed shapes and with the entropy policy on prompts that it never saw.

::

    python bench_selector.py SELECTOR [--skip 60] [--items 10] [--temperature 1 1.5] [--policy ...]

All policies decode the same prompts with the same loaded models, one prompt after the other with each of
them in turn, so that a change of the machine's speed meets all alike. One thread, time of the processor;
errors by prompt, differences paired by prompt. A policy is ``none``, ``METHOD SHAPE`` or ``selector METHOD``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tais.lab.verification import SeededRng, find_verifier, parse_shape
from tais.lab.verification.decode import Decoder, Speculation
from tais.lab.verification.policy import Tap
from tais.lab.verification.selector.choose import Chooser
from tais.lab.verification.selector.store import Selector
from tais.lab.verification.shapes import Shape
from tais.lab.verification.warp import Warp
from tais.lab.workbench.collect import seed_of
from tais.lab.workbench.pair import LoadedPair, battery_requests, load_pair

BATTERIES = ("demo_refuse", "demo_answer", "demo_choice", "demo_json")
POLICIES = (
    "none",
    "block chain:4",
    "block chain:7",
    "traversal paths:2x4",
    "specinfer paths:2x4",
    "traversal entropy:0.5,2,4",
    "traversal entropy:1,2,7",
    "specinfer entropy:0.5,2,4",
    "selector auto",
    "selector traversal",
    "selector specinfer",
)


@dataclass(frozen=True)
class Run:
    """One answer."""

    policy: str
    temperature: float
    prompt: str
    tokens: int
    steps: int
    seconds: float


def speculation(
    policy: str, pair: LoadedPair, warp: Warp, selector: Selector, taps: tuple[Tap, Tap]
) -> Speculation | None:
    """Return how a policy drafts."""
    if policy == "none":
        return None
    first, second = policy.split()
    if first != "selector":
        return Speculation(pair.draft, warp, parse_shape(second), find_verifier(first).load())
    chooser = Chooser(selector, warp, second)
    return Speculation(pair.draft, warp, Shape("chain"), find_verifier("token").load(), chooser, taps)


def answer(
    pair: LoadedPair, how: Speculation | None, warp: Warp, prompt: list[int], seed: int
) -> tuple[int, int, float]:
    """Decode one answer; return its tokens, the passes of the target behind the prompt's, and seconds."""
    room, tokens, steps, ended = 64, 0, 0, False
    begun = time.process_time()
    for step in Decoder(pair.target, warp, how).steps(prompt, room, SeededRng(seed)):
        steps += 1
        for token in step.tokens:
            tokens += 1
            ended = ended or token in pair.ends
            if ended or tokens == room:
                break
        if ended:
            break
    return tokens, steps - 1, time.process_time() - begun


def summary(runs: list[Run], against: str) -> list[dict[str, Any]]:
    """Return a row per policy: tokens per pass and per second, and the latter over another policy's."""
    rows = []
    for policy in dict.fromkeys(run.policy for run in runs):
        mine = [run for run in runs if run.policy == policy]
        tokens, seconds = sum(r.tokens for r in mine), sum(r.seconds for r in mine)
        row = {
            "policy": policy,
            "tokens_per_pass": (tokens - len(mine)) / max(1, sum(r.steps for r in mine)),
            "tokens_per_second": tokens / seconds,
            "error": _spread([(r.tokens, r.seconds) for r in mine]),
        }
        other = {(r.prompt, r.temperature): r for r in runs if r.policy == against}
        pairs = [(r, other[r.prompt, r.temperature]) for r in mine if (r.prompt, r.temperature) in other]
        row |= _gain(pairs)
        rows.append(row)
    return rows


def _spread(parts: list[tuple[int, float]]) -> float:
    """Return the standard error of a ratio of sums (linearised)."""
    rate = sum(t for t, _ in parts) / sum(s for _, s in parts)
    left = [t - rate * s for t, s in parts]
    return statistics.pstdev(left) * math.sqrt(len(parts)) / sum(s for _, s in parts)


def _gain(pairs: list[tuple[Run, Run]]) -> dict[str, float]:
    """Return the ratio of two speeds on the same prompts less 1, and its standard error (linearised)."""
    t1, s1 = sum(a.tokens for a, _ in pairs), sum(a.seconds for a, _ in pairs)
    t2, s2 = sum(b.tokens for _, b in pairs), sum(b.seconds for _, b in pairs)
    ratio = (t1 / s1) / (t2 / s2)
    left = [a.tokens / t1 - a.seconds / s1 - b.tokens / t2 + b.seconds / s2 for a, b in pairs]
    return {"gain": ratio - 1, "gain_error": ratio * math.sqrt(sum(x * x for x in left))}


def main() -> None:
    """Print a table, and all runs as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("selector", type=Path)
    parser.add_argument("--skip", type=int, default=60)
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--temperature", type=float, nargs="+", default=[1.0, 1.5])
    parser.add_argument("--policy", nargs="+", default=list(POLICIES))
    parser.add_argument("--against", default="block chain:7")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    selector = Selector.load(chosen.selector)
    facts = selector.facts["pair"]
    pair = load_pair(facts["target"]["model"], facts["draft"]["model"], facts["dtype"], "cpu")
    taps = Tap(pair.target.model), Tap(pair.draft.model)
    runs: list[Run] = []
    by_task = [list(battery_requests([name], chosen.items, chosen.skip)) for name in BATTERIES]
    requests = [request for same in itertools.zip_longest(*by_task) for request in same if request]
    for request, heat in itertools.product(requests, chosen.temperature):
        warp, name = Warp(heat), f"{request.key.battery}/{request.key.item_id}"
        for policy in chosen.policy:
            how = speculation(policy, pair, warp, selector, taps)
            seed = seed_of(policy, name, heat)
            runs.append(Run(policy, heat, name, *answer(pair, how, warp, pair.render(request), seed)))
        print(f"{len(runs)} answers", file=sys.stderr)
        if chosen.out:
            chosen.out.write_text(json.dumps([asdict(run) for run in runs]))
    for heat in (*chosen.temperature, None):
        some = [run for run in runs if heat in (None, run.temperature)]
        print(f"temperature {heat or 'any'}: {len(some) // len(chosen.policy)} answers each")
        for row in summary(some, chosen.against):
            print(
                f"{row['policy']:28} {row['tokens_per_pass']:6.2f} {row['tokens_per_second']:7.1f} "
                f"± {row['error']:4.1f} {row['gain']:+7.1%} ± {row['gain_error']:.1%}"
            )


if __name__ == "__main__":
    main()
