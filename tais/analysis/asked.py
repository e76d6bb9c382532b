"""What a report says of imported answers: what they were asked, and what their logs say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from pydantic import JsonValue

from tais.analysis.arm_table import ArmTable
from tais.records import SampleKey
from tais.rundir.engine_record import read_engine
from tais.rundir.items import Items
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock, LockedContrast
from tais.verdict.evidence import Finding

__all__ = ["asked_findings", "imported_findings", "without"]

_NAMED = 5

_WORDS = {
    "error": "ended in an error",
    "invalidated": "were declared invalid",
    "fallback": "were answered by another model",
    "unanswered": "hold no answer",
    "unreadable": "cannot be read",
    "limit": "were cut by a limit of the evaluation",
    "content_filter": "were filtered",
    "asked_rendered": "were asked a prompt rendered by a chat template, compared as far as its text shows",
    "asked_within": "were asked the item's question with other words around it",
    "asked_other": "were asked in other words than the item's",
}
_UNKNOWN = "come without what was asked, so that nothing shows that it is what the other arm was asked"


def without(table: ArmTable, otherwise: Collection[SampleKey], items: Items, repeats: int) -> ArmTable:
    """Return the samples of an arm but those that are no pair."""
    if not otherwise:
        return table
    rows = [items.row(key.battery, key.item_id) * repeats + key.repeat for key in otherwise]
    return table.part(~np.isin(table.keys, rows))


def asked_findings(otherwise: Mapping[SampleKey, str]) -> Iterator[Finding]:
    """Yield what was left out because the arms were asked differently."""
    if not otherwise:
        return
    parts = Counter(otherwise.values())
    listed = ", ".join(f"{count} in the {part}" for part, count in sorted(parts.items()))
    first = [key.item_id for key in otherwise][:_NAMED]
    message = (
        f"the arms were not asked the same: {len(otherwise)} answers are left out and count as missing, as "
        f"what was asked differs ({listed}; first: {', '.join(first)})"
    )
    yield Finding("asked_otherwise", message, {"items": len(otherwise), "parts": dict(parts), "first": first})


def imported_findings(run: RunDir, lock: Lock, contrast: LockedContrast) -> Iterator[Finding]:
    """Yield what the logs of imported arms say of their samples, beside the answers."""
    imported = [arm for arm in contrast.sides if lock.arms[arm].engine == "import"]
    for arm in imported:
        found = _object(read_engine(run.arm(arm)).resolved.get("imported"))
        words = dict(_WORDS) | ({"asked_unknown": _UNKNOWN} if len(imported) == 1 else {})
        said = list(_said(_object(found.get("kinds")), words))
        passed = read_engine(run.arm(arm)).resolved.get("passed_over")
        if isinstance(passed, list) and passed:
            said.append(
                f"{len(passed)} files are of no layout that TAIS knows and were not read (first: {passed[0]})"
            )
        if by_content := found.get("by_content"):
            said.append(f"{by_content} answers were found by what was asked, as their ids are not the items'")
        if said:
            yield Finding("imported_answers", f"{arm}: {'; '.join(said)}", {"arm": arm, **found})


def _said(kinds: Mapping[str, JsonValue], words: Mapping[str, str]) -> Iterator[str]:
    for kind, told in words.items():
        counted = _object(kinds.get(kind))
        first = counted.get("first")
        if not counted or not isinstance(first, list):
            continue
        example = _object(first[0]) if first else {}
        what = f", {example.get('what')}" if example.get("what") else ""
        yield f"{counted.get('count')} answers {told} (first: {example.get('item')}{what})"


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
