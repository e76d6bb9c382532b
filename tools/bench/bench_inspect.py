"""One vLLM arm by Inspect, whose ``vllm`` provider asks a server; see ``bench_peers.py``.

The server is started here: the provider's own ``vllm serve`` does not find itself where the CPU build is
installed, the module that it stands for does. Reads the same JSON as ``bench_bare.py`` from standard input
and prints times as JSON on its last line.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

# What the offline engine alone knows.
_OFFLINE = ("disable_log_stats", "per_request_spec_decode_metrics")
_START_SECONDS = 600.0


def flags(arguments: dict[str, Any]) -> Iterator[str]:
    """Yield the arguments of an engine as its server takes them."""
    for key, value in arguments.items():
        if key in _OFFLINE:
            continue
        name = key.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
        else:
            yield f"--{name}"
            yield json.dumps(value) if isinstance(value, dict | list) else str(value)


@contextlib.contextmanager
def served(arguments: dict[str, Any]) -> Iterator[str]:
    """Start a server, yield its address once it answers, and end it with all its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ("--host", "127.0.0.1", "--port", str(port))
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *where, *flags(arguments)]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not answers(f"http://127.0.0.1:{port}/health"):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"the server did not start: {' '.join(log.read().split())[-600:]}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def answers(url: str) -> bool:
    """Return whether a server says that it is up."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    """Run one arm."""
    begun = time.monotonic()
    job = json.load(sys.stdin)
    with served(job["arguments"]) as url:
        done = evaluated(job, url)
    print(json.dumps({"seconds": time.monotonic() - begun, **done}))


def evaluated(job: dict[str, Any], url: str) -> dict[str, int]:
    """Ask the server all prompts by Inspect; return how much it answered."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.solver import generate

    width = job["arguments"].get("max_num_seqs", 32)
    config = GenerateConfig(max_tokens=job["max_tokens"], temperature=0.0, max_connections=width)
    model = get_model(f"vllm/{job['arguments']['model']}", config=config, base_url=url, api_key="none")
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
        # Samples are read from the log file when they are asked for.
        texts = [sample.output.completion for sample in log.samples or []]
    return {"answers": len(texts), "characters": sum(map(len, texts))}


if __name__ == "__main__":
    main()
