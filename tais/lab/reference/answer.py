"""An answer of the reference engine, step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tais.engines.prompts import prompt_digest
from tais.manifest.model import Sampling
from tais.records import Request, Sample

if TYPE_CHECKING:
    import transformers

    from tais.lab.verification.decode import Step

__all__ = ["Answer"]


class Answer:
    """An answer as it grows.

    Parameters
    ----------
    tokenizer
        Of transformers.
    ends
        Tokens that end an answer.
    sampling
        Its stop strings end one, too.
    room
        Most tokens.
    """

    def __init__(
        self, tokenizer: transformers.PreTrainedTokenizerBase, ends: set[int], sampling: Sampling, room: int
    ) -> None:
        self.begun = time.monotonic()
        self.tokenizer = tokenizer
        self.room = room
        self.ends = ends
        self.stops = sampling.stop
        self.ids: list[int] = []
        self.best: list[float] = []
        self.second: list[float] = []
        self.other: list[int] = []
        self.drafted: list[int] = []
        self.accepted: list[int] = []
        self.finish = ""

    def take(self, step: Step) -> None:
        """Add a step's tokens up to the first that ends the answer."""
        # Loads torch.
        import torch

        if step.drafted is not None and step.accepted is not None:
            self.drafted.append(step.drafted)
            self.accepted.append(step.accepted)
        two = torch.log_softmax(step.logits.float(), -1).topk(2, dim=-1)
        for token, scores, best in zip(step.tokens, two.values.tolist(), two.indices.tolist(), strict=True):
            self.ids.append(token)
            self.best.append(scores[0])
            self.second.append(scores[1])
            self.other.append(best[1] if best[0] == token else best[0])
            if token in self.ends or (self.stops and self._stop() is not None):
                self.finish = "stop"
                return
            if len(self.ids) >= self.room:
                self.finish = "length"
                return

    def _decoded(self) -> str:
        return str(self.tokenizer.decode(self.ids, skip_special_tokens=True))

    def _stop(self) -> int | None:
        text = self._decoded()
        places = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        return min(places) if places else None

    def text(self) -> str:
        """Return the text, cut before the first stop string."""
        return self._decoded()[: self._stop()]

    def sample(self, request: Request, prompt: Sequence[int], *, drafts: bool) -> Sample:
        """Return the finished answer; `drafts` is whether the arm speculates."""
        return Sample(
            key=request.key,
            prompt_digest=prompt_digest(prompt),
            prompt_tokens=len(prompt),
            token_ids=self.ids,
            text=self.text(),
            finish_reason=self.finish,
            top1_logprobs=self.best,
            top2_logprobs=self.second,
            top2_tokens=self.other,
            step_drafted=self.drafted if drafts else None,
            step_accepted=self.accepted if drafts else None,
            seconds=time.monotonic() - self.begun,
        )
