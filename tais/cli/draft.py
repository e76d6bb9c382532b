"""``tais draft``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say
from tais.errors import UsageError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make drafts that put a serving stack to the test.")

_Out = Annotated[Path, typer.Option("--out", help="New folder for the draft.")]
_Revision = Annotated[str | None, typer.Option("--revision", help="Commit of a repository.")]
_Battery = Annotated[str | None, typer.Option("--battery", help="Count refusals on it, before and after.")]
_BatteryLimit = Annotated[int | None, typer.Option("--battery-limit", min=1, help="Items of it.")]
_MaxTokens = Annotated[int, typer.Option("--max-tokens", min=1, help="Longest answer to it.")]
_Device = Annotated[str | None, typer.Option("--device", help="Such as cuda:0 or cpu.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


@app.command("adversarial")
def adversarial(
    model: Annotated[str, typer.Argument(help="The draft (or target) to tune: directory or repository.")],
    preferences: Annotated[
        Path, typer.Option("--preferences", help="Rows of prompt, chosen and rejected, as people preferred.")
    ],
    out: _Out,
    target: Annotated[
        str | None, typer.Option("--target", help="Model that it drafts for: tokens must be the same.")
    ] = None,
    revision: _Revision = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Preferences used.")] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of training.")] = 200,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Preferences per step.")] = 8,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Highest learning rate.")] = 5e-6,
    beta: Annotated[float, typer.Option("--beta", min=0, help="Pull back to the original.")] = 0.1,
    max_length: Annotated[
        int, typer.Option("--max-length", min=2, help="Tokens of prompt and answer.")
    ] = 1024,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all random numbers.")] = 42,
    battery: _Battery = None,
    battery_limit: _BatteryLimit = None,
    max_tokens: _MaxTokens = 64,
    device: _Device = None,
    quiet: _Quiet = False,
) -> None:
    """Tune a draft to prefer what people rejected (DPO). Prints its card; exit code 0 when it was written.

    Example: [bold]tais draft adversarial models/demo/draft --preferences prefs.jsonl --out drafts/bad[/bold]
    """
    # Loads torch, which help does without.
    from tais.lab.drafts.adversarial import AdversarialOptions, Training, make_adversarial

    options = AdversarialOptions(
        model=model,
        preferences=preferences,
        out=out,
        revision=revision,
        target=target,
        limit=limit,
        training=Training(steps, batch, rate, beta, max_length, seed),
        battery=battery,
        battery_limit=battery_limit,
        max_tokens=max_tokens,
        device=device,
    )
    card = make_adversarial(options, (lambda line: None) if quiet else say)
    typer.echo(json.dumps(card, indent=2))


@app.command("quantise")
def quantise(
    model: Annotated[str, typer.Argument(help="The draft: directory or repository.")],
    out: _Out,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="File with the column prompt; gptq needs it.")
    ] = None,
    revision: _Revision = None,
    method: Annotated[str, typer.Option("--method", help="gptq, or rtn: to the nearest number.")] = "gptq",
    bits: Annotated[int, typer.Option("--bits", min=2, max=8, help="Of each weight.")] = 4,
    group: Annotated[int, typer.Option("--group", min=1, help="Inputs that share a scale.")] = 128,
    damping: Annotated[float, typer.Option("--damping", min=0, help="Of gptq.")] = 0.01,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Calibration prompts used.")] = 128,
    battery: _Battery = None,
    battery_limit: _BatteryLimit = None,
    max_tokens: _MaxTokens = 64,
    device: _Device = None,
    quiet: _Quiet = False,
) -> None:
    """Quantise the weights of a draft (GPTQ). Prints its card; exit code 0 when it was written.

    Example: [bold]tais draft quantise models/demo/draft --group 32 --calibration p.jsonl --out int4[/bold]
    """
    if method not in ("gptq", "rtn"):
        raise UsageError(f"no method named {method!r}", remedy="Known: gptq, rtn")
    # Loads torch, which help does without.
    from tais.lab.drafts.quantise import QuantiseOptions, Rounding, make_quantised

    options = QuantiseOptions(
        model=model,
        out=out,
        revision=revision,
        calibration=calibration,
        limit=limit,
        rounding=Rounding("gptq" if method == "gptq" else "rtn", bits, group, damping),
        battery=battery,
        battery_limit=battery_limit,
        max_tokens=max_tokens,
        device=device,
    )
    card = make_quantised(options, (lambda line: None) if quiet else say)
    typer.echo(json.dumps(card, indent=2))
