"""What imported answers were asked: items that two arms were asked differently are no pair."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue, TypeAdapter

from tais.records import SampleKey
from tais.rundir.engine_record import EngineRecord, read_engine
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock
from tais.rundir.samples import read_batches

__all__ = ["asked_otherwise"]

_KEYS = ("battery", "item_id", "repeat")
_AS_THE_ITEM = ("same", "rendered")
_NOT_THE_ITEM = ("within", "other")
_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def asked_otherwise(run: RunDir, lock: Lock, sides: tuple[str, str]) -> dict[SampleKey, str]:
    """Return the answers that are left out of a contrast, with the part of the question that differs.

    An imported answer is held against the other arm's where that is imported, too, else against the item,
    which is what an engine is asked. What a log does not tell is taken to be equal.
    """
    imported = [arm for arm in sides if lock.arms[arm].engine == "import"]
    if not imported:
        return {}
    tables = [table for arm in imported if (table := _asked(run.arm(arm))) is not None]
    if len(tables) < len(imported):
        return {}
    if len(tables) == 1:
        rows = tables[0].to_pylist()
        return {_key(row): "prompt" for row in rows if _fit(row["asked"]) in _NOT_THE_ITEM}
    both = tables[0].join(tables[1], keys=list(_KEYS), join_type="inner", right_suffix="_other")
    layouts = [_layouts(read_engine(run.arm(arm))) for arm in sides]
    one_tool = layouts[0] == layouts[1] and len(layouts[0]) == 1
    found = {}
    for row in both.filter(pc.not_equal(both["asked"], both["asked_other"])).to_pylist():
        part = _differing(_read(row["asked"]), _read(row["asked_other"]), one_tool=one_tool)
        if part is not None:
            found[_key(row)] = part
    return found


def _asked(folder: Path) -> pa.Table | None:
    """Return what the answers of an arm were asked; None where nothing is known of any."""
    batches = list(read_batches(folder, (*_KEYS, "asked")))
    if not batches:
        return None
    table = pa.Table.from_batches(batches)
    return table.filter(pc.is_valid(table["asked"]))


def _key(row: Mapping[str, object]) -> SampleKey:
    return SampleKey(str(row["battery"]), str(row["item_id"]), int(str(row["repeat"])))


def _read(asked: str) -> dict[str, JsonValue]:
    return _OBJECT.validate_python(json.loads(asked))


def _fit(asked: str) -> JsonValue:
    return _read(asked).get("fit")


def _differing(
    reference: Mapping[str, JsonValue], candidate: Mapping[str, JsonValue], *, one_tool: bool
) -> str | None:
    """Return the part of a question in which two answers' differ; None where none is known to."""
    sides = reference, candidate
    if not all(side.get("fit") in _AS_THE_ITEM for side in sides) and _unequal(sides, "prompt"):
        return "prompt"
    # Tools write options and targets each in their own way.
    parts = ("options", "target") if one_tool else ()
    return next((part for part in parts if _unequal(sides, part)), None)


def _unequal(sides: tuple[Mapping[str, JsonValue], Mapping[str, JsonValue]], part: str) -> bool:
    left, right = (side.get(part) for side in sides)
    return left is not None and right is not None and left != right


def _layouts(engine: EngineRecord) -> set[str]:
    files = engine.resolved.get("files")
    return {str(_object(file).get("layout")) for file in (files if isinstance(files, list) else ())}


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
