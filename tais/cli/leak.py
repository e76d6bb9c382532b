"""``tais leak``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say
from tais.errors import UsageError

__all__ = ["leak"]

_STATES = "States"
_ATTACK = "Attack"
_UTILITY = "Utility and costs"


def leak(
    model: Annotated[
        str, typer.Argument(help="Model directory or repository: the weights the host has, too.")
    ],
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="One prompt a line, or .jsonl with the key prompt.")
    ] = None,
    capture: Annotated[
        Path | None, typer.Option("--capture", help="Attack recorded states (safetensors) instead.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", help="Layer, or all; repeat.", rich_help_panel=_STATES)
    ] = None,
    draft: Annotated[
        str | None,
        typer.Option("--draft", help="EAGLE-style draft: its layers are attacked.", rich_help_panel=_STATES),
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="auto, float32, bfloat16, float16.", rich_help_panel=_STATES)
    ] = "auto",
    raw: Annotated[
        bool, typer.Option("--raw", help="Without the chat template.", rich_help_panel=_STATES)
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save-capture", help="Also write the captured states.", rich_help_panel=_STATES),
    ] = None,
    permutation: Annotated[
        list[str] | None,
        typer.Option("--permutation", help="none, sequence, hidden, both; repeat.", rich_help_panel=_STATES),
    ] = None,
    noise: Annotated[
        list[float] | None,
        typer.Option(
            "--noise", help="Standard deviation of Gaussian noise; repeat.", rich_help_panel=_STATES
        ),
    ] = None,
    bits: Annotated[
        list[int] | None,
        typer.Option("--bits", help="2 to 16 bits per number, 0 as it is; repeat.", rich_help_panel=_STATES),
    ] = None,
    proposal: Annotated[
        str,
        typer.Option("--proposal", help="Orders candidates: self, none or a model.", rich_help_panel=_ATTACK),
    ] = "self",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold", min=0, help="Distance to stop at; else calibrated.", rich_help_panel=_ATTACK
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration", help="Held-out prompts; else the model writes some.", rich_help_panel=_ATTACK
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Most candidates per forward pass.", rich_help_panel=_ATTACK)
    ] = 256,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Most candidates per token.", rich_help_panel=_ATTACK),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all random numbers.")] = 42,
    device: Annotated[str | None, typer.Option("--device", help="Such as cuda:0 or cpu.")] = None,
    battery: Annotated[
        list[str] | None,
        typer.Option("--battery", help="Also screen answers on it; repeat.", rich_help_panel=_UTILITY),
    ] = None,
    battery_limit: Annotated[
        int | None,
        typer.Option("--battery-limit", min=1, help="Items of each battery.", rich_help_panel=_UTILITY),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Longest answer.", rich_help_panel=_UTILITY)
    ] = 64,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards", min=1, help="Cost when tokens are dealt to so many hosts.", rich_help_panel=_UTILITY
        ),
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Also write what was read. It is the prompts.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for leak.json and leak.html.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table, no progress.")] = False,
) -> None:
    """Read prompts back from hidden states, as a host that receives them could. Exit code 0 when it ran.

    Example: [bold]tais leak models/demo/target --prompts prompts.txt --layer all --permutation both[/bold]

    A privacy finding; it says nothing on whether the serving stack changed the model's behaviour.
    """
    known = ("none", "sequence", "hidden", "both")
    for name in permutation or ():
        if name not in known:
            raise UsageError(f"no permutation named {name!r}", remedy=f"Known: {', '.join(known)}")
    # Loads torch, which help does without.
    from tais.cli.views.leak import print_leak
    from tais.lab.leak.defence import Permutation
    from tais.lab.leak.page import write_report
    from tais.lab.leak.report import as_json
    from tais.lab.leak.run import LeakOptions, run_leak

    options = LeakOptions(
        model=model,
        prompts=prompts,
        capture=capture,
        layers=tuple(layer or ()),
        draft=draft,
        permutations=tuple(Permutation(name) for name in permutation or ("none",)),
        noise=tuple(noise or (0.0,)),
        bits=tuple(bits or ()),
        dtype=dtype,
        device=device,
        proposal=proposal,
        threshold=threshold,
        calibration=calibration,
        rows=batch,
        limit=limit,
        seed=seed,
        raw=raw,
        texts=texts,
        batteries=tuple(battery or ()),
        battery_limit=battery_limit,
        max_tokens=max_tokens,
        shards=shards,
        save=save,
    )
    report = run_leak(options, (lambda line: None) if quiet else say)
    if out is not None:
        write_report(report, out)
    if not quiet:
        print_leak(report, out)
    typer.echo(json.dumps(as_json(report), indent=2, allow_nan=False))
