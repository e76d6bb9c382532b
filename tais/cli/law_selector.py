"""``tais law data``, ``tais law train`` and ``tais law latency``: a selector for delayed trees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from tais.cli.console import say, stderr_console
from tais.common.text import printable
from tais.lab.packages import need_torch

if TYPE_CHECKING:
    from tais.lab.workbench.train import Trained

__all__ = ["data", "latency", "train"]

_CHOICES = "What can be chosen"
_METHOD_HELP = "Lossless algorithm among the choices; repeat."
MethodOption = Annotated[
    list[str] | None, typer.Option("--method", help=_METHOD_HELP, rich_help_panel=_CHOICES)
]
_PATHS_HELP = "Number of paths of a delayed tree, from 2; repeat."
PathsOption = Annotated[
    list[int] | None, typer.Option("--paths", min=2, help=_PATHS_HELP, rich_help_panel=_CHOICES)
]
TargetOption = Annotated[str | None, typer.Option("--target", help="The demo's target by default.")]
DraftOption = Annotated[str | None, typer.Option("--draft", help="The demo's draft by default.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="cuda where there is one, else cpu.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Of torch.")]
SelectorArgument = Annotated[Path, typer.Argument(help="Folder that tais law train wrote.")]


def data(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    target: TargetOption = None,
    draft: DraftOption = None,
    battery: Annotated[list[str] | None, typer.Option("--battery", help="Prompts; repeat.")] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="Prompts instead: one a line, or .jsonl with prompt.")
    ] = None,
    items: Annotated[int, typer.Option("--items", min=1, help="Of each battery.")] = 60,
    skip: Annotated[int, typer.Option("--skip", min=0, help="Items of each battery to pass over.")] = 0,
    temperature: Annotated[
        list[float] | None, typer.Option("--temperature", min=0.0, help="Repeat for several; 1 by default.")
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", min=0)] = 0,
    top_p: Annotated[float, typer.Option("--top-p", min=1e-6, max=1.0)] = 1.0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=2)] = 64,
    method: MethodOption = None,
    paths: PathsOption = None,
    trunk: Annotated[
        int,
        typer.Option("--trunk", min=0, help="Most tokens that paths share.", rich_help_panel=_CHOICES),
    ] = 3,
    length: Annotated[
        int, typer.Option("--length", min=1, help="Most tokens behind.", rich_help_panel=_CHOICES)
    ] = 4,
    probes: Annotated[int, typer.Option("--probes", min=1, help="Drafted trees per root.")] = 1,
    every: Annotated[int, typer.Option("--every", min=1, help="Look at every so many roots.")] = 1,
    dtype: Annotated[str, typer.Option("--dtype", help="Of both models.")] = "float32",
    device: DeviceOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    threads: ThreadsOption = 1,
) -> None:
    """Make training data for a selector: what is known at each root, and what each choice would accept there.

    Example: [bold]tais law data demo.parquet --temperature 1 --temperature 1.5 --items 40[/bold]
    """
    need_torch()
    # Loads torch, which help does without.
    from tais.lab.verification.selector.actions import METHODS, Grid
    from tais.lab.workbench.collect import Collection
    from tais.lab.workbench.selector import DataOptions, collect_data

    how = Collection(
        Grid(tuple(method or METHODS), tuple(paths or (2, 4)), trunk, length),
        tuple(temperature or (1.0,)),
        top_k,
        top_p,
        max_tokens,
        probes,
        every,
        seed,
    )
    options = DataOptions(
        how,
        target=target,
        draft=draft,
        batteries=battery,
        prompts=prompts,
        items=items,
        skip=skip,
        dtype=dtype,
        device=device,
        threads=threads,
    )
    collect_data(out, options, say)


def train(
    data: Annotated[Path, typer.Argument(help="File that tais law data wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the selector.")],
    objective: Annotated[
        Literal["ratio", "rate"],
        typer.Option("--objective", help="ratio: tokens per second of this step; rate: of the whole text."),
    ] = "ratio",
    hidden: Annotated[int, typer.Option("--hidden", min=1, help="Width of both layers.")] = 64,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="At most.")] = 200,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.05, max=0.5, help="Share of the prompts that stop training.")
    ] = 0.2,
    rounds: Annotated[int, typer.Option("--rounds", min=2, help="Steps timed per shape.")] = 12,
    device: DeviceOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    threads: ThreadsOption = 1,
) -> None:
    """Measure what each choice takes on this device, and train a selector; prints a JSON summary.

    Example: [bold]tais law train demo.parquet --out selector[/bold]
    """
    need_torch()
    # Loads torch, which help does without.
    from tais.lab.workbench.selector import train_selector
    from tais.lab.workbench.train import Training

    how = Training(objective, hidden, epochs, held_out, seed)
    made = train_selector(data, out, how, say, rounds=rounds, device=device, threads=threads)
    _summary(made)
    typer.echo(json.dumps(made.to_json(), indent=2))


def _summary(made: Trained) -> None:
    table = Table(title="Held-out prompts, by exact labels and measured times")
    for name in ("policy", "tokens/step", "tokens/s"):
        table.add_column(name, justify="left" if name == "policy" else "right")
    for name, tokens, speed in made.outcomes:
        table.add_row(printable(name), f"{tokens:.3f}", f"{speed:.0f}")
    stderr_console().print(table)


def latency(
    selector: SelectorArgument,
    target: TargetOption = None,
    draft: DraftOption = None,
    rounds: Annotated[int, typer.Option("--rounds", min=2, help="Steps timed per shape.")] = 12,
    device: DeviceOption = None,
    threads: ThreadsOption = 1,
) -> None:
    """Measure again, on this machine, what each choice of a selector takes, and store it there.

    Example: [bold]tais law latency selector --device cuda[/bold]
    """
    need_torch()
    # Loads torch, which help does without.
    from tais.lab.workbench.selector import time_selector

    time_selector(selector, say, target=target, draft=draft, rounds=rounds, device=device, threads=threads)
