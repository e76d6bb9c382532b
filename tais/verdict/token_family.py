"""The tests of tokens of a screen as one family: all misses together, and impossible tokens (Holm).

A screen fails with any of them, so each must stand among all. Structural findings are no tests and stay
outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tais.manifest.model import Role
from tais.stats.conformance.conformance import excess_impossible_p
from tais.stats.multiplicity import holm
from tais.verdict.drift import drift_p
from tais.verdict.evidence import ConformanceEvidence, ContrastEvidence

__all__ = ["TokenTests", "law_p", "token_tests"]


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
    control = law.control
    return TokenTests(
        impossible=None if control is None else excess_impossible_p(law.candidate, control), law=law_p(law)
    )


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
