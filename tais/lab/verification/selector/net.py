"""The network of a selector: two hidden layers, one output per choice."""

from __future__ import annotations

import torch

__all__ = ["make_net"]


def make_net(features: int, hidden: int, actions: int, seed: int) -> torch.nn.Sequential:
    """Return a fresh network, the same for the same seed; torch's own generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Linear(features, hidden),
            torch.nn.SiLU(),
            torch.nn.Linear(hidden, hidden),
            torch.nn.SiLU(),
            torch.nn.Linear(hidden, actions),
        )
