"""The design of a screen in one table: items needed, floors, and what a given number of items can show."""

from __future__ import annotations

from typing import Any

from tais.errors import UsageError
from tais.stats.power import (
    minimum_detectable_difference,
    n_needed,
    power,
    wald_n,
    zero_discordance_floor,
)
from tais.stats.tidy import points, tidy

__all__ = ["describe_design", "design"]


def design(
    margin: float,
    discordance: float,
    wanted: float = 0.9,
    alpha: float = 0.05,
    difference: float = 0.0,
    n: int | None = None,
    *,
    non_inferiority: bool = False,
) -> dict[str, Any]:
    """Plan a battery.

    Parameters
    ----------
    margin, alpha
        Of the test.
    discordance, difference
        Expected in the population of items.
    wanted
        Probability of a pass, in (0, 1).
    n
        Items at hand, or None.
    non_inferiority
        Only a worse candidate counts.

    Returns
    -------
    dict
        JSON-ready; `n_needed` is None where no number of items is enough.

    Raises
    ------
    UsageError
        Where a number lies outside its range.
    """
    ranges = {
        "--margin": 0 < margin < 1,
        "--alpha": 0 < alpha < 0.5,
        "--power": 0 < wanted < 1,
        "--discordance": abs(difference) <= discordance <= 1,
        "--n": n is None or n > 0,
    }
    for option, holds in ranges.items():
        if not holds:
            raise UsageError(f"{option} is out of range", remedy=_REMEDIES[option])
    found: dict[str, Any] = {
        "margin": margin,
        "alpha": alpha,
        "discordance": discordance,
        "difference": difference,
        "power": wanted,
        "hypothesis": "non_inferiority" if non_inferiority else "equivalence",
        "n_needed": n_needed(margin, discordance, wanted, difference, alpha, non_inferiority=non_inferiority),
        "n_floor": zero_discordance_floor(margin, alpha),
        "n_floor_exact": zero_discordance_floor(margin, alpha, exact=True),
        "n_wald": wald_n(margin, discordance, wanted, alpha) if difference == 0 else None,
    }
    if n is not None:
        found["at_n"] = _at(n, found)
    return found


_REMEDIES = {
    "--margin": "It lies between 0 and 1, for example 0.03",
    "--alpha": "It lies between 0 and 0.5, for example 0.05",
    "--power": "It lies between 0 and 1, for example 0.9",
    "--discordance": "It lies between the size of --difference and 1, for example 0.02",
    "--n": "It is at least 1",
}


def _at(n: int, design: dict[str, Any]) -> dict[str, Any]:
    margin, alpha, psi = design["margin"], design["alpha"], design["discordance"]
    one_sided = design["hypothesis"] == "non_inferiority"
    passes = power(n, margin, psi, design["difference"], alpha, non_inferiority=one_sided)
    no_pass = minimum_detectable_difference(n, margin, psi, design["power"], alpha)
    fail = minimum_detectable_difference(n, margin, psi, design["power"], alpha, as_failure=True)
    return {
        "n": n,
        "power": tidy(round(passes, 6)),
        "can_pass": n >= design["n_floor"],
        "detectable_difference": None if no_pass is None else tidy(round(no_pass, 4)),
        "failing_difference": None if fail is None else tidy(round(fail, 4)),
    }


def describe_design(found: dict[str, Any]) -> str:
    """Say a design in a few lines."""
    margin, needed = points(found["margin"]), found["n_needed"]
    lines = [
        f"{found['hypothesis'].replace('_', '-')} within {margin}, alpha {found['alpha']:g}, "
        f"discordance {found['discordance']:g}, true difference {points(found['difference'])}",
        f"  items needed for power {found['power']:g}: {'no number is enough' if needed is None else needed}",
        f"  fewest that pass with identical outputs: {found['n_floor']} "
        f"({found['n_floor_exact']} with rules.exact)",
    ]
    if found["n_wald"] is not None:
        lines.append(f"  textbook (Wald) size, too small where flips are rare: {found['n_wald']}")
    if "at_n" in found:
        lines += _describe_n(found["at_n"], found["n_floor"])
    return "\n".join(lines)


def _describe_n(at: dict[str, Any], floor: int) -> list[str]:
    if not at["can_pass"]:
        return [f"with {at['n']} items: cannot pass, even with identical outputs ({floor} needed)"]
    fall, fail = at["detectable_difference"], at["failing_difference"]
    return [
        f"with {at['n']} items: passes with probability {at['power']:.3f}",
        f"  smallest fall that no longer passes: {'none' if fall is None else points(fall)}",
        f"  smallest fall that fails: {'none' if fail is None else points(fail)}",
    ]
