"""Regenerate the tables of docs/conformance.md by simulation.

::

    python tools/tables/conformance_tables.py               # rewrite all tables in place (minutes)
    python tools/tables/conformance_tables.py stops looks   # these tables only
    python tools/tables/conformance_tables.py --check       # exit 1 where they differ
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from scipy.stats import binom
from statistics_tables import table

from tais.analysis.token_law import Warp, edge_of, listed_laws
from tais.rundir.audits import AuditKey, Scored
from tais.stats.conformance.conformance import ConformanceResult, noise_impossible_p
from tais.stats.conformance.leak import LeakEstimate
from tais.stats.proportions import FloatArray
from tais.stats.rounding_band import ROUNDOFF, band
from tais.stats.sequential import KINDS, Boundary, even_looks
from tais.stats.simulation.conformance import greedy_arm, planted_leaks, simulate, toy_pair
from tais.stats.simulation.looks import operate
from tais.verdict.honest_noise import HONEST_IMPOSSIBLE

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
TOKENS = 20_000
NULL_RUNS = 1000
REPETITIONS = 200
SCREENS = 20_000
PLANTED = (
    ("bfloat16", 0.05, 0.0, 1),
    ("bfloat16", 0.05, 0.5, 1),
    ("float32", 5e-7, 0.0, 1),
    ("float32", 1e-5, 0.0, 65),
)
"""Dtype, noise, its log-sd over positions, and roundings in a row."""
IMPOSSIBLE_TOKENS = 40_000
CUTS = (40, 0.9)
"""Top-k and top-p."""
CONFORMANCE_ALPHA = 0.01
SCORES = ("argmax", "surprise", "draft_ratio", "leak")
PLANS = ((200, 4), (500, 5), (500, 10), (1000, 10))


def planted_table() -> str:
    """Detection of planted leaks at T = 0."""
    rows = []
    for dtype, noise, spread, roundings in PLANTED:
        for leaked in (0, 1, 10, 100, 1000):
            found = planted_leaks(
                leaked, noise=noise, dtype=dtype, roundings=roundings, repetitions=REPETITIONS, seed=leaked,
                spread=spread,
            )  # fmt: skip
            share = f"1 in {10_000 // leaked:,}" if leaked else "none"
            visible = f"{found.visible:.3f}" if leaked else ""
            cells = [f"{found.detected:.3f}", visible, f"{found.mean_bound:.5f}", f"{found.bound_holds:.3f}"]
            rows.append([dtype, f"{noise:g}", f"{spread:g}", f"{found.mean_band:.2g}", share, *cells])
    head = ["dtype", "noise", "log-sd", "mean band", "leaked", "arms flagged", "leaked tokens seen"]
    return table([*head, "mean upper bound", "bound holds"], rows)


def band_table() -> str:
    """Lossless arms outside the band, and outside the one that takes noise to be even."""
    rows = []
    for spread in (0.0, 0.25, 0.5, 0.75, 1.0):
        for control in (2_000, 12_000):
            random = np.random.RandomState(control + round(100 * spread))
            outside = np.zeros((REPETITIONS, 2))
            widths = np.zeros((REPETITIONS, 2))
            for run in range(REPETITIONS):
                own, scale, _, _ = greedy_arm(random, control, 0.05, 0, spread)
                margin, _, _, _ = greedy_arm(random, 12_000, 0.05, 0, spread)
                misses, ratio = own[own > 0], 12_000 / control
                now = band(misses, ROUNDOFF["bfloat16"], scale, tokens_ratio=ratio)
                widths[run] = max(_even_bound(misses, ratio), now.rounding), now.width
                outside[run] = margin.max() > widths[run]
            flagged = [f"{share:.3f}" for share in outside.mean(axis=0)]
            means = [f"{width:.2f}" for width in widths.mean(axis=0)]
            cells = [cell for pair in zip(means, flagged, strict=True) for cell in pair]
            rows.append([f"{spread:g}", f"{control:,}", *cells])
    head = ["log-sd", "control's tokens", "even band", "lossless arms outside", "band"]
    return table([*head, "lossless arms outside"], rows)


def _even_bound(misses: FloatArray, ratio: float) -> float:
    """Bound of exponential misses of one mean (Lawless 1971): what the band was before."""
    few = len(misses)
    if not few:
        return 0.0
    width = misses.sum() * math.expm1(math.log(max(ratio * few, 1.0) / 0.05) / few)
    return max(float(misses.max()), float(width))


def impossible_table() -> str:
    """How often tokens outside the law's support fail a stack without a control, honest or not."""
    dtype, edge = "float32", edge_of("float32", 1.0)
    rows = []
    for share in (0.003, 0.125, 0.25, 0.5):
        honest, uncut, left_out = _impossible(share * edge, edge)
        cells = [f"{share:g}", f"{1e4 * left_out:.2g}", f"{1e4 * honest:.2g}"]
        for n in (3_000, 30_000):
            few = _fewest(n, HONEST_IMPOSSIBLE[dtype])
            rates = [honest, *(honest + planted * (uncut - honest) for planted in (0.001, 0.01))]
            failed = [f"{float(binom.sf(few - 1, n, rate)):.3f}" for rate in rates]
            one = f"{float(binom.sf(0, n, honest)):.3f}"
            rows.append([*cells, f"{n:,}", one, str(few), *failed])
    head = ["noise / edge", "left out of 10,000", "impossible of 10,000", "tokens", "fails if one is enough"]
    return table([*head, "fails from", "fails", "0.1 % uncut", "1 % uncut"], rows)


def _impossible(noise: float, edge: float) -> tuple[float, float, float]:
    """Return shares of impossible tokens, of honest and of uncut draws, and of those left out as honest.

    Parameters
    ----------
    noise
        Standard deviation of how far two tokens move apart between the passes (nats): four errors.
    edge
        As of :func:`tais.analysis.token_law.listed_laws`.
    """
    random, counts = np.random.RandomState(round(1e9 * noise)), np.zeros(3)
    for _ in range(IMPOSSIBLE_TOKENS // 10_000):
        scores = 3 * random.standard_normal((10_000, 100))
        drawn = _log_softmax(scores + noise / 2 * random.standard_normal(scores.shape))
        scored = _log_softmax(scores + noise / 2 * random.standard_normal(scores.shape))
        for place, law in enumerate((_cut(drawn), np.exp(drawn))):
            edges = np.cumsum(law, axis=1)
            given = (random.random_sample((len(law), 1)) * edges[:, -1:] >= edges).sum(axis=1)
            ids = np.argsort(-scored, axis=1, kind="stable")
            key = AuditKey("a", "b", "i", 0, 0)
            own = np.take_along_axis(scored, given[:, None], axis=1)[:, 0].astype(np.float32)
            best = np.take_along_axis(scored, ids, axis=1).astype(np.float32)
            told = Scored(key, True, given.astype(np.int32), own, ids.astype(np.int32), best)
            laws, kept = listed_laws(told, None, Warp(*CUTS), edge, 0, 0, greedy=True)
            excluded = laws.target()[np.arange(len(laws)), laws.given] == 0
            counts[place] += excluded.sum()
            counts[2] += 0 if place else (~kept).sum()
    honest, uncut, left_out = (counts / IMPOSSIBLE_TOKENS).tolist()
    return honest, uncut, left_out


def _log_softmax(scores: FloatArray) -> FloatArray:
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


def _cut(logprobs: FloatArray) -> FloatArray:
    """Return the law after top-k and then top-p."""
    top_k, top_p = CUTS
    order = np.argsort(-logprobs, axis=1, kind="stable")
    law = np.exp(np.take_along_axis(logprobs, order, axis=1))
    law[:, top_k:] = 0
    law /= law.sum(axis=1, keepdims=True)
    law[np.cumsum(law, axis=1) - law >= top_p] = 0
    found = np.zeros_like(law)
    np.put_along_axis(found, order, law, axis=1)
    return found


def _fewest(n: int, honest: tuple[int, int]) -> int:
    """Return the count of impossible tokens from which on so many tokens fail."""
    return next(k for k in range(1, n) if noise_impossible_p(k, n, honest) < CONFORMANCE_ALPHA)


def size_table() -> str:
    """Share of correct runs that each test rejects, and whether the p-values are uniform."""
    from scipy.stats import kstest

    runs = simulate(toy_pair(), TOKENS, NULL_RUNS, seed=1)
    values = {f"z: {name}": [_z(run, name) for run in runs] for name in SCORES}
    values["z: smallest, Holm"] = [min(t.p_holm for t in run.tests) for run in runs]
    values["transform: KS"] = [run.uniform.ks_p for run in runs]
    values["transform: chi-squared"] = [_number(run.uniform.chi2_p) for run in runs]
    values["leak: score, one-sided"] = [_leak(run).score_p for run in runs]
    values["leak: likelihood ratio"] = [_leak(run).lr_p for run in runs]
    values["e-value, ever"] = [math.nan if run.e_value is None else run.e_value.p for run in runs]
    rows = []
    for name, found in values.items():
        continuous = name not in ("z: smallest, Holm", "leak: likelihood ratio", "e-value, ever")
        uniform = f"{kstest(found, 'uniform').pvalue:.3f}" if continuous else ""
        rates = [f"{np.mean(np.array(found) < level):.3f}" for level in (0.1, 0.05, 0.01)]
        rows.append([name, *rates, uniform])
    return table(["test", "p < 0.1", "p < 0.05", "p < 0.01", "KS p of the p-values"], rows)


def power_table() -> str:
    """Power and coverage under a leak."""
    rows = []
    for tokens, leaks in ((TOKENS, (0.0, 0.003, 0.01, 0.03, 0.1)), (10 * TOKENS, (0.003, 0.01, 0.03))):
        for e in leaks:
            runs = simulate(toy_pair(), tokens, REPETITIONS, leak=e, seed=int(e * 1000) + tokens)
            rows.append([f"{tokens:,}", f"{100 * e:g} %", *_powers(runs), *_coverages(runs, e)])
    head = ["tokens", "e", "leak score", "z: draft_ratio", "KS", "e-value", "mean detectable"]
    return table([*head, "mean estimate", "covered", "covered, clustered", "below the upper bound"], rows)


def _powers(runs: list[ConformanceResult]) -> list[str]:
    rejected = {
        "score": [_leak(run).score_p < 0.05 for run in runs],
        "ratio": [_z(run, "draft_ratio") < 0.05 for run in runs],
        "ks": [run.uniform.ks_p < 0.05 for run in runs],
        "e": [run.e_value is not None and run.e_value.crossed_at is not None for run in runs],
    }
    detectable = np.mean([_number(_leak(run).detectable) for run in runs])
    return [*(f"{np.mean(found):.3f}" for found in rejected.values()), f"{100 * detectable:.2f} %"]


def _coverages(runs: list[ConformanceResult], e: float) -> list[str]:
    found = [_leak(run) for run in runs]
    clustered = [x.ci_clustered for x in found if x.ci_clustered is not None]
    shares = (
        np.mean([x.ci[0] <= e <= x.ci[1] for x in found]),
        np.mean([low <= e <= high for low, high in clustered]),
        np.mean([e <= x.upper for x in found]),
    )
    return [f"{100 * np.mean([x.e for x in found]):.2f} %", *(f"{share:.3f}" for share in shares)]


def _z(run: ConformanceResult, name: str) -> float:
    return next(test.p for test in run.tests if test.name == name)


def _leak(run: ConformanceResult) -> LeakEstimate:
    if run.leak is None:
        raise SystemExit("the simulated draft has a law, so there is an estimate")
    return run.leak


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def errors_table() -> str:
    """Largest error rates of sequential boundaries at the margin."""
    rows = []
    for max_n, looks in PLANS:
        for kind in KINDS:
            boundary = Boundary(0.03, even_looks(max_n, looks), kind=kind)
            found = [operate(boundary, psi, -0.03, SCREENS, seed=1) for psi in (0.03, 0.04, 0.05, 0.1, 0.2)]
            worst = [f"{max(x.passed for x in found):.4f}", f"{max(x.failed for x in found):.4f}"]
            rows.append([str(max_n), str(looks), kind, *worst])
    return table(["items", "looks", "kind", "wrong pass", "wrong fail"], rows)


def stops_table() -> str:
    """Decisions and items used where there is no doubt about the truth."""
    rows = []
    for max_n, looks in PLANS:
        for kind in KINDS:
            boundary = Boundary(0.03, even_looks(max_n, looks), kind=kind)
            cells = []
            for psi, difference in ((0.0, 0.0), (0.01, 0.0), (0.03, 0.0), (0.15, -0.1)):
                found = operate(boundary, psi, difference, SCREENS, seed=2)
                share = found.failed if difference else found.passed
                cells.append(f"{share:.3f} / {found.mean_n:.0f}")
            rows.append([str(max_n), str(looks), kind, *cells])
    head = ["items", "looks", "kind", "pass, no flips", "pass, 1 % flips", "pass, 3 % flips"]
    return table([*head, "fail, 10 points worse"], rows)


TABLES = {
    "band": band_table,
    "impossible": impossible_table,
    "planted": planted_table,
    "size": size_table,
    "power": power_table,
    "looks": errors_table,
    "stops": stops_table,
}


def regenerate(text: str, names: list[str]) -> str:
    """Put fresh tables between their markers."""
    for name in names:
        start, end = f"<!-- table: {name} -->", f"<!-- end: {name} -->"
        before, rest = text.split(start)
        text = f"{before}{start}\n{TABLES[name]()}\n{end}{rest.split(end)[1]}"
    return text


def main() -> int:
    """Rewrite or check the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="all where none is named")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where tables differ")
    args = parser.parse_args()
    old = DOCUMENT.read_text(encoding="utf-8")
    new = regenerate(old, args.tables or list(TABLES))
    if args.check:
        return int(new != old)
    DOCUMENT.write_text(new, encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT}: {'changed' if new != old else 'unchanged'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
