"""A run as logs of Inspect: one per arm and battery, with the scores that TAIS gave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tais.common.files import store_error, write_atomic
from tais.common.version import __version__
from tais.frames import RunResult
from tais.rundir.items import Items, StoredItem
from tais.rundir.layout import RunDir

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["write_inspect"]

_STOPS = {"length": "max_tokens", "content_filter": "content_filter", "tool_calls": "tool_calls"}
Object = dict[str, object]


def write_inspect(run: RunResult, folder: Path) -> list[Path]:
    """Write the logs and return them.

    Raises
    ------
    UsageError
        While the run is not finished.
    StoreError
        When a file cannot be read or written.
    """
    scores = run.scores()
    asked = Items(RunDir(run.run_dir).items)
    written = []
    for arm in run.lock.run_arms():
        samples = run.samples(arm)
        for battery, own in samples.groupby("battery", sort=False):
            given = scores[(scores["arm"] == arm) & (scores["battery"] == battery)]
            path = folder / f"{arm}.{battery}.json"
            log = _log(run, arm, str(battery), _samples(own, given, asked, arm))
            try:
                write_atomic(path, (json.dumps(log, ensure_ascii=True) + "\n").encode())
            except OSError as error:
                raise store_error(error, path) from error
            written.append(path)
    return written


def _samples(own: pd.DataFrame, given: pd.DataFrame, asked: Items, arm: str) -> list[Object]:
    by_answer: dict[tuple[str, int], Object] = {}
    for row in given.to_dict("records"):
        score = {
            "value": _number(row["value"]),
            "answer": _text(row["label"]),
            "metadata": {"invalid": bool(row["invalid"])},
        }
        by_answer.setdefault((row["item_id"], row["repeat"]), {})[row["scorer"]] = score
    return [
        _sample(
            row,
            asked[row["battery"], row["item_id"]],
            by_answer.get((row["item_id"], row["repeat"]), {}),
            arm,
        )
        for row in own.to_dict("records")
    ]


def _sample(row: dict[str, object], item: StoredItem, scores: Object, arm: str) -> Object:
    turns = [{"role": message.role, "content": message.content} for message in item.messages]
    stop = _STOPS.get(str(row["finish_reason"]), "stop")
    answer = {"role": "assistant", "content": row["text"], "source": "generate", "model": arm}
    repeat, tokens = row["repeat"], row["tokens"]
    usage = (
        {"input_tokens": 0, "output_tokens": int(tokens), "total_tokens": int(tokens)}
        if isinstance(tokens, int)
        else None
    )
    return {
        "id": item.item_id,
        "epoch": (repeat if isinstance(repeat, int) else 0) + 1,
        "input": turns,
        "target": item.expect if isinstance(item.expect, str) else json.dumps(item.expect),
        "messages": [*turns, answer],
        "output": {
            "model": arm,
            "choices": [{"message": answer, "stop_reason": stop}],
            **({"usage": usage} if usage else {}),
        },
        "scores": scores,
        "metadata": {"cluster": item.cluster},
    }


def _log(run: RunResult, arm: str, battery: str, samples: list[Object]) -> Object:
    lock, facts = run.lock, run.report.facts
    started = facts.run.started
    created = (
        started.isoformat()
        if isinstance(started, datetime)
        else str(started or datetime.fromtimestamp(0, UTC).isoformat())
    )
    epochs = max((sample["epoch"] for sample in samples if isinstance(sample["epoch"], int)), default=1)
    ids = list(dict.fromkeys(str(sample["id"]) for sample in samples))
    model = facts.arms[arm].model if arm in facts.arms else None
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "created": created,
            "task": battery,
            "task_id": f"{lock.name}-{arm}-{battery}",
            "run_id": run.run_dir.resolve().name,
            "eval_id": f"{run.run_dir.resolve().name}-{arm}-{battery}",
            "model": model or arm,
            "dataset": {"name": battery, "samples": len(ids), "sample_ids": ids},
            "config": {"epochs": epochs},
            "packages": {"tais": __version__},
            "metadata": {"arm": arm, "tais_run": run.run_dir.resolve().name},
        },
        "plan": {"name": "tais", "steps": [], "config": {}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": list(_metrics(samples)),
        },
        "stats": {"started_at": created, "completed_at": created},
        "samples": samples,
    }


def _metrics(samples: list[Object]) -> Iterator[Object]:
    values: dict[str, list[float]] = {}
    for sample in samples:
        scores = sample["scores"]
        for name, score in scores.items() if isinstance(scores, dict) else ():
            if isinstance(value := score["value"], float) and value == value:
                values.setdefault(name, []).append(value)
    for name, own in values.items():
        mean = {"name": "mean", "value": sum(own) / len(own)}
        yield {"name": name, "scorer": name, "scored_samples": len(own), "metrics": {"mean": mean}}


def _number(value: object) -> object:
    """Return a score; a missing one is the NaN that Inspect writes, too."""
    return float(value) if isinstance(value, int | float) else float("nan")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
