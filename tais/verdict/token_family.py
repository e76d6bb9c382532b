"""The tests of tokens of a screen as one family: all misses together, and impossible tokens (Tarone-Holm).

A screen fails with any of them, so each must stand among all. Structural findings are no tests and stay
outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tais.manifest.model import Role
from tais.stats.conformance.conformance import ConformanceResult, excess_impossible_p, noise_impossible_p
from tais.stats.tarone import tarone_holm
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


class _Test(NamedTuple):
    """One member of the family, before it is adjusted."""

    name: Literal["drift", "impossible"]
    p: float
    attainable: float
    """Least p-value given what it conditions on: arms without a miss cost the others nothing."""


def token_tests(contrasts: Sequence[ContrastEvidence]) -> list[TokenTests]:
    """Return the tests of each contrast, adjusted over those that could fail the screen.

    A control keeps its own p-values: what it must show is that it can fail.
    """
    tests = [list(_tests(contrast)) for contrast in contrasts]
    found = [
        TokenTests(law=_law(contrast), **{test.name: test.p for test in own})
        for contrast, own in zip(contrasts, tests, strict=True)
    ]
    members = [
        (place, test)
        for place, (contrast, own) in enumerate(zip(contrasts, tests, strict=True))
        if contrast.role is Role.screen and contrast.lossless
        for test in own
    ]
    adjusted = tarone_holm([t.p for _, t in members], [t.attainable for _, t in members]).tolist()
    for (place, test), p in zip(members, adjusted, strict=True):
        found[place] = replace(found[place], **{test.name: p})
    return found


def _tests(contrast: ContrastEvidence) -> Iterator[_Test]:
    law = contrast.conformance
    if contrast.greedy or law is None:
        if (drifted := drift_p(contrast)) is not None:
            yield _Test("drift", *drifted)
    elif (impossible := _impossible_p(law)) is not None:
        yield _Test("impossible", *impossible)


def _law(contrast: ContrastEvidence) -> float | None:
    return None if contrast.greedy or contrast.conformance is None else law_p(contrast.conformance)


def _impossible_p(law: ConformanceEvidence) -> tuple[float, float] | None:
    """Hold impossible tokens against the reference's own, else against what this dtype makes by itself."""
    own, control = law.candidate, telling_control(law)
    if control is not None:
        return excess_impossible_p(own, control)
    measured = HONEST_IMPOSSIBLE.get(law.dtype)
    if measured is None:
        return None
    # Any of the tokens could have been impossible.
    return noise_impossible_p(own.impossible, own.n + own.impossible, measured), 0.0


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
