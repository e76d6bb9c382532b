"""An answer of the reference engine, step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tais.engines.prompts import prompt_digest
from tais.engines.score_rules import stop_found
from tais.manifest.sampling import Sampling
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
        Of the request. Its stop strings and stop tokens end one, too.
    room
        Most tokens.
    """

    def __init__(
        self, tokenizer: transformers.PreTrainedTokenizerBase, ends: set[int], sampling: Sampling, room: int
    ) -> None:
        self.begun = time.monotonic()
        self.tokenizer = tokenizer
        self.room = room
        self.ends = set(sampling.stop_token_ids) | (set() if sampling.ignore_eos else ends)
        self.sampling = sampling
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
            if token in self.ends or self._stop() is not None:
                self.finish = "stop"
                return
            if len(self.ids) >= self.room:
                self.finish = "length"
                return

    def _decoded(self, ids: Sequence[int]) -> str:
        skips = self.sampling.skip_special_tokens
        return str(self.tokenizer.decode(ids, skip_special_tokens=skips is None or skips))

    def _stop(self) -> tuple[int, int] | None:
        return stop_found(self._decoded(self.ids), self.sampling) if self.sampling.stop else None

    def text(self) -> str:
        """Return the text, cut at the first stop string or stop token, which stay where settings say so."""
        kept, found = self.sampling.include_stop_str_in_output, self._stop()
        if found is not None:
            return self._decoded(self.ids)[: found[1] if kept else found[0]]
        ends = bool(self.ids) and self.ids[-1] in self.sampling.stop_token_ids and not kept
        return self._decoded(self.ids[:-1] if ends else self.ids)

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
