"""How long an arm's answers took, from its samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tais.rundir.samples import read_batches

__all__ = ["answer_seconds"]

_QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99}
# Stored in single precision: more digits would be noise.
_DIGITS = 6


def answer_seconds(arm_dir: Path) -> dict[str, float] | None:
    """Return quantiles of the seconds from request to answer.

    Answers run in batches, so the seconds of two answers overlap: they do not add up to the arm's run
    time, and they depend on how many requests ran at once.

    Returns
    -------
    dict or None
        ``answers`` (number), ``p10``, ``median``, ``p90``, ``p99``; None where the engine tells no times.
    """
    parts = [
        batch.column("seconds").drop_null().to_numpy(zero_copy_only=False)
        for batch in read_batches(arm_dir, ("seconds",))
    ]
    seconds = np.concatenate([np.zeros(0), *parts])
    if not seconds.any():
        return None
    found = np.quantile(seconds, list(_QUANTILES.values()))
    named = zip(_QUANTILES, found.tolist(), strict=True)
    return {"answers": len(seconds), **{name: round(value, _DIGITS) for name, value in named}}
