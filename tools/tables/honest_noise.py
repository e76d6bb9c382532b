"""Measure how much more often one honest stack misses than another, and write it where verdicts read it.

``python tools/tables/honest_noise.py RUN_DIR...`` reads runs whose contrasts are complete audits
(``audit: true``, temperature 0) of honest arms: one stack in several batch sizes, orders or starts. It
rewrites ``tais/verdict/honest_noise.py`` and a table of docs/audit.md. What no run has stays.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from statistics_tables import table

from tais.analysis.drift import noise_of
from tais.rundir.engine_record import read_engine
from tais.rundir.layout import RunDir
from tais.rundir.lock import read_lock
from tais.stats.proportions import FloatArray
from tais.verdict.honest_noise import HONEST_RATIOS

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tais" / "verdict" / "honest_noise.py"
DOCUMENT = ROOT / "docs" / "audit.md"
QUANTILE = 0.99
DRAWS = 2_000
SEED = 1


class Honest(NamedTuple):
    """Complete audits of honest arms of one run, arrays of shape (arms, items)."""

    dtype: str
    tokens: NDArray[np.int64]
    misses: NDArray[np.int64]

    def ratios(self) -> FloatArray:
        """Return the ratio of every two arms' rates, prompts drawn anew, half a miss added to each count.

        Both arms of a pair keep the same prompts: what they share does not tell them apart.
        """
        arms, items = self.misses.shape
        draws = np.random.RandomState(SEED).multinomial(items, np.full(items, 1 / items), DRAWS)
        rates = (draws @ self.misses.T + 0.5) / (draws @ self.tokens.T)
        return np.concatenate([rates[:, a] / rates[:, b] for a, b in itertools.permutations(range(arms), 2)])


def honest(run_dir: Path) -> Honest:
    """Return the misses of the arms of a run."""
    run, lock = RunDir(run_dir), read_lock(run_dir)
    whole = [contrast for contrast in lock.contrasts if contrast.audit == "full"]
    references = {contrast.reference for contrast in whole}
    if len(references) != 1:
        raise SystemExit(f"{run_dir}: one reference with complete audits is asked for, not {len(references)}")
    (reference,) = references
    noise = noise_of(run, reference, [reference, *(contrast.candidate for contrast in whole)], np.inf)
    items = [item for item in noise[reference].tokens if all(item in own.tokens for own in noise.values())]
    return Honest(
        read_engine(run.audit(reference)).dtype,
        np.array([[own.tokens[item] for item in items] for own in noise.values()]),
        np.array([own.misses_of(items) for own in noise.values()]),
    )


def rows(runs: Sequence[Path]) -> tuple[dict[str, float], list[list[str]]]:
    """Return the quantile of each dtype, and the rows of the table."""
    found: dict[str, list[Honest]] = defaultdict(list)
    for run_dir in runs:
        # Arms of another run may be of another model, and are no controls of these.
        one = honest(run_dir)
        found[one.dtype].append(one)
    quantiles, lines = {}, []
    for dtype, own in sorted(found.items()):
        misses = np.concatenate([one.misses.sum(axis=1) for one in own])
        ratios = np.concatenate([one.ratios() for one in own])
        quantiles[dtype] = round(float(np.quantile(ratios, QUANTILE)), 2)
        tokens = sum(int(one.tokens.sum()) for one in own)
        per_arm = f"{misses.min()} to {misses.max()}"
        share = f"{np.quantile(ratios, 0.5):.2f}"
        lines.append([dtype, str(len(misses)), f"{tokens:,}", per_arm, share, f"{quantiles[dtype]:.2f}"])
    return quantiles, lines


def main() -> None:
    """Rewrite the constants and the table."""
    quantiles, lines = rows([Path(name) for name in sys.argv[1:]])
    known = {**HONEST_RATIOS, **quantiles}
    said = "".join(f'    "{dtype}": {known[dtype]},\n' for dtype in sorted(known))
    text = MODULE.read_text(encoding="utf-8")
    text = re.sub(r"= \{[^}]*\}", f"= {{\n{said}}}", text, count=1)
    MODULE.write_text(text, encoding="utf-8")
    head = ["dtype", "honest arms", "tokens", "misses per arm", "ratio, median", "99 %"]
    made = table(head, lines)
    page = DOCUMENT.read_text(encoding="utf-8")
    first, last = "<!-- table: honest -->\n", "<!-- end: honest -->"
    before, after = page.split(first)[0], page.split(last)[1]
    DOCUMENT.write_text(f"{before}{first}{made.rstrip()}\n{last}{after}", encoding="utf-8")
    sys.stdout.write(f"{made}\n")


if __name__ == "__main__":
    main()
