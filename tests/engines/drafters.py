"""Drafters for ``method: custom_class``: lossless verification must hold for any of them."""

from __future__ import annotations

from typing import Any


class Garbage:
    """Proposes tokens that have nothing to do with the text."""

    def __init__(self, config: Any) -> None:
        self.width = config.speculative_config.num_speculative_tokens
        self.vocabulary = config.model_config.get_vocab_size()
        self.calls = 0

    def load_model(self, *_: Any, **__: Any) -> None:
        """Have no model."""

    def propose(self, sampled: list[list[int]], *_: Any, **__: Any) -> list[list[int]]:
        """Propose for every row that has just sampled."""
        self.calls += 1
        return [self._row(row) if tokens else [] for row, tokens in enumerate(sampled)]

    def _row(self, row: int) -> list[int]:
        return [(31 * self.calls + 17 * row + 7 * i) % self.vocabulary for i in range(self.width)]
