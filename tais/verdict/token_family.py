"""The tests of tokens of a screen as one family: all misses together, and impossible tokens (Holm).

A screen fails with any of them, so each must stand among all. Structural findings are no tests and stay
outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tais.manifest.model import Role
from tais.stats.conformance.conformance import ConformanceResult, excess_impossible_p, noise_impossible_p
from tais.stats.multiplicity import holm
from tais.verdict.drift import drift_p
from tais.verdict.evidence import ConformanceEvidence, ContrastEvidence
from tais.verdict.honest_noise import HONEST_IMPOSSIBLE

__all__ = ["TokenTests", "law_p", "telling_control", "token_tests"]


_LEAST_CONTROL = 10
"""A control of less than the candidate's tokens over this shows nothing of impossible tokens."""


@dataclass(frozen=True, slots=True)
class TokenTests:
    """P-values of one contrast; None where there is no such test."""

    drift: float | None = None
    impossible: float | None = None
    law: float | None = None
    """That the tokens follow the law: adjusted over its own tests, and no member of the family."""


def token_tests(contrasts: Sequence[ContrastEvidence]) -> list[TokenTests]:
    """Return the tests of each contrast, adjusted over those that could fail the screen.

    A control keeps its own p-values: what it must show is that it can fail.
    """
    found = [_alone(contrast) for contrast in contrasts]
    members = [
        (place, name, p)
        for place, (contrast, own) in enumerate(zip(contrasts, found, strict=True))
        if contrast.role is Role.screen and contrast.lossless
        for name, p in (("drift", own.drift), ("impossible", own.impossible))
        if p is not None
    ]
    adjusted = holm([p for _, _, p in members]).tolist()
    by_place: dict[int, dict[str, float]] = {}
    for (place, name, _), p in zip(members, adjusted, strict=True):
        by_place.setdefault(place, {})[name] = p
    return [replace(own, **by_place.get(place, {})) for place, own in enumerate(found)]


def _alone(contrast: ContrastEvidence) -> TokenTests:
    law = contrast.conformance
    if contrast.greedy or law is None:
        return TokenTests(drift=drift_p(contrast))
    return TokenTests(impossible=_impossible_p(law), law=law_p(law))


def _impossible_p(law: ConformanceEvidence) -> float | None:
    """Hold impossible tokens against the reference's own, else against what this dtype makes by itself."""
    control = telling_control(law)
    if control is not None:
        return excess_impossible_p(law.candidate, control)
    measured = HONEST_IMPOSSIBLE.get(law.dtype)
    if measured is None:
        return None
    own = law.candidate
    return noise_impossible_p(own.impossible, own.n + own.impossible, measured)


def telling_control(law: ConformanceEvidence) -> ConformanceResult | None:
    """Return the reference's own tokens where they are enough to tell what its noise makes.

    A control of a few tokens clears any count: that its own hold none says nothing.
    """
    if law.control is None:
        return None
    own, candidate = (arm.n + arm.impossible for arm in (law.control, law.candidate))
    return law.control if own * _LEAST_CONTROL >= candidate else None


def law_p(law: ConformanceEvidence) -> float:
    """Return the p-value that all tests together give, adjusted for their number.

    Against the control where there is one, else against the law itself.
    """
    if law.against is None:
        return law.candidate.p
    found = [test.p for test in law.against.tests]
    if law.against.leak_excess_p is not None:
        found.append(law.against.leak_excess_p)
    return min(1.0, len(found) * min(found)) if found else 1.0
