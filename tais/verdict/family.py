"""A fail must stand among all endpoints that are screened.

The rule of one endpoint, its interval beyond the margin, errs for each endpoint. A screen fails with any of
them, so that equal stacks would fail the more often the more is screened. A fail therefore also needs the
exact two-sided p-value of its changes, adjusted over all endpoints by Tarone's form of Holm's method, below
alpha. That holds the probability that equal stacks fail anywhere at alpha; at the margin the error stays
that of one endpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tais.manifest.model import Rules
from tais.stats.paired_means import means_to_decide
from tais.stats.sample_size import items_to_decide, items_to_stand_out
from tais.stats.tarone import tarone_holm
from tais.stats.tidy import tidy
from tais.verdict.endpoint import EndpointResult
from tais.verdict.flips import FlipTest
from tais.verdict.reasons import POWERS, needed_values, needed_words, reason
from tais.verdict.report import Reason, Verdict

__all__ = ["FAILING", "adjust_fails"]

FAILING = ("difference_outside_margin", "effect_beyond_cutoff")
"""Codes of a fail by the rule of one endpoint."""


def adjust_fails(results: Sequence[EndpointResult], rules: Rules) -> list[EndpointResult]:
    """Keep the fails that stand among all endpoints; the others become inconclusive, code `suspect`.

    Parameters
    ----------
    results
        Judged endpoints of all `screen` contrasts: the family.
    rules
        Read for alpha.

    Returns
    -------
    list of EndpointResult
        In the same order. Each one that fails by its own rule has its `adjusted_p`.
    """
    tests = [r.test for r in results if r.test is not None]
    adjusted = iter(tarone_holm([t.p for t in tests], [t.attainable for t in tests]).tolist())
    weighed = []
    for result in results:
        p = 1.0 if result.test is None else next(adjusted)
        failed = result.report.verdict is Verdict.failed
        weighed.append(_weighed(result, p, tests, rules.alpha) if failed else result)
    return weighed


def _weighed(
    result: EndpointResult, adjusted: float, tests: Sequence[FlipTest], alpha: float
) -> EndpointResult:
    test = result.test
    assert test is not None
    if test.stopped_with is not None:
        # Its candidate was stopped for it: what the other endpoints come to later revises nothing.
        adjusted = min(1.0, test.stopped_with * test.p)
    report = result.report.model_copy(update={"adjusted_p": tidy(adjusted)})
    if adjusted >= alpha:
        able = sum(t.attainable <= test.p * (1 + 1e-9) for t in tests)
        why = _suspect(result, adjusted, alpha / able)
        kept = (r for r in report.reasons if r.code not in FAILING)
        report = report.model_copy(update={"verdict": Verdict.inconclusive, "reasons": (why, *kept)})
    return replace(result, report=report)


def _suspect(result: EndpointResult, adjusted: float, level: float) -> Reason:
    """Say what fails by itself only, and how many items would tell."""
    failing = [r for r in result.report.reasons if r.code in FAILING]
    few, many = (_items(result, level, power) for power in POWERS)
    message = (
        f"suspect: {'; '.join(r.message for r in failing)}; but with all endpoints that are screened chance "
        f"alone comes to this too often (adjusted p = {adjusted:.2g}): run it again, "
        f"{needed_words((few, many))}"
    )
    values: dict[str, object] = {}
    for one in failing:
        values = one.values | values
    values |= {"codes": [r.code for r in failing], "adjusted_p": adjusted}
    return reason("suspect", message, **(values | needed_values((few, many))))


def _items(result: EndpointResult, level: float, power: float) -> int | None:
    """Items with which the same change would fail and stand: by its margin only if it is beyond that."""
    folded, setting = result.folded, result.setting
    assert folded is not None
    if result.report.kind == "continuous":
        return means_to_decide(
            folded.difference, setting.margin, setting.alpha, power,
            one_sided=setting.one_sided, level=level,
        )  # fmt: skip
    discordance, difference = folded.changed
    if not setting.ratio and abs(difference) > setting.margin:
        return items_to_decide(discordance, difference, setting.margin, setting.alpha, power, level=level)
    return items_to_stand_out(discordance, difference, level, power)
