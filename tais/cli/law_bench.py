"""``tais law bench``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from tais.cli.console import say, stderr_console
from tais.common.files import write_atomic
from tais.common.text import printable
from tais.lab.packages import need_torch

if TYPE_CHECKING:
    from tais.lab.workbench.bench import Point

__all__ = ["bench"]

ShapeOption = Annotated[
    list[str] | None, typer.Option("--shape", help="What is drafted; see tais law --help.")
]
_DIVERGENCE_HELP = "Noise of the draft's logits relative to the target's, on made-up laws."
DivergenceOption = Annotated[list[float] | None, typer.Option("--divergence", min=0, help=_DIVERGENCE_HELP)]
VerifierOption = Annotated[list[str] | None, typer.Option("--verifier", help="All lossless ones by default.")]
_DRAFT_HELP = "Draft model, more than once for several; the demo's drafts by default."
DraftOption = Annotated[list[str] | None, typer.Option("--draft", help=_DRAFT_HELP)]
BatteryOption = Annotated[list[str] | None, typer.Option("--battery", help="Prompts for the pair of models.")]
_SELECTOR_HELP = "Also draft what this folder of tais law train chooses; the pair must be its own."
SelectorOption = Annotated[Path | None, typer.Option("--selector", help=_SELECTOR_HELP)]
_TEMPERATURE_HELP = "1 by default; repeat for several."
TemperatureOption = Annotated[
    list[float] | None, typer.Option("--temperature", min=0.0, help=_TEMPERATURE_HELP)
]
_PEAK_HELP = "Standard deviation of the target's logits, on made-up laws: the higher, the surer it is."
PeakOption = Annotated[list[float] | None, typer.Option("--peak", min=0.0, help=_PEAK_HELP)]
_ONSET_HELP = "Tokens for which the draft agrees with the target, on made-up laws; repeat."
OnsetOption = Annotated[list[int] | None, typer.Option("--onset", min=0, help=_ONSET_HELP)]
_OUT_HELP = "Folder for bench.json and bench.svg."


def bench(
    shape: ShapeOption = None,
    verifier: VerifierOption = None,
    divergence: DivergenceOption = None,
    rounds: Annotated[int, typer.Option("--rounds", min=0, help="Drafts of made-up laws; 0 for none.")] = 500,
    target: Annotated[str | None, typer.Option("--target", help="The demo's target by default.")] = None,
    draft: DraftOption = None,
    battery: BatteryOption = None,
    items: Annotated[int, typer.Option("--items", min=0, help="Prompts of each battery; 0 for none.")] = 8,
    skip: Annotated[int, typer.Option("--skip", min=0, help="Prompts of each battery to pass over.")] = 0,
    temperature: TemperatureOption = None,
    peak: PeakOption = None,
    onset: OnsetOption = None,
    selector: SelectorOption = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=2)] = 64,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Of torch.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT_HELP)] = None,
) -> None:
    """Measure tokens per pass of the target, on made-up laws and on a pair of models.

    Example: [bold]tais law bench --shape paths:3x4 --divergence 0.5 --items 8 --out bench[/bold]
    """
    need_torch()
    # Loads torch, which help does without.
    from tais.lab.workbench.bench_plot import draw
    from tais.lab.workbench.questions import BATTERIES, BenchOptions, run_bench

    options = BenchOptions(
        shapes=shape or ("paths:3x4", "delayed:2,3,2"),
        verifiers=verifier,
        divergences=divergence or (0.25, 0.5, 1.0),
        rounds=rounds,
        target=target,
        drafts=draft or (),
        batteries=battery or BATTERIES,
        items=items,
        skip=skip,
        temperatures=temperature or (1.0,),
        peaks=peak or (2.0,),
        onsets=onset or (0,),
        selector=selector,
        max_tokens=max_tokens,
        seed=seed,
        threads=threads,
    )
    points = run_bench(options, say)
    _table(points)
    text = json.dumps({"points": [point.to_json() for point in points]}, indent=2)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / "bench.json", text.encode() + b"\n")
        write_atomic(out / "bench.svg", draw(points))
        say(f"written: {out / 'bench.json'} and {out / 'bench.svg'}")
    typer.echo(text)


def _table(points: list[Point]) -> None:
    """Print one table per setting: a narrow terminal has no room for the setting in every row."""
    # Loads torch, which help does without.
    from tais.lab.workbench.bench import pooled

    tables: dict[str, Table] = {}
    for point in pooled(points):
        where = ", ".join(f"{key} {value}" for key, value in point.setting.items())
        if where not in tables:
            tables[where] = Table(title=printable(where))
            for name in ("verifier", "drafted", "tokens/pass", "over block", "tokens/s"):
                justify: Literal["left", "right"] = "left" if name in ("verifier", "drafted") else "right"
                tables[where].add_column(name, no_wrap=True, justify=justify)
        gain = "" if point.advantage is None else f"{point.advantage:+.3f} ± {point.advantage_error:.3f}"
        speed = "" if point.tokens_per_second is None else f"{point.tokens_per_second:.0f}"
        row = (point.verifier, point.shape, f"{point.efficiency:.3f} ± {point.error:.3f}", gain, speed)
        tables[where].add_row(*(printable(cell) for cell in row))
    for table in tables.values():
        stderr_console().print(table)
