"""Measure what honest stacks do by rounding alone, and write it where verdicts read it.

``python tools/tables/honest_noise.py RUN_DIR...`` reads runs whose contrasts are complete audits
(``audit: true``) of honest arms: one stack in several batch sizes, orders or starts; arms with other weights
are left out. Of greedy ones it takes how much more often one stack misses than another, of sampled ones that
cut laws (top-k, top-p) the tokens that are impossible. It rewrites ``tais/verdict/honest_noise.py`` and two
tables of docs/audit.md. What no run has stays.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from statistics_tables import table

from tais.analysis.drift import noise_of
from tais.analysis.token_law import Warp, edge_of, listed_laws
from tais.manifest.lossless import same_weights
from tais.records import SampleKey
from tais.rundir.audits import read_scores
from tais.rundir.engine_record import read_engine
from tais.rundir.layout import RunDir
from tais.rundir.lock import read_lock
from tais.rundir.lock_model import Lock
from tais.rundir.samples import read_batches
from tais.stats.proportions import FloatArray, clopper_pearson
from tais.verdict.honest_noise import HONEST_IMPOSSIBLE, HONEST_RATIOS

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tais" / "verdict" / "honest_noise.py"
DOCUMENT = ROOT / "docs" / "audit.md"
QUANTILE = 0.99
DRAWS = 2_000
FEWEST = 20
"""Misses of all arms of a dtype below which they tell no ratio."""
SEED = 1


class Honest(NamedTuple):
    """Complete audits of honest arms of one run, arrays of shape (arms, items)."""

    dtype: str
    tokens: NDArray[np.int64]
    misses: NDArray[np.int64]
    moved: FloatArray
    """How far the two best tokens moved apart between the pass that chose them and the one that scored them
    (nats), at every token of the reference's own answers."""

    def ratios(self) -> FloatArray:
        """Return the ratio of every two arms' rates, prompts drawn anew, half a miss added to each count.

        Both arms of a pair keep the same prompts: what they share does not tell them apart.
        """
        arms, items = self.misses.shape
        draws = np.random.RandomState(SEED).multinomial(items, np.full(items, 1 / items), DRAWS)
        rates = (draws @ self.misses.T + 0.5) / (draws @ self.tokens.T)
        return np.concatenate([rates[:, a] / rates[:, b] for a, b in itertools.permutations(range(arms), 2)])


def honest(run_dir: Path, lock: Lock) -> Honest:
    """Return the misses of the arms of a run under the reference that scored most of them."""
    run, arms = RunDir(run_dir), _arms(lock)
    reference = next(iter(arms))
    noise = noise_of(run, reference, arms, np.inf)
    items = [item for item in noise[reference].tokens if all(item in own.tokens for own in noise.values())]
    return Honest(
        read_engine(run.audit(reference)).dtype,
        np.array([[own.tokens[item] for item in items] for own in noise.values()]),
        np.array([own.misses_of(items) for own in noise.values()]),
        _moved(run, reference),
    )


def _moved(run: RunDir, reference: str) -> FloatArray:
    columns = ("battery", "item_id", "repeat", "top1_logprobs", "top2_logprobs")
    chosen = {}
    for batch in read_batches(run.arm(reference), columns):
        for battery, item, repeat, first, second in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            chosen[SampleKey(battery, item, repeat)] = np.array(first or []) - np.array(second or [])
    moved = [np.zeros(0)]
    for scored in read_scores(run.audit(reference)):
        if scored.key.arm == reference and not scored.key.first and scored.sample in chosen:
            n = min(len(chosen[scored.sample]), len(scored.given))
            gap = scored.top_scores[:n, 0].astype(np.float64) - scored.top_scores[:n, 1]
            moved.append(np.abs(chosen[scored.sample][:n] - gap))
    return np.concatenate(moved)


def _arms(lock: Lock) -> list[str]:
    """Return the reference with the most complete audits, and the arms of the same weights that it scored."""
    whole = [c for c in lock.contrasts if c.audit == "full"]
    if not whole:
        raise SystemExit(f"{lock.name}: complete audits are asked for (audit: true)")
    (reference, _), *_ = Counter(contrast.reference for contrast in whole).most_common()
    own = lock.arms[reference]
    scored = [c.candidate for c in whole if c.reference == reference]
    return [reference, *(arm for arm in scored if same_weights(own, lock.arms[arm]))]


def impossible(run_dir: Path, lock: Lock) -> tuple[str, int, int]:
    """Return dtype, impossible tokens, and tokens of the distinct answers of a sampled run."""
    reference, *others = _arms(lock)
    stack = RunDir(run_dir).audit(reference)
    dtype = read_engine(stack).dtype
    warp = Warp(lock.sampling.top_k, lock.sampling.top_p)
    edge = edge_of(dtype, lock.sampling.temperature)
    count = tokens = 0
    for scored in read_scores(stack):
        if scored.key.arm in (reference, *others) and scored.prompt_fits is not False and len(scored.given):
            laws, _ = listed_laws(scored, None, warp, edge, 0, 0, greedy=True)
            count += int((laws.target()[np.arange(len(laws)), laws.given] == 0).sum())
            tokens += len(laws)
    return dtype, count, tokens


def rows(runs: Sequence[Path]) -> tuple[dict[str, float], list[list[str]]]:
    """Return the quantile of each dtype, and the rows of the table."""
    found: dict[str, list[Honest]] = defaultdict(list)
    for run_dir in runs:
        lock = read_lock(run_dir)
        # Arms of another run may be of another model, and are no controls of these.
        if lock.sampling.temperature == 0:
            one = honest(run_dir, lock)
            found[one.dtype].append(one)
    misses = {d: np.concatenate([one.misses.sum(axis=1) for one in own]) for d, own in found.items()}
    ratios = {d: np.concatenate([one.ratios() for one in own]) for d, own in found.items()}
    telling = {
        dtype: round(float(np.quantile(ratios[dtype], QUANTILE)), 2)
        for dtype in sorted(found)
        if misses[dtype].sum() >= FEWEST
    }
    # What hardly ever misses tells no ratio, and is taken to be no steadier than the worst that does.
    worst = max([*telling.values(), *HONEST_RATIOS.values()])
    quantiles = {dtype: telling.get(dtype, worst) for dtype in sorted(found)}
    lines = []
    for dtype, taken in quantiles.items():
        tokens = sum(int(one.tokens.sum()) for one in found[dtype])
        per_arm = f"{misses[dtype].min()} to {misses[dtype].max()}"
        told = f"{np.quantile(ratios[dtype], 0.5):.2f}" if dtype in telling else "-"
        said = f"{taken:.2f}" if dtype in telling else f"{taken:.2f} (the worst)"
        moved = np.concatenate([one.moved for one in found[dtype]])
        apart = [f"{np.sqrt((moved**2).mean()):.2g}", f"{moved.max(initial=0.0):.2g}"]
        lines.append([dtype, str(len(misses[dtype])), f"{tokens:,}", per_arm, told, said, *apart])
    return quantiles, lines


def impossible_rows(runs: Sequence[Path]) -> tuple[dict[str, tuple[int, int]], list[list[str]]]:
    """Return counts of each dtype, and the rows of the table."""
    found: dict[str, tuple[int, int]] = {}
    for run_dir in runs:
        lock = read_lock(run_dir)
        if lock.sampling.temperature > 0 and Warp(lock.sampling.top_k, lock.sampling.top_p).cuts:
            dtype, few, tokens = impossible(run_dir, lock)
            before = found.get(dtype, (0, 0))
            found[dtype] = before[0] + few, before[1] + tokens
    lines = []
    for dtype, (few, tokens) in sorted(found.items()):
        bound = f"{1e4 * float(clopper_pearson(few, tokens, 0.9)[1]):.2g}"
        lines.append([dtype, f"{edge_of(dtype, 1.0):g}", f"{tokens:,}", str(few), bound])
    return found, lines


def main() -> None:
    """Rewrite the constants and the tables."""
    runs = [Path(name) for name in sys.argv[1:]]
    quantiles, lines = rows(runs)
    counts, impossible_lines = impossible_rows(runs)
    known = {**HONEST_RATIOS, **quantiles}
    _write_constants("HONEST_RATIOS", {dtype: str(known[dtype]) for dtype in known})
    all_counts = {**HONEST_IMPOSSIBLE, **counts}
    said = {dtype: f"({few}, {tokens:_})" for dtype, (few, tokens) in all_counts.items()}
    _write_constants("HONEST_IMPOSSIBLE", said)
    head = ["dtype", "honest arms", "tokens", "misses per arm", "ratio, median", "99 %"]
    head += ["moved apart (nats), rms", "largest"]
    if lines:
        _write_table("honest", table(head, lines))
    head = ["dtype", "edge (nats)", "tokens", "impossible", "95 % bound of 10,000"]
    if impossible_lines:
        _write_table("honest-impossible", table(head, impossible_lines))


def _write_constants(name: str, values: Mapping[str, str]) -> None:
    said = "".join(f'    "{dtype}": {values[dtype]},\n' for dtype in sorted(values))
    text = MODULE.read_text(encoding="utf-8")
    text = re.sub(rf"({name}: [^\n]*= )\{{[^}}]*\}}", rf"\g<1>{{\n{said}}}", text, count=1)
    MODULE.write_text(text, encoding="utf-8")


def _write_table(name: str, made: str) -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    first, last = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
    before, after = page.split(first)[0], page.split(last)[1]
    DOCUMENT.write_text(f"{before}{first}{made.rstrip()}\n{last}{after}", encoding="utf-8")
    sys.stdout.write(f"{made}\n")


if __name__ == "__main__":
    main()
