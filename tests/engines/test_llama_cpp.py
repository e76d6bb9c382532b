"""A real llama.cpp server on the CPU, with the demo models as GGUF in float32."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tais.engines.openai.engine import OpenaiEngine
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, Sample, SampleKey
from tests.conftest import ROOT, environment
from tests.engines.gguf_demo import write_gguf
from tests.engines.runs import contrast_of, run_edited

_ABSENT = [name for name in ("xllamacpp", "gguf", "transformers") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(_ABSENT), reason=f"not installed: {', '.join(_ABSENT)}"),
]

LIMIT = 6
TARGET = ROOT / "models" / "demo" / "target"
NAME = "demo"
DRAFTED = {"method": "draft-simple", "num_speculative_tokens": 4}


@contextmanager
def serving(**settings: Any) -> Iterator[str]:
    """The address of a server that lives as long as the block."""
    program = Path(__file__).with_name("llama_server.py")
    with subprocess.Popen(
        [sys.executable, str(program), json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), "the server did not start"
            yield url
        finally:
            process.kill()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Three servers: the target, the target with a draft, and one that accepts nine drafts in ten unseen."""
    folder = tmp_path_factory.mktemp("gguf")
    target = str(write_gguf(TARGET, folder / "target.gguf"))
    draft = str(write_gguf(TARGET.with_name("draft"), folder / "draft.gguf"))
    with ExitStack() as stack:
        yield {
            "llama": stack.enter_context(serving(model=target)),
            "drafted": stack.enter_context(serving(model=target, draft=draft)),
            "lossy": stack.enter_context(serving(model=target, draft=draft, accept=[0.9] * 4)),
        }


def attached(url: str, **options: Any) -> dict[str, Any]:
    settings = {"base_url": url, "endpoint": "completions", "concurrency": 1, **options}
    return {"engine": "openai", "model": NAME, "tokenizer": str(TARGET), "engine_args": settings}


@pytest.fixture(scope="module")
def run(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run: the weights in transformers, and behind each server."""

    def change(data: dict[str, Any]) -> None:
        plain = {"engine": "transformers", "model": str(TARGET), "dtype": "float32"}
        data["arms"] = {"target": plain, "llama": attached(servers["llama"])}
        for name in ("drafted", "lossy"):
            data["arms"][name] = attached(servers[name]) | {"speculative_config": DRAFTED}
        data["contrasts"] = [
            {"reference": "target", "candidate": "llama", "audit": True},
            {"reference": "llama", "candidate": "drafted"},
            {"reference": "llama", "candidate": "lossy", "role": "positive_control"},
            {"reference": "target", "candidate": "lossy", "role": "positive_control", "audit": True},
        ]

    folder = tmp_path_factory.mktemp("llama")
    return run_edited(folder, change, LIMIT)


def test_llama_cpp_gives_the_tokens_of_transformers_in_float32(run: Path) -> None:
    found = contrast_of(run, "target", "llama")
    assert found["identity"]["n"] == 4 * LIMIT
    assert found["identity"]["rate"] == 1.0
    assert "prompt_drift" not in {reason["code"] for reason in found["reasons"]}
    # Every token was given an id, or nothing could be audited.
    audit = found["details"]["audit"]
    assert audit["candidate"]["tokens"] == audit["control"]["tokens"] > 10 * LIMIT
    assert audit["candidate"]["rate"] == 1.0


def test_its_draft_changes_nothing_in_float32_and_is_counted(run: Path) -> None:
    found = contrast_of(run, "llama", "drafted")
    assert found["identity"]["rate"] == 1.0
    treatment = found["treatment"]
    assert treatment["applied"] is True
    assert treatment["draft_tokens"] > treatment["accepted_tokens"] > treatment["drafts"] > 0


def test_its_synthetic_acceptance_is_seen(run: Path) -> None:
    assert contrast_of(run, "llama", "lossy")["identity"]["rate"] < 0.9
    audit = contrast_of(run, "target", "lossy")["details"]["audit"]
    assert audit["candidate"]["rate"] < audit["control"]["rate"] == 1.0


def test_scores_of_drafted_tokens_are_not_kept(run: Path) -> None:
    def rows(arm: str) -> list[dict[str, Any]]:
        parts = sorted(run.glob(f"*/*/arms/{arm}/part-*.parquet"))
        return [row for part in parts for row in pq.read_table(part).to_pylist()]

    assert all(len(row["top1_logprobs"]) == len(row["token_ids"]) for row in rows("llama"))
    # llama.cpp says 0.0 for each: margins without end.
    assert [row["top1_logprobs"] for row in rows("drafted") if row["token_ids"]] == [None] * 4 * LIMIT


def answers(arm: Arm, requests: list[Request]) -> list[Sample]:
    engine = OpenaiEngine()
    engine.start(arm)
    try:
        engine.check(requests, Sampling(max_tokens=12))
        return [s for s in engine.generate(requests, Sampling(max_tokens=12)) if s is not None]
    finally:
        engine.close()


def test_its_chat_endpoint_renders_the_template_as_tais_does(servers: dict[str, str]) -> None:
    asked = [Request(SampleKey("b", "i", 0), (Message("user", "Tell me about cakes"),), seed=1)]
    own = answers(Arm(name="a", **attached(servers["llama"])), asked)[0]
    chat = answers(Arm(name="a", **attached(servers["llama"], endpoint="chat")), asked)[0]
    assert (chat.token_ids, chat.text) == (own.token_ids, own.text)
    assert chat.top2_tokens == own.top2_tokens
    assert own.token_ids is not None
    assert own.token_ids[0] not in (own.top2_tokens or [])[:1]


def test_it_continues_an_assistants_turn_and_says_only_what_it_adds(servers: dict[str, str]) -> None:
    turns = (Message("user", "Give me a recipe for a cake"), Message("assistant", "Sure, take"))
    asked = [Request(SampleKey("b", "i", 0), turns, seed=1)]
    (chat,), (ids,) = (
        answers(Arm(name="a", **attached(servers["llama"], endpoint=endpoint)), asked)
        for endpoint in ("chat", "completions")
    )
    # By token ids TAIS writes the prompt itself.
    assert (chat.token_ids, chat.text) == (ids.token_ids, ids.text)
    assert not chat.text.startswith("Sure")
