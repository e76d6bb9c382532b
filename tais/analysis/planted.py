"""Planted tokens: whether an audit would have noticed a token that the target would not have chosen.

Into each control answer one token is put that is not the stack's choice there: its runner-up. The scores that
are stored say how far it lies below the best, so that no engine is asked again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tais.records import SampleKey
from tais.rundir.audits import Scored, read_scores
from tais.verdict.evidence import PlantedTokens

__all__ = ["plant_tokens"]


def plant_tokens(folder: Path, reference: str, candidate: str, band: float) -> PlantedTokens:
    """Plant a runner-up in each control answer, and count those that lie beyond the band.

    Controls are the reference's own answers. Where it gave none, they are the candidate's answers in which
    the reference stack would have chosen every token: they are what it would have said itself.

    Parameters
    ----------
    folder
        Scores of the reference stack.
    reference, candidate
        Names of the arms.
    band
        Largest margin that rounding explains.

    Notes
    -----
    The place is that of a hash of the answer's key: nobody chooses it. At a place with a near tie the
    runner-up is no structural token, is not flagged, and counts as missed.
    """
    own, alike = [0, 0], [0, 0]
    for scored in read_scores(folder):
        if scored.prompt_fits is False or scored.key.first or not len(scored.given):
            continue
        if scored.key.arm == reference:
            _count(own, scored, band)
        elif scored.key.arm == candidate and float(scored.margins.max()) <= band:
            _count(alike, scored, band)
    answers, flagged = own if own[0] else alike
    return PlantedTokens(answers, flagged)


def _count(counts: list[int], scored: Scored, band: float) -> None:
    place = _place(scored.sample, len(scored.given))
    tokens, scores = scored.top_tokens[place], scored.top_scores[place]
    others = scores[tokens != scored.tokens[place]]
    counts[0] += 1
    # The best token other than the one given, under what the stack scores best there.
    counts[1] += bool(len(others)) and float(scores[0] - np.max(others, initial=-np.inf)) > band


def _place(key: SampleKey, length: int) -> int:
    text = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % length
