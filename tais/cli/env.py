"""``tais env``: the environments that arms run in."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tais.cli.console import say
from tais.common.text import printable

__all__ = ["app"]

app = typer.Typer(
    name="env",
    help="Environments of arms: other versions of an engine, in one screen.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

ManifestArgument = Annotated[str, typer.Argument(help="Manifest with environments.")]
NameArgument = Annotated[str, typer.Argument(help="How its folder begins, as tais env list shows it.")]


@app.command()
def create(manifest: ManifestArgument) -> None:
    """Make the environments of a manifest that are not there yet; paths go to standard output.

    uv is used where it is installed, else venv and pip. Where packages come from is your own setting of them.

    Example: [bold]tais env create manifests/recipes/engine-upgrade.yaml[/bold]
    """
    # Loads pydantic, which help does without.
    from tais.environments.store import create as make
    from tais.executors.variables import for_installers
    from tais.manifest.environments import interpreter_of
    from tais.manifest.load import load_manifest

    loaded, variables = load_manifest(manifest), for_installers(os.environ)
    if not loaded.environments:
        say("the manifest names no environments")
    for name, environment in loaded.environments.items():
        if environment.requirements:
            made = make(environment, lambda line, name=name: say(f"{name}: {line}"), variables)  # type: ignore[misc]
            say(f"{name}: {'made' if made else 'there already'}")
        typer.echo(f"{name}\t{printable(str(interpreter_of(environment)))}")


@app.command("list")
def list_environments() -> None:
    """List the environments that TAIS made: folder, size, what was asked for.

    Example: [bold]tais env list[/bold]
    """
    from tais.environments.store import made_environments

    for made in made_environments():
        asked = " ".join((*made.environment.requirements, *made.environment.overrides))
        typer.echo(f"{made.folder.name}\t{made.bytes / 2**30:.2f} GiB\t{printable(asked)}")


@app.command()
def check(manifest: ManifestArgument) -> None:
    """Say what each environment of a manifest holds, and whether a worker can run there.

    Example: [bold]tais env check my.yaml[/bold]
    """
    from tais.common.machine import PACKAGES
    from tais.environments.facts import look_at
    from tais.errors import Place
    from tais.manifest.environments import interpreter_of
    from tais.manifest.load import load_manifest

    for name, environment in load_manifest(manifest).environments.items():
        python = interpreter_of(environment)
        facts = look_at(python, PACKAGES, Place(file=manifest, key=f"environments.{name}"))
        told = ", ".join(f"{package} {version}" for package, version in facts.packages.items())
        typer.echo(f"{name}\tpython {facts.python}, {told}\t{facts.digest[:12]}")


@app.command()
def remove(name: NameArgument) -> None:
    """Remove an environment that TAIS made.

    Example: [bold]tais env remove 3f2a[/bold]
    """
    from tais.environments.store import find
    from tais.environments.store import remove as take_away

    made = find(name)
    take_away(made)
    say(f"removed {made.folder.name}")
