"""A calibration on the real engine, and the run that it predicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tais.cost.rates import read_rates
from tests.conftest import ROOT, Tais


@pytest.mark.nightly
@pytest.mark.engine
def test_a_calibration_times_every_arm_of_the_real_engine(tais: Tais, tmp_path: Path) -> None:
    quick = ROOT / "manifests" / "quick.yaml"
    arguments = ("--limit", "4", "--out", tmp_path / "out")
    done = tais("plan", quick, *arguments, "--calibrate", "--calibrate-items", "8")
    assert done.returncode == 0, done.stderr
    rates = read_rates(tmp_path / "out" / "quick" / "rates.json")
    assert set(rates.arms) == {"target", "draft_model"}
    assert rates.import_seconds > 0
    for own in rates.arms.values():
        assert own.load_seconds > 0
        assert own.seconds_per_token > 0
        assert isinstance(own.tokens_per_answer, dict)
        # Every battery has its mean, and none is longer than max_tokens of the manifest.
        assert set(own.tokens_per_answer) == {"demo_refuse", "demo_answer", "demo_choice", "demo_json"}
        assert all(0 < tokens <= 64 for tokens in own.tokens_per_answer.values())
    # Both arms answer alike, as speculation is lossless, so they are predicted the same tokens.
    assert rates.arms["target"].tokens_per_answer == rates.arms["draft_model"].tokens_per_answer
    assert "from a calibration on 16 items" in " ".join(done.stdout.split())
