"""One token of a small model on each engine, on each interpreter: what imports need not run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tais.common.shipped import share
from tais.doctor.checks import Check
from tais.errors import TaisError
from tais.runs.options import RunOptions
from tais.runs.run import run

__all__ = ["answer_once"]

_ARGUMENTS: dict[str, dict[str, object]] = {
    "vllm": {
        "enforce_eager": True,
        "max_model_len": 256,
        "max_num_seqs": 1,
        "max_num_batched_tokens": 256,
        "kv_cache_memory_bytes": 1 << 26,
    },
    "transformers": {"batch_size": 1},
    "fake": {},
}
_SECONDS = 300.0


def answer_once(engines: Sequence[str], pythons: Sequence[str | None]) -> Iterator[Check]:
    """Let each engine answer one token, by the ordinary road of a run, in a folder that is then removed.

    Parameters
    ----------
    engines
        Those that import.
    pythons
        Interpreters; None is that of TAIS. On another one vLLM is tried.
    """
    model = share("models") / "demo" / "target"
    for python in pythons:
        for engine in engines if python is None else ("vllm",):
            name = f"token {engine}" if python is None else f"token {engine} ({python})"
            if not model.is_dir() and engine != "fake":
                yield Check(name, "note", "no small model is at hand to try it with")
            else:
                yield _try(name, engine, str(model), python)


def _try(name: str, engine: str, model: str, python: str | None) -> Check:
    arm: dict[str, object] = {
        "engine": engine,
        "model": model,
        "dtype": "float32",
        "engine_args": _ARGUMENTS[engine],
    }
    if engine == "fake":
        arm.pop("dtype")
    manifest = {
        "name": "doctor",
        "record": True,
        "arms": {"one": arm | ({} if python is None else {"python": python})},
        "contrasts": [],
        "batteries": [{"name": "demo_refuse", "limit": 1}],
        "sampling": {"temperature": 0, "max_tokens": 1},
    }
    with tempfile.TemporaryDirectory(prefix="tais-doctor-") as folder:
        path = Path(folder) / "doctor.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(manifest), encoding="utf-8")
        try:
            run(path, RunOptions(out=Path(folder) / "out", stall_seconds=_SECONDS), None)
        except TaisError as error:
            # The log that a remedy may name is gone with the folder.
            return Check(
                name,
                "missing",
                f"does not answer: {error.what}",
                f"tais run quick, and read its log ({engine})",
            )
    return Check(name, "ok", "answers a token of the demo model")
