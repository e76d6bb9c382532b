"""Where a manifest may name a fault: in a drill, on a screened arm, on an engine that can have it."""

from __future__ import annotations

from tais.common.document import Document, Path_, show, suggest
from tais.engines import ENGINES
from tais.errors import ManifestError
from tais.lab.drill.faults import FAULTS, Fault
from tais.manifest.model import Arm, Manifest, Role

__all__ = ["check_faults"]


def check_faults(manifest: Manifest, document: Document) -> None:
    """Raise ManifestError for the first fault that may not be, or could not act, where it stands."""
    for judge in manifest.judges.values():
        if judge.fault is not None:
            place = document.place(("judges", judge.name, "fault"))
            raise ManifestError("a judge has no fault", place=place, remedy="Name it on an arm")
    for arm in manifest.arms.values():
        if arm.fault is not None:
            _check(arm, arm.fault, manifest, document)


def _check(arm: Arm, said: dict[str, object], manifest: Manifest, document: Document) -> None:
    at: Path_ = ("arms", arm.name, "fault")
    if not manifest.drill:
        remedy = "Say drill: true at the top of the manifest, or leave the fault out"
        what = "a fault is planted in a drill only"
        raise ManifestError(what, place=document.place(at), remedy=remedy)
    fault = _named(said, document, at)
    _check_values(fault, said, document, at)
    if ENGINES[arm.engine].faults is None:
        what, place = f"no fault can be planted in engine {show(arm.engine)}", document.place(at)
        raise ManifestError(what, place=place, remedy="Faults act inside vllm")
    if fault.needs_speculation and arm.speculative_config is None:
        what = f"{show(fault.name)} acts on speculation, and this arm has none"
        raise ManifestError(what, place=document.place(at), remedy="Give the arm a speculative_config")
    _check_sampling(fault, arm, manifest, document, at)
    for index, contrast in enumerate(manifest.contrasts):
        if contrast.reference == arm.name:
            what, place = f"{show(arm.name)} has a fault", document.place(("contrasts", index, "reference"))
            raise ManifestError(what, place=place, remedy="A reference is sound: make it the candidate")
        if contrast.candidate == arm.name and contrast.role is Role.calibration:
            what, place = f"{show(arm.name)} has a fault", document.place(("contrasts", index))
            raise ManifestError(what, place=place, remedy="A calibration sets a sound stack against itself")


def _check_sampling(fault: type[Fault], arm: Arm, manifest: Manifest, document: Document, at: Path_) -> None:
    """Refuse a fault that nothing in the sampling of the run lets act."""
    sampling, what, remedy = manifest.sampling, "", ""
    if len(sampling.stop) < fault.stops:
        number = {1: "stop strings", 2: "several stop strings"}[fault.stops]
        have = "too few" if sampling.stop else "none"
        what, remedy = f"acts on {number}, and sampling has {have}", "Give sampling.stop strings that occur"
    elif fault.needs_min_tokens and not sampling.min_tokens:
        what, remedy = "acts on min_tokens, and sampling has none", "Give sampling.min_tokens a number"
    elif fault.needs_draws and not sampling.temperature and arm.mixed_batch is None:
        what, remedy = "acts where tokens are drawn, and here none is", "Give the arm a mixed_batch"
    if what:
        raise ManifestError(f"{show(fault.name)} {what}", place=document.place(at), remedy=remedy)


def _named(said: dict[str, object], document: Document, at: Path_) -> type[Fault]:
    name = said.get("name")
    if not isinstance(name, str):
        remedy = f"Write fault: {{name: ...}}, one of {', '.join(FAULTS)}"
        raise ManifestError("the fault has no name", place=document.place(at), remedy=remedy)
    if name not in FAULTS:
        what, remedy = f"no fault named {show(name)}", suggest(name, FAULTS, "Faults")
        raise ManifestError(what, place=document.place((*at, "name")), remedy=remedy)
    return FAULTS[name]


def _check_values(fault: type[Fault], said: dict[str, object], document: Document, at: Path_) -> None:
    for key, value in said.items():
        if key == "name":
            continue
        place = document.place((*at, key))
        if key not in fault.parameters:
            known = ", ".join(fault.parameters) or "none"
            what = f"{show(fault.name)} has no parameter {show(key)}"
            raise ManifestError(what, place=place, remedy=f"It has: {known}")
        wrong = fault.parameters[key].wrong(value)
        if wrong is not None:
            raise ManifestError(f"must be {wrong}, not {show(value)}", place=place)
