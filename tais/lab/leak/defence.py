"""What is done to hidden states before they leave: noise, fewer bits, permutations, combinations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tais.errors import UsageError
from tais.lab.packages import torch

__all__ = ["Defence", "Permutation", "in_order", "quantise"]

_BITS = (2, 16)


class Permutation(StrEnum):
    """What is shuffled: nothing, the rows (tokens), the coordinates, or both one after the other."""

    none = "none"
    sequence = "sequence"
    hidden = "hidden"
    both = "both"

    @property
    def rows(self) -> bool:
        """Whether rows are shuffled."""
        return self in (Permutation.sequence, Permutation.both)

    @property
    def columns(self) -> bool:
        """Whether coordinates are shuffled."""
        return self in (Permutation.hidden, Permutation.both)


def quantise(states: torch.Tensor, bits: int) -> torch.Tensor:
    """Round each row to a symmetric uniform grid, in float32.

    Parameters
    ----------
    states
        Shape (..., width).
    bits
        2 to 16; the grid has 2^bits - 1 levels between the row's largest magnitude and its negative.

    Notes
    -----
    One scale per token, as dynamic per-token quantisation has it; a scale per group or channel loses less.
    """
    top = 2 ** (bits - 1) - 1
    scale = states.abs().amax(dim=-1, keepdim=True) / top
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (states / scale).round().clamp(-top, top) * scale


def in_order(states: torch.Tensor) -> torch.Tensor:
    """Return states with each row sorted, shape (..., width): what no shuffle of coordinates changes."""
    if states.device.type != "cpu":
        return states.sort(dim=-1).values
    # numpy sorts float32 with vector instructions and keeps no indices.
    return torch.from_numpy(np.sort(states.float().numpy(), axis=-1))


@dataclass(frozen=True, slots=True)
class Defence:
    """One way to protect states.

    Raises
    ------
    UsageError
        When noise is negative or not finite, or bits are out of their range.
    """

    permutation: Permutation = Permutation.none
    noise: float = 0.0
    """Standard deviation of Gaussian noise, in the states' own units."""
    bits: int | None = None
    """Bits per coordinate after the noise; None leaves them as they are."""

    def __post_init__(self) -> None:
        if not 0 <= self.noise < float("inf"):
            what = f"noise {self.noise} is no standard deviation"
            raise UsageError(what, remedy="Give a number of at least 0")
        if self.bits is not None and not _BITS[0] <= self.bits <= _BITS[1]:
            raise UsageError(f"{self.bits} bits cannot be", remedy=f"Give {_BITS[0]} to {_BITS[1]}")

    def __str__(self) -> str:
        """Return such as ``both, noise 0.1, 4 bits``."""
        noise = [f"noise {self.noise:g}"] if self.noise else []
        bits = [f"{self.bits} bits"] if self.bits else []
        return ", ".join([self.permutation.value, *noise, *bits])

    def blur(self, states: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return states with noise and fewer bits, float32; what a rightful receiver works with."""
        changed = states.float()
        if self.noise:
            # Drawn on the CPU: the same seed gives the same noise on every device.
            drawn = torch.randn(changed.shape, generator=generator)
            changed = changed + self.noise * drawn.to(changed.device)
        return changed if self.bits is None else quantise(changed, self.bits)

    def apply(self, states: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return what the host receives, shape and device as given, float32.

        The coordinates of all rows are shuffled alike, as published schemes do. The attack sorts each row
        by itself, so a permutation of its own for every row would hide no more.
        """
        changed = self.blur(states, generator)
        if self.permutation.columns:
            changed = changed[:, torch.randperm(changed.shape[1], generator=generator).to(changed.device)]
        if self.permutation.rows:
            changed = changed[torch.randperm(changed.shape[0], generator=generator).to(changed.device)]
        return changed

    def seen(self, states: torch.Tensor) -> torch.Tensor:
        """Return candidate states as this defence would show them, without its randomness.

        The attacker knows the scheme and not its random numbers. Bits are matched where no noise was added:
        with noise, rounding a candidate as well only adds its own error.
        """
        changed = states.float()
        if self.bits is not None and not self.noise:
            changed = quantise(changed, self.bits)
        return in_order(changed) if self.permutation.columns else changed
