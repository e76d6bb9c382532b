"""An arm's vLLM configuration, built without a model: what vLLM refuses is known before any arm answers."""

from __future__ import annotations

import dataclasses
import re
import traceback
from collections.abc import Collection, Mapping
from typing import Any

from tais.common.document import Path_, show, suggest
from tais.engines.base import ConfigurationRefusal, EngineRefusal
from tais.engines.vllm.engine import VllmEngine, preload, refusal
from tais.manifest.model import Arm

__all__ = ["check_configuration"]

_UNEXPECTED = re.compile(r"unexpected keyword argument '([^']{1,100})'")
_QUOTED = re.compile(r"'([^']{1,100})'")
# What people write for what vLLM calls by another name.
_OTHER_NAMES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
_ARM_KEYS = ("model", "revision", "tokenizer", "dtype")
# Names of fields of a configuration whose argument has another one.
_ARGUMENTS = {"cache_dtype": "kv_cache_dtype"}


def check_configuration(arm: Arm) -> None:
    """Let vLLM build the configuration of an arm; no model is loaded.

    Raises
    ------
    ConfigurationRefusal
        With vLLM's own reason, and the key of the arm that it is about.
    EngineRefusal
        Where a model is not at hand.
    """
    preload([])
    try:
        _build(arm)
    except ConfigurationRefusal as error:
        if not error.path and arm.speculative_config is not None and _accepted_without(arm):
            raise ConfigurationRefusal(str(error), ("speculative_config",), error.remedy) from error
        raise


def _accepted_without(arm: Arm) -> bool:
    """Return whether nothing is refused where the arm does not speculate."""
    try:
        _build(arm.model_copy(update={"speculative_config": None}))
    except EngineRefusal:
        return False
    return True


def _build(arm: Arm) -> None:
    from vllm.engine.arg_utils import EngineArgs

    arguments = VllmEngine.arguments(arm)
    try:
        EngineArgs(**arguments).create_engine_config()
    except TypeError as error:
        raise _of_arguments(arm, error, {field.name for field in dataclasses.fields(EngineArgs)}) from error
    except (ValueError, NotImplementedError, AssertionError, ImportError) as error:
        raise _refused(arm, error) from error
    except OSError as error:
        raise EngineRefusal(f"vLLM refuses this arm: {refusal(error)}") from error
    except Exception:  # What only breaks here is said by the arm itself, when it starts.
        traceback.print_exc()


def _of_arguments(arm: Arm, error: TypeError, known: Collection[str]) -> ConfigurationRefusal:
    found = _UNEXPECTED.search(str(error))
    if found is None:
        return _refused(arm, error)
    name = found[1]
    return ConfigurationRefusal(
        f"vLLM takes no argument {show(name)}", ("engine_args", name), suggest(name, known, "Arguments")
    )


def _refused(arm: Arm, error: Exception) -> ConfigurationRefusal:
    first = _first_of(error)
    if first is None:
        said = refusal(error)
        return ConfigurationRefusal(f"vLLM refuses this arm: {said}", _named_in(arm, said))
    title, where, kind, given, expected = first
    path = _path_of(arm, title, where, refusal(error))
    if kind == "unexpected_keyword_argument":
        known = _fields_of(title)
        return ConfigurationRefusal(
            f"vLLM takes no {show(where)} here", path, suggest(where, known, "Keys") if known else None
        )
    if expected:
        other = _OTHER_NAMES.get(str(given))
        remedy = f"Did you mean {show(other)}?" if other in expected else suggest(str(given), expected)
        return ConfigurationRefusal(f"vLLM knows no {where} {show(given)}", path, remedy)
    return ConfigurationRefusal(f"vLLM refuses this arm: {refusal(error)}", path)


def _first_of(error: Exception) -> tuple[str, str, str, object, list[str]] | None:
    """Return class, field, kind, value and allowed values of pydantic's first complaint about a field."""
    if not (hasattr(error, "errors") and hasattr(error, "title")):
        return None
    for one in error.errors():
        if one["loc"]:
            expected = _QUOTED.findall(str((one.get("ctx") or {}).get("expected", "")))
            where = _ARGUMENTS.get(str(one["loc"][0]), str(one["loc"][0]))
            return str(error.title), where, one["type"], one["input"], expected
    return None


def _path_of(arm: Arm, title: str, where: str, said: str) -> Path_:
    """Return the key of the arm that a complaint about a field of one of vLLM's configurations is about."""
    if title == "SpeculativeConfig":
        return (
            ("speculative_config", where)
            if where in (arm.speculative_config or {})
            else ("speculative_config",)
        )
    if where in _ARM_KEYS:
        return (where,)
    if where in arm.engine_args:
        return ("engine_args", where)
    # Such as attention_config.backend.
    for key, value in arm.engine_args.items():
        if isinstance(value, Mapping) and where in value:
            return ("engine_args", key, where)
    return _named_in(arm, said)


def _named_in(arm: Arm, said: str) -> Path_:
    """Return the setting that a message names; the arm where it names none."""
    for holder, keys in (
        ("engine_args", arm.engine_args),
        ("speculative_config", arm.speculative_config or {}),
    ):
        for key in keys:
            if re.search(rf"\b{re.escape(str(key))}\b", said):
                return (holder, key)
    return ("tokenizer",) if arm.tokenizer is not None and "tokenizer" in said else ()


def _fields_of(title: str) -> set[str]:
    from vllm import config

    found: Any = getattr(config, title, None)
    if dataclasses.is_dataclass(found):
        return {field.name for field in dataclasses.fields(found) if field.init}
    return set(getattr(found, "model_fields", ()))
