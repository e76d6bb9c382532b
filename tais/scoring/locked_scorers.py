"""Scorers and judges, made from a lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tais.scorers import ScorerBase, find_scorer
from tais.scorers.judges import Judge

__all__ = ["all_scorers", "judges_of", "scorers_of", "second_scorers_of"]


def judges_of(lock: Mapping[str, Any]) -> dict[str, list[Judge]]:
    """Return the scorers of all batteries that ask a judge, by the name of the judge."""
    found: dict[str, list[Judge]] = {}
    for of_battery in all_scorers(lock).values():
        for scorer in of_battery:
            if isinstance(scorer, Judge):
                found.setdefault(scorer.judge, []).append(scorer)
    return found


def scorers_of(lock: Mapping[str, Any]) -> dict[str, ScorerBase]:
    """Return each battery's scorer, as the lock fixed it."""
    return {battery["name"]: _made(battery["scorer"]) for battery in lock["batteries"]}


def second_scorers_of(lock: Mapping[str, Any]) -> dict[str, tuple[ScorerBase, ...]]:
    """Return the scorers that only look on, of each battery that has any."""
    listed = {battery["name"]: battery.get("second_scorers", ()) for battery in lock["batteries"]}
    return {name: tuple(_made(spec) for spec in specs) for name, specs in listed.items() if specs}


def all_scorers(lock: Mapping[str, Any]) -> dict[str, tuple[ScorerBase, ...]]:
    """Return all scorers of each battery, the one that decides first."""
    second = second_scorers_of(lock)
    return {name: (scorer, *second.get(name, ())) for name, scorer in scorers_of(lock).items()}


def _made(spec: Mapping[str, Any]) -> ScorerBase:
    return find_scorer({key: value for key, value in spec.items() if key != "version"})
