"""One token of a small model on each engine, on each interpreter: what imports need not run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tais.common.shipped import share
from tais.doctor.checks import Check
from tais.doctor.made_run import run_made
from tais.errors import TaisError
from tais.runs.options import RunOptions

__all__ = ["answer_once"]

_ARMS: dict[str, dict[str, object]] = {
    "vllm": {
        "dtype": "float32",
        "engine_args": {
            "enforce_eager": True,
            "max_model_len": 256,
            "max_num_seqs": 1,
            "max_num_batched_tokens": 256,
            "kv_cache_memory_bytes": 1 << 26,
        },
    },
    "transformers": {"dtype": "float32", "engine_args": {"batch_size": 1}},
    "fake": {},
}
"""What an engine needs to answer one token quickly."""
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
    interpreter = {} if python is None else {"python": python}
    manifest = {
        "name": "doctor",
        "record": True,
        "arms": {"one": {"engine": engine, "model": model, **_ARMS[engine], **interpreter}},
        "contrasts": [],
        "batteries": [{"name": "demo_refuse", "limit": 1}],
        "sampling": {"temperature": 0, "max_tokens": 1},
    }
    with tempfile.TemporaryDirectory(prefix="tais-doctor-") as out:
        try:
            run_made(manifest, RunOptions(out=Path(out), stall_seconds=_SECONDS), None)
        except TaisError as error:
            # The log that a remedy may name is gone with the folder.
            remedy = f"tais run quick, and read its log ({engine})"
            return Check(name, "missing", f"does not answer: {error.what}", remedy)
    return Check(name, "ok", "answers a token of the demo model")
