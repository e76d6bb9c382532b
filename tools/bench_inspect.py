"""One vLLM arm by Inspect, whose own ``vllm`` provider starts the server; see ``bench_peers.py``.

Reads the same JSON as ``bench_bare.py`` from standard input and prints times as JSON on its last line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from typing import Any

# What the offline engine alone knows.
_OFFLINE = ("disable_log_stats", "per_request_spec_decode_metrics")


def server_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of an engine as a server takes them: the provider writes True as a bare flag."""
    found: dict[str, Any] = {}
    for key, value in arguments.items():
        if key in ("model", *_OFFLINE):
            continue
        if value is False:
            found[f"no_{key}"] = True
        else:
            found[key] = json.dumps(value) if isinstance(value, dict) else value
    return found


def main() -> None:
    """Run one arm."""
    begun = time.monotonic()
    job = json.load(sys.stdin)
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.solver import generate

    width = job["arguments"].get("max_num_seqs", 32)
    config = GenerateConfig(max_tokens=job["max_tokens"], temperature=0.0, max_connections=width)
    model = get_model(
        f"vllm/{job['arguments']['model']}", config=config, **server_arguments(job["arguments"])
    )
    samples = [Sample(input=prompt, id=str(i)) for i, prompt in enumerate(job["prompts"])]
    with tempfile.TemporaryDirectory() as logs:
        (log,) = evaluate(
            Task(dataset=MemoryDataset(samples), solver=generate()),
            model=model,
            log_dir=logs,
            display="none",
            max_samples=width,
        )
    if log.status != "success":
        sys.exit(f"inspect: {log.error}")
    answers = [sample.output.completion for sample in log.samples or []]
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - begun,
                "answers": len(answers),
                "characters": sum(map(len, answers)),
            }
        )
    )


if __name__ == "__main__":
    main()
