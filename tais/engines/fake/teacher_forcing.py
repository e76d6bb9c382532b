"""The fake engine as a teacher, for tests: it knows its own answers and disapproves of others by a margin."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tais.engines.base import EngineRefusal
from tais.engines.fake.engine import FakeEngine
from tais.manifest.model import Arm
from tais.manifest.sampling import NEUTRAL, Sampling
from tais.records import Request, ScoreRequest, TokenScores

__all__ = ["FakeTeacher"]

_BEST = 20.0
# No byte of any text.
_END = 0


class FakeTeacher(FakeEngine):
    """Scores the first token that differs from its own answer ``margin`` below the best, all others best."""

    def start_forcing(
        self, arm: Arm, temperature: float, top: int, sampling: Sampling = NEUTRAL
    ) -> dict[str, object]:
        """Take over the options of the arm."""
        self.settings = sampling
        self.top = top
        resolved = self.start(arm.model_copy(update={"speculative_config": None}))
        self.margin = float(self.options["margin"])
        if arm.dtype == "float32":
            if self.options["refuse_float32"]:
                raise EngineRefusal(str(self.options["refuse_float32"]))
            if self.options["margin_float32"] is not None:
                self.margin = float(self.options["margin_float32"])
        return resolved

    def end_tokens(self) -> Sequence[int]:
        """Return the byte that this stack puts behind its own answers, if asked."""
        return (_END,)

    def text_of(self, answer: Sequence[int]) -> str | None:
        """Return the bytes as text."""
        return bytes(answer).decode("utf-8", "replace")

    def readings(self, answer: Sequence[int]) -> Sequence[str]:
        """Return the bytes as text, without the byte that ends it and what is none."""
        return (bytes(token for token in answer if 0 < token < 256).decode("utf-8", "replace"),)

    def room(self, request: Request) -> int | None:
        """Return what ``context`` leaves behind a prompt."""
        return int(self.options["context"]) - len(self._prompt(request))

    def force(self, requests: Iterable[ScoreRequest]) -> Iterator[TokenScores | None]:
        """Score one request after the other."""
        unbroken = "TAIS_FAKE_UNBROKEN" in os.environ
        for index, request in enumerate(requests):
            if index == self.options["fail_score_at"] and not unbroken:
                self._fail()
            yield self._scores(request)

    def _whole(self) -> Sampling:
        """Return the settings under which it says all that it has to say."""
        most = self.settings.max_tokens if self.settings.ignore_eos else 1 << 20
        return self.settings.model_copy(update={"temperature": 0.0, "max_tokens": most})

    def _scores(self, request: ScoreRequest) -> TokenScores:
        own = self._answer(request.request, self._whole()).token_ids or ()
        n = len(request.answer) - request.first
        given = np.full(n, _BEST, dtype=np.float32)
        best = np.array(request.answer[request.first :], dtype=np.int32)
        for position, token in enumerate(request.answer):
            expected = own[position] if position < len(own) else _END
            if token != expected:
                if position >= request.first:
                    given[position - request.first] -= self.margin
                    best[position - request.first] = expected
                break
        scores = np.tile(np.array([_BEST, _BEST - self.margin], dtype=np.float32)[: self.top], (n, 1))
        other = np.where(best == 0, 1, 0)
        tokens = np.stack([best, other], axis=1)[:, : self.top].astype(np.int32)
        prompt = hashlib.sha256(self._prompt(request.request)).hexdigest()
        return TokenScores(request, prompt, given, tokens, scores)
