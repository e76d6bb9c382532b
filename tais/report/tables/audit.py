"""What all views show of an audit, as tables of words; empty where a run has none."""

from __future__ import annotations

from collections.abc import Iterator

from tais.common.text import one_line
from tais.report.tables.table import WordTable
from tais.report.wording import NONE, contrast_name, number, percent, points
from tais.verdict.details import detail
from tais.verdict.details.audit import AgainstControl, Audit, SampledTokens, TokenLaw
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
        A decided report.
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
            tuple(_choices(report)),
        ),
        WordTable(
            "All misses together",
            (
                "contrast",
                "misses",
                "p",
                "times the worst control, at least",
                "honest stacks reach",
                "controls",
            ),
            tuple(_drifts(report)),
        ),
        WordTable(
            "Answers with a token that is not the target's",
            (
                "contrast",
                "battery",
                "answers",
                "with such a token",
                "not scored to their end",
                "planned out",
                "share at most",
                "margin",
            ),
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
            tuple(_sampled(report)),
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


def _audits(report: Report) -> Iterator[tuple[ContrastReport, Audit]]:
    for contrast in report.contrasts:
        if (found := detail(contrast, Audit)) is not None:
            yield contrast, found


def _laws(report: Report) -> Iterator[tuple[ContrastReport, TokenLaw]]:
    for contrast in report.contrasts:
        if (found := detail(contrast, TokenLaw)) is not None:
            yield contrast, found


def _name(contrast: ContrastReport) -> str:
    return one_line(contrast_name(contrast))[:_NAME]


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"


def _said(value: str | None) -> str:
    return one_line(value)[:_NAME] if value is not None else NONE


def _causes(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _audits(report):
        own, pull = NONE, audit.draft_pull
        if pull is not None:
            own = f"{_count(pull.hits)} of {_count(pull.n)}, {_figure(pull.expected)} by chance"
        yield (
            _name(contrast),
            _SCOPES.get(str(audit.scope), NONE),
            _said(audit.dtype),
            _figure(audit.band),
            *(_count(audit.causes.get(cause, 0)) for cause in _CAUSES),
            _count(audit.downstream),
            own,
        )


def _choices(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _audits(report):
        tokens, control = audit.candidate, audit.control
        if tokens.tokens:
            yield (
                _name(contrast),
                _count(tokens.tokens),
                percent(tokens.rate, 3),
                _count(tokens.ties),
                _count(tokens.beyond),
                _figure(tokens.largest),
                _figure(control.largest) if control.tokens else NONE,
            )


def _drifts(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _audits(report):
        if (drift := audit.drift) is not None:
            controls = (f"{_said(c.arm)}: {_count(c.misses)} of {_count(c.tokens)}" for c in drift.controls)
            yield (
                _name(contrast),
                f"{_count(audit.candidate.misses)} of {_count(audit.candidate.tokens)}",
                _figure(drift.p),
                _figure(drift.ratio_bound),
                _figure(drift.honest_ratio),
                "; ".join(controls),
            )


def _bounds(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _audits(report):
        for battery in audit.batteries:
            yield (
                _name(contrast),
                _said(battery.battery),
                _count(battery.items),
                _count(battery.items_beyond),
                _count(battery.unscored),
                _count(battery.planned_out),
                percent(battery.bound, 2),
                percent(battery.margin, 2),
            )


def _sampled(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, law in _laws(report):
        tested = law.candidate
        leak, e_value = tested.leak, tested.e_value
        interval = None if leak is None else leak.ci_clustered or leak.ci
        yield (
            _name(contrast),
            _count(tested.tokens),
            _figure(law.p),
            "no law of a draft" if leak is None else points(leak.e),
            f"[{percent(interval[0], 2)}, {percent(interval[1], 2)}]" if interval else NONE,
            NONE if leak is None else percent(leak.upper, 2),
            percent(leak.detectable, 2) if leak is not None and leak.detectable else NONE,
            NONE if e_value is None else _figure(e_value.log_e),
        )


def _tests(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, law in _laws(report):
        sides = [_scores(result) for result in (law.candidate, law.control, law.against_control)]
        for name in sides[0]:
            yield _name(contrast), _said(name), *(number(side.get(name)) for side in sides)


def _scores(found: SampledTokens | AgainstControl | None) -> dict[str, float | None]:
    return {} if found is None else {str(test.name): test.z for test in found.tests}


def _cost(report: Report) -> Iterator[tuple[str, ...]]:
    phases = report.facts.run.phases
    for name, seconds in phases.items():
        if "score" in seconds:
            own = phases.get(name.split(" ", maxsplit=1)[0], {}).get("generate")
            yield _said(name), _figure(seconds.get("load")), _figure(seconds["score"]), _figure(own)


def _attributions(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, audit in _audits(report):
        for found in audit.attributions:
            yield (
                _name(contrast),
                _said(f"{found.battery} / {found.item_id}"),
                _count(found.position),
                _said(found.cause),
                _figure(found.margin),
                _figure(found.float32_margin),
                _count(found.token).replace(",", ""),
                _count(found.best_token).replace(",", ""),
                _said(found.proposed),
            )
