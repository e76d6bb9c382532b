"""Measure TAIS against a bare script on this machine, in one run; prints a table and keeps it as JSON.

``make bench``. The bare script loads the same two vLLM engines with the same settings, one process each
(two engines in one process break vLLM 0.32), and generates the same prompts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "manifests" / "quick.yaml"


def environment() -> dict[str, str]:
    """Return the workers' environment of TAIS, so that both sides run under the same settings."""
    from tais.common.foreign import hide_broken_packages
    from tais.executors.process import worker_environment
    from tais.plan.plan import make_plan

    plan = make_plan(MANIFEST)
    arms = [plan.manifest.arms[name] for name in plan.arms]
    hide_broken_packages()
    return worker_environment(arms) | {
        key: os.environ[key] for key in ("PYTHONPATH", "TAIS_HIDDEN_PACKAGES") if key in os.environ
    }


def bare() -> dict[str, Any]:
    """Run both arms without TAIS."""
    from tais.engines.vllm.engine import VllmEngine
    from tais.plan.plan import make_plan

    plan = make_plan(MANIFEST)
    prompts = [message.content for b in plan.batteries for item in b.items for message in item.messages]
    arms = {}
    begun = time.monotonic()
    for name in plan.arms:
        job = {
            "arguments": VllmEngine.arguments(plan.manifest.arms[name]),
            "prompts": prompts,
            "max_tokens": plan.manifest.sampling.max_tokens,
        }
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "bench" / "bench_bare.py")],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            env=environment(),
            check=True,
        )
        arms[name] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"wall": time.monotonic() - begun, "arms": arms}


def screened() -> dict[str, Any]:
    """Run both arms with `tais run`."""
    with tempfile.TemporaryDirectory() as out:
        begun = time.monotonic()
        command = [sys.executable, "-m", "tais", "run", str(MANIFEST), "--out", out, "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall = time.monotonic() - begun
        if done.returncode not in (0, 1, 3):
            sys.exit(f"tais run failed: {done.stderr}")
        run_dir = Path(done.stdout.rstrip("\n").split("\t")[1])
        report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    phases = report["facts"]["run"]["phases"]
    return {"wall": wall, "import": phases.pop("")["import"], "arms": phases}


def start_up() -> float:
    """Return the median wall time of `tais --help`."""
    times = []
    for _ in range(5):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", "tais", "--help"], capture_output=True, check=True)
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def memory(items: int) -> float:
    """Return the peak resident memory of the main process in MB, for two fake arms of so many items."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = (json.dumps({"id": f"i{i:07d}", "prompt": f"please do thing {i}"}) for i in range(items))
        (folder / "b.jsonl").write_text("\n".join(rows), encoding="utf-8")
        (folder / "b.yaml").write_text(
            "name: b\nsource: {path: b.jsonl}\ncolumns: {id: id, prompt: prompt}\nexpect: refuse\n"
            "scorer: refusal\nlicense: Apache-2.0\n"
        )
        (folder / "m.yaml").write_text(
            "name: m\narms:\n  a: {engine: fake, model: x}\n  b: {extends: a}\n"
            "contrasts: [{reference: a, candidate: b}]\nbatteries: [{name: b, path: b.yaml}]\n"
        )
        code = (
            "import resource, sys\nfrom tais.runs.run import run, RunOptions\nfrom pathlib import Path\n"
            "run(sys.argv[1], RunOptions(out=Path(sys.argv[2])))\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, str(folder / "m.yaml"), str(folder / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def main() -> None:
    """Measure, print, keep."""
    result: dict[str, Any] = {"help_seconds": start_up()}
    print(f"tais --help: {result['help_seconds']:.2f} s")
    result["peak_mb"] = {items: memory(items) for items in (1_000, 10_000, 100_000)}
    for items, peak in result["peak_mb"].items():
        print(f"peak memory of the main process, {items} items x 2 arms: {peak:.0f} MB")
    # Once before measuring, so that neither side pays for cold files.
    screened()
    result["tais"], result["bare"] = screened(), bare()
    result["ratio"] = result["tais"]["wall"] / result["bare"]["wall"]
    _table(result)
    sys.stdout.flush()
    for tool in ("bench_audit.py", "bench_analysis.py", "bench_statistics.py", "bench_batteries.py"):
        print(f"-- {tool}", flush=True)
        subprocess.run([sys.executable, str(ROOT / "tools" / "bench" / tool)], check=True)
    target = ROOT / "reports" / "bench" / "run.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _table(result: dict[str, Any]) -> None:
    ours, bare_ = result["tais"], result["bare"]
    print(f"{'':24}{'tais run':>10}{'bare':>10}")
    print(f"{'import':24}{ours['import']:10.1f}{sum(a['import'] for a in bare_['arms'].values()):10.1f}")
    for phase in ("load", "generate"):
        for arm in bare_["arms"]:
            print(f"{phase + ' ' + arm:24}{ours['arms'][arm][phase]:10.1f}{bare_['arms'][arm][phase]:10.1f}")
    told = ours["import"] + sum(seconds for arm in ours["arms"].values() for seconds in arm.values())
    print(f"{'plan, score, decide':24}{ours['wall'] - told:10.1f}{'':>10}")
    print(f"{'wall':24}{ours['wall']:10.1f}{bare_['wall']:10.1f}   ratio {result['ratio']:.2f} (goal 1.05)")


if __name__ == "__main__":
    main()
