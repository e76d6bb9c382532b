"""``tais law data``, ``train`` and ``latency`` as a whole: options in, files and a summary out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tais.lab.verification.selector.facts import DataFacts
from tais.lab.verification.selector.store import Selector
from tais.lab.workbench.collect import Collection, collect
from tais.lab.workbench.latency import measure
from tais.lab.workbench.pair import load_pair
from tais.lab.workbench.questions import Say, demo_pair, prompt_requests
from tais.lab.workbench.train import Trained, Training, train
from tais.lab.workbench.training_data import read_data, write_data

__all__ = ["DataOptions", "collect_data", "time_selector", "train_selector"]


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Where roots are drawn; see ``tais law data --help``."""

    how: Collection
    target: str | None = None
    draft: str | None = None
    batteries: Sequence[str] | None = None
    prompts: Path | None = None
    items: int = 60
    skip: int = 0
    dtype: str = "float32"
    device: str | None = None
    threads: int = 1


def collect_data(out: Path, options: DataOptions, say: Say) -> None:
    """Write a file of training data.

    Parameters
    ----------
    out
        Parquet file.
    options
        Which pair, which prompts, which choices.
    say
        Told how it goes.
    """
    torch.set_num_threads(options.threads)
    how = options.how
    requests = prompt_requests(options.prompts, options.batteries, options.items, options.skip)
    target, draft = demo_pair(options.target, options.draft)
    pair = load_pair(target, draft, options.dtype, options.device)
    answers = len(requests) * len(how.temperatures)
    say(f"{answers} answers, {len(how.grid.actions)} choices at each root")
    facts: DataFacts = {
        "pair": pair.facts,
        "collected": {
            "temperatures": list(how.temperatures),
            "top_k": how.top_k,
            "top_p": how.top_p,
            "seed": how.seed,
            "probes": how.probes,
            "every": how.every,
        },
    }
    written = write_data(out, collect(pair, requests, how, _progress(answers, say)), how.grid, facts)
    say(f"written: {out}, {written} roots")


def _progress(answers: int, say: Say) -> Callable[[int, int], None]:
    """Return what tells of about every twentieth answer."""

    def tell(done: int, rows: int) -> None:
        if done == answers or done % max(1, answers // 20) == 0:
            say(f"{done}/{answers} answers, {rows} roots")

    return tell


def train_selector(
    data: Path, out: Path, how: Training, say: Say, *, rounds: int, device: str | None, threads: int
) -> Trained:
    """Time the choices of a data file on a device, train a selector for them, and write its folder.

    Parameters
    ----------
    data
        File that :func:`collect_data` wrote.
    out
        Folder of the selector.
    how
        Numbers of the training.
    say
        Told how it goes.
    rounds
        Steps timed per shape.
    device, threads
        What is timed and trained on.
    """
    torch.set_num_threads(threads)
    read = read_data(data)
    facts = read.facts["pair"]
    pair = load_pair(facts["target"]["model"], facts["draft"]["model"], facts["dtype"], device)
    prompts = len(set(read.prompts))
    say(f"{len(read.prompts)} roots of {prompts} prompts; timing {len(read.grid.shapes)} shapes")
    table = measure(pair, read.grid, rounds, how.hidden)
    made = train(read, table, how, say)
    made.selector.save(out)
    say(f"written: {out}")
    return made


def time_selector(
    selector: Path,
    say: Say,
    *,
    target: str | None,
    draft: str | None,
    rounds: int,
    device: str | None,
    threads: int,
) -> None:
    """Measure a selector's choices again on this machine, and store the times in its folder.

    Parameters
    ----------
    selector
        Folder that :func:`train_selector` wrote.
    say
        Told when it is done.
    target, draft
        Models of the same sizes; those of the training by default.
    rounds
        Steps timed per shape.
    device, threads
        What is timed on.
    """
    torch.set_num_threads(threads)
    kept = Selector.load(selector)
    facts = kept.facts["pair"]
    pair = load_pair(
        target or facts["target"]["model"], draft or facts["draft"]["model"], facts["dtype"], device
    )
    kept.check(pair.states)
    kept.timed(measure(pair, kept.grid, rounds, kept.hidden)).save(selector)
    say(f"written: {selector}")
