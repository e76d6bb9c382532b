"""Which other law sampled tokens fit, where they do not follow the one that was asked for.

Each alternative says: a share of the tokens comes from another law, and the rest from the law asked for. The
laws are compared on the tokens that the target lists, given that the token is one of them: there a
temperature is a power of the law, whatever the rest of the vocabulary holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tais.stats.conformance.conformance import Conformance
from tais.stats.conformance.laws import IntArray, TokenLaws
from tais.stats.proportions import FloatArray

__all__ = ["COLDEST", "FITS", "HOTTEST", "Alternative", "LawFit", "ListedTokens", "best_alternative"]

Alternative = Literal["temperature", "draft", "uncut", "place_before"]
"""Another temperature; the draft's law; the law before top-k and top-p; the law of the token before."""

FITS = 0.01
"""A law fits where the smallest p-value of its tests, adjusted for their number, is at least this."""
COLDEST, HOTTEST = 0.02, 50.0
"""Ends of the grid of temperatures, as multiples of the one asked for: in effect the best token, and all
listed tokens alike."""
_STEPS = 31
_HALVINGS = 20
_LEAST = 1e-12
_SLACK = 0.005
"""A share of unlisted tokens that is put down to another pass of the model."""


@dataclass(frozen=True, slots=True)
class ListedTokens:
    """Sampled tokens that their list holds, with what each law says of the list; shapes (n, k) and (n,)."""

    asked: FloatArray
    """Log-probabilities of the law asked for; -inf where it is cut."""
    given: IntArray
    """Place of the token in its list."""
    cluster: IntArray
    """Prompt."""
    sample: IntArray
    uncut: FloatArray | None = None
    """Before the cuts; None where nothing is cut."""
    draft: FloatArray | None = None
    before: FloatArray | None = None
    """What the law of the token before says of this list; the law asked for at the first token."""
    unlisted: int = 0
    """Further tokens that their list does not hold."""
    expected: float = 0.0
    """How many of all tokens these should be, by the law asked for."""
    expected_drafted: float = 0.0
    """The same by the draft's law."""
    expected_uncut: float = 0.0
    """The same before the cuts."""

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.given)


@dataclass(frozen=True, slots=True)
class LawFit:
    """The alternative that explains the tokens best."""

    name: Alternative
    share: float
    """Of the tokens that come from it; 1 where it is all of them."""
    temperature: float | None
    """As a multiple of the one asked for, for the alternative of that name."""
    gain: float
    """Log-likelihood per token above that of the law asked for (nats)."""
    p: float
    """Smallest p-value of the tests against it, adjusted for their number."""
    tokens: int
    unlisted: float = 0.0
    """Share of all tokens that the target does not list."""
    expected: float = 0.0
    """The same by the law asked for."""
    explained: bool = True
    """Whether the law leaves room for so many tokens that are not listed."""

    @property
    def odd(self) -> bool:
        """Whether more tokens are unlisted than the law asked for leaves room for."""
        return self.unlisted > self.expected + _room(self.expected, self.tokens)

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return self.p >= FITS and self.explained


@dataclass(frozen=True, slots=True)
class _Fit:
    name: Alternative
    law: FloatArray
    share: float
    temperature: float | None
    likelihood: float
    parameters: int

    def score(self, n: int) -> float:
        """Schwarz's criterion, halved and turned round: larger is better."""
        return self.likelihood - self.parameters * math.log(n) / 2


def best_alternative(tokens: ListedTokens, seed: int) -> LawFit | None:
    """Return the alternative that explains tokens best, and whether it fits.

    Parameters
    ----------
    tokens
        At least one.
    seed
        Of the transform of the test, fixed before the tokens were drawn.

    Returns
    -------
    LawFit or None
        None where no alternative is more likely than the law asked for.

    Notes
    -----
    Chosen by Schwarz's criterion. Its parameters are estimated on the tokens that then test it, which makes
    the test a little lenient: a law that is said to fit was not refuted, and no more.

    References
    ----------
    Schwarz (1978), Annals of Statistics 6, 461-464.
    """
    asked = _normal(tokens.asked)
    own = _at(asked, tokens.given)
    null = float(np.log(np.maximum(own, _LEAST)).sum())
    fits = list(_fits(tokens, asked))
    best = max(fits, key=lambda fit: fit.score(len(tokens)), default=None)
    if best is None or best.score(len(tokens)) <= null:
        return None
    law = best.share * best.law + (1 - best.share) * asked
    total = len(tokens) + tokens.unlisted
    unlisted, expected = tokens.unlisted / total, tokens.expected / total
    other = {"draft": tokens.expected_drafted, "uncut": tokens.expected_uncut}.get(best.name, 0.0)
    most = max(expected, other / total)
    # What a higher temperature puts on the rest depends on what the rest is made of.
    hotter = best.temperature is not None and best.temperature > 1
    return LawFit(
        best.name,
        best.share,
        best.temperature,
        (best.likelihood - null) / len(tokens),
        _test(law, tokens, seed),
        total,
        unlisted,
        expected,
        explained=hotter or unlisted <= most + _room(most, total),
    )


def _room(share: float, n: int) -> float:
    """Return by how much a share may exceed what is expected and be chance, or rounding of the law."""
    return 5 * math.sqrt(max(share, 1 / n) / n) + _SLACK


def _fits(tokens: ListedTokens, asked: FloatArray) -> Iterator[_Fit]:
    own = _at(asked, tokens.given)
    yield from _temperatures(tokens, own)
    others: tuple[tuple[Alternative, FloatArray | None], ...] = (
        ("draft", tokens.draft),
        ("uncut", tokens.uncut),
        ("place_before", tokens.before),
    )
    for name, logprobs in others:
        if logprobs is not None:
            law = _normal(logprobs, asked)
            for whole in (True, False):
                yield _fit(name, law, own, tokens.given, None, whole=whole)


def _fit(
    name: Alternative,
    law: FloatArray,
    own: FloatArray,
    given: IntArray,
    temperature: float | None,
    *,
    whole: bool,
) -> _Fit:
    """Return how likely a law is: of all tokens, or of the most likely share of them."""
    other = _at(law, given)
    share = 1.0 if whole else _share(own, other)
    likelihood = float(np.log(np.maximum((1 - share) * own + share * other, _LEAST)).sum())
    return _Fit(name, law, share, temperature, likelihood, int(temperature is not None) + int(not whole))


def _temperatures(tokens: ListedTokens, own: FloatArray) -> Iterator[_Fit]:
    """Yield the best temperature of all tokens, and of a share: by a grid, then near its best."""

    def fit(log_factor: float, *, whole: bool) -> _Fit:
        factor = math.exp(log_factor)
        law = _normal(tokens.asked / factor)
        return _fit("temperature", law, own, tokens.given, factor, whole=whole)

    grid = np.linspace(math.log(COLDEST), math.log(HOTTEST), _STEPS)
    step = float(grid[1] - grid[0])
    for whole in (True, False):
        likely = partial(_likelihood, partial(fit, whole=whole))
        middle = max(grid.tolist(), key=likely)
        inside = (max(middle - step, float(grid[0])), min(middle + step, float(grid[-1])))
        yield fit(_golden(likely, *inside), whole=whole)


def _likelihood(fit: Callable[[float], _Fit], log_factor: float) -> float:
    return fit(log_factor).likelihood


def _golden(value: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one top is largest."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda x: -value(x), bounds=(low, high), method="bounded", options={"xatol": 1e-3}
    )
    return float(found.x)


def _normal(logprobs: FloatArray, otherwise: FloatArray | None = None) -> FloatArray:
    """Return probabilities given that the token is listed.

    A law that puts nothing on a list adds nothing there: its row is that of the law asked for.
    """
    largest = logprobs.max(axis=1, keepdims=True)
    weights = np.exp(logprobs - np.where(np.isfinite(largest), largest, 0.0))
    total = weights.sum(axis=1, keepdims=True)
    found: FloatArray = weights / np.where(total > 0, total, 1.0)
    return found if otherwise is None else np.where(total > 0, found, otherwise)


def _at(law: FloatArray, given: IntArray) -> FloatArray:
    found: FloatArray = np.take_along_axis(law, given[:, None], axis=1)[:, 0]
    return found


def _share(own: FloatArray, other: FloatArray) -> float:
    """Return the most likely share of another law: the slope of its likelihood falls and has one root."""
    difference = other - own

    def slope(share: float) -> float:
        return float((difference / np.maximum((1 - share) * own + share * other, _LEAST)).sum())

    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        low, high = (share, high) if slope(share) > 0 else (low, share)
    return low


def _test(law: FloatArray, tokens: ListedTokens, seed: int) -> float:
    possible: NDArray[np.bool_] = _at(law, tokens.given) > 0
    if not possible.all():
        return 0.0
    conformance = Conformance(seed)
    with np.errstate(divide="ignore"):
        listed = np.log(law)
    nothing = np.full(len(tokens), -np.inf)
    conformance.update(TokenLaws(listed, tokens.given, tokens.cluster, tokens.sample, rest_logprobs=nothing))
    return conformance.result().p
