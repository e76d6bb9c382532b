"""Measure an audit against the generation of what it scores, on the demo target: seconds and their ratio.

``python tools/bench/bench_audit.py``; ``make bench`` runs it too. Two shapes: the demo's own answers, and 64
answers of 64 tokens each, which no end-of-sequence token cuts short. Each engine has its own process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "bench"))
SHAPES = {"demo answers": (520, None), "64 x 64 tokens": (64, 64)}
_TIMES = 3


def _requests(count: int) -> list[Any]:
    from tais.plan.plan import make_plan
    from tais.records import Message, Request, SampleKey

    plan = make_plan(ROOT / "manifests" / "quick.yaml")
    items = [(b.name, item) for b in plan.batteries for item in b.items][:count]
    return [
        Request(SampleKey(name, item.id, 0), tuple(Message(m.role, m.content) for m in item.messages), 0)
        for name, item in items
    ]


def _arm() -> Any:
    from tais.plan.plan import make_plan

    return make_plan(ROOT / "manifests" / "quick.yaml").manifest.arms["target"]


def generate(count: int, exactly: int | None) -> dict[str, Any]:
    """Generate; return the best of some times, in seconds, and the answers."""
    from vllm import SamplingParams

    from tais.engines.vllm.engine import VllmEngine

    engine = VllmEngine()
    engine.start(_arm())
    prompts = [{"prompt_token_ids": engine._render(request)} for request in _requests(count)]
    sampling = SamplingParams(
        temperature=0, max_tokens=exactly or 64, ignore_eos=exactly is not None, logprobs=2
    )
    best, answers = float("inf"), []
    for _ in range(_TIMES):
        begun = time.monotonic()
        outputs = engine.llm.generate(prompts, sampling, use_tqdm=False)
        best = min(best, time.monotonic() - begun)
        answers = [list(output.outputs[0].token_ids) for output in outputs]
    return {"seconds": best, "answers": answers}


def score(count: int, answers: list[list[int]]) -> dict[str, Any]:
    """Score those answers; return the best of some times, in seconds."""
    from tais.engines.vllm.teacher_forcing import VllmTeacher
    from tais.records import ScoreRequest

    engine = VllmTeacher()
    engine.start_forcing(_arm(), 0.0, 4)
    asked = [ScoreRequest(r, a, 0) for r, a in zip(_requests(count), answers, strict=True)]
    best, misses = float("inf"), 0
    for _ in range(_TIMES):
        begun = time.monotonic()
        found = [scores for scores in engine.force(asked) if scores is not None]
        best = min(best, time.monotonic() - begun)
        misses = sum(int((s.top_scores[:, 0] > s.given).sum()) for s in found)
    return {"seconds": best, "misses": misses}


def _apart(task: str, **job: Any) -> dict[str, Any]:
    """Run a task in a process of its own, under the workers' environment."""
    from bench import environment

    done = subprocess.run(
        [sys.executable, __file__, task],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    print(f"{'':16}{'tokens':>8}{'generate':>10}{'audit':>8}{'ratio':>7}  (seconds; goal 0.5)")
    for name, (count, exactly) in SHAPES.items():
        made = _apart("generate", count=count, exactly=exactly)
        audited = _apart("score", count=count, answers=made["answers"])
        tokens = sum(map(len, made["answers"]))
        ratio = audited["seconds"] / made["seconds"]
        figures = f"{made['seconds']:10.2f}{audited['seconds']:8.2f}{ratio:7.2f}"
        print(f"{name:16}{tokens:8}{figures}  {audited['misses']} misses", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        given = json.loads(sys.stdin.read())
        print(json.dumps(generate(**given) if sys.argv[1] == "generate" else score(**given)))
    else:
        main()
