"""The exact output law of a verifier on one pair of laws and one shape of draft."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import torch

from tais.errors import TaisError, UsageError
from tais.lab.verification.bound import accepted_bound
from tais.lab.verification.draft import Draft, Verifier
from tais.lab.verification.laws import Pair, draw
from tais.lab.verification.replay import NotADecision, TooManyRuns, outcomes
from tais.lab.verification.rng import Rng, SeededRng
from tais.lab.verification.shapes import Shape
from tais.lab.verification.tally import Break, Tally

__all__ = ["ExactLaw", "Finding", "all_runs", "checked", "exact_law"]

SIGMAS = 5.0
"""Standard errors beyond which a sampled deviation convicts (after a correction for the places looked at)."""
_SHOWN = 20
# Drafts on which each run is repeated, to see that the verifier has no other source of chance.
_TWICE = 20


class Finding(StrEnum):
    """What an output law comes to."""

    lossless = "lossless"
    lossy = "lossy"
    undecided = "undecided"
    """Too much to enumerate, and the sample shows no deviation; a sample can convict and never acquit."""


@dataclass(frozen=True, slots=True)
class ExactLaw:
    """What was found of an output law.

    Attributes
    ----------
    verifier, shape, law
        Whose law, on what.
    finding
        The verdict.
    exact
        Whether every decision was walked; if not, all figures are of a sample.
    total_variation
        Of the first L + 1 tokens to the target's; None where sampled.
    accepted
        Expected accepted tokens.
    accepted_error
        Standard error of `accepted`; 0 where exact.
    bound
        Most that any lossless rule accepts from these drafts; None where it was not computed.
    breaks
        Where the lossless condition fails, the shortest node first.
    drafts, runs
        Distinct drafts, and runs of the verifier.
    asked_raw
        Whether it read the target's law before temperature.
    note
        Why it is undecided, where the cause is not the limit.
    """

    verifier: str
    shape: str
    law: str
    finding: Finding
    exact: bool
    total_variation: float | None
    accepted: float
    accepted_error: float
    bound: float | None
    breaks: tuple[Break, ...]
    drafts: int
    runs: int
    asked_raw: bool = False
    note: str = ""

    def with_bound(self, bound: float | None) -> ExactLaw:
        """Return the same finding beside a bound that is known already."""
        return replace(self, bound=bound)

    def to_json(self) -> dict[str, object]:
        """Return the finding as JSON-ready data."""
        plain = asdict(self) | {"finding": self.finding.value}
        plain["breaks"] = [asdict(place) | {"surplus": place.surplus} for place in self.breaks]
        return plain


def exact_law(
    name: str,
    verifier: Verifier,
    pair: Pair,
    shape: Shape,
    *,
    limit: int = 200_000,
    samples: int = 20_000,
    tolerance: float = 1e-10,
    bound: bool = True,
    seed: int = 0,
    against: Pair | None = None,
) -> ExactLaw:
    """Compute the exact law of a verifier's output.

    Parameters
    ----------
    name
        For messages.
    verifier
        Whose law to compute.
    pair
        Laws after every context of up to ``shape.depth`` tokens.
    shape
        What is drafted.
    limit
        Most drafts, and most runs of the verifier; beyond, outputs are sampled instead.
    samples
        How many.
    tolerance
        Deviation that still counts as rounding. Rounding errors are near 1e-16, mistakes above 1e-4.
    bound
        Whether to solve the linear programme for the bound.
    seed
        Of a sample.
    against
        Whose target the output is compared with; the pair itself by default.

    Raises
    ------
    TaisError
        When the verifier raises, or returns what is no output.
    UsageError
        When the pair has no laws at that depth.
    """
    if pair.depth < shape.depth:
        raise UsageError(f"{pair.name} has laws for {pair.depth} tokens, the shape {shape} drafts more")
    run = checked(name, verifier, pair.vocabulary)
    tally = Tally(against or pair, shape.depth)
    try:
        drafts = _drafts(pair, shape, limit)
        runs = all_runs(name, run, drafts, tally, limit)
    except TooManyRuns:
        return _sampled(name, run, pair, shape, samples, seed)
    breaks = tally.breaks(tolerance)
    return ExactLaw(
        name,
        str(shape),
        pair.name,
        Finding.lossy if breaks else Finding.lossless,
        True,
        tally.total_variation(),
        tally.length,
        0.0,
        _bound(pair, drafts) if bound else None,
        tuple(breaks[:_SHOWN]),
        len(drafts),
        runs,
        any(draft.asked_raw for draft, _ in drafts),
    )


def checked(name: str, verifier: Verifier, vocabulary: int) -> Verifier:
    """Return the verifier with its failures turned into errors that name it."""

    def run(draft: Draft, rng: Rng) -> list[int]:
        try:
            output = verifier(draft, rng)
        except (TaisError, NotADecision, TooManyRuns):
            raise
        except (Exception, SystemExit) as error:  # whatever a foreign verifier raises is told in one line
            what = f"the verifier {name} raised {type(error).__name__}: {error}"
            raise TaisError(what, remedy=_contract(draft)) from error
        return _tokens(name, output, draft, vocabulary)

    return run


def _tokens(name: str, output: object, draft: Draft, vocabulary: int) -> list[int]:
    said = f"the verifier {name} returned {str(output)[:60]!r}"
    if not isinstance(output, Sequence | torch.Tensor | np.ndarray) or isinstance(output, str | bytes):
        raise TaisError(f"{said}, which is no sequence of tokens", remedy=_contract(draft))
    tokens: list[int] = []
    for item in output:
        try:
            tokens.append(int(item.__index__()))
        except (AttributeError, TypeError) as error:
            raise TaisError(f"{said}, of which {item!r} is no token", remedy=_contract(draft)) from error
    if not tokens or any(not 0 <= token < vocabulary for token in tokens):
        raise TaisError(f"{said}: tokens lie in 0 to {vocabulary - 1}", remedy=_contract(draft))
    node: int | None = 0
    for token in tokens[:-1]:
        node = draft.child(node, token) if node is not None else None
    if node is None:
        raise TaisError(f"{said}, whose accepted tokens were not drafted", remedy=_contract(draft))
    return tokens


def _contract(draft: Draft) -> str:
    drafted = sorted(draft.tree.context(node) for node in range(1, len(draft.tokens)))
    what = "It must return the accepted tokens, a path of the drafted tree, and then one more"
    return f"{what}; drafted was {str(drafted)[:200]}"


def _drafts(pair: Pair, shape: Shape, limit: int) -> list[tuple[Draft, float]]:
    """Return the distinct drafts with their probabilities."""
    merged: dict[Any, tuple[Draft, float]] = {}
    for draft, probability in outcomes(partial(draw, pair, shape), limit):
        tree = draft.tree
        key = (tuple(tree.tokens), tuple(tree.parent), tuple(map(tuple, [*tree.draws, *tree.paths])))
        before = merged.get(key, (draft, 0.0))
        merged[key] = (before[0], before[1] + probability)
    return list(merged.values())


def all_runs(
    name: str, run: Verifier, drafts: Sequence[tuple[Draft, float]], tally: Tally, limit: int
) -> int:
    """Put every output of every draft into the tally, and return how many runs that took."""
    runs = 0
    for index, (draft, weight) in enumerate(drafts):
        laws: dict[tuple[int, ...], float] = defaultdict(float)
        before = _marks(draft)
        try:
            steady = index < _TWICE
            for output, probability in outcomes(partial(run, draft), limit - runs, twice=steady):
                laws[tuple(output)] += probability
                runs += 1
        except NotADecision as error:
            raise TaisError(f"the verifier {name}: {error}", remedy=_contract(draft)) from error
        if _marks(draft) != before:
            what = f"the verifier {name} writes into the laws that it is given"
            raise TaisError(what, remedy="Copy them first: another run reads them again")
        tally.add((output, weight * probability) for output, probability in laws.items())
    if not math.isclose(tally.total, 1, abs_tol=1e-9):
        what = f"the decisions of the verifier {name} have the probability {tally.total}"
        raise TaisError(what, remedy="It must decide the same when it is asked the same again")
    return runs


def _marks(draft: Draft) -> tuple[int, ...]:
    """Return what changes when a tensor is replaced or written to, by torch's own count of writes."""
    return (id(draft.p), draft.p._version, id(draft.q), draft.q._version)


def _bound(pair: Pair, drafts: Sequence[tuple[Draft, float]]) -> float | None:
    trees = (
        (frozenset(draft.tree.context(node) for node in range(len(draft.tokens))), probability)
        for draft, probability in drafts
    )
    return accepted_bound(pair, trees)


def _sampled(name: str, run: Verifier, pair: Pair, shape: Shape, samples: int, seed: int) -> ExactLaw:
    """Judge by a sample: deviations beyond chance convict, their absence decides nothing."""
    rng, tally, lengths = SeededRng(seed), Tally(pair, shape.depth), []
    for _ in range(samples):
        output = run(draw(pair, shape, rng), rng)
        lengths.append(len(output) - 1)
        tally.add([(output, 1 / samples)])
    breaks = _beyond_chance(tally, samples)
    return ExactLaw(
        name,
        str(shape),
        pair.name,
        Finding.lossy if breaks else Finding.undecided,
        False,
        None,
        tally.length,
        float(np.std(lengths, ddof=1) / math.sqrt(samples)) if samples > 1 else math.inf,
        None,
        tuple(breaks[:_SHOWN]),
        samples,
        samples,
    )


def _beyond_chance(tally: Tally, samples: int) -> list[Break]:
    """Return breaks larger than chance explains.

    The count of y after x is binomial given the count of x, so its deviation has the standard error
    sqrt(f(x) p(y|x) (1 - p(y|x)) / n); Bernstein's term covers small counts, and the number of places
    widens the limit.
    """
    places = sum(emitted.size for emitted in tally.emitted)
    sigmas = math.sqrt(SIGMAS**2 + 2 * math.log(places))
    found = []
    for place in tally.breaks(0.0):
        spread = math.sqrt(place.wanted / samples)
        if abs(place.surplus) > sigmas * spread + sigmas**2 / (3 * samples):
            found.append(place)
    return found
