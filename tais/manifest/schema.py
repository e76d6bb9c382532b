"""The JSON Schema of a manifest as it is written, for editors: `extends` open, batteries by name.

It says less than reading a manifest does: what depends on several keys, or on files, is no part of it.
"""

from __future__ import annotations

from typing import Any

from tais.manifest.model import Manifest, Rules
from tais.manifest.starts import MOST_STARTS
from tais.manifest.sweep import Sweep

__all__ = ["manifest_schema"]

# What TAIS says itself of a manifest and of an arm.
_OF_MANIFEST, _OF_ARM = ("source", "starts"), ("name", "start_of")


def manifest_schema() -> dict[str, Any]:
    """Return the schema of a manifest file."""
    schema = Manifest.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    for key in _OF_MANIFEST:
        schema["properties"].pop(key)
    for name in ("Arm", "JudgeArm"):
        definitions[name] = _written(definitions[name], starts=name == "Arm")
    for unused in ("Swept", "SweptAxis", "SweptCell"):
        definitions.pop(unused, None)
    own = Sweep.model_json_schema()
    definitions |= {**own.pop("$defs", {}), "Sweep": own}
    properties = schema["properties"]
    properties["sweep"] = {"$ref": "#/$defs/Sweep"}
    named = {"type": "string", "minLength": 1}
    properties["batteries"]["items"] = {"anyOf": [named, {"$ref": "#/$defs/BatteryRef"}]}
    several = {"type": "array", "items": named, "minItems": 1}
    definitions["Contrast"]["properties"]["candidate"] = {"anyOf": [named, several]}
    looks = {"type": "integer", "minimum": 2, "maximum": 50}
    definitions[Rules.__name__]["properties"]["sequential"]["anyOf"].append(looks)
    schema["required"] = ["name", "arms", "batteries"]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "TAIS manifest"
    return schema


def _written(arm: dict[str, Any], *, starts: bool) -> dict[str, Any]:
    """Return an arm in which everything may be inherited, and null deletes what is."""
    properties = {key: value for key, value in arm["properties"].items() if key not in _OF_ARM}
    properties = {key: {"anyOf": [value, {"type": "null"}]} for key, value in properties.items()}
    properties["extends"] = {"type": "string", "minLength": 1}
    if starts:
        properties["starts"] = {"type": "integer", "minimum": 1, "maximum": MOST_STARTS}
    return {**{k: v for k, v in arm.items() if k != "required"}, "properties": properties}
