"""How given answers end: whether the end was reached by the stack's own rules, and what is scored for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tais.engines.base import Teacher
from tais.engines.score_rules import stop_found
from tais.manifest.sampling import Sampling, with_own
from tais.records import AnswerEnd, Request, ScoreRequest, TokenScores
from tais.worker.answer_texts import Said, says_its_tokens

__all__ = ["AnswerEnds"]


class AnswerEnds:
    """Closes answers for a teacher.

    An answer that stops short of what its stack would have said differs from it, though every token of it is
    the stack's own. So the end is a token, too: where none is given, it is put behind the answer and scored.

    Parameters
    ----------
    teacher
        Started.
    sampling
        Of the run.
    """

    def __init__(self, teacher: Teacher, sampling: Sampling) -> None:
        self.teacher, self.sampling = teacher, sampling
        self.tokens = tuple(teacher.end_tokens())

    def request(
        self, request: Request, answer: Sequence[int], said: Said, first: int, arm: str
    ) -> ScoreRequest:
        """Return what is to be scored of an answer, from its token `first` to its end."""
        room = self.teacher.room(request)
        sampling = with_own(self.sampling, request.own)
        if room is not None and room < sampling.max_tokens:
            # Decided by the prompt, before anything of the answer is looked at.
            return ScoreRequest(request, (), 0, arm, "no_room")
        says = says_its_tokens(self.teacher, answer, said, sampling)
        if says is False:
            return ScoreRequest(request, (), 0, arm, "other_text")
        # Without a tokenizer nobody can tell, so that the answer is never known to its end.
        end = self._end(answer, sampling) if says else "unknown"
        closed = (*answer, self.tokens[0]) if end == "appended" else answer
        return ScoreRequest(request, closed, first, arm, end)

    def _end(self, answer: Sequence[int], sampling: Sampling) -> AnswerEnd:
        if answer[-1] in sampling.stop_token_ids:
            return "token"
        if answer[-1] in self.tokens and not sampling.ignore_eos:
            return "token"
        if len(answer) >= sampling.max_tokens:
            return "limit"
        if self._stopped(answer, sampling):
            return "stop"
        # Where end tokens end nothing, none can stand for the end.
        return "appended" if self.tokens and not sampling.ignore_eos else "unknown"

    def _stopped(self, answer: Sequence[int], sampling: Sampling) -> bool:
        """Return whether the last token completes a stop string, and no token before it did."""
        if not sampling.stop or len(answer) <= sampling.min_tokens:
            return False
        parts = (answer, answer[:-1], answer[: sampling.min_tokens])
        whole, before, first = (self.teacher.text_of(part) if part else "" for part in parts)
        if whole is None or before is None or first is None:
            return False
        least = len(first)
        return bool(stop_found(whole, sampling, least)) and not stop_found(before, sampling, least)

    def best(self, scores: TokenScores) -> TokenScores:
        """Return the scores with the end token that the stack likes best in the place of the first."""
        last = len(scores.request.answer) - scores.request.first - 1
        if scores.request.end != "appended" or len(scores.given) != last + 1:
            return scores
        row = zip(scores.top_tokens[last].tolist(), scores.top_scores[last].tolist(), strict=True)
        token, score = next(((t, s) for t, s in row if t in self.tokens), (None, -np.inf))
        if token is None or score <= scores.given[last]:
            return scores
        given = scores.given.copy()
        given[last] = score
        answer = (*scores.request.answer[:-1], token)
        return replace(scores, request=replace(scores.request, answer=answer), given=given)
