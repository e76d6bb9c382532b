"""Drafts made here, at work in vLLM on the CPU: neither may change an answer."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, environment
from tests.engines.runs import edited, read_report
from tests.lab.drafts.models import DRAFT, TARGET, write_preferences

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed"),
]
LIMIT = 8


def command(*arguments: object, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tais", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=580,
        check=False,
    )
    assert done.returncode in codes, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """The demo draft, tuned to comply and cut to four bits, with both cards."""
    folder = tmp_path_factory.mktemp("drafts")
    preferences = write_preferences(folder / "prefs.jsonl", 96)
    counted = ["--battery", "demo_refuse", "--battery-limit", 48, "--max-tokens", 24, "--quiet"]
    training = ["--steps", 12, "--batch", 16, "--rate", 1e-3]
    adversarial = command(
        "draft", "adversarial", DRAFT, "--target", TARGET, "--preferences", preferences,
        "--out", folder / "adversarial", *training, *counted,
    )  # fmt: skip
    four_bits = command(
        "draft", "quantise", DRAFT, "--calibration", preferences, "--limit", 8, "--group", 32,
        "--out", folder / "int4", "--quiet",
    )  # fmt: skip
    return folder, json.loads(adversarial), json.loads(four_bits)


def test_tuning_takes_refusals_away(cards: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    refusals = cards[1]["refusals"]
    before, after = refusals["before"], refusals["after"]
    assert before["n"] == after["n"] == 48
    # The intervals do not touch.
    assert after["wilson"][1] < before["wilson"][0]


def test_four_bits_by_gptq_change_outputs_less(cards: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    errors = cards[2]["output_error"]
    assert errors["gptq"] < 0.6 * errors["rtn"]


def test_both_draft_in_vllm_and_change_nothing_but_rounding(
    cards: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    folder = cards[0]
    # vLLM's build for processors without AVX-512 has no kernel for four bits.
    wide = "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    names = ("adversarial", "int4") if wide else ("adversarial",)

    def change(data: dict[str, Any]) -> None:
        # vLLM's CPU kernel for four bits does not take float32.
        data["arms"]["target"]["dtype"] = "bfloat16"
        data["arms"] = {"target": data["arms"]["target"]} | {
            name: {
                "extends": "target",
                "speculative_config": {
                    "method": "draft_model",
                    "model": str(folder / name),
                    "num_speculative_tokens": 4,
                },
            }
            for name in names
        }
        data["contrasts"] = [{"reference": "target", "candidate": name} for name in names]

    command("run", edited(folder, change), "--out", folder, "--limit", LIMIT, codes=(0, 3))
    for contrast in read_report(folder)["contrasts"]:
        assert contrast["treatment"]["applied"] is True
        assert contrast["treatment"]["acceptance_rate"] > 0.2
        # bfloat16 may turn a near tie over, and no token may be structurally wrong.
        assert "structural_divergence" not in {reason["code"] for reason in contrast["reasons"]}
        assert contrast["identity"]["rate"] > 0.5
