"""What a selector sees of a root, as numbers (arXiv 2602.16994)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification.policy import Root
from tais.lab.verification.warp import Warp

__all__ = ["SCALARS", "describe", "width"]

SCALARS = (
    "entropy_p_before",
    "entropy_q_before",
    "entropy_q",
    "kl_p_q_before",
    "kl_q_p_before",
    "l1_before",
    "length",
    "temperature",
    "top_p",
)
"""Numbers in front of the hidden states; laws in nats, at the sampling temperature."""

# Keeps a divergence finite where one law rounds to 0 what the other does not.
_LEAST = -80.0


def describe(root: Root, warp: Warp) -> torch.Tensor:
    """Return the features of a root, shape (9 + states,), float32.

    Parameters
    ----------
    root
        What is known before anything is drafted.
    warp
        How the target's tokens are drawn. At temperature 0 the laws of temperature 1 are described, for
        point masses say nothing; top-k and top-p are left out of them, so that divergences stay finite.

    Notes
    -----
    The target's side lags by one token: it has not passed over the last one.
    """
    heat = warp.temperature or 1.0
    rows = (root.p_before, root.q_before, root.q)
    # Vocabularies are padded to different sizes.
    size = min(row.shape[-1] for row in rows)
    logs = torch.stack([row[:size].detach().to("cpu", torch.float64) for row in rows]) / heat
    logs = torch.log_softmax(logs, -1).clamp(min=_LEAST)
    laws = logs.exp()
    entropy = -(laws * logs).sum(-1)
    p, q = laws[0], laws[1]
    apart = logs[0] - logs[1]
    scalars = [
        *entropy.tolist(),
        float((p * apart).sum()),
        -float((q * apart).sum()),
        float((p - q).abs().sum()),
        float(root.length),
        warp.temperature,
        warp.top_p,
    ]
    states = [s.detach().to("cpu", torch.float32) for s in _states(root)]
    return torch.cat([torch.tensor(scalars, dtype=torch.float32), *states])


def _states(root: Root) -> Sequence[torch.Tensor]:
    return root.p_state_before, root.q_state_before, root.q_state


def width(target: int, draft: int) -> int:
    """Return how many features there are for hidden states of these sizes."""
    return len(SCALARS) + target + 2 * draft
