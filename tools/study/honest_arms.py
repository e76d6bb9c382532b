"""Run the honest arms of the false-alarm study: stacks that may round differently and do nothing wrong.

::

    python tools/study/honest_arms.py OUT                 # every group that OUT does not hold yet (hours)
    python tools/study/honest_arms.py OUT vllm-bfloat16   # groups whose name begins so

A group is one model on one engine in one dtype at one temperature: arms that differ in batch size, order,
scheduling and speculation. Each arm that does not speculate is the reference of all others, so that eight
arms give 56 contrasts. Groups of audits alone take their candidates from the others' cache. What was
interrupted goes on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models" / "demo"
BATTERIES = ("demo_refuse", "demo_answer", "demo_choice", "demo_json")
ITEMS = 30
"""Per battery."""
# One stack each: engine arguments and order.
_TORCH = {
    "b64": ({"batch_size": 64}, "battery"),
    "b64s": ({"batch_size": 64}, "shuffled"),
    "b32": ({"batch_size": 32}, "battery"),
    "b32s": ({"batch_size": 32}, "shuffled"),
    "b48s": ({"batch_size": 48}, "shuffled"),
    "b24": ({"batch_size": 24}, "battery"),
    "b20s": ({"batch_size": 20}, "shuffled"),
    "b120": ({"batch_size": 120}, "battery"),
}
_VLLM = {
    "s64": ({}, "battery"),
    "s64s": ({}, "shuffled"),
    "s40s": ({"max_num_seqs": 40}, "shuffled"),
    "s32": ({"max_num_seqs": 32}, "battery"),
    "chunks": ({"max_num_batched_tokens": 64, "max_num_seqs": 32}, "battery"),
    "noprefix": ({"enable_prefix_caching": False}, "shuffled"),
    "s20": ({"max_num_seqs": 20}, "battery"),
    "s50s": ({"max_num_seqs": 50}, "shuffled"),
}
_VLLM_BASE = {
    "enforce_eager": True,
    "max_model_len": 512,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 2048,
    "kv_cache_memory_bytes": 134217728,
}


@dataclass(frozen=True, slots=True)
class Group:
    """Arms that are held against each other."""

    engine: str
    dtype: str
    model: str
    temperature: float
    only: bool = False
    """Candidates are audited alone; the reference answers nothing."""

    @property
    def name(self) -> str:
        """Name of its manifest and of its folder."""
        sampled = f"-t{self.temperature:g}" if self.temperature else ""
        return f"{self.engine}-{self.dtype}-{self.model}{sampled}{'-only' if self.only else ''}"

    def manifest(self) -> dict[str, Any]:
        """Return its manifest."""
        plain = _VLLM if self.engine == "vllm" else _TORCH
        base = _VLLM_BASE if self.engine == "vllm" else {}
        common = {"engine": self.engine, "model": str(MODELS / self.model), "dtype": self.dtype}
        arms: dict[str, Any] = {
            name: {**common, "engine_args": {**base, **arguments}, "order": order}
            for name, (arguments, order) in plain.items()
        }
        first = next(iter(plain))
        for name, speculation in self._speculation().items():
            arms[name] = {**arms[first], "speculative_config": speculation}
        audit = "only" if self.only else True
        # A draft is asked about every contrast by itself, which costs a start each.
        few = list(plain)[:2]
        contrasts = [
            {"reference": reference, "candidate": candidate, "audit": audit}
            for reference in (few if self.only else plain)
            for candidate in arms
            if candidate != reference
            and not (self.only and candidate in few)
            and (candidate in plain or reference in few)
        ]
        sampling = {"temperature": self.temperature, "max_tokens": 48, "seed": 42}
        rules: dict[str, Any] = {"sensitivity": "waived"}
        if self.only:
            rules["accept_evidence"] = ["teacher_forced"]
            if self.temperature:
                rules["max_leak"] = 0.2
        return {
            "name": self.name,
            "arms": arms,
            "contrasts": contrasts,
            "batteries": [{"name": name, "limit": ITEMS} for name in BATTERIES],
            "sampling": sampling,
            "rules": rules,
        }

    def _speculation(self) -> dict[str, dict[str, Any]]:
        draft = str(MODELS / ("adversarial" if self.model == "draft" else "draft"))
        if self.engine == "vllm":
            return {
                "draft4": {"method": "draft_model", "model": draft, "num_speculative_tokens": 4},
                "ngram4": {
                    "method": "ngram",
                    "num_speculative_tokens": 4,
                    "prompt_lookup_max": 4,
                    "prompt_lookup_min": 2,
                },
            }
        if self.engine == "reference":
            return {
                "block4": {"method": "block", "model": draft, "num_speculative_tokens": 4},
                "naive2": {"method": "naive", "model": draft, "num_speculative_tokens": 2},
            }
        # One text at a time: minutes for what the others do in seconds.
        return {}


def groups() -> Iterator[Group]:
    """Yield all groups, those that say most first."""
    kinds = [
        ("vllm", "bfloat16"),
        ("transformers", "float16"),
        ("reference", "bfloat16"),
        ("vllm", "float32"),
        ("transformers", "bfloat16"),
        ("reference", "float16"),
        ("vllm", "float16"),
        ("transformers", "float32"),
        ("reference", "float32"),
    ]
    for model, temperatures in (("target", (0.0, 1.0)), ("draft", (0.0, 1.0))):
        for engine, dtype in kinds:
            for temperature in temperatures:
                yield Group(engine, dtype, model, temperature)
                yield Group(engine, dtype, model, temperature, only=True)


def collect(out: Path, group: Group) -> int:
    """Run a group, or go on with it; return the exit code of its screen."""
    manifests = out / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    path = manifests / f"{group.name}.yaml"
    text = yaml.safe_dump(group.manifest(), sort_keys=False)
    # A manifest that is the same keeps its time, and a resumed run its digest.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "tais", "run", str(path), "--out", str(out), "--unsigned"]
    command += ["--cache", str(out / "cache"), "--stall-timeout", "600"]
    if any((out / group.name).glob("*/manifest.lock.json")):
        command.append("--resume")
    log = (out / f"{group.name}.log").open("w", encoding="utf-8")
    with log:
        done = subprocess.run(command, cwd=ROOT, env=os.environ, stdout=log, stderr=log, check=False)
    return done.returncode


def main() -> int:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("groups", nargs="*", help="beginnings of names; all where none is given")
    args = parser.parse_args()
    out: Path = args.out.resolve()
    for group in groups():
        wanted = not args.groups or any(group.name.startswith(name) for name in args.groups)
        if not wanted or any((out / group.name).glob("*/report.json")):
            continue
        code = collect(out, group)
        print(f"{group.name}: exit code {code}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
