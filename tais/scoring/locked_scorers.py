"""Scorers and judges, made from a lock."""

from __future__ import annotations

from tais.rundir.lock_model import Lock, LockedScorer
from tais.scorers import ScorerBase, find_scorer
from tais.scorers.judges import Judge

__all__ = ["all_scorers", "judges_of", "scorers_changed", "scorers_of", "second_scorers_of"]


def judges_of(lock: Lock) -> dict[str, list[Judge]]:
    """Return the scorers of all batteries that ask a judge, by the name of the judge."""
    found: dict[str, list[Judge]] = {}
    for of_battery in all_scorers(lock).values():
        for scorer in of_battery:
            if isinstance(scorer, Judge):
                found.setdefault(scorer.judge, []).append(scorer)
    return found


def scorers_of(lock: Lock) -> dict[str, ScorerBase]:
    """Return each battery's scorer, as the lock fixed it."""
    return {battery.name: _made(battery.scorer) for battery in lock.batteries}


def second_scorers_of(lock: Lock) -> dict[str, tuple[ScorerBase, ...]]:
    """Return the scorers that only look on, of each battery that has any."""
    listed = {battery.name: battery.second_scorers for battery in lock.batteries}
    return {name: tuple(map(_made, scorers)) for name, scorers in listed.items() if scorers}


def all_scorers(lock: Lock) -> dict[str, tuple[ScorerBase, ...]]:
    """Return all scorers of each battery, the one that decides first."""
    second = second_scorers_of(lock)
    return {name: (scorer, *second.get(name, ())) for name, scorer in scorers_of(lock).items()}


def scorers_changed(lock: Lock) -> str:
    """Return what to say where other versions of its scorers scored this run; empty where it was these."""
    for battery in lock.batteries:
        for locked in (battery.scorer, *battery.second_scorers):
            here = _made(locked).version
            if here != locked.version:
                return (
                    f"scorers changed: this run was scored by version {locked.version} of {locked.name}, and "
                    f"version {here} is at hand"
                )
    return ""


def _made(locked: LockedScorer) -> ScorerBase:
    return find_scorer(locked.spec)
