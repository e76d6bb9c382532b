"""What the page shows in tables of names and values: statistics, configuration, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tais.common.text import one_line
from tais.report.wording import NONE, contrast_name
from tais.verdict.facts import ArmFacts, Facts, RunFacts
from tais.verdict.report import ContrastReport, Report

__all__ = [
    "configurations",
    "detail_rows",
    "provenance_rows",
    "run_line",
]

_MOST_ROWS = 160
_MOST_VALUES = 12
_VALUE_LENGTH = 300
# What an arm did, which is no setting of it.
_RESULTS = {"samples", "tokens", "truncated", "timing", "origin"}
# Shown as a figure or in a table of their own.
_ELSEWHERE = {
    "curve",
    "sensitivity",
    "judges",
    "second_opinions",
    "bias",
    "audit",
    "conformance",
    "cost",
    "sweep",
    "categories",
    "starts",
    "pooled_safety",
}

Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of two arms."""

    key: str
    reference: str
    candidate: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of both arms of a contrast."""

    name: str
    reference: str
    candidate: str
    differing: tuple[Setting, ...]
    equal: tuple[Setting, ...]


def detail_rows(details: Mapping[str, object]) -> Rows:
    """Return nested values as rows of name and value, whatever the statistics chose to write down."""
    rows = list(_flat(details)) if details else []
    if len(rows) > _MOST_ROWS:
        left_out = len(rows) - _MOST_ROWS
        return [*rows[:_MOST_ROWS], ("…", f"{left_out:,} more values stand in report.json")]
    return rows


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            if key not in _ELSEWHERE:
                yield from _flat(inner, f"{name} › {_words(key)}" if name else _words(key))
    elif isinstance(value, list | tuple) and any(isinstance(x, Mapping | list | tuple) for x in value):
        for index, inner in enumerate(value, start=1):
            yield from _flat(inner, f"{name} › {index}")
    else:
        yield name, _value(value)


def _words(key: object) -> str:
    return one_line(str(key).replace("_", " "), 80) or "all"


def _value(value: object) -> str:
    if value is None or value in ({}, [], ()):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        more = len(value) - _MOST_VALUES
        shown = ", ".join(_value(x) for x in value[:_MOST_VALUES])
        return f"{shown} and {more:,} more" if more > 0 else shown
    return one_line(str(value), _VALUE_LENGTH)


def configurations(report: Report) -> list[Configuration]:
    """Return the settings of both arms of every contrast, differences first."""
    return [_configuration(c, report.facts.arms) for c in report.contrasts]


def _configuration(contrast: ContrastReport, arms: Mapping[str, ArmFacts]) -> Configuration:
    left, right = (_settings(arms.get(arm)) for arm in (contrast.reference, contrast.candidate))
    rows = [Setting(k, left.get(k, NONE), right.get(k, NONE)) for k in dict.fromkeys([*left, *right])]
    rows.sort(key=lambda row: _is_digest(row.key))
    differing = [row for row in rows if row.reference != row.candidate]
    return Configuration(
        name=one_line(contrast_name(contrast)),
        reference=one_line(contrast.reference),
        candidate=one_line(contrast.candidate),
        differing=(*differing, *_undeclared(contrast)),
        equal=tuple(row for row in rows if row.reference == row.candidate),
    )


def _settings(arm: ArmFacts | None) -> dict[str, str]:
    return {} if arm is None else dict(_flat(arm.model_dump(exclude=_RESULTS)))


def _is_digest(key: str) -> bool:
    """Whether a setting or a fact is a digest, which people compare last."""
    return any(word in key for word in ("sha256", "digest"))


def _undeclared(contrast: ContrastReport) -> Iterator[Setting]:
    """Settings in which the engines differ though the manifest does not say so."""
    for reason in contrast.reasons:
        fields = reason.values.get("fields")
        for field in fields if isinstance(fields, list) else []:
            if isinstance(field, Mapping) and "key" in field:
                left, right = _value(field.get("reference")), _value(field.get("candidate"))
                yield Setting(one_line(str(field["key"])), left, right, "not in the manifest")


def run_line(run: RunFacts) -> str:
    """Return which run this is, and which attempt at its manifest."""
    if run.id is None:
        return ""
    attempts = run.ledger.attempts if run.ledger is not None else ()
    again = f", attempt {len(attempts)} at this manifest" if len(attempts) > 1 else ""
    return one_line(f"run {run.id}{again}")


def provenance_rows(facts: Facts) -> Rows:
    """Return where the report comes from: digests, times, counts."""
    counted = {name: arm.model_dump(include=_RESULTS) for name, arm in facts.arms.items()}
    rest = facts.model_dump(exclude={"arms"})
    rows = detail_rows({**rest, **({"arms": counted} if counted else {})})
    return sorted(rows, key=lambda row: _is_digest(row[0]))
