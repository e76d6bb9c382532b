"""Looks at the endpoints of a candidate that may have been stopped early, from its evidence alone.

A run asks these functions after each block of answers, and the decision asks them again: both see the same
rows in the same order, so that a stop can be computed again from what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tais.manifest.model import Role
from tais.stats.cluster_table import Folded
from tais.stats.paired import tost
from tais.stats.proportions import as_interval
from tais.stats.regions import Setting
from tais.stats.sequential import Boundary, Look, flip_e_value, together
from tais.stats.spending import SPENDING, spent_p
from tais.stats.tidy import points, tidy, tidy_interval
from tais.verdict.details import written
from tais.verdict.details.contrast import ContrastLooks
from tais.verdict.details.endpoint import EndpointLooks, LaterAnswers
from tais.verdict.endpoint_table import fold
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence, LookEvidence
from tais.verdict.flips import FlipTest, flip_test
from tais.verdict.reasons import note, reason
from tais.verdict.report import Reason, Verdict

__all__ = [
    "LookRule",
    "Stop",
    "candidate_stop",
    "endpoint_notes",
    "find_stop",
    "rule_at",
    "stop_notes",
    "undecided",
    "up_to",
]

_LEAST_LEVEL = 1e-6
"""Of an interval that is shown: at the level of a very early look it would hold every difference."""


@dataclass(frozen=True, slots=True)
class LookRule:
    """How one look decides."""

    boundary: Boundary
    look: int
    """From 1."""
    looks: int
    n: int
    """Clusters in."""
    planned: int
    """Clusters of the plan."""
    endpoints: int = 1
    """Endpoints that are screened in all."""

    @property
    def last(self) -> bool:
        """Whether no look follows."""
        return self.look == self.looks

    @property
    def alpha(self) -> float:
        """One-sided level of the intervals that go with this look."""
        return max(self.boundary.test_level(self.n), _LEAST_LEVEL)

    def state(self, folded: Folded) -> Look:
        """What the boundary says of the difference of rates."""
        return self.boundary.look(folded.table, self.n)

    def reached(self, folded: Folded) -> bool:
        """Whether the boundary of a pass is reached."""
        return self.state(folded) is Look.passed

    def reached_by(self, folded: Folded) -> bool:
        """Whether this look would pass with other clusters, by its own critical value."""
        return bool(self.boundary.decide(folded.table, self.n)[0])

    def flip_test(self, endpoint: EndpointEvidence, folded: Folded) -> FlipTest:
        """Return the test of direction of the rows up to this look, with what earlier looks may have spent.

        Notes
        -----
        How many rows are in depends on what they were, so no least p-value is claimed. Before the last look
        a p-value below alpha / m stops its candidate, where m endpoints are planned: it then stands beside
        any others, since Holm's method multiplies no p-value by more than their number.
        """
        p = self._flip_p(flip_test(endpoint, folded).p, folded)
        stops = not self.last and self.state(folded) is Look.failed
        stops &= self.endpoints * p < self.boundary.alpha
        return FlipTest(p, 0.0, self.endpoints if stops else None)

    def _flip_p(self, p: float, folded: Folded) -> float:
        boundary = self.boundary
        if boundary.kind == "betting":
            down, up = int((folded.difference < 0).sum()), int((folded.difference > 0).sum())
            return min(1.0, 1 / flip_e_value(down, up))
        if boundary.kind not in SPENDING:
            return p
        shares = sorted(x / self.planned for x in boundary.looks if x <= self.n)
        before = shares[-2] if len(shares) > 1 else 0.0
        return spent_p(p, boundary.kind, before, 1.0 if self.last else shares[-1])

    def decide(
        self, folded: Folded, h: float, obstacles: Sequence[Reason], beyond: Sequence[Reason]
    ) -> tuple[Verdict, list[Reason]] | None:
        """Return verdict and reasons; None where the boundary is not reached, or h is in the way.

        Parameters
        ----------
        folded
            Rows up to this look.
        h
            Cohen's h there.
        obstacles
            What of h stands in the way of a pass. It can only delay one.
        beyond
            Why the interval of h fails the endpoint. It is looked at once, at the last look.
        """
        state, setting = self.state(folded), self.boundary
        difference = float(folded.table.difference)
        seen = f"at look {self.look} of {self.looks} (n = {self.n} of {self.planned}, {setting.kind})"
        values: dict[str, object] = {
            "look": self.look,
            "n": self.n,
            "difference": difference,
            "margin": setting.margin,
        }
        if state is Look.failed:
            side = "worse" if difference < 0 else "better"
            message = f"{side}: a difference of {points(difference)} is beyond the margin of "
            message += f"{points(setting.margin)} {seen}"
            return Verdict.failed, [reason("difference_outside_margin", message, side=side, **values)]
        if self.last and beyond:
            return Verdict.failed, list(beyond)
        if state is Look.go_on or obstacles:
            return None
        word, code = ("not inferior", "not_inferior") if setting.one_sided else ("equivalent", "equivalent")
        message = f"{word}: a difference of {points(difference)} is within the margin of "
        message += f"{points(setting.margin)} {seen}, h = {h:.3g}"
        return Verdict.passed, [reason(code, message, h=h, **values)]


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a candidate stopped."""

    look: int
    looks: int
    state: Look
    """Why: all of its endpoints passed, one failed, or everything was answered."""

    @property
    def early(self) -> bool:
        """Whether something was not asked."""
        return self.look < self.looks


def up_to(endpoint: EndpointEvidence, look: int) -> EndpointEvidence:
    """Return the rows that are in at a look, as an endpoint of their own.

    What belongs to later looks and not both arms have was not asked for: it is not missing.
    """
    looks = endpoint.looks
    assert looks is not None
    rows = looks.at <= look
    return replace(
        endpoint,
        item_ids=endpoint.item_ids[rows],
        clusters=endpoint.clusters[rows],
        reference=endpoint.reference[rows],
        candidate=endpoint.candidate[rows],
        reference_invalid=endpoint.reference_invalid[rows],
        candidate_invalid=endpoint.candidate_invalid[rows],
        groups=None if endpoint.groups is None else endpoint.groups[rows],
        reference_only=sum(looks.reference_only[:look]),
        candidate_only=sum(looks.candidate_only[:look]),
        unanswered=sum(looks.unanswered[:look]),
        reference_cut=None if endpoint.reference_cut is None else endpoint.reference_cut[rows],
        candidate_cut=None if endpoint.candidate_cut is None else endpoint.candidate_cut[rows],
        looks=None,
    )


def rule_at(endpoint: EndpointEvidence, look: int, setting: Setting) -> LookRule | None:
    """Return how a look decides; None where it brings nothing that was not seen before.

    Parameters
    ----------
    endpoint
        With its looks.
    look
        From 1.
    setting
        Margin, alpha and side.

    Notes
    -----
    Where an arm lacks answers, fewer clusters are in than were planned: the level spent follows what is in.
    """
    looks = endpoint.looks
    assert looks is not None
    first = _first_looks(endpoint)
    counts = [int((first <= k).sum()) for k in range(1, look + 1)]
    n, before, last = counts[-1], (counts[-2] if look > 1 else 0), look == len(looks.planned)
    if n == 0 or (n == before and not last):
        return None
    earlier = sorted({x for x in counts[:-1] if 0 < x < n})
    planned = max(looks.planned[-1], n)
    # Any end will do for the levels before it.
    seen = (*earlier, n) if last else (*earlier, n, max(planned, n + 1))
    boundary = Boundary(
        setting.margin, seen, setting.alpha, looks.kind, one_sided=setting.one_sided, planned=planned
    )
    return LookRule(boundary, look, len(looks.planned), n, planned, looks.endpoints)


def _first_looks(endpoint: EndpointEvidence) -> NDArray[np.int64]:
    """Look at which each cluster is first seen, shape (clusters,)."""
    assert endpoint.looks is not None
    _, codes = np.unique(endpoint.clusters, return_inverse=True)
    first = np.full(codes.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, codes, endpoint.looks.at)
    return first


Judge = Callable[[EndpointEvidence, int], Verdict]
"""Verdict of an endpoint at a look."""


def find_stop(
    endpoints: Sequence[EndpointEvidence], judge: Judge, *, upto: int | None = None, blind: bool = False
) -> Stop:
    """Return the look at which a candidate stops.

    Parameters
    ----------
    endpoints
        Endpoints of all contrasts of the candidate that are looked at.
    judge
        Judges one of them at one look.
    upto
        Last look whose answers are in; None for all.
    blind
        Whether the candidate has endpoints beside these that are first seen at the end, so that it can
        fail early and not pass.
    """
    plans = [e.looks for e in endpoints if e.looks is not None]
    looks = len(plans[0].planned)
    states = dict.fromkeys(range(len(endpoints)), Look.go_on)
    hidden = [Look.go_on] if blind or not all(plan.early for plan in plans) else []
    for look in range(1, min(looks - 1, upto or looks) + 1):
        for index, endpoint in enumerate(endpoints):
            plan = plans[index]
            # A pass is kept: to look again would spend alpha that it has not got.
            if plan.early and states[index] is Look.go_on:
                states[index] = _STATES[judge(endpoint, look)]
        state = together([*states.values(), *hidden])
        if state is not Look.go_on:
            return Stop(look, looks, state)
    return Stop(looks, looks, Look.go_on)


_STATES = {
    Verdict.passed: Look.passed,
    Verdict.failed: Look.failed,
    Verdict.inconclusive: Look.go_on,
}


def candidate_stop(
    contrasts: Sequence[ContrastEvidence],
    candidate: str,
    judge: Callable[[ContrastEvidence, EndpointEvidence, int], Verdict],
    *,
    upto: int | None = None,
    blind: bool = False,
) -> Stop | None:
    """Return where a candidate stops over all its contrasts; None where it is not looked at."""
    own = [
        (contrast, endpoint)
        for contrast in contrasts
        if contrast.candidate == candidate and contrast.role is Role.screen
        for endpoint in contrast.endpoints
        if endpoint.looks is not None
    ]
    if not own:
        return None
    of = {id(endpoint): contrast for contrast, endpoint in own}
    return find_stop(
        [endpoint for _, endpoint in own],
        lambda endpoint, look: judge(of[id(endpoint)], endpoint, look),
        upto=upto,
        blind=blind,
    )


def endpoint_notes(
    endpoint: EndpointEvidence, rule: LookRule | None, look: int, stop: Stop, verdict: Verdict
) -> tuple[list[Reason], EndpointLooks]:
    """Say at which look an endpoint was decided, and what later answers show.

    Returns
    -------
    list of Reason, EndpointLooks
        Notes, and `details.sequential` of the endpoint.
    """
    looks = endpoint.looks
    assert looks is not None
    details = EndpointLooks(
        kind=looks.kind if looks.early else "fixed",
        look=look,
        looks=stop.looks,
        planned=looks.planned,
        decided=verdict is not Verdict.inconclusive,
        level=None if rule is None or not looks.early else tidy(rule.boundary.test_level(rule.n)),
        not_asked=sum(looks.reference_only[stop.look :]),
    )
    if look >= stop.look:
        return [], details
    later, (low, high) = _later(endpoint, stop.look, rule)
    details = EndpointLooks(**details.model_dump(), later=later)
    if verdict is not Verdict.passed or later.equivalent:
        return [], details
    message = (
        f"passed at look {look}; with the answers that came in for other endpoints "
        f"(n = {later.n}) the interval [{points(low)}, {points(high)}] crosses the margin"
    )
    return [note("later_answers_differ", message, **later.model_dump())], details


def _later(
    endpoint: EndpointEvidence, look: int, rule: LookRule | None
) -> tuple[LaterAnswers, tuple[float, float]]:
    """What all rows show, had they been looked at once, and their interval."""
    assert rule is not None
    folded, setting = fold(up_to(endpoint, look)), rule.boundary
    test = tost(folded.table, setting.margin, setting.alpha, one_sided=setting.one_sided)
    ci = tidy_interval(as_interval(test.ci))
    later = LaterAnswers(
        n=folded.clusters,
        difference=tidy(float(folded.table.difference)),
        ci=ci,
        margin=setting.margin,
        equivalent=bool(test.equivalent),
    )
    return later, ci


def stop_notes(contrast: ContrastEvidence, stop: Stop | None) -> tuple[list[Reason], dict[str, object]]:
    """Say where a candidate stopped and what that saved; nothing for a contrast that is not looked at."""
    plans: list[LookEvidence] = [e.looks for e in contrast.endpoints if e.looks is not None]
    if stop is None or not plans:
        return [], {}
    saved = sum(sum(plan.reference_only[stop.look :]) for plan in plans)
    asked = sum(len(plan.at) + sum(plan.reference_only) for plan in plans) - saved
    tokens = None
    if contrast.tokens_per_answer is not None:
        tokens = round(saved * contrast.tokens_per_answer)
    details = ContrastLooks(
        kind=plans[0].kind,
        look=stop.look,
        looks=stop.looks,
        stopped=stop.state.value if stop.early else None,
        answers=asked,
        answers_not_asked=saved,
        tokens_saved=tokens,
    )
    if not stop.early:
        return [], written(details)
    why = "every endpoint has passed" if stop.state is Look.passed else "an endpoint has failed"
    cost = "" if tokens is None else f", about {tokens:,} tokens"
    message = (
        f"stopped early at look {stop.look} of {stop.looks}, as {why}: {saved:,} of {asked + saved:,} "
        f"answers not asked{cost}"
    )
    values = {"look": stop.look, "looks": stop.looks, "not_asked": saved, "tokens_saved": tokens}
    return [note("stopped_early", message, **values)], written(details)


def undecided(look: int, stop: Stop) -> Reason:
    """Say that an endpoint had not been decided when its candidate stopped."""
    message = (
        f"not decided when the candidate stopped at look {look} of {stop.looks}, as another endpoint failed"
    )
    return reason("undecided_at_stop", message, look=look, looks=stop.looks)
