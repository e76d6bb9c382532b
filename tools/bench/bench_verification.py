"""Time every verifier against token verification, per drafted row: V = 128,000, K = 4, L = 8.

::

    python bench_verification.py [--vocabulary 128000] [--paths 4] [--length 8] [--drafts 6] [--json]

Beside it stands what every algorithm needs first: the laws of a node, made from float32 logits. Token
verification drafts one path of L rows; the others, where they can, K paths. One thread, time of the
processor; the median over drafts of the best of several runs with the same decisions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from tais.lab.verification import VERIFIERS, Draft, SeededRng, parse_shape
from tais.lab.verification.draft import Tree, Verifier
from tais.lab.verification.shapes import Shape, grow
from tais.lab.verification.warp import Warp

PEAK = 3.0
"""Standard deviation of the target's logits; the draft's add noise of a third of that."""


class Made:
    """A draft with the logits that it came from."""

    def __init__(self, shape: Shape, vocabulary: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.warp = Warp()
        self.q_logits: dict[int, torch.Tensor] = {}
        base: dict[int, torch.Tensor] = {}

        def logits(node: int) -> torch.Tensor:
            if node not in base:
                base[node] = PEAK * torch.randn(vocabulary, generator=generator)
            return base[node]

        def laws(tree: Tree, nodes: list[int]) -> torch.Tensor:
            for node in nodes:
                noise = PEAK / 3 * torch.randn(vocabulary, generator=generator)
                self.q_logits[node] = logits(node) + noise
            return self.warp.law(torch.stack([self.q_logits[node] for node in nodes]))

        self.tree, _ = grow(shape, laws, SeededRng(seed))  # type: ignore[arg-type]
        self.p_logits = torch.stack([logits(node) for node in range(len(self.tree.tokens))])

    def draft(self) -> Draft:
        """Make the laws from the logits."""
        p = self.warp.law(self.p_logits)
        q = torch.full_like(p, torch.nan)
        q[list(self.q_logits)] = self.warp.law(torch.stack(list(self.q_logits.values())))
        return Draft(self.tree, p, q)

    @property
    def rows(self) -> int:
        """Drafted tokens."""
        return len(self.tree.tokens) - 1


def best(work: Callable[[], object], runs: int) -> float:
    """Return the shortest of several times, in seconds."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def measure(name: str, shape: Shape, vocabulary: int, drafts: int) -> dict[str, object]:
    """Return microseconds per drafted row, those of making the laws of a row, and the accepted tokens."""
    verify = VERIFIERS[name].load()
    alone, laws, accepted = [], [], []
    for seed in range(drafts):
        made = Made(shape, vocabulary, seed)
        draft = made.draft()
        accepted.append(statistics.mean(len(verify(draft, SeededRng(s))) - 1 for s in range(4)))
        # Different decisions end at different depths: their mean, each the best of three.
        taken = statistics.mean(best(partial(_verified, verify, draft, seed), 3) for seed in range(4))
        alone.append(taken / made.rows * 1e6)
        laws.append(best(made.draft, 3) / (made.rows + 1) * 1e6)
    return {
        "verifier": name,
        "draft": str(shape),
        "us_per_row": round(statistics.median(alone), 1),
        "laws_us_per_row": round(statistics.median(laws), 1),
        "accepted": round(statistics.mean(accepted), 2),
    }


def _verified(verify: Verifier, draft: Draft, seed: int) -> None:
    verify(draft, SeededRng(seed))


def main() -> None:
    """Print one line per verifier."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=int, default=128_000)
    parser.add_argument("--paths", type=int, default=4)
    parser.add_argument("--length", type=int, default=8)
    parser.add_argument("--drafts", type=int, default=6)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    args = parser.parse_args()
    torch.set_num_threads(1)
    chain, paths = parse_shape(f"chain:{args.length}"), parse_shape(f"paths:{args.paths}x{args.length}")
    base = 0.0
    for name in VERIFIERS:
        if name == "khisti_lp":  # takes small vocabularies only
            continue
        shape = chain if VERIFIERS[name].single else paths
        row = measure(name, shape, args.vocabulary, args.drafts)
        # The first of the registry is token verification.
        base = base or float(str(row["us_per_row"]))
        row["times_token"] = round(float(str(row["us_per_row"])) / base, 2)
        text = json.dumps(row) if args.json else "  ".join(f"{k} {v!s:>11}" for k, v in row.items())
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
