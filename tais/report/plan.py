"""What ``tais plan`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tais.cli.console import printable

if TYPE_CHECKING:
    from tais.run import Plan

__all__ = ["print_plan"]


def print_plan(plan: Plan) -> None:
    """Print arms, contrasts, batteries and sizes to standard output."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{printable(plan.manifest.name)}: {len(plan.arms)} arms of {plan.samples_per_arm} samples")
    table = Table("battery", "items", "scorer", "margin", "licence", box=SIMPLE, show_edge=False)
    for battery in plan.batteries:
        margin = plan.manifest.rules.margin if battery.margin is None else battery.margin
        table.add_row(
            battery.name,
            str(len(battery.items)),
            battery.scorer.name,
            f"{100 * margin:g} pp",
            printable(str(battery.definition.license or "not stated")),
        )
    console.print(table)
    tokens = plan.samples_per_arm * plan.manifest.sampling.max_tokens
    console.print(f"at most {tokens * len(plan.arms):,} answer tokens in all ({tokens:,} per arm)")
    contrasts = Table("contrast", "role", "lossless", "differs in", box=SIMPLE, show_edge=False)
    for contrast in plan.lock["contrasts"]:
        contrasts.add_row(
            f"{contrast['candidate']} against {contrast['reference']}",
            contrast["role"],
            "claimed" if contrast["lossless"] else "not claimed",
            ", ".join(contrast["differences"]) or "nothing",
        )
    console.print(contrasts)
