"""From a manifest and its batteries to a lock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.common.files import sha256_file
from tais.common.machine import package_versions
from tais.errors import ManifestError, Place
from tais.manifest.model import Arm, Manifest
from tais.manifest.steering_options import KEY

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["build_lock"]

_WEIGHTS = {".safetensors", ".bin", ".gguf", ".pt", ".pth"}

# Tokenizer, chat template and configuration decide tokens as much as weights do.
_BESIDE = {".json", ".jinja", ".model", ".txt", ".tiktoken"}


def build_lock(
    manifest: Manifest, manifest_digest: str, batteries: tuple[LoadedBattery, ...], limit: int | None
) -> dict[str, Any]:
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
    # It scores and decides, which most readers of a lock do not.
    from tais.plan.looks import plan_looks

    digests: dict[str, dict[str, str]] = {}
    judges = {name: _arm(judge, digests) for name, judge in manifest.judges.items()}
    looks = plan_looks(manifest, batteries)
    return {
        "schema": "tais/lock/v1",
        "name": manifest.name,
        "manifest": {"sha256": manifest_digest, "source": manifest.source},
        "limit": limit,
        "arms": {name: _arm(arm, digests) for name, arm in manifest.arms.items()},
        "contrasts": [_contrast(manifest, index) for index in range(len(manifest.contrasts))],
        "batteries": [_battery(battery) for battery in batteries],
        "sampling": manifest.sampling.model_dump(mode="json"),
        "rules": manifest.rules.model_dump(mode="json"),
        "versions": package_versions(),
        **({"judges": judges} if judges else {}),
        **({"record": True} if manifest.record else {}),
        **({"drill": True} if manifest.drill else {}),
        **({"sequential": looks} if looks else {}),
        **({"sweep": manifest.sweep.model_dump(mode="json")} if manifest.sweep else {}),
    }


def _arm(arm: Arm, digests: dict[str, dict[str, str]]) -> dict[str, Any]:
    # Where an arm may run is no part of what it computes.
    left_out = {"name", "resources"} if arm.fault else {"name", "resources", "fault"}
    plain = arm.model_dump(mode="json", exclude=left_out)
    for key in ("tokenizer",) if arm.attached else ("model", "tokenizer"):
        plain[key] = _locked_model(plain[key], arm, digests)
    if plain["speculative_config"] is not None and "model" in plain["speculative_config"]:
        draft = plain["speculative_config"]["model"]
        plain["speculative_config"]["model"] = _locked_model(draft, arm, digests)
    chooser = (plain["speculative_config"] or {}).get("selector")
    if isinstance(chooser, str) and Path(chooser).is_dir():
        files = sorted(path for path in Path(chooser).glob("selector.*") if path.is_file())
        digest = {path.name: sha256_file(path) for path in files}
        plain["speculative_config"]["selector"] = {"folder": Path(chooser).name, "files": digest}
    for key in ("path", "chat_template"):
        if plain[key] is not None:
            plain[key] = _locked_file(plain[key])
    steering = plain["engine_args"].get(KEY) if arm.engine != "import" else None
    if isinstance(steering, dict):
        steering["proxy"] = _locked_model(steering.get("proxy"), arm, digests)
        steering["examples"] = steering.get("examples") and _locked_file(steering["examples"])
    return plain


def _locked_file(path: str) -> dict[str, str]:
    return {"file": Path(path).name, "sha256": sha256_file(Path(path))}


def _locked_model(model: str | None, arm: Arm, digests: dict[str, dict[str, str]]) -> Any:
    """Return a local model as the digests of its files, anything else as it is."""
    if model is None or not Path(model).is_dir() or arm.engine == "fake":
        return model
    if model not in digests:
        digests[model] = _digest_model(Path(model), arm.name)
    return {"folder": Path(model).name, "files": digests[model]}


def _digest_model(folder: Path, arm: str) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in files if path.suffix in _WEIGHTS | _BESIDE]
    where = Place(file=str(folder), key=f"arms.{arm}.model")
    if not any(path.suffix in _WEIGHTS for path in kept):
        raise ManifestError(
            "this folder holds no weights", place=where, remedy="Point to a folder with *.safetensors"
        )
    if not (folder / "config.json").is_file() and not any(path.suffix == ".gguf" for path in kept):
        raise ManifestError(
            "this folder has no config.json", place=where, remedy="Point to a complete model folder"
        )
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in kept}


def _contrast(manifest: Manifest, index: int) -> dict[str, Any]:
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
    }


def _battery(battery: LoadedBattery) -> dict[str, Any]:
    from tais.scorers import scorer_spec

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
