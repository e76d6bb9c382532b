"""Simulate what a screen of the published study's size takes on several nodes. Nothing here is measured.

``python tools/bench/simulate_scale.py`` prints a table by nodes and shards, from the rates below or from a
file of rates (``--rates``, as ``tais plan --calibrate`` keeps it). The published study has 64,855 samples;
here they are answers of three stacks of a 70B pair: target, target with a draft, and the target once more.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tais.manifest.model import Role, Rules, Sampling
from tais.rundir.lock_model import (
    Lock,
    LockedArm,
    LockedBattery,
    LockedContrast,
    LockedScorer,
    ManifestSource,
)

SAMPLES = 64_855
ARMS = ("target", "speculative", "target_again")
NODES = (1, 2, 4, 8)
SHARDS = (1, 2, 4, 8)

# Declared: orders of magnitude for 70B in 16 bits on one node of eight GPUs with 80 GB, tensor-parallel over
# all of them. 140 GB of weights at 0.6 GB/s from shared storage, and 60 s to capture graphs; 2,500 answer
# tokens per second at full batch; a draft that makes an answer 1.5 times as fast at that batch.
_TARGET: dict[str, Any] = {
    "load_seconds": 290,
    "warmup_seconds": 5,
    "seconds_per_token": 1 / 2500,
    "tokens_per_answer": 180,
    "devices": 8,
}
DECLARED: dict[str, Any] = {
    "source": "declared",
    "said": "orders of magnitude for a 70B pair on nodes of eight GPUs (tools/bench/simulate_scale.py)",
    "import_seconds": 20,
    # Measured on two cores: 30 microseconds per sample to score and decide (docs/speed.md).
    "rest_seconds": 65_000 * 30e-6,
    "arms": {"*": _TARGET, "speculative": {**_TARGET, "seconds_per_token": 1 / 3750, "load_seconds": 320}},
}


def lock(samples: int) -> Lock:
    """Return a lock of as many samples; a prediction reads sizes and contrasts of it."""
    items = -(-samples // len(ARMS))
    sides = (("speculative", Role.screen), ("target_again", Role.calibration))
    scorer = LockedScorer(name="refusal", version="1")
    return Lock(
        name="simulated",
        manifest=ManifestSource(sha256="", source={}),
        arms={name: LockedArm(engine="fake", engine_args={}) for name in ARMS},
        contrasts=tuple(
            LockedContrast(reference="target", candidate=candidate, role=role, lossless=False)
            for candidate, role in sides
        ),
        batteries=(LockedBattery(name="all", items=items, digest="", scorer=scorer),),
        sampling=Sampling(),
        rules=Rules(),
        versions={},
    )


def main() -> None:
    """Simulate and print."""
    from tais.cost.predict import predict
    from tais.cost.rates import Rates, read_rates
    from tais.report.tables.cost import seconds_words

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=Path, help="rates to simulate with; '*' stands for all arms")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    options = parser.parse_args()
    rates = read_rates(options.rates) if options.rates else Rates.model_validate(DECLARED)
    print(f"SIMULATED, not measured: {options.samples:,} samples, {len(ARMS)} stacks; rates: {rates.said}")
    print(f"{'nodes':>6}{'shards':>8}{'wall':>12}{'device hours':>14}{'speed-up':>10}")
    one = predict(lock(options.samples), rates)["wall_seconds"]
    for nodes in NODES:
        for shards in SHARDS:
            found = predict(lock(options.samples), rates, workers=nodes, shards=shards)
            wall, hours = found["wall_seconds"], found["device_hours"]
            print(f"{nodes:6}{shards:8}{seconds_words(wall):>12}{hours:14.1f}{one / wall:10.2f}")


if __name__ == "__main__":
    main()
