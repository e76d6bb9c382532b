"""FLy, lossy at every temperature: a refused token passes where the target was unsure and the next ones pass.

The entropy is of the law *before* temperature, so the rule is lossy at temperature 0 too, where the law that
is sampled from is one token.

References
----------
FLy, arXiv 2511.22972; ``rejection_sample_method: fly`` of vLLM 0.33, with its defaults. Of vLLM's two model
runners one reads the law after temperature where a batch has sampled requests, the other always the raw law,
as here.
"""

from __future__ import annotations

import torch

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["verify"]

WINDOW = 6
ENTROPY_THRESHOLD = 0.3
ENTROPY_TOP_K = 3


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Test each token of the first path; a refused one passes where the target is unsure of it."""
    path: list[tuple[int, int]] = []
    node = 0
    while draws := draft.draws(node):
        path.append((node, draws[0]))
        node = draws[0]
    passed = [rng.flip(_chance(draft, above, child)) for above, child in path]
    window, raw, out = min(WINDOW, len(path) - 1), draft.raw_p, list[int]()
    for place, (above, child) in enumerate(path):
        token = draft.tokens[child]
        behind = passed[place + 1 : place + 1 + window]
        followed = len(behind) == window > 0 and all(behind)
        if not (passed[place] or (followed and raw[above][token] > 0 and _unsure(raw[above]))):
            return [*out, rng.categorical((draft.p[above] - draft.q[above]).clamp(min=0))]
        out.append(token)
    return [*out, rng.categorical(draft.p[node])]


def _chance(draft: Draft, above: int, child: int) -> float:
    token = draft.tokens[child]
    return min(1.0, float(draft.p[above][token] / draft.q[above][token]))


def _unsure(law: torch.Tensor) -> bool:
    """Return whether the entropy of the likeliest tokens, in nats and as they stand, is high."""
    likeliest = law.topk(min(ENTROPY_TOP_K, law.shape[-1])).values
    return -float(torch.xlogy(likeliest, likeliest).sum()) >= ENTROPY_THRESHOLD
