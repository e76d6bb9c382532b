"""How given answers end: whether the end was reached by the stack's own rules, and what is scored for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tais.engines.base import Teacher
from tais.manifest.model import Sampling
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
        if room is not None and room < self.sampling.max_tokens:
            # Decided by the prompt, before anything of the answer is looked at.
            return ScoreRequest(request, (), 0, arm, "no_room")
        says = says_its_tokens(self.teacher, answer, said, self.sampling.stop)
        if says is False:
            return ScoreRequest(request, (), 0, arm, "other_text")
        # Without a tokenizer nobody can tell, so that the answer is never known to its end.
        end = self._end(answer) if says else "unknown"
        closed = (*answer, self.tokens[0]) if end == "appended" else answer
        return ScoreRequest(request, closed, first, arm, end)

    def _end(self, answer: Sequence[int]) -> AnswerEnd:
        if answer[-1] in self.tokens:
            return "token"
        if len(answer) >= self.sampling.max_tokens:
            return "limit"
        if self._stopped(answer):
            return "stop"
        return "appended" if self.tokens else "unknown"

    def _stopped(self, answer: Sequence[int]) -> bool:
        """Return whether the last token completes a stop string, and no token before it did."""
        if not self.sampling.stop:
            return False
        whole, before = self.teacher.text_of(answer), self.teacher.text_of(answer[:-1])
        if whole is None or before is None:
            return False
        return any(stop in whole for stop in self.sampling.stop) and not any(
            stop in before for stop in self.sampling.stop
        )

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
