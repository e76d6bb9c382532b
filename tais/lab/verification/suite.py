"""Which verifiers are asked, on which shapes and laws: what ``tais law`` does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tais.errors import TaisError, UsageError
from tais.lab.verification.draft import Verifier
from tais.lab.verification.exact_law import ExactLaw, Finding, exact_law
from tais.lab.verification.laws import TOY2, Pair, context_free, random_pair
from tais.lab.verification.registry import VERIFIERS, Claim, find_verifier
from tais.lab.verification.shapes import Shape, parse_shape
from tais.lab.verification.tally import Break

__all__ = ["Candidate", "Question", "ask", "candidates", "exit_code", "summarise"]

_SHAPES = ("chain:2", "paths:2x2", "delayed:1,2,1", "entropy:0.9,2,2", "tree:2,1", "distinct:2,1", "topk:2,2")
# A rule of one's own may be made for draws from the draft's law only, which these all are.
_OWN_SHAPES = _SHAPES[:3]
_RAW = (
    "exact on the law after temperature, and not on the one before, which an engine's own rule may read: "
    "let the rule read draft.raw_p where it does"
)
_SEVERITY = (Finding.lossless, Finding.undecided, Finding.lossy)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A verifier to judge, and the shapes that its claim covers."""

    name: str
    verifier: Verifier
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What each is asked with.

    Attributes
    ----------
    vocabulary
        V of the random laws.
    laws
        Random pairs of laws, beside the toy of two tokens, which is blind to some mistakes.
    seed
        Of the first.
    divergence, temperature
        See :func:`tais.lab.verification.laws.random_pair`.
    limit, samples, tolerance, bound
        See :func:`tais.lab.verification.exact_law.exact_law`.
    """

    vocabulary: int = 4
    laws: int = 2
    seed: int = 1
    divergence: float = 1.0
    temperature: float = 1.0
    limit: int = 200_000
    samples: int = 20_000
    tolerance: float = 1e-10
    bound: bool = True

    def pairs(self, depth: int) -> Iterator[Pair]:
        """Yield the laws for drafts of up to `depth` tokens."""
        if self.temperature > 0:
            yield context_free("toy of two tokens", *TOY2, depth)
        for seed in range(self.seed, self.seed + self.laws):
            yield random_pair(self.vocabulary, depth, seed, self.divergence, self.temperature)


def candidates(names: Sequence[str], shapes: Sequence[str]) -> list[Candidate]:
    """Return what to judge.

    Parameters
    ----------
    names
        Names of the registry, or ``package.module:callable``; none means all that claim to be lossless.
    shapes
        None means those of a small set that a verifier supports.

    Raises
    ------
    UsageError
        Unknown name or shape, a callable that cannot be imported, or a shape that the claim leaves out.
    """
    asked = [parse_shape(text) for text in shapes]
    chosen = names or [name for name, member in VERIFIERS.items() if member.claim is Claim.lossless]
    found = [_candidate(name, asked) for name in chosen]
    kept = [candidate for candidate in found if candidate.shapes]
    if names and len(kept) < len(found):
        name = next(candidate.name for candidate in found if not candidate.shapes)
        kinds = ", ".join(VERIFIERS[name].kinds)
        raise UsageError(f"{name} makes no claim for {', '.join(shapes)}", remedy=f"Its shapes: {kinds}")
    return kept


def _candidate(name: str, asked: Sequence[Shape]) -> Candidate:
    if ":" in name:
        own = asked or [parse_shape(text) for text in _OWN_SHAPES]
        return Candidate(name, _imported(name), tuple(own))
    member = find_verifier(name)
    given = asked or [parse_shape(text) for text in _SHAPES]
    return Candidate(name, member.load(), tuple(shape for shape in given if member.supports(shape)))


def _imported(name: str) -> Verifier:
    """Import ``package.module:callable``; modules in the current folder are found too."""
    module_name, _, attribute = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        # Last: what lies there takes the place of nothing that is installed.
        sys.path.append(here)
    remedy = "Write package.module:callable, from the current folder or an installed package"
    try:
        found = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # importing a foreign module may raise anything
        raise UsageError(f"cannot import {name}: {type(error).__name__}: {error}", remedy=remedy) from error
    if not callable(found):
        raise UsageError(f"{name} is not callable", remedy=remedy)
    verifier: Verifier = found
    return verifier


def ask(
    found: Sequence[Candidate], question: Question, tell: Callable[[str], None] = lambda text: None
) -> Iterator[ExactLaw]:
    """Compute the law of each candidate on each of its shapes and each pair of laws."""
    bounds: dict[tuple[str, str], float | None] = {}
    for candidate in found:
        for shape in candidate.shapes:
            for pair in question.pairs(shape.depth):
                tell(f"{candidate.name} on {shape}, {pair.name}")
                key = (str(shape), pair.name)
                made = exact_law(
                    candidate.name,
                    candidate.verifier,
                    pair,
                    shape,
                    limit=question.limit,
                    samples=question.samples,
                    tolerance=question.tolerance,
                    # The bound depends on the draft alone, so it is solved for once.
                    bound=question.bound and key not in bounds,
                )
                if made.exact and question.bound:
                    made = made.with_bound(bounds.setdefault(key, made.bound))
                if question.temperature != 1:
                    made = _with_raw_law(made, candidate, pair, shape, question)
                yield made


def _with_raw_law(
    made: ExactLaw, candidate: Candidate, pair: Pair, shape: Shape, question: Question
) -> ExactLaw:
    """Take an acquittal back where the rule would do otherwise if it saw the law before temperature.

    At temperature 0, or near it, `p` is one token: nothing that a rule reads of it there can show what it
    does with an engine's own logits, which are not. A rule that read :attr:`Draft.raw_p` has shown it. Any
    other is run once more with the law before temperature as `p`: it is acquitted if it keeps that law, or
    takes its likeliest token.
    """
    assert pair.logits is not None
    if made.finding is not Finding.lossless or made.asked_raw:
        return made
    laws = tuple(torch.softmax(row, -1) for row in pair.logits)
    drafts = tuple(0.5 * (law + one) for law, one in zip(laws, pair.draft, strict=True))
    raw = Pair(pair.name, laws, drafts, pair.logits)
    for against in (raw, replace(raw, target=pair.target)):
        try:
            seen = exact_law(
                candidate.name,
                candidate.verifier,
                raw,
                shape,
                limit=question.limit,
                tolerance=question.tolerance,
                samples=2,
                bound=False,
                against=against,
            )
        except TaisError:
            # A rule for point masses alone may refuse any other law.
            continue
        if seen.finding is Finding.lossless:
            return made
    return replace(made, finding=Finding.undecided, note=_RAW)


def exit_code(found: Sequence[ExactLaw]) -> int:
    """Return 1 if any is lossy, else 3 if any is undecided, else 0."""
    findings = {made.finding for made in found}
    if Finding.lossy in findings:
        return 1
    return 3 if Finding.undecided in findings or not found else 0


def summarise(found: Sequence[ExactLaw]) -> list[tuple[str, ...]]:
    """Return one row per verifier and shape: both, finding, distance, accepted tokens, share, first break.

    The finding and the distance are the worst over the laws, the accepted tokens and their share of the
    bound the mean.
    """
    groups: dict[tuple[str, str], list[ExactLaw]] = {}
    for made in found:
        groups.setdefault((made.verifier, made.shape), []).append(made)
    rows: list[tuple[str, ...]] = []
    for (name, shape), group in groups.items():
        worst = max(group, key=lambda made: (_SEVERITY.index(made.finding), made.total_variation or 0))
        distances = [made.total_variation for made in group if made.total_variation is not None]
        accepted = sum(made.accepted for made in group) / len(group)
        shares = [made.accepted / made.bound for made in group if made.bound]
        rows.append(
            (
                name,
                shape,
                worst.finding.value,
                f"{max(distances):.2g}" if len(distances) == len(group) else "sampled",
                f"{accepted:.3f}",
                f"{sum(shares) / len(shares):.1%}" if len(shares) == len(group) else "",
                f"{worst.law}: {_describe(worst.breaks[0])}" if worst.breaks else worst.note,
            )
        )
    return rows


def _describe(place: Break) -> str:
    where = f"after {list(place.node)}" if place.node else "at the root"
    how = "too often" if place.surplus > 0 else "too seldom"
    return f"{where}, token {place.token} {abs(place.surplus):.2g} {how}"
