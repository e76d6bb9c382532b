"""In which order an arm is asked."""

from __future__ import annotations

import random

from tais.manifest.model import Arm, Sampling

__all__ = ["arm_order"]


def arm_order(count: int, arm: Arm, sampling: Sampling) -> list[int]:
    """Return the indices of an arm's requests in the order in which it is asked.

    Parameters
    ----------
    count
        Number of requests.
    arm
        Its order counts: ``battery``, or ``shuffled`` (the same shuffle on every attempt and machine, another
        one per arm, and one for all starts of an arm).
    sampling
        Its seed counts.
    """
    indices = list(range(count))
    if arm.order == "shuffled":
        random.Random(f"{sampling.seed}/{arm.start_of or arm.name}").shuffle(indices)
    return indices
