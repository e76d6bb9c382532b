"""Measure the hidden-state attack: candidates per second against a bare batched forward pass.

``python tools/bench/bench_leak.py``. Bare is what nobody could leave out: the embedding and the blocks below
the layer, on batches of the same size behind the same prefix, by transformers with its own cache. The attack
adds distances, sorting, the order of candidates, and the growth of the prefix. Seconds are the processor's,
so that a busy machine falsifies little.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOKENS = 8
# A token that is known, as the beginning-of-sequence token is.
KNOWN = 1


def bare_rate(model: Any, tokens: list[int], layer: int, rows: int, batches: int) -> float:
    """Return candidates per second of forward passes over a prefix that is cached for all rows."""
    import copy

    from transformers.cache_utils import DynamicCache

    from tais.lab.packages import torch

    prefix = DynamicCache()
    with torch.inference_mode():
        model.deepen(model.ids(tokens).repeat(rows, 1), layer, past_key_values=prefix, use_cache=True)
        ids = torch.arange(rows)[:, None] % model.vocabulary
        spent = 0.0
        for _ in range(batches):
            cache = copy.deepcopy(prefix)
            begun = time.process_time()
            model.deepen(ids, layer, past_key_values=cache, use_cache=True)
            spent += time.process_time() - begun
    return rows * batches / spent


def attack_rate(model: Any, tokens: list[int], layer: int, rows: int, kind: str) -> float:
    """Return candidates per second of the attack on `TOKENS` tokens, nothing stopped early."""
    from tais.lab.leak.attack import Attack
    from tais.lab.leak.defence import Defence, Permutation
    from tais.lab.packages import torch

    defence = Defence(Permutation(kind))
    states = model.states(tokens, [layer])[layer]
    received = defence.apply(states, torch.Generator().manual_seed(0))
    attack = Attack(model, layer, defence, 0.0, model, rows)
    begun = time.process_time()
    found = attack.recover(received, tokens[:KNOWN])
    assert list(found.tokens) == tokens, "the attack must read what it is timed on"
    return sum(m.tried for m in found.matches) / (time.process_time() - begun)


def main() -> None:
    """Print one JSON object: rates and their ratio by layer and permutation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(ROOT / "models" / "demo" / "target"))
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    from tais.lab.leak.model import load_model
    from tais.lab.packages import torch

    torch.set_num_threads(options.threads)
    model = load_model(options.model, "float32", "cpu")
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, model.vocabulary, (KNOWN + TOKENS,), generator=generator).tolist()
    batches = -(-model.vocabulary // options.rows)
    result: dict[str, Any] = {
        "machine": platform.machine(),
        "threads": options.threads,
        "rows": options.rows,
        "vocabulary": model.vocabulary,
        "layers": {},
    }
    for layer in sorted({1, model.depth // 2, model.depth}):
        found: dict[str, list[float]] = {}
        # Taken in turn, so that a busy machine slows both alike.
        for _ in range(options.repeats):
            bare = bare_rate(model, tokens[: KNOWN + TOKENS // 2], layer, options.rows, batches)
            found.setdefault("bare", []).append(bare)
            for kind in ("none", "sequence", "hidden", "both"):
                rate = attack_rate(model, tokens, layer, options.rows, kind)
                found.setdefault(kind, []).append(rate)
                found.setdefault(f"{kind} over bare", []).append(rate / bare)
        result["layers"][layer] = {name: round(statistics.median(x), 3) for name, x in found.items()}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
