"""From a manifest and its batteries to a lock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from tais.common.files import sha256_file
from tais.common.machine import package_versions
from tais.manifest.model import Arm, Manifest
from tais.manifest.rules_version import RULES_VERSION
from tais.manifest.sampling import said_settings
from tais.manifest.steering_options import KEY
from tais.plan.controls import plan_controls
from tais.plan.environments import locked_environments
from tais.plan.looks import plan_looks
from tais.plan.model_files import digest_folder, digest_model, engine_files
from tais.plan.probes import plan_probes
from tais.rundir.layout import LOCK
from tais.rundir.lock import parse_lock
from tais.rundir.lock_model import Lock, LockedControl, LockedProbes, LookSchedule, plain
from tais.scorers import scorer_spec

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["build_lock"]


def build_lock(
    manifest: Manifest, manifest_digest: str, batteries: tuple[LoadedBattery, ...], limit: int | None
) -> Lock:
    """Return the lock of a run.

    Parameters
    ----------
    manifest
        Resolved manifest.
    manifest_digest
        sha256 (hex) of the manifest file.
    batteries
        Loaded batteries, already limited.
    limit
        Items per battery asked for on the command line.

    Raises
    ------
    ManifestError
        When a local model has no configuration or no weights.
    """
    digests: dict[str, dict[str, str]] = {}
    looks, probes = plan_looks(manifest, batteries), plan_probes(manifest, batteries)
    controls = plan_controls(manifest, batteries)
    optional = _optional(manifest, looks, probes, digests)
    # One that candidates share stands once.
    own = {(control.reference, control.name): plain(control) for control in controls.values()}
    optional |= {"controls": list(own.values())} if own else {}
    value = {
        "schema": "tais/lock/v1",
        "name": manifest.name,
        "manifest": {"sha256": manifest_digest, "source": manifest.source},
        "limit": limit,
        "arms": {name: _arm(arm, digests) for name, arm in manifest.arms.items()},
        "contrasts": [_contrast(manifest, index, controls) for index in range(len(manifest.contrasts))],
        "batteries": [_battery(battery) for battery in batteries],
        "sampling": said_settings(manifest.sampling),
        "rules": manifest.rules.model_dump(mode="json"),
        "versions": package_versions(),
        "rules_version": RULES_VERSION,
        **optional,
    }
    # As it is read again: the same types, and what is nested in the order of the file.
    return parse_lock(json.dumps(value, sort_keys=True).encode(), LOCK)


def _optional(
    manifest: Manifest,
    looks: LookSchedule | None,
    probes: LockedProbes | None,
    digests: dict[str, dict[str, str]],
) -> dict[str, object]:
    """Return the keys that only some locks have, so that the others stay as they were before."""
    found = {
        "judges": {name: _arm(judge, digests) for name, judge in manifest.judges.items()},
        "record": manifest.record,
        "drill": manifest.drill,
        "sequential": looks and plain(looks),
        "probes": probes and plain(probes),
        "starts": {name: list(names) for name, names in manifest.starts.items()},
        "sweep": manifest.sweep and manifest.sweep.model_dump(mode="json"),
        "environments": locked_environments(manifest),
    }
    return {key: value for key, value in found.items() if value}


def _arm(arm: Arm, digests: dict[str, dict[str, str]]) -> dict[str, JsonValue]:
    # Where an arm may run is no part of what it computes.
    left_out = {"name", "resources", "python", "start_of"} | (set() if arm.fault else {"fault"})
    # Keys of later versions stand only where they are said, so that other locks stay as they were.
    later = (
        "chat_template_kwargs",
        "chat_template_date",
        "format",
        "columns",
        "only",
        "produced_by",
        "environment",
        "mixed_batch",
    )
    left_out |= {key for key in later if getattr(arm, key) is None}
    fixed: dict[str, JsonValue] = arm.model_dump(mode="json", exclude=left_out)
    for key in ("tokenizer",) if arm.attached else ("model", "tokenizer"):
        fixed[key] = _locked_model(fixed[key], arm, digests, weights=key == "model")
    speculation = fixed["speculative_config"]
    if isinstance(speculation, dict):
        if "model" in speculation:
            speculation["model"] = _locked_model(speculation["model"], arm, digests)
        if "selector" in speculation:
            speculation["selector"] = _locked_selector(speculation["selector"])
    for key in ("path", "chat_template"):
        fixed[key] = _locked_file(fixed[key])
    args = fixed["engine_args"]
    steering = args.get(KEY) if isinstance(args, dict) and arm.engine != "import" else None
    if isinstance(steering, dict):
        steering["proxy"] = _locked_model(steering.get("proxy"), arm, digests)
        steering["examples"] = _locked_file(steering.get("examples"))
    if arm.engine not in ("fake", "import"):
        given = {key: value for key, value in arm.engine_args.items() if key != KEY}
        further = {k: v for k, v in (arm.speculative_config or {}).items() if k not in ("model", "selector")}
        named = engine_files({"engine_args": given, "speculative_config": further}, f"arms.{arm.name}")
        # Only where there are any, so that the locks of all other arms stay as they were.
        fixed |= {"engine_files": dict[str, JsonValue](named)} if named else {}
    return fixed


def _locked_selector(selector: JsonValue) -> JsonValue:
    """Return a trained selector as the digests of its files, anything else as it is."""
    if not isinstance(selector, str) or not Path(selector).is_dir():
        return selector
    files = sorted(path for path in Path(selector).glob("selector.*") if path.is_file())
    return {"folder": Path(selector).name, "files": {path.name: sha256_file(path) for path in files}}


def _locked_file(path: JsonValue) -> JsonValue:
    """Return a file by name and digest, and several one by one; nothing as it is."""
    if isinstance(path, list):
        return [_locked_file(one) for one in path]
    if not isinstance(path, str) or not path:
        return path
    return {"file": Path(path).name, "sha256": sha256_file(Path(path))}


def _locked_model(
    model: JsonValue, arm: Arm, digests: dict[str, dict[str, str]], *, weights: bool = True
) -> JsonValue:
    """Return a local model, or a tokenizer, as the digests of its files, anything else as it is."""
    if not isinstance(model, str) or not Path(model).is_dir() or arm.engine == "fake":
        return model
    if model not in digests:
        digest = digest_model if weights else digest_folder
        digests[model] = digest(Path(model), f"arms.{arm.name}.{'model' if weights else 'tokenizer'}")
    return {"folder": Path(model).name, "files": dict(digests[model])}


def _contrast(manifest: Manifest, index: int, controls: Mapping[int, LockedControl]) -> dict[str, object]:
    contrast = manifest.contrasts[index]
    differences = manifest.differences(contrast.reference, contrast.candidate)
    return {
        "reference": contrast.reference,
        "candidate": contrast.candidate,
        "role": contrast.role.value,
        "lossless": manifest.is_lossless(contrast),
        "audit": manifest.audit_of(contrast),
        # Values stand with the arms; here are the keys that tell the two apart.
        "differences": [key for key, _, _ in differences],
        **({"control": controls[index].name} if index in controls else {}),
    }


def _battery(battery: LoadedBattery) -> dict[str, object]:
    second = [scorer_spec(scorer) for scorer in battery.second_scorers]
    return {
        "name": battery.name,
        "items": len(battery.items),
        "digest": battery.digest,
        "content_digest": battery.content_digest,
        "scorer": scorer_spec(battery.scorer),
        "margin": battery.margin,
        "license": battery.definition.license,
        "notes": list(battery.notes),
        **({"second_scorers": second} if second else {}),
    }
