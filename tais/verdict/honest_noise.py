"""What honest stacks do by rounding alone, by dtype: measured, not assumed.

`python tools/tables/honest_noise.py RUN_DIR...` makes this file from complete audits of honest arms.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HONEST_IMPOSSIBLE", "HONEST_RATIOS"]

HONEST_RATIOS: Mapping[str, float] = {
    "bfloat16": 3.01,
    "float16": 3.01,
    "float32": 3.01,
}
"""99 % quantile, over pairs of honest arms and prompts drawn anew, of the ratio of their rates of misses; a
dtype that hardly ever misses tells none, and takes the worst that was measured."""

HONEST_IMPOSSIBLE: Mapping[str, tuple[int, int]] = {
    "float32": (0, 75_721),
}
"""Sampled tokens that the law excludes, beyond the edge of its cuts, and tokens in all."""
