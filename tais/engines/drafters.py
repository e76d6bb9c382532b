"""Worst-case drafters for vLLM's ``method: custom_class``: lossless verification must hold for any of them.

Named in a manifest by their dotted path::

    speculative_config: {method: custom_class, model: tais.engines.drafters.Random, num_speculative_tokens: 4}

vLLM 0.32 makes one of them per engine, with its configuration, and asks it after every step
(``GPUModelRunner.propose_draft_token_ids``). None of them reads the target's hidden states, and all run
where vLLM runs V1's model runner, the CPU among them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vllm.config import VllmConfig

__all__ = ["Adversarial", "Constant", "Drafter", "Empty", "Oracle", "Random"]


class Drafter:
    """What vLLM asks of a drafter.

    Parameters
    ----------
    config
        ``VllmConfig``; its speculative_config says how many tokens to propose.
    """

    def __init__(self, config: VllmConfig) -> None:
        self.config = config
        self.width = int(config.speculative_config.num_speculative_tokens)
        self.vocabulary = int(config.model_config.get_vocab_size())
        self.context = int(config.model_config.max_model_len)

    def load_model(self, *_: object, **__: object) -> None:
        """Have no model."""

    def propose(
        self,
        sampled: Sequence[Sequence[int]],
        lengths: NDArray[np.int32],
        tokens: NDArray[np.int32],
        **_: object,
    ) -> list[list[int]]:
        """Propose for every row of the batch that has just got tokens.

        Parameters
        ----------
        sampled
            Tokens of each row's last step; empty while its prompt is read.
        lengths
            Tokens of each row, prompt and answer, shape (rows,).
        tokens
            Token ids, shape (rows, context).

        Returns
        -------
        list of list of int
            Drafts per row, at most ``width``, and none beyond the context.
        """
        rows = [row for row, new in enumerate(sampled) if new]
        texts = {row: tokens[row, : lengths[row]].tolist() for row in rows}
        drafts = self.drafts(texts)
        room = {row: max(0, self.context - len(text) - 1) for row, text in texts.items()}
        return [
            drafts[row][: min(self.width, room[row])] if row in texts else [] for row in range(len(sampled))
        ]

    def drafts(self, texts: dict[int, list[int]]) -> dict[int, list[int]]:
        """Return a draft for each row, given its tokens so far."""
        raise NotImplementedError


class Random(Drafter):
    """Proposes tokens drawn uniformly from the vocabulary: hardly one is accepted."""

    def __init__(self, config: VllmConfig) -> None:
        super().__init__(config)
        self._random = random.Random(0)

    def drafts(self, texts: dict[int, list[int]]) -> dict[int, list[int]]:
        """See the class."""
        return {row: [self._random.randrange(self.vocabulary) for _ in range(self.width)] for row in texts}


class Constant(Drafter):
    """Proposes the same token for ever, the last one of the vocabulary."""

    def drafts(self, texts: dict[int, list[int]]) -> dict[int, list[int]]:
        """See the class."""
        return {row: [self.vocabulary - 1] * self.width for row in texts}


class Empty(Drafter):
    """Proposes nothing: speculation is on and never takes place, and a report must say so."""

    def drafts(self, texts: dict[int, list[int]]) -> dict[int, list[int]]:
        """See the class."""
        return {row: [] for row in texts}


class Adversarial(Drafter):
    """Proposes the opposite of what the text says last: to comply after a refusal, else to refuse.

    If its tokens came through unverified, a refusal would turn into compliance, and an answer into a refusal.
    """

    comply = " Sure, here is how to do that, step by step:"
    refuse = " I'm sorry, but I can't help with that."
    signs = ("sorry", "can't", "cannot", "won't", "unable")
    """A text with one of these among its last tokens refuses."""
    window = 24

    def load_model(self, *_: object, **__: object) -> None:
        """Read the target's tokenizer."""
        from transformers import AutoTokenizer

        model = self.config.model_config
        self.tokenizer = AutoTokenizer.from_pretrained(model.tokenizer, revision=model.tokenizer_revision)
        self._comply, self._refuse = (
            list(self.tokenizer.encode(text, add_special_tokens=False)) for text in (self.comply, self.refuse)
        )

    def drafts(self, texts: dict[int, list[int]]) -> dict[int, list[int]]:
        """See the class."""
        return {row: self._opposite(text) for row, text in texts.items()}

    def _opposite(self, text: list[int]) -> list[int]:
        last = self.tokenizer.decode(text[-self.window :]).replace("’", "'").lower()
        return self._comply if any(sign in last for sign in self.signs) else self._refuse


class Oracle(Drafter):
    """Proposes what the target itself would say, read from a second copy of it in transformers.

    As good as all drafts are accepted: what goes wrong only after full acceptance shows here.
    """

    ahead = 64
    """Tokens that are read ahead at a time."""

    def load_model(self, *_: object, **__: object) -> None:
        """Load the target a second time."""
        from transformers import AutoModelForCausalLM

        model = self.config.model_config
        loaded = AutoModelForCausalLM.from_pretrained(
            model.model,
            revision=model.revision,
            dtype=model.dtype,
            use_safetensors=True,
            trust_remote_code=False,
        )
        self.model = loaded.to(self.config.device_config.device).eval()
        self._known: dict[int, list[int]] = {}

    def drafts(self, texts: dict[int, list[int]]) -> dict[int, list[int]]:
        """See the class."""
        # A row is given to another request when its own has ended.
        new = {row: text for row, text in texts.items() if not self._foreseen(row, text)}
        if new:
            self._known |= self._continue(new)
        return {row: self._known[row][len(text) :] for row, text in texts.items()}

    def _foreseen(self, row: int, text: list[int]) -> bool:
        known = self._known.get(row, [])
        return len(known) > len(text) and known[: len(text)] == text

    def _continue(self, texts: dict[int, list[int]]) -> dict[int, list[int]]:
        import torch

        longest = max(map(len, texts.values()))
        # Padding stands in front, so that all rows end at the same column.
        ids = torch.tensor([[0] * (longest - len(text)) + text for text in texts.values()])
        mask = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts.values()])
        device = self.model.device
        with torch.inference_mode():
            found = self.model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                do_sample=False,
                max_new_tokens=self.ahead,
                pad_token_id=0,
            )
        return {
            row: text + answer[longest:].tolist()
            for (row, text), answer in zip(texts.items(), found, strict=True)
        }
