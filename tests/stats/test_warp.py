from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tais
from tais.errors import TaisError
from tais.manifest.checks import unreproducible
from tests.oracles.vllm_warp import warp

LOGITS = np.log(np.array([[0.4, 0.3, 0.2, 0.1]]))
SETTINGS: list[dict[str, Any]] = [
    {"temperature": 0.7},
    {"top_k": 5},
    {"top_p": 0.8},
    {"min_p": 0.1},
    {"temperature": 1.3, "top_k": 20, "top_p": 0.9, "min_p": 0.02},
    {"temperature": 0.005, "top_p": 0.5},
    {"top_k": 1},
    {"top_k": 10_000, "top_p": 0.3},
    {"top_k": -1},
]


def probabilities(**settings: Any) -> list[float]:
    return [float(x) for x in np.exp(warp(LOGITS, **settings))[0]]


def test_each_cut_by_hand() -> None:
    assert probabilities() == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=1e-7)
    # p^2 renormalised: 0.16, 0.09, 0.04, 0.01 of 0.3.
    assert probabilities(temperature=0.5) == pytest.approx([16 / 30, 9 / 30, 4 / 30, 1 / 30], abs=1e-7)
    assert probabilities(top_k=2) == pytest.approx([4 / 7, 3 / 7, 0, 0], abs=1e-7)
    # The smallest set that reaches 0.6 is {0.4, 0.3}.
    assert probabilities(top_p=0.6) == pytest.approx([4 / 7, 3 / 7, 0, 0], abs=1e-7)
    assert probabilities(min_p=0.4) == pytest.approx([4 / 9, 3 / 9, 2 / 9, 0], abs=1e-7)


def test_temperature_comes_first_and_top_p_after_top_k() -> None:
    # At T = 0.5 min-p 0.2 cuts 4/30 and 1/30 against 16/30 less than at T = 1: 0.2 * 16 = 3.2 < 4.
    assert probabilities(temperature=0.5, min_p=0.2)[3] == 0
    assert probabilities(min_p=0.2)[3] > 0
    # After top-k 3 the first two have 7/9 > 0.75; before it they had 0.7.
    assert probabilities(top_k=3, top_p=0.75)[2] == 0
    assert probabilities(top_p=0.75)[2] > 0


def test_ties_at_the_kth_logit() -> None:
    tied = np.array([[2.0, 1.0, 1.0, 0.0]])
    assert (np.exp(warp(tied, top_k=2)) > 0).sum() == 3
    assert (np.exp(warp(tied, top_k=2, ties="first"))[0] > 0).tolist() == [True, True, False, False]


def test_slack_keeps_tokens_at_the_edge() -> None:
    near = np.array([[2.0, 1.0, 0.99, 0.0]])
    assert np.isfinite(warp(near, top_k=2))[0].tolist() == [True, True, False, False]
    assert np.isfinite(warp(near, top_k=2, slack=0.05))[0].tolist() == [True, True, True, False]
    assert np.isfinite(warp(LOGITS, top_p=0.69, slack=0.02))[0].sum() == 3
    assert np.isfinite(warp(LOGITS, top_p=0.69))[0].sum() == 2
    assert np.isfinite(warp(LOGITS, min_p=0.51))[0].sum() == 2
    assert np.isfinite(warp(LOGITS, min_p=0.51, slack=0.05))[0].sum() == 3


def test_one_token_is_always_left() -> None:
    assert probabilities(top_p=1e-9) == [1, 0, 0, 0]
    assert probabilities(top_k=1) == [1, 0, 0, 0]
    assert probabilities(min_p=1.0) == [1, 0, 0, 0]


def test_masked_tokens_stay_masked() -> None:
    masked = np.array([[1.0, -np.inf, 0.0]])
    assert np.isneginf(warp(masked, top_p=0.99)[0, 1])


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.0}, {"top_p": 0.0}, {"min_p": 1.5}, {"top_k": -2}, {"slack": -1.0}]
)
def test_what_has_no_law_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(TaisError, match="no law"):
        warp(LOGITS, **settings)


@pytest.mark.parametrize("logits", [[[np.nan, 0.0]], [[np.inf, 0.0]], [[-np.inf, -np.inf]]])
def test_logits_that_are_none_are_refused(logits: list[list[float]]) -> None:
    with pytest.raises(TaisError, match="NaN"):
        warp(np.array(logits))


def test_parameters_that_hide_the_law_are_named() -> None:
    plain = {
        "temperature": 0.8,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["x"],
        "repetition_penalty": 1.0,
        "min_tokens": 0,
    }
    assert unreproducible(plain | {"presence_penalty": 0.0, "bad_words": [], "logit_bias": None}) == {}
    bad = {
        "presence_penalty": 0.5, "frequency_penalty": -1.0, "repetition_penalty": 1.1, "min_tokens": 4,
        "bad_words": ["x"], "logit_bias": {3: 1.0}, "allowed_token_ids": [1], "structured_outputs": object(),
    }  # fmt: skip
    assert set(unreproducible(plain | bad)) == set(bad)


VLLM = """
import sys
import numpy as np, torch
from tais.common.foreign import hide_broken_packages
hide_broken_packages()
from vllm.v1.sample.logits_processor.builtin import MinPLogitsProcessor
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch
from vllm.v1.sample.sampler import Sampler

given = dict(np.load(sys.argv[1]))
laws = {}
for kind, logits in given.items():
    for i, settings in enumerate(SETTINGS):
        x = torch.tensor(logits)
        rows, vocabulary = x.shape
        temperature = max(settings.get("temperature", 1.0), 0.01)
        x = Sampler.apply_temperature(x, torch.full((rows,), temperature), True)
        if settings.get("min_p"):
            processor = MinPLogitsProcessor.__new__(MinPLogitsProcessor)
            processor.min_p_count, processor.min_p = 1, torch.full((rows, 1), settings["min_p"])
            x = processor.apply(x)
        k, p = settings.get("top_k", 0), settings.get("top_p", 1.0)
        top_k = torch.full((rows,), min(k, vocabulary)) if k > 0 else None
        top_p = torch.full((rows,), p) if p < 1 else None
        x = apply_top_k_top_p_pytorch(x, top_k, top_p, allow_cpu_sync=True)
        laws[f"{kind}-{i}"] = x.softmax(dim=-1, dtype=torch.float32).numpy()
np.savez(sys.argv[2], **laws)
"""


@pytest.mark.engine
def test_the_law_is_vllms(tmp_path: Path) -> None:
    """vLLM's own functions, in the order of its sampler, in a process of their own on the CPU."""
    random = np.random.RandomState(0)
    smooth = (4 * random.standard_normal((200, 300))).astype(np.float32)
    logits: dict[str, Any] = {"smooth": smooth, "grid": np.round(smooth * 8) / 8}
    np.savez(tmp_path / "logits.npz", **logits)
    root = str(Path(tais.__file__).parent.parent)
    script = f"SETTINGS = {SETTINGS!r}\n{VLLM}"
    files = [str(tmp_path / "logits.npz"), str(tmp_path / "laws.npz")]
    subprocess.run(
        [sys.executable, "-c", script, *files], check=True, env=os.environ | {"PYTHONPATH": root}, timeout=300
    )
    laws = np.load(tmp_path / "laws.npz")
    for i, settings in enumerate(SETTINGS):
        found, expected = np.exp(warp(logits["smooth"], **settings)), laws[f"smooth-{i}"]
        assert ((found > 0) == (expected > 0)).all(), settings
        assert found == pytest.approx(expected, abs=2e-6)
        # torch's sort is not stable: of equal logits at the edge others may go, but as many.
        tied = np.sort(np.exp(warp(logits["grid"], **settings)), axis=1)
        assert tied == pytest.approx(np.sort(laws[f"grid-{i}"], axis=1), abs=2e-6), settings
