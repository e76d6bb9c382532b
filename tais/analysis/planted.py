"""Planted tokens: whether an audit would have noticed tokens that the target would not have chosen.

Into control answers tokens are put that are not the stack's own: the draft's choice where a draft is known,
else the runner-up. The scores that are stored say what the audit makes of them: no engine is asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tais.records import SampleKey
from tais.rundir.audits import OWN, Scored, read_scores
from tais.stats.conformance.laws import TokenLaws
from tais.stats.conformance.leak import clustered_upper
from tais.stats.conformance.score_tests import cell_ratios
from tais.stats.proportions import FloatArray
from tais.verdict.evidence import PlantedLeak, PlantedTokens

__all__ = ["PlantedLeaks", "plant_tokens"]

_LEAST_CHOICES = 20
"""Answers in which the draft chooses otherwise; with fewer its choices show nothing."""
_TRIALS = 20
_LARGEST = 1e30
"""Ratio of two probabilities that float32 holds."""


def plant_tokens(
    folder: Path, reference: str, candidate: str, band: float, draft: Path | None = None
) -> PlantedTokens:
    """Plant a token in each control answer, and count those that lie beyond the band.

    Controls are the reference's own answers. Where it gave none, or only some for this purpose, those of the
    candidate in which the reference stack would have chosen every token are controls as well: they are what
    it would have said itself. Planted is
    the draft's choice, at a place where it is another token; where the draft was not asked, or chooses
    otherwise in fewer than 20 answers, the runner-up.

    Parameters
    ----------
    folder
        Scores of the reference stack.
    reference, candidate
        Names of the arms.
    band
        Largest margin that rounding explains.
    draft
        Scores of the draft.

    Notes
    -----
    The place is that of a hash of the answer's key: nobody chooses it. At a place with a near tie the planted
    token is no structural one, is not flagged, and counts as missed.
    """
    choices = {} if draft is None else _choices(draft)
    sides = {arm: _Counts() for arm in (reference, candidate)}
    for scored in read_scores(folder):
        if scored.prompt_fits is False or scored.key.first or not len(scored.given):
            continue
        arm = scored.key.arm
        if arm == reference or (arm == candidate and float(scored.margins.max()) <= band):
            sides[arm].add(scored, band, choices.get((arm, scored.sample)))
    own, alike = (sides[arm] for arm in (reference, candidate))
    if reference.startswith(OWN):
        alike.join(own)
        return alike.planted()
    return (own if own.answers else alike).planted()


class _Counts:
    """Of the control answers of one arm."""

    def __init__(self) -> None:
        self.answers = self.flagged = 0
        self.chosen = self.chosen_flagged = 0
        """The same of the draft's choices."""

    def add(self, scored: Scored, band: float, choices: NDArray[np.int32] | None) -> None:
        place = _place(scored.sample, len(scored.given))
        tokens, scores = scored.top_tokens[place], scored.top_scores[place]
        others = scores[tokens != scored.tokens[place]]
        self.answers += 1
        # The best token other than the one given, under what the stack scores best there.
        self.flagged += bool(len(others)) and float(scores[0] - np.max(others, initial=-np.inf)) > band
        if choices is None:
            return
        n = min(len(choices), len(scored.given))
        places = np.flatnonzero(choices[:n] != scored.tokens[:n])
        if len(places):
            place = int(places[_place(scored.sample, len(places))])
            self.chosen += 1
            self.chosen_flagged += _distance(scored, place, int(choices[place])) > band

    def join(self, other: _Counts) -> None:
        """Add what others counted."""
        self.answers, self.flagged = self.answers + other.answers, self.flagged + other.flagged
        self.chosen += other.chosen
        self.chosen_flagged += other.chosen_flagged

    def planted(self) -> PlantedTokens:
        if self.chosen >= _LEAST_CHOICES:
            return PlantedTokens(self.chosen, self.chosen_flagged, "draft")
        return PlantedTokens(self.answers, self.flagged)


def _distance(scored: Scored, place: int, token: int) -> float:
    """How far a token lies below the best: at least so far as the last that is listed, where it is not."""
    tokens, scores = scored.top_tokens[place], scored.top_scores[place]
    listed = scores[tokens == token]
    return float(scores[0] - (listed[0] if len(listed) else scores[-1]))


def _choices(draft: Path) -> Mapping[tuple[str, SampleKey], NDArray[np.int32]]:
    """Return the draft's best token at every place of the answers that it read whole."""
    return {
        (scored.key.arm, scored.sample): scored.top_tokens[:, 0].copy()
        for scored in read_scores(draft)
        if scored.key.first == 0 and len(scored.given)
    }


def _place(key: SampleKey, length: int) -> int:
    text = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % length


class PlantedLeaks:
    """Sampled answers in which a share of the tokens is drawn from the draft's law anew, again and again.

    Each time the upper bound on the leak must come out above that share, or the bound would have let it pass.

    Parameters
    ----------
    share
        Of the tokens.
    seed
        Fixed before any token is drawn.
    """

    def __init__(self, share: float, seed: int) -> None:
        self.share = share
        self._random = np.random.RandomState(seed % 2**32)
        self._ratios: list[FloatArray] = []
        self._prompts: list[NDArray[np.int64]] = []
        self._impossible = np.zeros(_TRIALS, np.bool_)

    def add(self, laws: TokenLaws) -> None:
        """Add the tokens of an answer, in an order that no token has a say in."""
        p, q = laws.target(), laws.draft()
        if q is None:
            return
        rows = np.arange(len(laws))[:, None]
        draws = self._random.random_sample((len(laws), _TRIALS, 2))
        drawn = (np.cumsum(q, axis=1)[:, None, :-1] <= draws[:, :, 1, None]).sum(axis=2)
        planted = draws[:, :, 0] < self.share
        cells = np.where(planted, drawn, laws.given[:, None])
        possible = p[rows, cells] > 0
        self._impossible |= (planted & ~possible).any(axis=0)
        # What the target excludes is counted apart, and has no ratio.
        ratios = np.where(possible, np.minimum(cell_ratios(p, q)[rows, cells], _LARGEST), np.nan)
        self._ratios.append(ratios.astype(np.float32))
        self._prompts.append(laws.cluster)

    def result(self) -> PlantedLeak:
        """Return in how many trials the leak would not have passed."""
        if not self._ratios:
            return PlantedLeak(self.share, 0, 0)
        ratios, prompts = np.concatenate(self._ratios), np.concatenate(self._prompts)
        flagged = 0
        for trial in range(_TRIALS):
            kept = np.isfinite(ratios[:, trial])
            bound = clustered_upper(ratios[kept, trial].astype(np.float64), prompts[kept])
            flagged += bool(self._impossible[trial]) or bound > self.share
        return PlantedLeak(self.share, _TRIALS, flagged)
