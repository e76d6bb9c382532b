"""Measure what the start of an engine on the CPU is made of, in processor seconds, one step after the other.

``python tools/bench/bench_startup.py``. Processor time first: importing is one thread at work, and other
users of a machine change its wall time only. The steps are those of a worker (`preload` of the vLLM engine),
then of one arm: load, first answers, the same answers again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models" / "demo"
ARGUMENTS = {
    "model": str(MODELS / "target"),
    "dtype": "float32",
    "enforce_eager": True,
    "max_model_len": 512,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 2048,
    "kv_cache_memory_bytes": 128 << 20,
    "async_scheduling": False,
    "disable_log_stats": False,
}
PROMPTS = [f"Tell me about thing number {i}." for i in range(16)]


def main() -> None:
    """Measure, print."""
    from tais.executors.process import worker_environment
    from tais.manifest.model import Arm

    if "TAIS_BENCH_STARTUP" not in os.environ:
        arm = Arm(name="target", engine="vllm", model=str(MODELS / "target"))
        os.execve(
            sys.executable,
            [sys.executable, __file__],
            {**worker_environment([arm]), "TAIS_BENCH_STARTUP": "1"},
        )
    rows: list[dict[str, Any]] = []

    def step(name: str, call: Callable[[], Any]) -> Any:
        modules, wall, cpu = len(sys.modules), time.monotonic(), time.process_time()
        found = call()
        row = {
            "step": name,
            "cpu": time.process_time() - cpu,
            "wall": time.monotonic() - wall,
            "modules": len(sys.modules) - modules,
        }
        rows.append(row)
        print(
            f"{name:44}{row['cpu']:7.2f} s CPU{row['wall']:8.2f} s{row['modules']:7} modules", file=sys.stderr
        )
        return found

    import gc
    import importlib

    from tais.common.foreign import hide_broken_packages
    from tais.engines.vllm import engine as ours

    def collected() -> None:
        gc.collect()
        gc.freeze()

    step("torch", lambda: importlib.import_module("torch"))
    step("hiding packages that do not load", hide_broken_packages)
    step("torch._dynamo, torch._inductor", lambda: importlib.import_module("torch._inductor.lowering"))
    step("transformers", lambda: importlib.import_module("transformers").PreTrainedTokenizerFast)
    step("vllm", lambda: importlib.import_module("vllm").LLM)
    step("vllm's engine", lambda: importlib.import_module("vllm.v1.engine.llm_engine"))
    step("vllm's runner", lambda: importlib.import_module("vllm.v1.worker.cpu_model_runner"))
    step("model classes", lambda: ours._register_architectures([str(MODELS / "target")]))
    step("compiling the rank count", ours._compile_ranks)
    step("one garbage collection, then freeze", collected)
    llm = step("arm: load", lambda: importlib.import_module("vllm").LLM(**ARGUMENTS))
    parameters = importlib.import_module("vllm").SamplingParams(
        temperature=0, max_tokens=32, ignore_eos=True, logprobs=2, flat_logprobs=True
    )
    for name in ("arm: first 16 answers of 32 tokens", "arm: the same again"):
        step(name, lambda: llm.generate(PROMPTS, parameters, use_tqdm=False))
    print(json.dumps(rows))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
