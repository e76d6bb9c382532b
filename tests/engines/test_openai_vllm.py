"""A real vLLM API server on the CPU: the same answers and scores as the engine in process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tais.engines.base import EngineRefusal
from tais.engines.openai.engine import OpenaiEngine
from tais.engines.openai.server import arguments
from tais.engines.openai.teacher_forcing import OpenaiTeacher
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, Sample, SampleKey, ScoreRequest
from tests.conftest import ROOT, Tais, environment
from tests.engines.runs import edited, read_report, run_edited

LIMIT = 24
TARGET = str(ROOT / "models" / "demo" / "target")
DRAFT = str(ROOT / "models" / "demo" / "draft")
SERVE = {
    "enforce_eager": True,
    "max_model_len": 512,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 2048,
    "kv_cache_memory_bytes": 134217728,
}
DRAFTED = {"method": "draft_model", "model": DRAFT, "num_speculative_tokens": 4}


def test_arguments_of_a_server_are_single_words() -> None:
    arm = Arm(name="a", engine="openai", model="--x", dtype="float32", speculative_config=DRAFTED)
    found = list(
        arguments(arm, {"enforce_eager": True, "enable-prefix-caching": False, "lora_modules": ["a=b", 1]})
    )
    assert found[0] == "--model=--x"
    assert f"--speculative-config={json.dumps(DRAFTED)}" in found
    assert "--per-request-spec-decode-metrics=detailed" in found
    assert found[-5:] == ["--enforce-eager", "--no-enable-prefix-caching", "--lora-modules", "a=b", "1"]
    # What the arm says of matched settings can be overruled, by name.
    assert "--async-scheduling" in list(arguments(arm, {"async-scheduling": True}))


def change(data: dict[str, Any]) -> None:
    served = {"engine": "openai", "model": TARGET, "dtype": "float32", "engine_args": {"serve": dict(SERVE)}}
    data["arms"] = {
        "target": data["arms"]["target"],
        "served": served | {"speculative_config": DRAFTED},
    }
    data["contrasts"] = [
        {"reference": "target", "candidate": "served", "audit": True},
        {"reference": "served", "candidate": "target", "audit": True, "lossless": False},
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of the target in process and behind a server of its own, each auditing the other."""
    folder = tmp_path_factory.mktemp("served")
    return run_edited(folder, change, LIMIT)


@pytest.mark.engine
def test_a_served_arm_answers_token_for_token_as_the_engine_in_process(run: Path) -> None:
    contrasts = {c["candidate"]: c for c in read_report(run)["contrasts"]}
    served = contrasts["served"]
    assert served["identity"]["n"] == 4 * LIMIT
    assert served["identity"]["rate"] == 1.0
    assert "prompt_drift" not in {reason["code"] for reason in served["reasons"]}
    treatment = served["treatment"]
    assert treatment["requested"] == treatment["resolved"] == "draft_model"
    assert treatment["applied"] is True
    assert treatment["acceptance_rate"] > 0.3
    assert served["details"]["audit"]["candidate"]["rate"] == 1.0


@pytest.mark.engine
def test_an_audit_through_a_server_conforms(run: Path) -> None:
    audit = {c["candidate"]: c for c in read_report(run)["contrasts"]}["target"]["details"]["audit"]
    assert audit["candidate"]["tokens"] == audit["control"]["tokens"] > 20 * LIMIT
    assert audit["candidate"]["rate"] == audit["control"]["rate"] == 1.0
    engine = json.loads(next(run.glob("*/*/audits/served/own/engine.json")).read_text())["resolved"]
    assert engine["scores"] == "logits"
    assert engine["model_config"]["dtype"] == "torch.float32"
    assert engine["speculative_config"] is None


@pytest.mark.engine
@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"max_model_len": 100_000}, "max_model_len (100000)"), ({"no_such": 3}, "arguments: --no-such=3")],
)
def test_a_server_that_cannot_start_gives_its_own_reason(
    tais: Tais, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    def broken(data: dict[str, Any]) -> None:
        change(data)
        data["arms"] |= {"again": {"extends": "served"}}
        data["contrasts"] = [{"reference": "served", "candidate": "again"}]
        data["arms"]["served"]["engine_args"]["serve"] |= wrong

    done = tais("run", edited(tmp_path, broken), "--out", tmp_path / "out", "--limit", 2)
    assert done.returncode == 4
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tais: error: arm 'served': the arm's vLLM server ended with status ")
    assert said in last


@dataclass
class Running:
    """A server that another process keeps."""

    owner: subprocess.Popen[str]
    root: str
    key: str

    def arm(self, **options: Any) -> Arm:
        settings = {"base_url": f"{self.root}/v1", "api_key_env": "SERVED_KEY", **options}
        return Arm(name="a", engine="openai", model=TARGET, engine_args=settings)


_OWNER = """
import json, os, sys, time
# The server's own words go elsewhere.
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from tais.engines.openai.server import Server
from tais.manifest.engine_options import read_options
from tais.manifest.model import Arm
arm = Arm.model_validate_json(sys.argv[1])
server = Server(arm, read_options(arm), {})
server.wait()
print(json.dumps([server.root, server.key]), file=told, flush=True)
time.sleep(3600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A running server of the demo target, without speculation."""
    arm = Arm(name="a", engine="openai", model=TARGET, dtype="float32", engine_args={"serve": SERVE})
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, arm.model_dump_json()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment()
        | {"PYTHONPATH": str(ROOT), "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"},
    )
    assert owner.stdout is not None
    try:
        root, key = json.loads(owner.stdout.readline())
        os.environ["SERVED_KEY"] = key
        yield Running(owner, root, key)
    finally:
        os.environ.pop("SERVED_KEY", None)
        owner.kill()
        owner.wait()
        owner.stdout.close()


def asked() -> list[Request]:
    words = ("hello", "What is 3 plus 4?", "Tell me about cakes", "How tall is it?")
    return [Request(SampleKey("b", str(i), 0), (Message("user", w),), seed=i) for i, w in enumerate(words)]


def answers(arm: Arm, sampling: Sampling) -> dict[SampleKey, Sample]:
    engine = OpenaiEngine()
    engine.start(arm)
    try:
        engine.check(asked(), sampling)
        found = [sample for sample in engine.generate(asked(), sampling) if sample is not None]
    finally:
        engine.close()
    return {sample.key: sample for sample in found}


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
def test_both_endpoints_and_both_tokenizers_give_the_same_answers(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Broken packages are hidden from other processes through it.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    sampling = Sampling(max_tokens=12)
    chat = answers(server.arm(), sampling)
    local = server.arm(endpoint="completions").model_copy(update={"tokenizer": TARGET})
    for other in (answers(server.arm(endpoint="completions"), sampling), answers(local, sampling)):
        for key, sample in chat.items():
            assert other[key].token_ids == sample.token_ids
            assert other[key].text == sample.text
            assert other[key].prompt_digest == sample.prompt_digest
            assert other[key].top2_tokens == sample.top2_tokens
            assert other[key].top1_logprobs == pytest.approx(sample.top1_logprobs, abs=1e-4)


@pytest.mark.engine
@pytest.mark.parametrize("how", ["prompt_logprobs", "echo"])
def test_a_running_server_scores_its_own_greedy_tokens_best(server: Running, how: str) -> None:
    greedy = answers(server.arm(), Sampling(max_tokens=12))
    teacher = OpenaiTeacher()
    resolved = teacher.start_forcing(server.arm(score_with=how), 0.0, 4)
    assert resolved["scores"] == "logprobs"
    wanted = [ScoreRequest(request, greedy[request.key].token_ids or (), 1) for request in asked()]
    found = [scores for scores in teacher.force(wanted) if scores is not None]
    teacher.close()
    assert len(found) == len(wanted)
    for scores in found:
        sample = greedy[scores.request.request.key]
        assert scores.prompt_digest == sample.prompt_digest
        assert (scores.given == scores.top_scores[:, 0]).all()
        assert scores.top_tokens[:, 0].tolist() == list(sample.token_ids or ())[1:]
        assert scores.given == pytest.approx(np.asarray(sample.top1_logprobs)[1:], abs=1e-3)


@pytest.mark.engine
def test_a_law_at_another_temperature_than_1_is_refused(server: Running) -> None:
    with pytest.raises(EngineRefusal, match=r"no normaliser at 0\.7"):
        OpenaiTeacher().start_forcing(server.arm(), 0.7, 4)


@pytest.mark.engine
def test_without_its_key_the_server_says_so(server: Running) -> None:
    with pytest.raises(EngineRefusal, match="another API key than NO_SUCH_KEY holds: HTTP 401"):
        OpenaiEngine().start(server.arm(api_key_env="NO_SUCH_KEY"))


@pytest.mark.engine
def test_the_server_ends_when_its_arm_is_killed(server: Running) -> None:
    # Runs last: nothing is left to ask.
    family = psutil.Process(server.owner.pid).children(recursive=True)
    # Keeper, server, engine and worker.
    assert len(family) >= 3
    server.owner.send_signal(signal.SIGKILL)
    server.owner.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    host, port = server.root.removeprefix("http://").split(":")
    deadline = time.monotonic() + 10
    with socket.socket() as probe:
        while probe.connect_ex((host, int(port))) == 0:
            assert time.monotonic() < deadline
