"""Memory that a manifest says nothing of: from what is free, the same in all arms, in the lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tais.errors import EngineError
from tais.plan import memory
from tais.plan.memory import bytes_per_token
from tais.plan.plan import Plan, fitted, make_plan
from tais.rundir.lock import asked_digest, parse_lock

GIB = 1 << 30
# Two layers of two heads of 32: 512 bytes a token in float32, 128 tokens of context.
SMALL = {
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 64,
    "max_position_embeddings": 128,
}


def plan(folder: Path, weights: int = 1000, **arms: dict[str, Any]) -> Plan:
    """Plan a screen of vLLM arms on a made model, which nothing here loads."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text(json.dumps(SMALL))
    (model / "model.safetensors").write_bytes(b"0" * weights)
    (folder / "items.jsonl").write_text('{"id": "i", "prompt": "Open it"}\n')
    (folder / "b.yaml").write_text(
        "name: mine\nsource: {path: items.jsonl}\ncolumns: {id: id, prompt: prompt}\nexpect: answer\n"
        "scorer: refusal\nlicense: own\n"
    )
    target = {"engine": "vllm", "model": "./model", "dtype": "float32"}
    written = {"target": target, **{name: {"extends": "target", **arm} for name, arm in arms.items()}}
    (folder / "m.yaml").write_text(
        f"name: made\narms: {json.dumps(written)}\n"
        f"contrasts: [{{reference: target, candidate: {next(iter(arms))}}}]\n"
        "batteries: [{name: mine, path: b.yaml}]\n"
    )
    return make_plan(folder / "m.yaml")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is free: main memory, and a share of a GPU where there is one."""
    found: dict[str, Any] = {"memory": 16 * GIB, "gpu": None}
    monkeypatch.setattr(memory, "available_memory", lambda: found["memory"])
    monkeypatch.setattr(memory, "free_gpu_share", lambda: found["gpu"])
    monkeypatch.setattr(memory, "describe_gpus", lambda: [] if found["gpu"] is None else [{}])
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    return found


def test_bytes_of_a_token_are_those_that_are_published() -> None:
    # "Insights into DeepSeek-V3" (arXiv 2505.09343), table 1: KV cache per token in bfloat16, in kB.
    deepseek = {
        "num_hidden_layers": 61,
        "kv_lora_rank": 512,
        "qk_rope_head_dim": 64,
        "num_attention_heads": 128,
    }
    qwen = {"num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_size": 8192}
    llama = {
        "num_hidden_layers": 126,
        "num_attention_heads": 128,
        "num_key_value_heads": 8,
        "hidden_size": 16384,
    }
    for config, published in ((deepseek, 70.272), (qwen, 327.680), (llama, 516.096)):
        assert bytes_per_token(config, "bfloat16") == published * 1000
        assert bytes_per_token(config, "bfloat16", "fp8") == published * 500
    assert bytes_per_token({"text_config": qwen, "dtype": "float32"}, "auto") == 2 * 327_680
    assert bytes_per_token({}, None) is None


def test_a_cache_holds_what_runs_at_once_and_is_the_same_in_all_arms(
    tmp_path: Path, free: dict[str, Any]
) -> None:
    before = plan(
        tmp_path, again={"order": "shuffled"}, own={"engine_args": {"kv_cache_memory_bytes": 9 << 20}}
    )
    planned = fitted(before)
    # 256 answers of 128 tokens: vLLM's defaults on a CPU.
    needed = 256 * 128 * 2 * 2 * 2 * 32 * 4
    arms = planned.manifest.arms
    assert [arms[name].engine_args.get("kv_cache_memory_bytes") for name in arms] == [needed, needed, 9 << 20]
    assert planned.lock.memory is not None
    assert planned.lock.memory.arms == ("again", "target")
    assert parse_lock(planned.lock.to_bytes(), "lock") == planned.lock
    # Stacks and questions are those that the manifest names, whatever was free.
    assert planned.lock.arms == before.lock.arms
    assert asked_digest(planned.lock) == asked_digest(before.lock)
    assert len([note for note in planned.notes if "max_num_seqs 256 x max_model_len 128" in note]) == 1
    # A run that goes on keeps what it has.
    free["memory"] = GIB
    assert make_plan(tmp_path / "m.yaml").with_memory(planned.lock.memory).lock == planned.lock


def test_a_cache_takes_a_share_of_what_is_free_beside_the_weights(
    tmp_path: Path, free: dict[str, Any]
) -> None:
    free["memory"] = (12 << 20) + 2_000_000
    planned = fitted(plan(tmp_path, 2_000_000, again={"order": "shuffled"}))
    assert planned.lock.memory is not None
    assert planned.lock.memory.kv_cache_bytes == 6 << 20
    assert any("a share of the" in note for note in planned.notes)


def test_an_answer_that_fits_nowhere_is_refused_by_its_key(tmp_path: Path, free: dict[str, Any]) -> None:
    free["memory"] = 100_000
    with pytest.raises(EngineError) as refused:
        fitted(plan(tmp_path, again={"order": "shuffled"}))
    assert refused.value.place is not None
    assert refused.value.place.key == "arms.again.engine_args.max_model_len"
    assert "kv_cache_memory_bytes" in (refused.value.remedy or "")


@pytest.mark.parametrize(("share", "given"), [(0.5, 0.47), (0.96, None)], ids=["others_use_it", "free"])
def test_a_gpu_that_others_use_is_shared(
    tmp_path: Path, free: dict[str, Any], share: float, given: float | None
) -> None:
    planned = plan(tmp_path, again={"order": "shuffled"})
    for versions in (planned.lock.versions,):
        versions.pop("vllm-cpu", None)
    free["gpu"] = share
    chosen = fitted(planned)
    arms = chosen.manifest.arms.values()
    assert {arm.engine_args.get("gpu_memory_utilization") for arm in arms} == {given}


def test_memory_that_somebody_says_is_left_alone(
    tmp_path: Path, free: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"engine_args": {"gpu_memory_utilization": 0.5}}
    served = {"engine": "openai", "engine_args": {"serve": {"max-num-seqs": 4}}}
    planned = plan(tmp_path, said=said, served=served)
    assert fitted(planned, "ray").lock == planned.lock
    arms = fitted(planned).manifest.arms
    assert arms["said"].engine_args == said["engine_args"]
    assert arms["served"].engine_args["serve"]["kv_cache_memory_bytes"] == 256 * 128 * 1024
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")
    assert fitted(planned).lock == planned.lock
