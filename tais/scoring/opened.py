"""Which prompts opened the thinking of an arm, as its answers tell.

Templates of some families end in ``<think>`` (DeepSeek-R1, Qwen3 Thinking). An answer then closes what it did
not open, and one that was cut before has no mark at all: the other answers tell that it was thinking.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
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
    marked = (pc.any(_marked(batch)).as_py() for batch in read_batches(folder, ("text",)))
    # Most arms hold no mark, which is found out in one look at their texts.
    if not any(marked):
        return frozenset()
    opened, others = Counter[str](), Counter[str]()
    for batch in read_batches(folder, _COLUMNS):
        columns = (batch.column(name).to_pylist() for name in _COLUMNS)
        for marks, battery, text, reason in zip(_marked(batch).to_pylist(), *columns, strict=True):
            if marks and closes_unopened(text):
                opened[battery] += 1
            elif reason != "length":
                others[battery] += 1
    return frozenset(name for name, count in opened.items() if count > others[name])


def _marked(batch: pa.RecordBatch) -> pa.BooleanArray:
    return pc.match_substring_regex(batch.column("text"), CLOSING)
