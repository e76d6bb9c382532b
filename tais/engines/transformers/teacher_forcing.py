"""Teacher forcing with transformers: one forward pass over prompt and answer, a chunk of rows at a time."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tais.engines.prompts import prompt_digest
from tais.engines.score_rules import ScoreRules
from tais.engines.tokenizer import readings
from tais.engines.transformers.engine import TransformersEngine, text_config
from tais.manifest.model import Arm
from tais.manifest.sampling import NEUTRAL, Sampling, with_own
from tais.records import Request, ScoreRequest, TokenScores

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TransformersTeacher"]

T = TypeVar("T", bound=np.generic)

# Rows times vocabulary that exist at once: 256 MB in float32, of which a log-softmax makes two more.
_SCORES_AT_ONCE = 1 << 26


class TransformersTeacher(TransformersEngine):
    """One causal language model that scores what it is given."""

    def start_forcing(
        self, arm: Arm, temperature: float, top: int, sampling: Sampling = NEUTRAL
    ) -> dict[str, object]:
        """Load the model; see :class:`tais.engines.base.Teacher`."""
        self.settings = sampling
        resolved = self.start(arm.model_copy(update={"speculative_config": None}))
        self.temperature = temperature
        vocabulary = int(text_config(self.model).vocab_size)
        self.top = min(top, vocabulary)
        self.rows = max(1, _SCORES_AT_ONCE // vocabulary)
        self.keeps = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        return resolved

    def end_tokens(self) -> Sequence[int]:
        """Return the tokens at which generation ends; see :class:`tais.engines.base.Teacher`."""
        own = self.tokenizer.eos_token_id
        return sorted(self.ends, key=lambda token: (token != own, token))

    def text_of(self, answer: Sequence[int]) -> str | None:
        """Return tokens as text, special ones left out."""
        return str(self.tokenizer.decode(list(answer), skip_special_tokens=True))

    def readings(self, answer: Sequence[int]) -> Sequence[str]:
        """Return tokens as text, in all known ways."""
        return readings(self.tokenizer, answer)

    def room(self, request: Request) -> int | None:
        """Return what the context leaves behind a prompt."""
        return self.limit - len(self.render(request))

    def force(self, requests: Iterable[ScoreRequest]) -> Iterator[TokenScores | None]:
        """Score batch by batch, in the order given."""
        batch: list[ScoreRequest] = []
        for request in requests:
            if batch and not self._fits([*batch, request]):
                yield from self._score(batch)
                yield None
                batch = []
            batch.append(request)
        if batch:
            yield from self._score(batch)

    def _ids(self, request: ScoreRequest) -> list[int]:
        return [*self.render(request.request), *request.answer][: self.limit]

    def _wanted(self, request: ScoreRequest) -> int:
        """Return how many tokens of an answer are scored: from the first on, as far as there is room."""
        return max(0, len(self._ids(request)) - len(self.render(request.request)) - request.first)

    def _fits(self, batch: list[ScoreRequest]) -> bool:
        rows = max(map(self._wanted, batch)) * len(batch)
        return len(batch) <= self.options.batch_size and rows <= self.rows

    def _score(self, batch: list[ScoreRequest]) -> list[TokenScores]:
        """Score a batch whose rows fit into one chunk, or a single answer however long."""
        import torch

        wanted = [self._wanted(request) for request in batch]
        given: list[list[Tensor]] = [[] for _ in batch]
        best: list[list[tuple[Tensor, Tensor]]] = [[] for _ in batch]
        if max(wanted):
            # The last token's own row is never needed.
            ids, mask = _padded([self._ids(request)[:-1] for request in batch])
            targets, _ = _padded([self._ids(request)[1:] for request in batch])
            with torch.inference_mode():
                for start, logits in self._chunks(ids, mask, max(wanted), self._rules(batch, wanted)):
                    rows = targets[:, start : start + logits.shape[1]].to(logits.device)
                    given_here = logits.gather(-1, rows[..., None])[..., 0]
                    top = logits.topk(self.top, dim=-1)
                    for row in range(len(batch)):
                        given[row].append(given_here[row].cpu())
                        best[row].append((top.indices[row].cpu(), top.values[row].cpu()))
        return [
            self._told(request, count, *parts)
            for request, count, *parts in zip(batch, wanted, given, best, strict=True)
        ]

    def _rules(self, batch: list[ScoreRequest], wanted: list[int]) -> list[_Ruled]:
        """Return the rows of a batch whose settings change scores."""
        found = []
        for row, request in enumerate(batch):
            settings = with_own(self.settings, request.request.own)
            rules = ScoreRules.of(settings, self.ends, self.spell)
            if rules is not None:
                found.append(_Ruled(row, request, wanted[row], rules, self.render(request.request)))
        return found

    def spell(self, text: str) -> list[int]:
        """Return a text as tokens, without special ones."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _chunks(
        self, ids: Tensor, mask: Tensor, last: int, ruled: Sequence[_Ruled]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield first column and scores, shape (rows, columns, V), of the last columns, chunk by chunk."""
        import torch

        length = ids.shape[1]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        size = min(last, max(1, self.rows // len(ids)))
        cache, begun = None, 0
        for start in range(length - last, length, size):
            end = min(start + size, length)
            options = {"logits_to_keep": end - start} if self.keeps else {}
            out = self.model(
                input_ids=ids[:, begun:end].to(self.device),
                attention_mask=mask[:, :end].to(self.device),
                position_ids=positions[:, begun:end].to(self.device),
                past_key_values=cache,
                use_cache=size < last,
                **options,
            )
            cache, begun = out.past_key_values, end
            logits = out.logits[:, start - end :].float()
            for row in ruled:
                row.change(logits, start - length)
            if self.temperature > 0:
                logits = torch.log_softmax(logits / self.temperature, dim=-1)
            yield start, logits

    def _told(
        self,
        request: ScoreRequest,
        count: int,
        given: Sequence[Tensor],
        best: Sequence[tuple[Tensor, Tensor]],
    ) -> TokenScores:
        def last(parts: Sequence[Tensor], width: tuple[int, ...], dtype: type[T]) -> NDArray[T]:
            joined = np.concatenate([np.zeros((0, *width)), *map(np.asarray, parts)]).astype(dtype)
            # Rows align at their ends.
            rows: NDArray[T] = joined[len(joined) - count :]
            return rows

        return TokenScores(
            request=request,
            prompt_digest=prompt_digest(self.render(request.request)),
            given=last(given, (), np.float32),
            top_tokens=last([tokens for tokens, _ in best], (self.top,), np.int32),
            top_scores=last([scores for _, scores in best], (self.top,), np.float32),
        )


class _Ruled(NamedTuple):
    """One row of a batch, and the rules that its scores follow."""

    row: int
    request: ScoreRequest
    wanted: int
    """Columns that are scored: the last ones."""
    rules: ScoreRules
    prompt: list[int]

    def change(self, logits: Tensor, first: int) -> None:
        """Change the scores of its columns in place; the first column of `logits` counts from the end."""
        import torch

        for column in range(logits.shape[1]):
            place = self.wanted + first + column
            if place < 0:
                continue
            said = self.request.answer[: self.request.first + place]
            touched = self.rules.touched(self.prompt, said)
            at = torch.as_tensor(touched, device=logits.device)
            scores = logits[self.row, column, at].cpu().numpy()
            changed = self.rules.apply(self.prompt, said, touched, scores)
            logits[self.row, column, at] = torch.as_tensor(changed, device=logits.device, dtype=logits.dtype)


def _padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return ids and mask of rows of unequal length, padded on the left, so that their ends align."""
    import torch

    width = max(map(len, rows))
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, width - len(tokens) :] = torch.tensor(tokens, dtype=torch.long)
        mask[row, width - len(tokens) :] = 1
    return ids, mask
