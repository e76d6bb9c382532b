"""A report without the texts of prompts and answers: ids and digests stay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tais.common.files import json_digest
from tais.verdict.report import ContrastReport, ItemReport, Report, TextReport

__all__ = ["holds_redacted", "is_redacted", "redacted"]

# Settings of an arm that are prompts themselves.
_PROMPTS = ("system_prompt", "chat_template")


def redacted(report: Report) -> Report:
    """Return the report with every text of a prompt or an answer left out.

    What the scorers called an answer goes too: some of them quote it. Verdict, counts, ids, positions and
    sha256 digests stay, so that whoever has the samples can still find and check each item.
    """
    contrasts = tuple(_contrast(contrast) for contrast in report.contrasts)
    return report.model_copy(update={"contrasts": contrasts, "facts": _facts(report.facts)})


def is_redacted(report: Mapping[str, Any]) -> bool:
    """Return whether a report, as parsed JSON, is a redacted one."""
    arms = report.get("facts", {}).get("arms", {}).values()
    prompts = (arm.get(key) for arm in arms if isinstance(arm, dict) for key in _PROMPTS)
    items = ((contrast.get("items") or {}).get("redacted") for contrast in report["contrasts"])
    return any(items) or any(isinstance(prompt, dict) for prompt in prompts)


def holds_redacted(report: Path) -> bool:
    """Return whether the file of a report holds a redacted one."""
    return is_redacted(json.loads(report.read_bytes()))


def _contrast(contrast: ContrastReport) -> ContrastReport:
    if contrast.items is None:
        return contrast
    kept = tuple(_item(item) for item in contrast.items.kept)
    items = contrast.items.model_copy(update={"kept": kept, "redacted": True})
    return contrast.model_copy(update={"items": items})


def _item(item: ItemReport) -> ItemReport:
    texts = {name: _text(getattr(item, name)) for name in ("prompt", "reference_text", "candidate_text")}
    return item.model_copy(update={**texts, "reference_label": None, "candidate_label": None})


def _text(text: TextReport) -> TextReport:
    return text.model_copy(update={"text": None})


def _facts(facts: dict[str, Any]) -> dict[str, Any]:
    arms = facts.get("arms")
    if not isinstance(arms, dict):
        return facts
    return {**facts, "arms": {name: _arm(arm) for name, arm in arms.items()}}


def _arm(arm: Any) -> Any:
    if not isinstance(arm, dict):
        return arm
    hidden = {key: {"sha256": json_digest(arm[key])} for key in _PROMPTS if isinstance(arm.get(key), str)}
    return {**arm, **hidden}
