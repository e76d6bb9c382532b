"""What sampling settings do to the scores of tokens: penalties, biases, words and ends that are ruled out.

As vLLM 0.32 does it (``v1/sample/sampler.py``, ``ops/penalties.py``, ``ops/bad_words.py``): first tokens are
ruled out and biases added, then the repetition penalty (over prompt and answer), then frequency and presence
penalties (over the answer). It knows neither torch nor an engine: who generates and who scores given tokens
both ask it about the tokens that it touches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.manifest.sampling import Sampling
from tais.records import TokenScores

__all__ = ["RULED_OUT", "ScoreRules", "listed_under_rules", "stop_found"]

RULED_OUT = -1e4
"""Score of a token that may not come: finite, so that differences are numbers; its probability is 0."""

# Of a list that had to be long, as many as a greedy audit reads are kept.
_KEPT = 20

Encode = Callable[[str], Sequence[int]]


class ScoreRules:
    """The rules of one request.

    Parameters
    ----------
    sampling
        Its settings.
    ends
        The end tokens of the model, whether or not they end this answer.
    encode
        From a text to token ids, without special ones.
    """

    def __init__(self, sampling: Sampling, ends: Iterable[int], encode: Encode) -> None:
        self.sampling = sampling
        self.ends = np.array(sorted({*ends, *sampling.stop_token_ids}), np.int64)
        self.bias = sampling.bias
        self.words = [ids for word in dict.fromkeys(sampling.bad_words) for ids in _spellings(word, encode)]

    @classmethod
    def of(cls, sampling: Sampling, ends: Iterable[int], encode: Encode) -> Self | None:
        """Return the rules; None where settings change no score."""
        return cls(sampling, ends, encode) if sampling.shaping else None

    def touched(self, prompt: Collection[int], said: Sequence[int]) -> NDArray[np.int64]:
        """Return the tokens whose scores change behind these tokens of an answer."""
        found: set[int] = {*self.bias, *self._ruled_out(said)}
        if self.sampling.repetition_penalty != 1:
            found |= {*prompt, *said}
        if self.sampling.presence_penalty or self.sampling.frequency_penalty:
            found |= set(said)
        return np.array(sorted(found), np.int64)

    def _ruled_out(self, said: Sequence[int]) -> list[int]:
        found = self.ends.tolist() if len(said) < self.sampling.min_tokens else []
        for word in self.words:
            if list(said[len(said) - len(word) + 1 :]) == word[:-1] and len(word) <= len(said) + 1:
                found.append(word[-1])
        return found

    def apply(
        self, prompt: Collection[int], said: Sequence[int], tokens: ArrayLike, scores: ArrayLike
    ) -> NDArray[np.float64]:
        """Return the scores (raw logits) of some tokens under the rules.

        Parameters
        ----------
        prompt, said
            Tokens before: of the prompt, and of the answer.
        tokens, scores
            Ids and raw logits, both of shape (k,).
        """
        ids = np.asarray(tokens, np.int64)
        found = np.array(scores, np.float64)
        out = np.isin(ids, self._ruled_out(said))
        for token, value in self.bias.items():
            found[ids == token] += value
        penalty = self.sampling.repetition_penalty
        if penalty != 1:
            seen = np.isin(ids, np.array([*{*prompt, *said}], np.int64))
            found = np.where(seen, np.where(found > 0, found / penalty, found * penalty), found)
        if self.sampling.presence_penalty or self.sampling.frequency_penalty:
            counts = Counter(said)
            times = np.array([counts[token] for token in ids.tolist()], np.float64)
            found -= self.sampling.frequency_penalty * times
            found -= self.sampling.presence_penalty * (times > 0)
        found[out] = RULED_OUT
        return found


def _spellings(word: str, encode: Encode) -> list[list[int]]:
    """Return how a word can be written in tokens: bare, and with a blank before where that is as long.

    As vLLM reads ``bad_words`` (``SamplingParams.update_from_tokenizer``).
    """
    bare = list(encode(word.lstrip()))
    blank = list(encode(" " + word.lstrip()))
    if not bare:
        return []
    return [bare, *([blank] if blank and blank[0] != bare[0] and len(blank) == len(bare) else [])]


def stop_found(text: str, sampling: Sampling, least: int = 0) -> tuple[int, int] | None:
    """Return where the first stop string begins and ends in a text; None where there is none.

    It must end behind the first `least` characters: those of the tokens that `min_tokens` asks for.
    """
    found = []
    for stop in sampling.stop:
        start = text.find(stop, max(0, least - len(stop) + 1))
        if start >= 0:
            found.append((start, start + len(stop)))
    return min(found, default=None)


def listed_under_rules(scores: TokenScores, rules: ScoreRules, prompt: Sequence[int]) -> TokenScores:
    """Return what rules that only lower scores make of the best tokens that a stack lists.

    A token that is not listed scores no more than the last that is. Where the best would come out below that
    one, nobody knows which token it is: the rows from there on are left out, as behind a full context.
    """
    answer, first = scores.request.answer, scores.request.first
    seen = frozenset(prompt)
    given, tokens, tops = [], [], []
    for row, (listed, raw) in enumerate(zip(scores.top_tokens, scores.top_scores, strict=True)):
        said = answer[: first + row]
        best = rules.apply(seen, said, listed, raw)
        order = np.argsort(-best, kind="stable")
        if best[order[0]] < raw[-1]:
            break
        own = answer[first + row : first + row + 1]
        given.append(rules.apply(seen, said, own, scores.given[row : row + 1])[0])
        tokens.append(listed[order[:_KEPT]])
        tops.append(best[order[:_KEPT]])
    shape = (len(given), min(_KEPT, scores.top_tokens.shape[1]))
    return replace(
        scores,
        given=np.array(given, np.float32),
        top_tokens=np.array(tokens, np.int32).reshape(shape),
        top_scores=np.array(tops, np.float32).reshape(shape),
    )
