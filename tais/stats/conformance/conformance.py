"""Conformance of sampled tokens (T > 0) to the target's law, from one teacher-forced pass.

:class:`Conformance` takes chunks of tokens and keeps sums only (and 12 bytes per token for the leak):
z-tests, transform and its uniformity, draft leak, e-value. Without a leak all of them hold whatever the
prompts and lengths are. Never select tokens by what was accepted or corrected: that depends on the token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.conformance.e_value import EProcess, EValue
from tais.stats.conformance.laws import TokenLaws
from tais.stats.conformance.leak import Leak, LeakEstimate
from tais.stats.conformance.pit import Pit, Uniformity, uniformity
from tais.stats.conformance.score_tests import Drift, ScoreTest, cell_scores, excess_tests, score_tests
from tais.stats.proportions import FloatArray, clopper_pearson

__all__ = [
    "Conformance",
    "ConformanceResult",
    "ControlComparison",
    "against_control",
    "excess_impossible_p",
    "noise_impossible_p",
]


@dataclass(frozen=True, slots=True)
class ConformanceResult:
    """What the tokens of one arm say."""

    n: int
    """Tokens tested; impossible ones are not among them."""
    impossible: int
    """Tokens that the target's law excludes: a structural finding, no statistic."""
    impossible_at: tuple[int, ...]
    """Positions of the first 20 of them in the order of all tokens, from 0."""
    samples: int
    clusters: int
    tests: tuple[ScoreTest, ...]
    uniform: Uniformity
    leak: LeakEstimate | None
    """None for a draft without a law."""
    e_value: EValue | None

    @property
    def p(self) -> float:
        """Smallest p-value of z-tests and uniformity, adjusted for their number."""
        found = [test.p for test in self.tests]
        return min(1.0, (len(found) + 1) * min([*found, self.uniform.ks_p]))


@dataclass(frozen=True, slots=True)
class ControlComparison:
    """The candidate beyond the control, whose tokens were scored in the same way."""

    tests: tuple[ScoreTest, ...]
    """z of the difference of the mean drifts, adjusted over scores."""
    leak_excess: float | None
    """Signed leak of the candidate less that of the control."""
    leak_excess_se: float | None
    leak_excess_p: float | None
    """One-sided: more leak in the candidate."""


class Conformance:
    """Accumulator over chunks of tokens of one arm.

    Parameters
    ----------
    seed
        Of the transform's own randomness; fix it before the tokens are drawn.
    alpha
        Level at which the e-process reports its crossing.

    Notes
    -----
    All chunks have a draft's law or none has, and the same holds for the caller's scores. The result does
    not depend on how the tokens are cut into chunks.
    """

    def __init__(self, seed: int, alpha: float = 0.05) -> None:
        self._pit = Pit(seed)
        self._leak = Leak()
        self._process = EProcess(alpha)
        self._drifts: dict[str, Drift] = {}
        self._n = 0
        self._impossible = 0
        self._impossible_at: list[int] = []
        self._samples: set[tuple[int, int]] = set()
        self._kind: tuple[bool, bool] | None = None

    def update(self, laws: TokenLaws) -> None:
        """Add a chunk of tokens.

        Raises
        ------
        TaisError
            For a law that is none (see :class:`TokenLaws`), or a chunk of another kind than those before.
        """
        laws = laws.checked()
        kind = (laws.draft_logprobs is not None, laws.scores is not None)
        if self._kind not in (None, kind):
            raise TaisError("some chunks of tokens have a draft's law or scores and others have not")
        self._kind = kind
        p, q = laws.target(), laws.draft()
        possible = np.take_along_axis(p, laws.given[:, None], axis=1)[:, 0] > 0
        self._count(laws, possible)
        if possible.all():
            self._add(laws, p, q)
        else:
            kept = {f: getattr(laws, f)[possible] for f in ("listed_logprobs", "given", "cluster", "sample")}
            own = None if laws.scores is None else laws.scores[possible]
            draft = None if q is None else q[possible]
            self._add(replace(laws, **kept, scores=own), p[possible], draft)

    def _count(self, laws: TokenLaws, possible: NDArray[np.bool_]) -> None:
        bad = np.flatnonzero(~possible)
        self._impossible += len(bad)
        free = max(20 - len(self._impossible_at), 0)
        self._impossible_at += [self._n + int(i) for i in bad[:free]]
        self._n += len(laws)
        pairs = np.unique(np.stack([laws.cluster, laws.sample], axis=1), axis=0)
        self._samples |= {(int(c), int(s)) for c, s in pairs}

    def _add(self, laws: TokenLaws, p: FloatArray, q: FloatArray | None) -> None:
        if not len(p):
            return
        for name, score in cell_scores(p, q, laws.scores).items():
            self._drifts[name] = self._drifts.get(name, Drift()).add(p, score, laws.given)
        self._pit.add(p, q, laws.given)
        if q is not None:
            self._process.add(self._leak.add(p, q, laws.given, laws.cluster))

    def result(self, confidence: float = 0.95, power: float = 0.9) -> ConformanceResult:
        """Tests, estimate and evidence so far; chunks may follow.

        Parameters
        ----------
        confidence
            Of the leak's intervals.
        power
            Of the minimum detectable leak.

        Raises
        ------
        TaisError
            Where no token could be tested.
        """
        tested = self._n - self._impossible
        if tested == 0:
            raise TaisError(
                f"no token to test: {self._n} given, {self._impossible} impossible under the target's law",
                remedy="check that the tokens were scored with the model and sampling that drew them",
            )
        drafted = self._kind is not None and self._kind[0]
        return ConformanceResult(
            n=tested,
            impossible=self._impossible,
            impossible_at=tuple(self._impossible_at),
            samples=len(self._samples),
            clusters=len({cluster for cluster, _ in self._samples}),
            tests=score_tests(self._drifts),
            uniform=uniformity(self._pit.counts),
            leak=self._leak.estimate(confidence, power) if drafted else None,
            e_value=self._process.value() if drafted else None,
        )


def excess_impossible_p(candidate: ConformanceResult, control: ConformanceResult) -> tuple[float, float]:
    """P-value that the candidate has no more impossible tokens than the control, and the least it can have.

    Notes
    -----
    Exact: given the impossible tokens of both, those of the candidate are binomial with its share of all
    tokens where both arms have one rate. Without any both are 1.

    References
    ----------
    Przyborowski, Wilenski (1940), Biometrika 31, 313-323.
    """
    from scipy.special import bdtrc

    ours, theirs = candidate.n + candidate.impossible, control.n + control.impossible
    total, share = candidate.impossible + control.impossible, ours / (ours + theirs)
    p = float(bdtrc(candidate.impossible - 1, total, share)) if candidate.impossible else 1.0
    return p, min(p, share**total)


def noise_impossible_p(impossible: int, tokens: int, honest: tuple[int, int]) -> float:
    """P-value that a candidate has no more impossible tokens than a measured noise makes.

    Parameters
    ----------
    impossible, tokens
        Of the candidate, and how many it gave in all.
    honest
        The same of honest stacks, which were measured.

    Notes
    -----
    Exact binomial tail at the upper 95 % bound of the measured rate (Clopper and Pearson), which holds the
    level wherever the true rate is below that bound. Impossible tokens of an answer count as independent.
    """
    from scipy.special import bdtrc

    if not impossible:
        return 1.0
    rate = float(clopper_pearson(*honest, 0.9)[1])
    return float(bdtrc(impossible - 1, tokens, rate))


def against_control(candidate: ConformanceResult, control: ConformanceResult) -> ControlComparison:
    """Compare a candidate with the reference arm's own tokens, scored in the same way.

    Numerical error of the scoring pass shifts both alike: a correct engine with many tokens fails the plain
    tests and passes these. The control needs the same draft laws to have a leak of its own.

    Raises
    ------
    TaisError
        Where the arms share no score.
    """
    tests = excess_tests(
        {test.name: test.drift for test in candidate.tests}, {test.name: test.drift for test in control.tests}
    )
    if candidate.leak is None or control.leak is None:
        return ControlComparison(tests, None, None, None)
    excess = candidate.leak.signed - control.leak.signed
    error = math.hypot(_error(candidate.leak), _error(control.leak))
    if not (0 < error < math.inf):
        return ControlComparison(tests, excess, None, None)
    return ControlComparison(tests, excess, error, math.erfc(excess / error / math.sqrt(2)) / 2)


def _error(leak: LeakEstimate) -> float:
    """Larger of the two standard errors: numerical bias varies by prompt, chance by token."""
    return max(leak.signed_se, leak.signed_se_clustered or 0.0)
