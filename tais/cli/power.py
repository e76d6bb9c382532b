"""``tais power``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = ["power"]


def power(
    margin: Annotated[float, typer.Option("--margin", help="Largest tolerated difference.")] = 0.03,
    discordance: Annotated[
        float, typer.Option("--discordance", help="Expected share of items whose outcome flips either way.")
    ] = 0.02,
    wanted: Annotated[float, typer.Option("--power", help="Wanted probability of a pass.")] = 0.9,
    alpha: Annotated[float, typer.Option("--alpha", help="Level of each one-sided test.")] = 0.05,
    difference: Annotated[
        float, typer.Option("--difference", help="Expected true difference, candidate minus reference.")
    ] = 0.0,
    n: Annotated[int | None, typer.Option("--n", help="Items at hand: also say what they can show.")] = None,
    non_inferiority: Annotated[
        bool, typer.Option("--non-inferiority", help="Only a worse candidate counts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how many items a battery needs, and what a given number can show.

    Example: [bold]tais power --margin 0.03 --discordance 0.02 --power 0.9[/bold]
    """
    # Loads numpy, which help does without.
    from tais.stats.design import describe_design, design

    found = design(margin, discordance, wanted, alpha, difference, n, non_inferiority=non_inferiority)
    typer.echo(json.dumps(found, indent=2) if as_json else describe_design(found))
