"""Which prompts opened the thinking of an arm, as its answers tell.

Templates of some families end in ``<think>`` (DeepSeek-R1, Qwen3 Thinking). An answer then closes what it did
not open, and one that was cut before has no mark at all: the other answers tell that it was thinking.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc

from tais.rundir.samples import read_batches
from tais.scorers.thinking import CLOSING, closes_unopened

__all__ = ["opened_batteries"]

_COLUMNS = ("battery", "text", "finish_reason")


def opened_batteries(folder: Path) -> frozenset[str]:
    """Return the batteries of an arm whose prompts opened the thinking.

    Those in which more answers close a thinking that they did not open than came to their end in another way:
    one stray mark shows nothing.
    """
    opened, others = dict[str, int](), dict[str, int]()
    for batch in read_batches(folder, _COLUMNS):
        marked = pc.match_substring_regex(batch.column("text"), CLOSING)
        if not opened and not pc.any(marked).as_py():
            # Nothing of this batch opens a battery, and most arms hold no mark.
            marked = None
        names, reasons = (batch.column(name).to_pylist() for name in ("battery", "finish_reason"))
        flags = [False] * len(names) if marked is None else marked.to_pylist()
        texts = batch.column("text")
        for row, (name, reason, flag) in enumerate(zip(names, reasons, flags, strict=True)):
            if flag and closes_unopened(texts[row].as_py()):
                opened[name] = opened.get(name, 0) + 1
            elif reason != "length":
                others[name] = others.get(name, 0) + 1
    return frozenset(name for name, count in opened.items() if count > others.get(name, 0))
