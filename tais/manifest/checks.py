"""What a manifest must fulfil beyond its types: names, arms that fit their engine, contrasts that exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from tais.common.document import Document, Path_, show, suggest
from tais.errors import ManifestError
from tais.manifest.engine_options import wrong_option
from tais.manifest.model import ENGINE_NAMES, NAME, TEACHER_NAMES, Arm, Contrast, Manifest, Role
from tais.manifest.outputs import OUTPUT_FORMATS, OUTPUT_KEYS
from tais.manifest.sampling import law_not_known, unknown_setting
from tais.manifest.steering_options import wrong_steering

__all__ = ["KEY_CHECKS", "check", "check_name", "unreproducible"]

# Names become file names in the run directory, so none may lead out of it or hide.
_NAME = re.compile(NAME, re.ASCII)

KEY_CHECKS = {"fault": "tais.lab.drill.manifest_rules:check_faults"}
"""What else is checked where an arm has such a key: ``module:function``, of manifest and document."""

_OF_OUTPUTS = ("path", "format", "columns", "only")
_NOT_FOR_IMPORT = (
    "model",
    "revision",
    "tokenizer",
    "dtype",
    "engine_args",
    "speculative_config",
    "chat_template",
    "system_prompt",
    "chat_template_kwargs",
    "chat_template_date",
)
# TAIS compares and records these, so they must not be able to hide among the engine's own.
_OF_THE_ARM = ("model", "revision", "tokenizer", "dtype", "speculative_config")


def check(manifest: Manifest, document: Document) -> None:
    """Raise ManifestError for the first thing that does not fit together."""
    check_name(manifest.name, document, ("name",))
    if not manifest.arms:
        remedy = "Write at least two, and a contrast between them"
        raise ManifestError("there are no arms", place=document.place(("arms",)), remedy=remedy)
    for arm in manifest.arms.values():
        _check_arm(arm, document, temperature=manifest.sampling.temperature)
    for judge in manifest.judges.values():
        _check_judge(judge, document)
    _check_contrasts(manifest, document)
    _check_settings(manifest, document)
    _check_batteries(manifest, document)
    _check_sequential(manifest, document)
    _check_acceptance(manifest, document)
    arms = (*manifest.arms.values(), *manifest.judges.values())
    for key, path in KEY_CHECKS.items():
        if any(getattr(arm, key) is not None for arm in arms):
            module, _, name = path.partition(":")
            further: Callable[[Manifest, Document], None] = getattr(importlib.import_module(module), name)
            further(manifest, document)


def check_name(name: str, document: Document, path: Path_) -> None:
    """Raise ManifestError unless `name`, which stands at `path`, can be the name of a file."""
    if not _NAME.fullmatch(name):
        remedy = "Use 1 to 100 of the characters A-Z a-z 0-9 . _ - and no dot in front"
        raise ManifestError(f"{show(name)} cannot be a name", place=document.place(path), remedy=remedy)


def _check_judge(judge: Arm, document: Document) -> None:
    if judge.engine == "import":
        what, place = "a judge reads no outputs from a file", document.place(("judges", judge.name, "engine"))
        raise ManifestError(what, place=place, remedy="Name the engine and the model that judges")
    _check_arm(judge, document, "judges")


def _check_arm(arm: Arm, document: Document, role: str = "arms", temperature: float = 0.0) -> None:
    at: Path_ = (role, arm.name)
    if arm.engine not in ENGINE_NAMES:
        what, place = f"no engine named {show(arm.engine)}", document.place((*at, "engine"))
        raise ManifestError(what, place=place, remedy=suggest(arm.engine, ENGINE_NAMES, "Engines"))
    if arm.engine == "import":
        _check_import(arm, document, at)
        return
    if arm.model is None:
        what, remedy = f"an arm on {arm.engine} needs a model", "Write model: org/name, or model: ./folder"
        raise ManifestError(what, place=document.place(at), remedy=remedy)
    for key in _OF_OUTPUTS:
        if getattr(arm, key) is not None:
            remedy = f"Say engine: import, or leave the {key} out"
            what = f"only an import arm reads outputs{' from a path' if key == 'path' else ''}"
            raise ManifestError(what, place=document.place((*at, key)), remedy=remedy)
    if arm.produced_by is not None:
        what, remedy = "only outputs that exist already were produced elsewhere", "Leave produced_by out"
        raise ManifestError(what, place=document.place((*at, "produced_by")), remedy=remedy)
    hidden = [key for key in _OF_THE_ARM if key in arm.engine_args]
    if hidden and arm.engine != "fake":
        what, place = f"{hidden[0]} belongs to the arm", document.place((*at, "engine_args", hidden[0]))
        raise ManifestError(what, place=place, remedy="Write it one level up, beside engine_args")
    wrong = wrong_option(arm) or wrong_steering(arm, temperature)
    if wrong is not None:
        raise ManifestError(wrong.what, place=document.place((*at, *wrong.path)), remedy=wrong.remedy)


def _check_import(arm: Arm, document: Document, at: Path_) -> None:
    if arm.path is None:
        remedy = "Name the file of outputs: path: outputs.jsonl"
        raise ManifestError("an import arm needs a path", place=document.place(at), remedy=remedy)
    if arm.format is not None and arm.format not in OUTPUT_FORMATS:
        remedy = suggest(arm.format, OUTPUT_FORMATS, "Formats")
        what = f"no format named {show(arm.format)}"
        raise ManifestError(what, place=document.place((*at, "format")), remedy=remedy)
    for key in arm.columns or {}:
        if key not in OUTPUT_KEYS:
            what, place = f"unknown key {show(key)}", document.place((*at, "columns", key))
            raise ManifestError(what, place=place, remedy=suggest(key, OUTPUT_KEYS))
    if arm.columns is not None and "item_id" not in arm.columns:
        place = document.place((*at, "columns"))
        raise ManifestError("the columns name no item_id", place=place, remedy="Say which column is the id")
    for key in _NOT_FOR_IMPORT:
        if getattr(arm, key):
            what, place = f"an import arm runs no engine and takes no {key}", document.place((*at, key))
            raise ManifestError(what, place=place, remedy="Leave it out; null deletes an inherited one")


def _check_contrasts(manifest: Manifest, document: Document) -> None:
    seen: dict[tuple[str, str], int] = {}
    for index, contrast in enumerate(manifest.contrasts):
        at: Path_ = ("contrasts", index)
        _check_sides(contrast, manifest, document, at)
        first = seen.setdefault((contrast.reference, contrast.candidate), index)
        if first != index:
            what = f"{contrast.candidate} against {contrast.reference} is given twice"
            remedy = f"The first is on line {document.line(('contrasts', first))}"
            raise ManifestError(what, place=document.place(at), remedy=remedy)
    if not manifest.record and not any(contrast.role is Role.screen for contrast in manifest.contrasts):
        remedy = (
            "Calibration and positive control alone decide nothing: add one with role: screen, or say "
            "record: true to keep the arms for tais compare"
        )
        raise ManifestError("no contrast to screen", place=document.place(("contrasts",)), remedy=remedy)


def _check_sides(contrast: Contrast, manifest: Manifest, document: Document, at: Path_) -> None:
    for side in ("reference", "candidate"):
        name = getattr(contrast, side)
        if name not in manifest.arms:
            place, remedy = document.place((*at, side)), suggest(name, manifest.arms, "Arms")
            raise ManifestError(f"no arm named {show(name)}", place=place, remedy=remedy)
    engine = manifest.arms[contrast.reference].engine
    if contrast.audit and engine not in TEACHER_NAMES:
        remedy = f"Engines that can: {', '.join(TEACHER_NAMES[:-1])}"
        what, place = (
            f"engine {show(engine)} of the reference cannot score tokens",
            document.place((*at, "audit")),
        )
        raise ManifestError(what, place=place, remedy=remedy)
    if contrast.audit:
        _check_reproducible(contrast, manifest, document)
    if contrast.reference == contrast.candidate:
        remedy = "For an A/A contrast, write a second arm that extends the first"
        what = f"arm '{contrast.reference}' is set against itself"
        raise ManifestError(what, place=document.place(at), remedy=remedy)


def _check_settings(manifest: Manifest, document: Document) -> None:
    """Refuse sampling settings that an engine cannot follow, and under which an audit knows no law."""
    for arm in manifest.arms.values():
        unknown = unknown_setting(arm, manifest.sampling)
        if unknown is not None:
            place = document.place(("sampling", unknown.key))
            raise ManifestError(unknown.what, place=place, remedy=unknown.remedy)
        if arm.mixed_batch is not None:
            _check_mixed(arm, document)
    for contrast in manifest.contrasts:
        reference = manifest.arms[contrast.reference]
        key = law_not_known(reference.engine, manifest.sampling) if contrast.audit else None
        if key is not None:
            what = f"audit: engine {reference.engine} of '{reference.name}' does not know {key}"
            remedy = "Audit with a reference on transformers, or do without the audit"
            raise ManifestError(what, place=document.place(("sampling", key)), remedy=remedy)


def _check_mixed(arm: Arm, document: Document) -> None:
    place = document.place(("arms", arm.name, "mixed_batch"))
    alone = arm.engine == "transformers" and arm.speculative_config is not None
    if arm.engine in ("reference", "import") or alone:
        why = "answers prompts one by one where it speculates" if alone else "takes one law at a time"
        what = f"engine {arm.engine} of arm '{arm.name}' knows no mixed_batch: it {why}"
        raise ManifestError(what, place=place, remedy="Leave it out, or run the arm on vllm")


def _check_reproducible(contrast: Contrast, manifest: Manifest, document: Document) -> None:
    """Raise ManifestError where an engine argument changes the law in a way that scoring cannot follow."""
    for side in ("reference", "candidate"):
        name = getattr(contrast, side)
        for key, why in unreproducible(manifest.arms[name].engine_args).items():
            place = document.place(("arms", name, "engine_args", key))
            what = f"an audit cannot follow {key}: it {why}"
            raise ManifestError(what, place=place, remedy="Leave it out, or do without the audit")


def _check_batteries(manifest: Manifest, document: Document) -> None:
    if not manifest.batteries:
        remedy = "Name at least one"
        raise ManifestError("there are no batteries", place=document.place(("batteries",)), remedy=remedy)
    seen: dict[str, int] = {}
    for index, battery in enumerate(manifest.batteries):
        at: Path_ = ("batteries", index)
        if battery.path is None and (battery.name.endswith((".yaml", ".yml")) or "/" in battery.name):
            what, remedy = f"{show(battery.name)} is no name of a battery", "Write {name: mine, path: FILE}"
            raise ManifestError(what, place=document.place(at), remedy=remedy)
        check_name(battery.name, document, at)
        if seen.setdefault(battery.name, index) != index:
            remedy = f"The first is on line {document.line(('batteries', seen[battery.name]))}"
            what = f"the battery '{battery.name}' is given twice"
            raise ManifestError(what, place=document.place(at), remedy=remedy)


def _check_sequential(manifest: Manifest, document: Document) -> None:
    """Refuse an early stop whose error rates would not be kept, or that nothing could use."""
    rules, place = manifest.rules, document.place(("rules", "sequential"))
    if rules.sequential is None:
        return
    if rules.exact:
        what = "rules.exact is one test at the end, and looks are several"
        remedy = "Leave out exact: looks are read against the exact critical value as it is"
        raise ManifestError(what, place=place, remedy=remedy)
    if rules.margin_scale != "difference":
        what = (
            f"looks have a boundary for the difference of rates, none for margin_scale {rules.margin_scale}"
        )
        raise ManifestError(what, place=place, remedy="Leave out one of the two")
    if not any(manifest.stops_early(name) for name in manifest.arms):
        what = "no arm could stop early: each is a reference, a control, imported or audited whole"
        remedy = "Leave out sequential, or screen an arm that has no other role"
        raise ManifestError(what, place=place, remedy=remedy)


def _check_acceptance(manifest: Manifest, document: Document) -> None:
    """Refuse a least acceptance where nothing that is screened can be accepted."""
    least = manifest.rules.min_acceptance
    if least is None:
        return
    place = document.place(("rules", "min_acceptance"))
    if least == ():
        what, remedy = "min_acceptance names no position", "Leave it out, or write one number"
        raise ManifestError(what, place=place, remedy=remedy)
    screened = [manifest.arms[c.candidate] for c in manifest.contrasts if c.role is Role.screen]
    without = next((arm for arm in screened if arm.speculative_config is None), None)
    if without is not None:
        what = f"min_acceptance counts accepted tokens, and arm {show(without.name)} gives no such counts"
        remedy = "Leave it out, or screen only arms with a speculative_config"
        raise ManifestError(what, place=place, remedy=remedy)
    for arm in screened:
        drafted = (arm.speculative_config or {}).get("num_speculative_tokens")
        if isinstance(least, tuple) and isinstance(drafted, int) and len(least) > drafted:
            name = show(arm.name)
            what = f"min_acceptance names {len(least)} positions, and arm {name} drafts {drafted} tokens"
            raise ManifestError(what, place=place, remedy="Name no more positions than are drafted")


_HISTORY = "depends on the tokens so far, and a teacher-forced pass does not apply it"
_MASK = "masks or shifts logits, and a teacher-forced pass does not apply it"
_REASONS: dict[str, tuple[Any, str]] = {
    "presence_penalty": (0, _HISTORY),
    "frequency_penalty": (0, _HISTORY),
    "repetition_penalty": (1, _HISTORY),
    "min_tokens": (0, "keeps stop tokens from being drawn early, which a teacher-forced pass does not"),
    "bad_words": (None, _HISTORY),
    "logit_bias": (None, _MASK),
    "allowed_token_ids": (None, _MASK),
    "structured_outputs": (None, "a grammar masks tokens step by step, which a teacher-forced pass does not"),
    "guided_decoding": (None, "a grammar masks tokens step by step, which a teacher-forced pass does not"),
    "logits_processors": (None, "is code of the user's that only the generating engine ran"),
    "thinking_token_budget": (None, "forces tokens at the end of the budget"),
    "trace_decode_token_ids": (None, "forces every token"),
    "watermarking": (
        None,
        "draws tokens with keyed noise: each from the law, but not independent of the text",
    ),
    "use_beam_search": (None, "searches instead of drawing"),
}


def unreproducible(sampling: Mapping[str, Any]) -> dict[str, str]:
    """Say which sampling parameters keep the law from being known, and why.

    Parameters
    ----------
    sampling
        Parameters by their names in vLLM's SamplingParams; None and empty values count as not set.

    Returns
    -------
    dict
        Reason by parameter; empty where the law can be tested. Stop conditions and the seed are no obstacle.
    """
    return {
        name: why
        for name, (neutral, why) in _REASONS.items()
        if (value := sampling.get(name)) not in (None, False, neutral)
        and (not hasattr(value, "__len__") or value)
    }
