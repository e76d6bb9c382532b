"""The day that chat templates read from their clock, fixed with the lock: days can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from tais.engines.chat_template import find_template, renders_elsewhere
from tais.manifest.model import Arm, Manifest
from tais.rundir.lock_model import Lock, LockedArm, plain

__all__ = ["day_of_the_lock", "days_of", "on_days", "with_days"]

ArmT = TypeVar("ArmT", bound=Arm)


def day_of_the_lock() -> str:
    """Return today (UTC) as ``YYYY-MM-DD``."""
    return datetime.now(UTC).date().isoformat()


def days_of(lock: Lock) -> dict[str, str | None]:
    """Return the day of each arm and judge of a lock."""
    return {name: arm.chat_template_date for name, arm in {**lock.arms, **lock.judges}.items()}


def with_days(manifest: Manifest) -> tuple[Manifest, frozenset[str]]:
    """Give a day to each arm whose template may read the clock.

    Returns
    -------
    Manifest, frozenset of str
        The manifest, and the arms and judges whose day nobody said.
    """
    found: set[str] = set()

    def dated(arms: Mapping[str, ArmT]) -> dict[str, ArmT]:
        return {name: _dated(arm, manifest, found) for name, arm in arms.items()}

    update = {"arms": dated(manifest.arms), "judges": dated(manifest.judges)}
    return manifest.model_copy(update=update), frozenset(found)


def _dated(arm: ArmT, manifest: Manifest, found: set[str]) -> ArmT:
    if arm.chat_template_date is not None or arm.engine in ("import", "fake") or renders_elsewhere(arm):
        return arm
    if not find_template(arm).reads_clock:
        return arm
    if manifest.chat_template_date is None:
        found.add(arm.name)
    return arm.model_copy(update={"chat_template_date": manifest.chat_template_date or day_of_the_lock()})


def on_days(
    manifest: Manifest, lock: Lock, names: frozenset[str], days: Mapping[str, str | None]
) -> tuple[Manifest, Lock]:
    """Give arms whose day nobody said another one: of the run that they continue or are compared with.

    Parameters
    ----------
    manifest, lock
        Of a plan.
    names
        Arms and judges whose day nobody said.
    days
        By name; None takes the day away. Arms that are not among them keep theirs.
    """
    chosen = {name: days[name] for name in names if name in days}
    if not chosen:
        return manifest, lock

    def dated(arms: Mapping[str, ArmT]) -> dict[str, ArmT]:
        return {
            name: arm.model_copy(update={"chat_template_date": chosen[name]}) if name in chosen else arm
            for name, arm in arms.items()
        }

    def locked(arms: Mapping[str, LockedArm]) -> dict[str, LockedArm]:
        return {name: _locked(arm, chosen[name]) if name in chosen else arm for name, arm in arms.items()}

    update = {"arms": dated(manifest.arms), "judges": dated(manifest.judges)}
    fixed = {"arms": locked(lock.arms), **({"judges": locked(lock.judges)} if lock.judges else {})}
    return manifest.model_copy(update=update), lock.model_copy(update=fixed)


def _locked(arm: LockedArm, day: str | None) -> LockedArm:
    said = {key: value for key, value in plain(arm).items() if key != "chat_template_date"}
    return LockedArm.model_validate(said if day is None else {**said, "chat_template_date": day})
