"""What a manifest asks for, as far as it can be fixed without an engine."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tais.common.files import sha256_file
from tais.engines import ENGINES
from tais.errors import EngineError, ManifestError, Place
from tais.manifest.load import load_manifest
from tais.manifest.model import Manifest
from tais.plan.batteries import MissingBattery, load_batteries
from tais.plan.days import on_days, with_days
from tais.plan.imports import check_answers, check_imports
from tais.plan.judges import check_judges
from tais.plan.lock import build_lock
from tais.plan.memory import choose_memory, with_memory
from tais.plan.settings import check_settings
from tais.plan.templates import check_templates, template_notes
from tais.plan.vocabulary import check_vocabularies
from tais.plan.waivers import check_waivers
from tais.rundir.lock_model import Lock, LockedMemory

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["Plan", "fitted", "make_plan", "require_engines"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a manifest asks for, with its batteries loaded."""

    path: Path
    manifest: Manifest
    batteries: tuple[LoadedBattery, ...]
    lock: Lock
    brought: bool = False
    """Whether the answers come along: an arm that was stopped early is then not asked for more."""
    missing: tuple[MissingBattery, ...] = ()
    """Batteries that a plan can only name."""
    undated: frozenset[str] = frozenset()
    """Arms and judges whose template may read the clock, and whose day nobody said: they have the lock's."""
    notes: tuple[str, ...] = ()
    """What whoever runs it should know."""

    def on_days(self, days: Mapping[str, str | None]) -> Plan:
        """Return the plan with the days of another run where nobody said one; see :mod:`tais.plan.days`."""
        manifest, lock = on_days(self.manifest, self.lock, self.undated, days)
        return replace(self, manifest=manifest, lock=lock)

    def with_memory(self, memory: LockedMemory | None) -> Plan:
        """Return the plan with the memory of another run where arms say none; see :mod:`tais.plan.memory`."""
        manifest, lock = with_memory(self.manifest, self.lock, memory)
        return replace(self, manifest=manifest, lock=lock)

    @property
    def arms(self) -> list[str]:
        """Arms that answer (in a recording all), in the manifest's order."""
        used = self.lock.run_arms()
        return [name for name in self.manifest.arms if name in used]

    @property
    def samples_per_arm(self) -> int:
        """Number of samples that each arm gives, as far as batteries are at hand or say their size."""
        items = self.lock.item_count
        return self.manifest.sampling.n * (items + sum(battery.items or 0 for battery in self.missing))


def make_plan(manifest: str | Path | Manifest, limit: int | None = None, *, incomplete: bool = False) -> Plan:
    """Read a manifest and its batteries, and fix everything that can be fixed without an engine.

    Parameters
    ----------
    manifest
        A file, the name of a manifest that ships with TAIS, or one that :func:`load_manifest` has read.
    limit
        First items of each battery only.
    incomplete
        Name batteries whose data is not at hand instead of failing: such a plan can be read, not run.

    Raises
    ------
    ManifestError
        When manifest, batteries or local models cannot be used.
    """
    if not isinstance(manifest, Manifest):
        manifest = load_manifest(manifest)
    path, refs = manifest.file, manifest.batteries
    if limit is not None:
        refs = tuple(
            ref.model_copy(update={"limit": min(limit, ref.limit) if ref.limit else limit}) for ref in refs
        )
    check_vocabularies(manifest)
    batteries, missing = load_batteries(refs, path.parent, incomplete=incomplete)
    check_settings(manifest, batteries)
    if not missing:
        check_judges(manifest, batteries, path)
        check_waivers(manifest, batteries, path)
    manifest, undated = with_days(manifest)
    check_imports(manifest)
    batteries = check_templates(manifest, batteries, path)
    lock = build_lock(manifest, sha256_file(path), batteries, limit)
    if not missing:
        check_answers(manifest, batteries, lock.run_arms(), path)
    notes = tuple(template_notes(manifest))
    return Plan(path, manifest, batteries, lock, missing=missing, undated=undated, notes=notes)


def fitted(plan: Plan, executor: str = "local") -> Plan:
    """Return the plan with memory for engines of this machine whose arms say nothing of it.

    Parameters
    ----------
    plan
        Before anything of it ran.
    executor
        On other machines vLLM takes what it finds there.

    Raises
    ------
    EngineError
        Where one answer of the full context would not fit beside a model's weights.
    """
    if executor != "local":
        return plan
    memory, note = choose_memory(plan.manifest, plan.lock)
    if memory is None:
        return plan
    return replace(plan.with_memory(memory), notes=(*plan.notes, note))


def require_engines(plan: Plan) -> None:
    """Raise ManifestError for an engine that does not exist, EngineError for one that is not installed."""
    arms, judges = plan.manifest.arms, plan.manifest.judges
    used = [(f"arms.{name}", arms[name]) for name in plan.arms]
    for key, arm in (*used, *((f"judges.{name}", judge) for name, judge in judges.items())):
        engine = arm.engine
        where = Place(file=str(plan.path), key=f"{key}.engine")
        if engine not in ENGINES:
            known = ", ".join(sorted(name for name, spec in ENGINES.items() if not spec.hidden))
            raise ManifestError(f"engine {engine!r} is not available", place=where, remedy=f"Known: {known}")
        package, install = ENGINES[engine].package, ENGINES[engine].install
        if package is not None and importlib.util.find_spec(package) is None:
            raise EngineError(f"{package} is not installed", place=where, remedy=f"Install it: {install}")
