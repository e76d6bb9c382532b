"""What all views show of an audit, as tables of words; empty where a run has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tais.common.text import one_line
from tais.report.tables.table import WordTable
from tais.report.wording import NONE, contrast_name, number, percent, points
from tais.verdict.report import ContrastReport, Report

__all__ = ["audit_tables"]

_CAUSES = ("tie", "numerical", "structural", "unconfirmed", "length", "text", "unknown")
_SCOPES = {"divergences": "diverging tokens", "full": "all tokens", "only": "all tokens, no target arm"}
_NAME = 60


def audit_tables(report: Report) -> list[WordTable]:
    """Return the tables that have rows.

    Parameters
    ----------
    report
        A decided report. Its details are foreign data where it was read from a file: what is not as TAIS
        writes it is left out.
    """
    tables = (
        WordTable(
            "Why answers diverge",
            ("contrast", "scored", "in", "band", *_CAUSES, "tokens after", "draft's own choice"),
            tuple(_causes(report)),
        ),
        WordTable(
            "Whose choice every token is",
            (
                "contrast",
                "tokens",
                "score best",
                "ties",
                "outside the band",
                "largest margin",
                "the control's",
            ),
            tuple(_conformance(report)),
        ),
        WordTable(
            "Answers with a token that is not the target's",
            ("contrast", "battery", "answers", "with such a token", "share at most"),
            tuple(_bounds(report)),
        ),
        WordTable(
            "Sampled tokens against the target's law",
            (
                "contrast",
                "tokens",
                "p",
                "drawn by the draft",
                "interval",
                "at most",
                "would have shown",
                "log e-value",
            ),
            tuple(_laws(report)),
        ),
        WordTable(
            "Tests of the law, in standard errors",
            ("contrast", "score", "candidate", "control", "candidate beyond control"),
            tuple(_tests(report)),
        ),
        WordTable(
            "What the audit took, in seconds",
            ("stack", "loading", "scoring", "the reference's own answers"),
            tuple(_cost(report)),
        ),
        WordTable(
            "Diverging tokens",
            ("contrast", "item", "token", "cause", "margin", "in float32", "id", "best id", "came as"),
            tuple(_attributions(report)),
            folded=True,
        ),
    )
    return [table for table in tables if table.rows]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _found(report: Report, key: str) -> Iterator[tuple[ContrastReport, Mapping[str, Any]]]:
    for contrast in report.contrasts:
        if found := _mapping(contrast.details.get(key)):
            yield contrast, found


def _name(contrast: ContrastReport) -> str:
    return one_line(contrast_name(contrast))[:_NAME]


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else NONE


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else NONE


def _said(value: Any) -> str:
    return one_line(str(value))[:_NAME] if value is not None else NONE


def _causes(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _found(report, "audit"):
        causes, pull = _mapping(audit.get("causes")), _mapping(audit.get("draft_pull"))
        own = NONE
        if pull:
            hits, n, chance = _count(pull.get("hits")), _count(pull.get("n")), _figure(pull.get("expected"))
            own = f"{hits} of {n}, {chance} by chance"
        yield (
            _name(contrast),
            _SCOPES.get(str(audit.get("scope")), NONE),
            _said(audit.get("dtype")),
            _figure(audit.get("band")),
            *(_count(causes.get(cause, 0)) for cause in _CAUSES),
            _count(audit.get("downstream")),
            own,
        )


def _conformance(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _found(report, "audit"):
        tokens, control = _mapping(audit.get("candidate")), _mapping(audit.get("control"))
        if tokens.get("tokens"):
            yield (
                _name(contrast),
                _count(tokens.get("tokens")),
                percent(tokens.get("rate"), 3),
                _count(tokens.get("ties")),
                _count(tokens.get("beyond")),
                _figure(tokens.get("largest")),
                _figure(control.get("largest")) if control.get("tokens") else NONE,
            )


def _bounds(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _found(report, "audit"):
        for battery in audit.get("batteries") or ():
            yield (
                _name(contrast),
                _said(battery.get("battery")),
                _count(battery.get("items")),
                _count(battery.get("items_beyond")),
                percent(battery.get("bound"), 2),
            )


def _laws(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, law in _found(report, "conformance"):
        tested = _mapping(law.get("candidate"))
        leak = _mapping(tested.get("leak"))
        interval = leak.get("ci_clustered") or leak.get("ci")
        yield (
            _name(contrast),
            _count(tested.get("tokens")),
            _figure(law.get("p")),
            points(leak.get("e")) if leak else "no law of a draft",
            f"[{percent(interval[0], 2)}, {percent(interval[1], 2)}]" if interval else NONE,
            percent(leak.get("upper"), 2) if leak else NONE,
            percent(leak.get("detectable"), 2) if leak.get("detectable") else NONE,
            _figure(_mapping(tested.get("e_value")).get("log_e")),
        )


def _tests(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, law in _found(report, "conformance"):
        results = (law.get("candidate"), law.get("control"), law.get("against_control"))
        sides = [_scores(_mapping(result).get("tests")) for result in results]
        for name in sides[0]:
            yield _name(contrast), _said(name), *(number(side.get(name)) for side in sides)


def _scores(tests: Any) -> dict[str, Any]:
    return {str(test.get("name")): test.get("z") for test in map(_mapping, tests or ())}


def _cost(report: Report) -> Iterator[tuple[str, ...]]:
    phases = _mapping(_mapping(report.facts.get("run")).get("phases"))
    for name, seconds in phases.items():
        if "score" in _mapping(seconds):
            own = _mapping(phases.get(str(name).split(" ", maxsplit=1)[0])).get("generate")
            yield _said(name), _figure(seconds.get("load")), _figure(seconds.get("score")), _figure(own)


def _attributions(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _found(report, "audit"):
        for found in map(_mapping, audit.get("attributions") or ()):
            yield (
                _name(contrast),
                _said(f"{found.get('battery')} / {found.get('item_id')}"),
                _count(found.get("position")),
                _said(found.get("cause")),
                _figure(found.get("margin")),
                _figure(found.get("float32_margin")),
                _count(found.get("token")).replace(",", ""),
                _count(found.get("best_token")).replace(",", ""),
                _said(found.get("proposed")),
            )
