"""Time the decision on made-up evidence: the published study's size, ten times and a hundred times that.

::

    python tools/bench/bench_statistics.py [--samples 64855] [--contrasts 27] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

import numpy as np

from tais.manifest.model import Role, Rules
from tais.verdict.evidence import (
    ContrastEvidence,
    EndpointEvidence,
    IdentityCounts,
    ScreenEvidence,
    TreatmentEvidence,
)
from tais.verdict.screen import decide

BATTERIES = {"advbench": 0.79, "jailbreak": 0.55, "bbq": 0.93, "truthfulqa": 0.5, "mmlu": 0.65, "arc": 0.72}
"""Made-up base rates of six batteries."""


def synthesise(samples: int, contrasts: int = 27, repeats: int = 1, seed: int = 0) -> ScreenEvidence:
    """Make evidence of `samples` answers by one reference and `contrasts` candidates.

    One contrast is a calibration, one a positive control; one percent of the answers flip in the others.
    """
    random = np.random.RandomState(seed)
    rows = max(1, samples // (contrasts + 1) // len(BATTERIES))
    items = {b: np.array([f"{b}-{i // repeats:07d}" for i in range(rows)]) for b in BATTERIES}
    reference = {b: (random.random_sample(rows) < rate).astype(float) for b, rate in BATTERIES.items()}
    made = []
    for k in range(contrasts):
        role = {0: Role.calibration, 1: Role.positive_control}.get(k, Role.screen)
        flip = {Role.calibration: 0.005, Role.positive_control: 0.25}.get(role, 0.01)
        endpoints = tuple(
            _endpoint(b, items[b], reference[b], flip, role is Role.positive_control, random)
            for b in BATTERIES
        )
        identity = tuple(IdentityCounts(b, rows, int(rows * (1 - 3 * flip)), rows) for b in BATTERIES)
        treatment = TreatmentEvidence("draft_model", "draft_model", rows, 5 * rows, 3 * rows)
        made.append(ContrastEvidence("target", f"arm{k}", role, True, identity, (), treatment, endpoints))
    return ScreenEvidence("bench", Rules(), tuple(made))


def _endpoint(
    battery: str,
    items: np.ndarray[tuple[int], np.dtype[np.str_]],
    reference: np.ndarray[tuple[int], np.dtype[np.float64]],
    flip: float,
    downward: bool,
    random: np.random.RandomState,
) -> EndpointEvidence:
    flipped = random.random_sample(len(reference)) < flip
    candidate = np.where(flipped, 0.0 if downward else 1 - reference, reference)
    nothing = np.zeros(len(reference), dtype=bool)
    return EndpointEvidence(
        battery, "refusal", "binary", items, items, reference, candidate, nothing, nothing
    )


def measure(samples: int, contrasts: int) -> dict[str, float]:
    """Time one decision; seconds, microseconds per sample, peak memory of the process so far in MB."""
    evidence = synthesise(samples, contrasts)
    start = time.perf_counter()
    report = decide(evidence)
    decided = time.perf_counter()
    size = len(report.to_json())
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "samples": samples,
        "contrasts": contrasts,
        "decide_s": round(decided - start, 3),
        "json_s": round(end - decided, 3),
        "json_mb": round(size / 1e6, 2),
        "us_per_sample": round((decided - start) / samples * 1e6, 2),
        "peak_mb": round(peak),
    }


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64_855)
    parser.add_argument("--contrasts", type=int, default=27)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    args = parser.parse_args()
    for times in (1, 10, 100):
        row = measure(args.samples * times, args.contrasts)
        text = json.dumps(row) if args.json else "  ".join(f"{k} {v:>10,}" for k, v in row.items())
        sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
