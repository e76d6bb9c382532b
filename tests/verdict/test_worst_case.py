"""Rows that were not compared are judged by the rule that judges the others."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from scipy.special import gammaln, xlogy

from tais.stats.paired import PairedTable, tango_statistic
from tais.stats.regions import Setting
from tais.verdict.details import detail
from tais.verdict.details.endpoint import EndpointLooks
from tais.verdict.early_stop import rule_at, up_to
from tais.verdict.endpoint_table import fold
from tais.verdict.evidence import EndpointEvidence, LookEvidence
from tais.verdict.report import Verdict
from tais.verdict.screen import decide
from tais.verdict.worst_case import passes_at_worst
from tests.stats.made import contrast, endpoint, outcomes, screen

MARGIN = 0.1


@cache
def enumerated_p(n: int, down: int, up: int) -> float:
    """P-value against "worse by the margin": the sum over all tables that are as extreme, where it is
    largest."""
    i, j = (x.ravel() for x in np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0), indexing="ij"))
    i, j = i[i + j <= n], j[i + j <= n]
    least = tango_statistic(PairedTable(n - down - up, down, up, 0), -MARGIN) - 1e-9
    extreme = tango_statistic(PairedTable(n - i - j, i, j, 0), -MARGIN) >= least
    i, j = i[extreme], j[extreme]
    fell = np.linspace(MARGIN, (1 + MARGIN) / 2, 400, endpoint=False)[:, None]
    rose, kept = fell - MARGIN, n - i - j
    coefficient = gammaln(n + 1) - gammaln(i + 1) - gammaln(j + 1) - gammaln(kept + 1)
    log = coefficient + xlogy(i, fell) + xlogy(j, rose) + xlogy(kept, 1 - fell - rose)
    return float(np.exp(log).sum(axis=1).max())


def every_completion_passes(n: int, down: int, up: int, missing: int) -> bool:
    completions = (
        (down + fell, up + rose)
        for fell, rose in product(range(missing + 1), repeat=2)
        if fell + rose <= missing
    )
    return all(
        max(enumerated_p(n + missing, b, c), enumerated_p(n + missing, c, b)) < 0.05 for b, c in completions
    )


@pytest.mark.parametrize(("down", "up", "missing"), [(0, 0, 1), (0, 0, 2), (1, 0, 1)])
def test_under_the_exact_rule_a_pass_stands_where_it_stands_however_missing_rows_came_out(
    down: int, up: int, missing: int
) -> None:
    exact = Setting(margin=MARGIN, alpha=0.05, h_cutoff=3.0, exact=True)
    found = {}
    for n in range(28, 74, 3):
        made = replace(endpoint(n // 2 - down - up, down, up, n - n // 2), unanswered=missing)
        worst = [
            passes_at_worst(made, fold(made), setting, invalid=False)
            for setting in (exact, replace(exact, exact=False))
        ]
        assert worst[0] == every_completion_passes(n, down, up, missing), n
        found[n] = tuple(worst)
    # Between them lie the sizes at which the score test would have let a pass stand.
    assert {(False, False), (False, True), (True, True)} <= set(found.values())


def test_a_missing_row_takes_back_a_pass_by_the_exact_test() -> None:
    """One flip of 150: the score test passes at 3 points, the exact test from 157 on."""
    for rows, exact, verdict in ((149, False, "pass"), (149, True, "inconclusive"), (156, True, "pass")):
        made = replace(endpoint(rows // 2, 0, 0, rows - rows // 2), unanswered=1)
        found = decide(screen(contrast(made), exact=exact)).contrasts[0].endpoints[0]
        assert (found.verdict.value, exact) == (verdict, exact)


def test_missing_rows_of_repeated_prompts_are_held_against_the_effect_size() -> None:
    """12 of 800 prompts are missing: within 3 points, and h far beyond 0.1 (arcsin, by hand: 0.24)."""
    n = 788
    reference, candidate = np.ones(2 * n), np.ones(2 * n)
    candidate[0] = 0
    made = outcomes(reference, candidate, repeats=2, reference_only=12)
    assert not fold(made).whole
    found = decide(screen(contrast(made))).contrasts[0].endpoints[0]
    assert found.verdict is Verdict.inconclusive
    assert "unmatched_items" in {r.code for r in found.reasons if r.severity == "decides"}
    assert 2 * (np.arcsin(1) - np.arcsin(np.sqrt(1 - 12.5 / 800))) > 0.1


def looked_at(n: int, missing: int, kind: str) -> EndpointEvidence:
    """Half of the planned items were asked; the candidate has no flip, and some of them not at all."""
    left = (missing, n + missing)
    looks = LookEvidence(
        kind, (n + missing, 2 * (n + missing)), True, np.ones(n, np.int64), left, (0, 0), unanswered=(0, 0)
    )
    return replace(endpoint(n // 2, 0, 0, n - n // 2), looks=looks, reference_only=sum(left))


@pytest.mark.parametrize("kind", ["obrien_fleming", "betting"])
def test_a_missing_row_takes_back_a_pass_that_its_look_would_not_give(kind: str) -> None:
    """At a look the level is smaller than alpha, so that fewer missing rows are enough to hide a failure."""
    setting = Setting(margin=MARGIN, alpha=0.05, h_cutoff=3.0)
    found = set()
    for n in (60, 80, 120):
        made = looked_at(n, 2, kind)
        rule, part = rule_at(made, 1, setting), up_to(made, 1)
        assert rule is not None
        at_the_end, here = (
            passes_at_worst(part, fold(part), setting, invalid=False, reached=reached)
            for reached in (None, rule.reached_by)
        )
        fallen = fold(replace(endpoint(n // 2, 2, 0, n - n // 2), reference_only=0))
        assert here == rule.reached_by(fallen)
        found.add((rule.reached(fold(part)), at_the_end, here))
    # Between them lie the sizes at which the level of a single look would have let a pass stand.
    assert {(True, True, False), (True, True, True)} <= found


@pytest.mark.parametrize("kind", ["obrien_fleming", "betting"])
def test_early_passes_are_held_to_the_level_of_their_look(kind: str) -> None:
    passed = {}
    for missing in (0, 2):
        made = looked_at(70, missing, kind)
        found = decide(screen(contrast(made), h_cutoff=3.0, margin=MARGIN)).contrasts[0].endpoints[0]
        looks = detail(found, EndpointLooks)
        passed[missing] = found.verdict.value, None if looks is None else looks.look
    assert passed[0] == ("pass", 1)
    assert passed[2] != ("pass", 1)
