"""Run the honest arms of the false-alarm study: stacks that may round differently and do nothing wrong.

::

    python tools/study/honest_arms.py OUT                 # every group that OUT does not hold yet (hours)
    python tools/study/honest_arms.py OUT 'vllm-*-t1*'    # groups of such names, in the order of the patterns

A group is one model on one engine in one dtype at one temperature: arms that differ in batch size, order,
scheduling, threads and speculation. Each arm that does not speculate is the reference of all others, so that
seven arms give 42 contrasts. Groups of audits alone take their candidates from the others' cache. What was
interrupted goes on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models" / "demo"
BATTERIES = ("demo_refuse", "demo_answer", "demo_choice", "demo_json")
PLANT = "plant"
"""The draft alone, in the place of the target."""
PART = 30
"""Items per battery of one screen."""
PARTS = 4
"""Screens that a run can be cut into, each of items of its own."""
ITEMS = 130
"""Per battery where a run is cut into parts; what takes long on a processor answers one part."""
REPEATS = 2
"""Of every item, where tokens are sampled."""
CUTS = {"top_k": 40, "top_p": 0.9}
"""Of sampled answers, so that some tokens are impossible."""
# One stack each: engine arguments and order.
_TORCH: dict[str, tuple[dict[str, Any], str]] = {
    "b64": ({"batch_size": 64}, "battery"),
    "b64s": ({"batch_size": 64}, "shuffled"),
    "b32": ({"batch_size": 32}, "battery"),
    "b48s": ({"batch_size": 48}, "shuffled"),
    "b24": ({"batch_size": 24}, "battery"),
    "b120": ({"batch_size": 120}, "battery"),
    "t1": ({"batch_size": 64, "threads": 1}, "battery"),
}
_VLLM: dict[str, tuple[dict[str, Any], str]] = {
    "s64": ({}, "battery"),
    "s64s": ({}, "shuffled"),
    "s40s": ({"max_num_seqs": 40}, "shuffled"),
    "s32": ({"max_num_seqs": 32}, "battery"),
    "chunks": ({"max_num_batched_tokens": 64, "max_num_seqs": 32}, "battery"),
    "noprefix": ({"enable_prefix_caching": False}, "shuffled"),
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

    @property
    def items(self) -> int:
        """Items per battery."""
        return PART if self.model == "target" and self.dtype != "float32" else ITEMS

    def manifest(self) -> dict[str, Any]:
        """Return its manifest."""
        every = _VLLM if self.engine == "vllm" else _TORCH
        # Sampled answers are many, so that they can be told apart by repeat, each an experiment of its own.
        plain = dict(list(every.items())[:2]) if self.temperature else every
        base = _VLLM_BASE if self.engine == "vllm" else {}
        common = {"engine": self.engine, "model": str(MODELS / self.model), "dtype": self.dtype}
        arms: dict[str, Any] = {
            name: {**common, "engine_args": {**base, **arguments}, "order": order}
            for name, (arguments, order) in plain.items()
        }
        first = next(iter(plain))
        for name, speculation in self._speculation().items():
            arms[name] = {**arms[first], "speculative_config": speculation}
        # No honest arm: what its answers are planted with.
        arms[PLANT] = {**arms[first], "model": self._draft()}
        rules: dict[str, Any] = {"sensitivity": "waived"}
        if self.only:
            rules["accept_evidence"] = ["teacher_forced"]
            if self.temperature:
                rules["max_leak"] = 0.2
        return {
            "name": self.name,
            "arms": arms,
            "contrasts": list(self._contrasts(list(plain), list(arms))),
            "batteries": [{"name": name, "limit": self.items} for name in BATTERIES],
            "sampling": {
                "temperature": self.temperature,
                "max_tokens": 48,
                "seed": 42,
                "n": REPEATS if self.temperature else 1,
                **(CUTS if self.temperature else {}),
            },
            "rules": rules,
        }

    def _contrasts(self, plain: list[str], arms: list[str]) -> Iterator[dict[str, Any]]:
        """Yield every pair of arms that share nothing but the stack; an arm alone is audited by few."""
        few = plain[:1] if self.temperature else plain[:2]
        for reference in few if self.only or self.temperature else plain:
            for candidate in arms:
                # A draft is asked about every contrast by itself, which costs a start each.
                asked = candidate in plain or reference in few
                asked = asked and (candidate != PLANT or reference == few[0])
                if candidate != reference and asked and not (self.only and candidate in few):
                    audit = "only" if self.only else True
                    contrast = {"reference": reference, "candidate": candidate, "audit": audit}
                    yield contrast | ({"lossless": True} if candidate == PLANT else {})

    def _draft(self) -> str:
        return str(MODELS / ("adversarial" if self.model == "draft" else "draft"))

    def _speculation(self) -> dict[str, dict[str, Any]]:
        drafted = {"model": self._draft(), "num_speculative_tokens": 4}
        if self.engine == "vllm" and not self.temperature:
            return {"draft4": {"method": "draft_model", **drafted}}
        # vLLM 0.32 draws speculated tokens wrongly on a processor (docs/audit.md): no honest arm there.
        # transformers speculates one text at a time: minutes for what the others do in seconds.
        return {"block4": {"method": "block", **drafted}} if self.engine == "reference" else {}


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
    for model in ("target", "draft"):
        for engine, dtype in kinds:
            for temperature in (0.0, 1.0):
                for only in (False, True):
                    yield Group(engine, dtype, model, temperature, only)


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
    parser.add_argument("names", nargs="*", default=["*"], help="patterns of names; all where none is given")
    args = parser.parse_args()
    out: Path = args.out.resolve()
    for group in (group for name in args.names for group in groups() if fnmatchcase(group.name, name)):
        if any((out / group.name).glob("*/report.json")):
            continue
        code = collect(out, group)
        print(f"{group.name}: exit code {code}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
