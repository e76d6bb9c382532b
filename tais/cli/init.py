"""``tais init``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say, tell
from tais.errors import UsageError
from tais.starter.changes import BATTERIES, CHANGES, Choices

__all__ = ["init"]


class Engine(StrEnum):
    """Who answers."""

    vllm = "vllm"
    transformers = "transformers"
    openai = "openai"


class Workflow(StrEnum):
    """Where the gate runs."""

    github = "github"
    gitlab = "gitlab"


_CHANGES_HELP = "What changes: " + "; ".join(f"{name} ({change.what})" for name, change in CHANGES.items())


def init(
    model: Annotated[
        str | None, typer.Option("--model", help="What is served today: a folder, or a name on the hub.")
    ] = None,
    change: Annotated[str | None, typer.Option("--change", help=f"{_CHANGES_HELP}.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="What it changes to: the draft, dtype, model, setting, release, URL."),
    ] = None,
    engine: Annotated[Engine | None, typer.Option("--engine", help="Who answers. Default: vllm.")] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Address of a server that runs today; makes the engine openai."),
    ] = None,
    battery: Annotated[
        list[str] | None,
        typer.Option(
            "--battery", help="Battery by name or file; may be repeated. Default: two that ship with TAIS."
        ),
    ] = None,
    control: Annotated[
        str | None, typer.Option("--control", help="Model that is known to be worse; a draft is its own.")
    ] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="Of what is served today.")] = None,
    ci: Annotated[
        list[Workflow] | None, typer.Option("--ci", help="Write a workflow for it, too; may be repeated.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the screen. Default: the kind of change.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path(),
) -> None:
    """Write a manifest, a policy and a CI workflow for a change of yours.

    On a terminal it asks for what is not given. No file is ever replaced.

    Example: [bold]tais init --model models/target --change draft --to models/draft --ci github[/bold]
    """
    from tais.starter.write import start

    kind = change or ("server" if url else _ask("--change", f"What changes? {', '.join(CHANGES)}"))
    if kind not in CHANGES:
        raise UsageError(f"no change called {kind!r}", remedy=f"Changes: {', '.join(CHANGES)}")
    if kind == "server":
        url = url or _ask("--url", "Address of the server that runs today")
    served = Engine.openai if url else engine or Engine.vllm
    named = model or _ask("--model", "Model that is served today (a folder, or a name on the hub)")
    asks = CHANGES[kind].asks
    value = to or (_ask("--to", asks) if asks else None)
    chosen = Choices(
        name=name or kind,
        model=named,
        change=kind,
        value=value,
        engine=served.value,
        url=url,
        batteries=tuple(battery or BATTERIES),
        dtype=dtype,
        control=control,
    )
    files = start(chosen, out, list(dict.fromkeys(c.value for c in ci or ())))
    for path in files:
        say(f"wrote {path}")
    manifest, policy = files[0], files[1]
    if kind == "release":
        say(f"the new release is installed by: tais env create {manifest}")
    say("what it would ask, and whether that is enough: tais plan " + str(manifest))
    say("then these two:")
    tell(f"tais run {manifest}")
    tell(f"tais gate latest --policy {policy} --trusted-key ~/.config/tais/tais.pub")


def _ask(option: str, question: str) -> str:
    """Ask on a terminal; elsewhere nobody would answer."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"{option} is missing", remedy=f"{question}: give {option}, or run this on a terminal"
        )
    answer: str = typer.prompt(question, err=True)
    return answer
