"""Every engine on a CUDA GPU, with the demo models; skipped without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tais.common.machine import describe_gpus
from tests.conftest import ROOT, Tais
from tests.engines.runs import contrast_of, edited, run_edited

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not describe_gpus(), reason="needs a GPU"),
]

LIMIT = 16
TARGET, DRAFT = (str(ROOT / "models" / "demo" / name) for name in ("target", "draft"))
SHARE = {"gpu_memory_utilization": 0.4}


def arms(data: dict[str, Any], engine: str, dtype: str, speculation: dict[str, Any] | None) -> None:
    """Two arms of an engine on the card, the second of which speculates."""
    own: dict[str, dict[str, Any]] = {
        "vllm": {"enforce_eager": True, "max_model_len": 512, **SHARE},
        "reference": {"device": "cuda"},
    }
    own["transformers"] = {"device": "cuda"}
    own["openai"] = {"serve": {**own["vllm"], "max_num_seqs": 64}}
    target = {"engine": engine, "model": TARGET, "dtype": dtype, "engine_args": own[engine]}
    second = {"order": "shuffled"} if speculation is None else {"speculative_config": speculation}
    data["arms"] = {"target": target, "draft_model": {"extends": "target", **second}}
    data["contrasts"] = [{"reference": "target", "candidate": "draft_model", "audit": True}]


@pytest.mark.parametrize(
    ("engine", "speculation"),
    [
        ("vllm", {"method": "draft_model", "model": DRAFT, "num_speculative_tokens": 4}),
        ("vllm", {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}),
        ("transformers", {"method": "assistant_model", "model": DRAFT, "num_speculative_tokens": 4}),
        ("reference", {"method": "block", "model": DRAFT, "num_speculative_tokens": 4}),
        ("openai", None),
    ],
)
def test_an_engine_answers_speculates_and_scores_on_the_card(
    tmp_path: Path, engine: str, speculation: dict[str, Any] | None
) -> None:
    out = run_edited(tmp_path, lambda data: arms(data, engine, "float32", speculation), LIMIT)
    contrast = contrast_of(out, "target", "draft_model")
    assert contrast["identity"]["n"] == 4 * LIMIT
    # float32 without TF32: what differs is a tie.
    assert contrast["identity"]["rate"] >= 0.95
    assert contrast["details"]["audit"]["candidate"]["rate"] >= 0.99
    if speculation is not None:
        assert contrast["treatment"]["accepted_tokens"] > 0
    record = json.loads(next(out.glob("*/*/arms/target/engine.json")).read_text())
    assert record["environment"]["hardware"]["gpus"]


def test_arms_are_forked_as_no_import_touches_the_card(tmp_path: Path) -> None:
    out = run_edited(tmp_path, lambda data: arms(data, "vllm", "bfloat16", None), 4)
    log = next(out.glob("*/*/logs/worker.log")).read_text(errors="replace")
    assert "gets an interpreter of its own" not in log


def test_an_engine_core_of_its_own_answers_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    for number in ("0", "1"):
        monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", number)
        out = run_edited(tmp_path / number, lambda data: arms(data, "vllm", "float32", None), 4)
        answers.append(contrast_of(out, "target", "draft_model")["identity"]["rate"])
    assert min(answers) >= 0.9


@pytest.mark.skipif(len(describe_gpus()) < 2, reason="needs two GPUs")
def test_a_model_on_two_cards_answers(tmp_path: Path) -> None:
    def two(data: dict[str, Any]) -> None:
        # The seven heads of the target divide by no two, the four of the draft do.
        arms(data, "vllm", "float32", None)
        data["arms"]["target"]["model"] = DRAFT
        data["arms"]["draft_model"]["engine_args"] = {"tensor_parallel_size": 2}

    assert contrast_of(run_edited(tmp_path, two, 4), "target", "draft_model")["identity"]["n"] == 16


def test_a_card_that_others_use_is_shared(tais: Tais, tmp_path: Path) -> None:
    hog = (
        "import torch, time; free, _ = torch.cuda.mem_get_info(); "
        "held = torch.empty(int(free * .4), dtype=torch.uint8, device='cuda'); "
        "print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", hog], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()

            def plain(data: dict[str, Any]) -> None:
                arms(data, "vllm", "bfloat16", None)
                for arm in data["arms"].values():
                    arm.get("engine_args", {}).pop("gpu_memory_utilization", None)

            done = tais("run", edited(tmp_path, plain), "--out", tmp_path / "out", "--limit", 4)
            assert done.returncode == 3, done.stderr
            assert "others use the GPU" in done.stderr
        finally:
            other.kill()
