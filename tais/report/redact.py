"""A report without the texts of prompts and answers: ids and digests stay."""

from __future__ import annotations

from pathlib import Path

from tais.common.files import json_digest, read_ordinary
from tais.verdict.facts import ArmFacts, DigestFacts, Facts
from tais.verdict.report import ContrastReport, ItemReport, Report, TextReport

__all__ = ["holds_redacted", "is_redacted", "redacted"]


def redacted(report: Report) -> Report:
    """Return the report with every text of a prompt or an answer left out.

    What the scorers called an answer goes too: some of them quote it. Verdict, counts, ids, positions and
    sha256 digests stay, so that whoever has the samples can still find and check each item.
    """
    contrasts = tuple(_hidden_contrast(contrast) for contrast in report.contrasts)
    return report.model_copy(update={"contrasts": contrasts, "facts": _hidden_facts(report.facts)})


def is_redacted(report: Report) -> bool:
    """Return whether a report is a redacted one."""
    prompts = (prompt for arm in report.facts.arms.values() for prompt in _prompts(arm).values())
    items = (contrast.items for contrast in report.contrasts if contrast.items is not None)
    return any(kept.redacted for kept in items) or any(isinstance(p, DigestFacts) for p in prompts)


def holds_redacted(report: Path) -> bool:
    """Return whether the file of a report holds a redacted one."""
    return is_redacted(Report.parse(read_ordinary(report), str(report)))


def _hidden_contrast(contrast: ContrastReport) -> ContrastReport:
    if contrast.items is None:
        return contrast
    kept = tuple(_hidden_item(item) for item in contrast.items.kept)
    items = contrast.items.model_copy(update={"kept": kept, "redacted": True})
    return contrast.model_copy(update={"items": items})


def _hidden_item(item: ItemReport) -> ItemReport:
    texts = {
        name: _hidden_text(getattr(item, name)) for name in ("prompt", "reference_text", "candidate_text")
    }
    return item.model_copy(update={**texts, "reference_label": None, "candidate_label": None})


def _hidden_text(text: TextReport) -> TextReport:
    return text.model_copy(update={"text": None})


def _hidden_facts(facts: Facts) -> Facts:
    arms = {name: _hidden_prompts(arm) for name, arm in facts.arms.items()}
    return facts.model_copy(update={"arms": arms}) if arms else facts


def _hidden_prompts(arm: ArmFacts) -> ArmFacts:
    known = {key: value for key, value in _prompts(arm).items() if isinstance(value, str)}
    return arm.model_copy(
        update={key: DigestFacts(sha256=json_digest(value)) for key, value in known.items()}
    )


def _prompts(arm: ArmFacts) -> dict[str, str | DigestFacts | None]:
    """Return the settings of an arm that are prompts themselves."""
    return {"system_prompt": arm.system_prompt, "chat_template": arm.chat_template}
