"""Try TAIS on the CUDA GPU of this machine: ``make gpu``. Writes ``reports/gpu/<card>.json``.

Looks for driver, torch and vLLM first; runs the tests marked ``gpu``, then ``manifests/gpu-smoke.yaml``, then
two of its arms by a bare vLLM; and keeps what was seen, verdicts and ratios. Without a card nothing is kept.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "manifests" / "gpu-smoke.yaml"
_FACTS = """
import json, torch
from importlib.metadata import version
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, "usable": torch.cuda.is_available(),
                  "capability": torch.cuda.get_device_capability() if torch.cuda.is_available() else None,
                  "vllm": version("vllm")}))
"""


def facts() -> dict[str, Any]:
    """Return the card and what runs on it; ends with a line where something is missing."""
    from tais.common.machine import describe_gpus

    cards = describe_gpus()
    if not cards:
        sys.exit("no GPU: nvidia-smi shows none. Nothing was run, nothing is written")
    done = subprocess.run([sys.executable, "-c", _FACTS], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stderr.strip().splitlines()[-1]}. Install them: pip install -e '.[gpu,dev]'")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if not found["usable"]:
        sys.exit(f"torch {found['torch']} cannot use the card: its build is for CUDA {found['cuda']}")
    return {"cards": cards, **found}


def tests() -> dict[str, Any]:
    """Run the tests marked ``gpu`` and return how many passed, failed and were skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-4000:])
    counts = re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)
    return {"status": done.returncode, **{word: int(number) for number, word in counts}}


def screened() -> dict[str, Any]:
    """Run the smoke manifest and return verdicts and seconds by phase."""
    with tempfile.TemporaryDirectory() as out:
        begun = time.monotonic()
        command = [sys.executable, "-m", "tais", "run", str(MANIFEST), "--out", out, "--unsigned"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        wall = time.monotonic() - begun
        if done.returncode not in (0, 1, 3):
            sys.exit("tais run failed: see above")
        run_dir = Path(done.stdout.rstrip("\n").split("\t")[1])
        report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
        touched = "gets an interpreter of its own" in (run_dir / "logs" / "worker.log").read_text(
            encoding="utf-8", errors="replace"
        )
    kept = ("reference", "candidate", "role", "verdict", "identity", "treatment")
    contrasts = [{key: contrast[key] for key in kept} for contrast in report["contrasts"]]
    for contrast in contrasts:
        contrast["identity"].pop("first_divergences", None)
    phases = report["facts"]["run"]["phases"]
    return {
        "verdict": report["verdict"],
        "contrasts": contrasts,
        "wall": wall,
        "phases": phases,
        "fork": not touched,
    }


def bare(arms: tuple[str, ...]) -> dict[str, Any]:
    """Run arms without TAIS, one process each, and return their seconds."""
    from tais.engines.vllm.engine import VllmEngine
    from tais.plan.plan import make_plan

    plan = make_plan(MANIFEST)
    prompts = [message.content for b in plan.batteries for item in b.items for message in item.messages]
    found = {}
    for name in arms:
        job = {
            "arguments": VllmEngine.arguments(plan.manifest.arms[name]),
            "prompts": prompts,
            "max_tokens": plan.manifest.sampling.max_tokens,
        }
        script = ROOT / "tools" / "bench" / "bench_bare.py"
        done = subprocess.run(
            [sys.executable, str(script)], input=json.dumps(job), capture_output=True, text=True, check=True
        )
        found[name] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Look, test, run, keep."""
    result = facts()
    card = re.sub(r"[^A-Za-z0-9.-]+", "-", result["cards"][0]["name"]).strip("-").lower()
    result["tests"] = tests()
    result["tais"] = screened()
    result["bare"] = bare(("target", "draft_model"))
    result["ratios"] = {
        f"{phase} {name}": round(result["tais"]["phases"][name][phase] / times[phase], 3)
        for name, times in result["bare"].items()
        for phase in ("load", "generate")
    }
    target = ROOT / "reports" / "gpu" / f"{card}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["ratios"], indent=1))
    print(f"verdict {result['tais']['verdict']}; kept in {target}")
    sys.exit(result["tests"]["status"])


if __name__ == "__main__":
    main()
