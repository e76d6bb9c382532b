"""``tais recipe``: a manifest for each kind of change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say

__all__ = ["app"]

app = typer.Typer(
    name="recipe",
    help="Recipes: a manifest for each kind of change, to copy and fill in.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
_Name = Annotated[str, typer.Argument(help="Of `tais recipe list`.")]


@app.command("list")
def list_recipes() -> None:
    """List the recipes: name, what changes, and the verdicts that were seen, or why it was not run.

    Example: [bold]tais recipe list[/bold]
    """
    # Loads pydantic, which help does without.
    from tais.manifest.recipes import recipes

    for one in recipes():
        seen = ", ".join(f"{candidate} {verdict}" for candidate, verdict in one.seen.items())
        typer.echo("\t".join((one.name, one.change, seen or f"not run: {one.not_run}")))


@app.command()
def show(name: _Name) -> None:
    """Print a recipe.

    Example: [bold]tais recipe show draft-swap[/bold]
    """
    # Loads pydantic, which help does without.
    from tais.manifest.recipes import find_recipe

    typer.echo(find_recipe(name).manifest.read_text(encoding="utf-8"), nl=False)


@app.command()
def copy(
    name: _Name,
    target: Annotated[Path, typer.Argument(help="File or folder to write to.")] = Path(),
) -> None:
    """Write a recipe to a file of your own, which is never overwritten, and say what to run.

    Example: [bold]tais recipe copy draft-swap my-draft.yaml[/bold]
    """
    # Loads pydantic, which help does without.
    from tais.manifest.recipes import copy_recipe, find_recipe

    written = copy_recipe(find_recipe(name), target)
    say(f"next: tais plan {written[0]}; tais run {written[0]}")
    for path in written:
        typer.echo(path)
