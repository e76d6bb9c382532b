"""Measure TAIS, a bare vLLM script, lm-evaluation-harness and Inspect on the same two arms, in one session.

``python tools/bench/bench_peers.py``; ``make bench`` runs it too. All get the same prompts, engine settings,
answer length and environment variables, and the time counts from nothing to the stored answers of both arms,
loading included. TAIS and the bare script ask for two log-probabilities per token, the peers for none: less
work for them. Each peer runs as its users run it: the harness its ``vllm`` model in one process per arm,
Inspect its ``vllm`` provider, which asks a server that is started per arm. A peer that is not installed is
skipped.

Memory is the largest sum of proportional set sizes over a program's processes, looked at twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "bench"
TARGET = ROOT / "reports" / "bench" / "peers.json"
INSTALL = {
    "lm_eval": "pip install lm_eval==0.4.13",
    "inspect_ai": "pip install inspect-ai==0.3.285 'openai>=2'",
}
MAX_TOKENS = 64


class Failed(Exception):
    """A program that did not do what it was asked."""


class Peak:
    """Looks at the memory of a process and all its descendants until it is left."""

    def __init__(self, pid: int) -> None:
        self.process, self.bytes = psutil.Process(pid), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            total = 0
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in family:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.bytes = max(self.bytes, total)


def timed(
    command: list[str], environment: Mapping[str, str], text: str = "", good: tuple[int, ...] = (0,)
) -> dict[str, Any]:
    """Run a program to its end; return wall time, peak memory and what it printed last."""
    begun, used = time.monotonic(), cpu_seconds()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=dict(environment),
        )
        with Peak(process.pid) as peak:
            out, _ = process.communicate(text)
        if process.returncode not in good:
            errors.seek(0)
            words = " ".join(errors.read().split())[-600:]
            raise Failed(f"{' '.join(command[:3])} ended with {process.returncode}: {words}")
    lines = out.strip().splitlines()
    return {
        "wall": time.monotonic() - begun,
        "cpu": cpu_seconds() - used,
        "peak_mb": peak.bytes / 2**20,
        "last": lines[-1] if lines else "",
    }


def cpu_seconds() -> float:
    """Return the processor time of all programs that ended: other users of the machine change it little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_screen(folder: Path, items: int, arms: int) -> Path:
    """Write a manifest of the quick demo's two stacks, and more of the second, over so many prompts."""
    from tais.plan.plan import make_plan

    quick = ROOT / "manifests" / "quick.yaml"
    prompts = [m.content for b in make_plan(quick).batteries for item in b.items for m in item.messages]
    # Spread over the batteries; beyond their size numbered, so that no two prompts are the same.
    texts = (
        [prompts[i * len(prompts) // items] for i in range(items)]
        if items <= len(prompts)
        else [f"{prompts[i % len(prompts)]} ({i // len(prompts)})" for i in range(items)]
    )
    rows = (json.dumps({"id": f"i{i:06d}", "prompt": text}) for i, text in enumerate(texts))
    (folder / "b.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "b.yaml").write_text(
        "name: b\nsource: {path: b.jsonl}\ncolumns: {id: id, prompt: prompt}\nexpect: refuse\n"
        "scorer: refusal\nlicense: Apache-2.0\n",
        encoding="utf-8",
    )
    models = ROOT / "models" / "demo"
    target = {
        "engine": "vllm",
        "model": str(models / "target"),
        "dtype": "float32",
        "engine_args": {
            "enforce_eager": True,
            "max_model_len": 512,
            "max_num_seqs": 64,
            "max_num_batched_tokens": 2048,
            "kv_cache_memory_bytes": 128 << 20,
        },
    }
    draft = {"method": "draft_model", "model": str(models / "draft"), "num_speculative_tokens": 4}
    names = [f"draft{i}" for i in range(1, arms)]
    manifest = {
        "name": "bench",
        "arms": {"target": target, **{n: {"extends": "target", "speculative_config": draft} for n in names}},
        "contrasts": [{"reference": "target", "candidate": n} for n in names],
        "batteries": [{"name": "b", "path": "b.yaml"}],
        "sampling": {"temperature": 0, "max_tokens": MAX_TOKENS, "seed": 42},
    }
    path = folder / "m.yaml"
    path.write_text(json.dumps(manifest), encoding="utf-8")  # JSON is YAML
    return path


def arm_jobs(manifest: Path) -> list[dict[str, Any]]:
    """Return what each arm is asked, as the other programs read it."""
    from tais.engines.vllm.engine import VllmEngine
    from tais.plan.plan import make_plan

    plan = make_plan(manifest)
    prompts = [m.content for b in plan.batteries for item in b.items for m in item.messages]
    return [
        {
            "arguments": VllmEngine.arguments(plan.manifest.arms[name]),
            "prompts": prompts,
            "max_tokens": MAX_TOKENS,
        }
        for name in plan.arms
    ]


def environment(manifest: Path) -> dict[str, str]:
    """Return the workers' environment of TAIS, so that all run under the same settings."""
    from tais.common.foreign import hide_broken_packages
    from tais.executors.process import worker_environment
    from tais.plan.plan import make_plan

    plan = make_plan(manifest)
    arms = [plan.manifest.arms[name] for name in plan.arms]
    hide_broken_packages()
    own = {key: os.environ[key] for key in ("PYTHONPATH", "TAIS_HIDDEN_PACKAGES") if key in os.environ}
    # The server of a peer is looked for on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**worker_environment(arms), **own, "PATH": path, "HF_HUB_OFFLINE": "1", "TAIS_UNSIGNED": "1"}


def tais(manifest: Path) -> dict[str, Any]:
    """Run a screen."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "tais", "run", str(manifest), "--out", out, "-q"]
        # The exit code is the verdict.
        found = timed(command, {**os.environ, "TAIS_UNSIGNED": "1"}, good=(0, 1, 3))
        run_dir = Path(found.pop("last").split("\t")[1])
        report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    arms = report["facts"]["arms"].values()
    return {
        **found,
        "answers": sum(arm["samples"] for arm in arms),
        "phases": report["facts"]["run"]["phases"],
    }


def by_arm(script: str, manifest: Path, python: str) -> dict[str, Any]:
    """Run a program once per arm and sum: none of them shares anything between two arms."""
    walls, cpus, peaks, arms = [], [], [], []
    for job in arm_jobs(manifest):
        found = timed([python, str(TOOLS / script)], environment(manifest), json.dumps(job))
        walls.append(found["wall"])
        cpus.append(found["cpu"])
        peaks.append(found["peak_mb"])
        arms.append(json.loads(found["last"]))
    return {"wall": sum(walls), "cpu": sum(cpus), "peak_mb": max(peaks), "arms": arms}


def installed(module: str, python: str) -> bool:
    """Return whether a peer can be imported."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def facts() -> dict[str, Any]:
    """Return where and when, and how busy the machine was besides."""
    from tais.common.machine import describe_environment

    found = describe_environment()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": {key: found["hardware"][key] for key in ("cpu", "logical_cores", "memory_bytes", "gpus")},
        "libraries": found["libraries"],
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def compare(items: int, peers: str, only: list[str], *, once: bool) -> dict[str, Any]:
    """Run all on two arms; TAIS and the bare script before and after, as a busy machine changes."""
    result: dict[str, Any] = {"items": items}
    with tempfile.TemporaryDirectory() as name:
        manifest = write_screen(Path(name), items, 2)
        runs: list[tuple[str, Any]] = [
            ("tais", lambda: tais(manifest)),
            ("bare", lambda: by_arm("bench_bare.py", manifest, sys.executable)),
        ]
        for module, script in (("lm_eval", "bench_lm_eval.py"), ("inspect_ai", "bench_inspect.py")):
            if installed(module, peers):
                runs.append((module, lambda script=script: by_arm(script, manifest, peers)))
            else:
                print(f"{module}: not installed, skipped; {INSTALL[module]}")
        if not once:
            runs += [("bare_again", runs[1][1]), ("tais_again", runs[0][1])]
        for label, call in runs:
            if only and label not in only:
                continue
            before = os.getloadavg()[0]
            try:
                result[label] = {**call(), "load": round(before, 1)}
            except Failed as error:
                if label.startswith(("tais", "bare")):
                    sys.exit(str(error))
                result[f"{label}_failed"] = str(error)
                print(f"{label}: {error}", flush=True)
                continue
            wall, cpu, peak = (result[label][key] for key in ("wall", "cpu", "peak_mb"))
            print(f"{label:12}{wall:9.1f} s{cpu:9.1f} s CPU{peak:9.0f} MB   load {before:.1f}", flush=True)
    return result


def growth(items: list[int], arms: list[int]) -> list[dict[str, Any]]:
    """Run TAIS with more items, and with more arms."""
    found = []
    for n, k in [*((n, 2) for n in items), *((items[0], k) for k in arms if k != 2)]:
        with tempfile.TemporaryDirectory() as name:
            one = tais(write_screen(Path(name), n, k))
        found.append({"items": n, "arms": k, **one})
        print(f"tais, {n:6} items x {k} arms: {one['wall']:8.1f} s{one['peak_mb']:8.0f} MB", flush=True)
    return found


def numbers(text: str) -> list[int]:
    """Read a list of numbers."""
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=400, help="prompts per arm of the comparison")
    parser.add_argument("--growth", type=numbers, default=[64, 640, 6400], help="prompts per arm, by commas")
    parser.add_argument("--arms", type=numbers, default=[2, 4, 8], help="numbers of arms, by commas")
    parser.add_argument("--peers", default=sys.executable, help="python of the environment with the peers")
    parser.add_argument("--once", action="store_true", help="TAIS and the bare script once, not twice")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="programs, by commas")
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    found = compare(options.items, options.peers, options.only, once=options.once)
    result: dict[str, Any] = {"machine": facts(), "comparison": found}
    for key in ("wall", "cpu") if {"tais", "bare"} <= found.keys() else ():
        ours, plain = (mean(found, name, key) for name in ("tais", "bare"))
        result[f"{key}_ratio_to_bare"] = ours / plain
        print(f"{key}: {ours / plain:.2f} of bare (goal 1.05)")
        others = [found[name][key] for name in INSTALL if name in found]
        if others:
            result[f"{key}_ratio_to_faster_peer"] = ours / min(others)
            print(f"{key}: {ours / min(others):.2f} of the faster peer (goal 0.7)")
    _keep(options.out, result)
    if options.growth:
        result["growth"] = growth(options.growth, options.arms)
        _keep(options.out, result)


def mean(found: Mapping[str, Any], name: str, key: str) -> float:
    """Return a measure of a program that ran once or twice."""
    values = [found[label][key] for label in (name, f"{name}_again") if label in found]
    return float(sum(values) / len(values))


def _keep(path: Path, result: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
