"""One prefix that grows token by token, and the states of many next tokens at once.

The keys and values of the prefix are computed once. They are kept beside each other for every row of a batch
of candidates, and a new token adds one slot to each: no batch copies the prefix again.
"""

from __future__ import annotations

from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from tais.errors import UsageError
from tais.lab.leak.model import LeakModel, failing
from tais.lab.packages import torch

__all__ = ["Walk"]


class _Rows(DynamicLayer):  # type: ignore[misc]  # transformers has no types here
    """Keys and values of one block: the prefix in every row, and one slot for the row's own candidate."""

    def __init__(self, rows: int, length: int) -> None:
        super().__init__()
        self.rows, self.length, self.filled = rows, length, 0
        self.is_initialized: bool = False

    def add(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Append one token, keys and values of shape (heads, size), to the prefix of all rows."""
        if not self.is_initialized:
            self.keys, self.values = (
                torch.empty(self.rows, x.shape[0], self.length, x.shape[1], dtype=x.dtype, device=x.device)
                for x in (keys, values)
            )
            self.is_initialized = True
        self.keys[:, :, self.filled] = keys
        self.values[:, :, self.filled] = values
        self.filled += 1

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, end = key_states.shape[0], self.filled + 1
        self.keys[:rows, :, self.filled : end] = key_states
        self.values[:rows, :, self.filled : end] = value_states
        return self.keys[:rows, :, :end], self.values[:rows, :, :end]

    def get_seq_length(self) -> int:
        return self.filled


class Walk:
    """A growing prefix.

    Parameters
    ----------
    model
        Whose states are asked for.
    layer
        At which layer.
    rows
        Most candidates per forward pass.
    length
        Most tokens that the prefix and a candidate will have.
    logits
        Whether :attr:`logits` is wanted; the prefix then runs through the whole model.
    """

    def __init__(self, model: LeakModel, layer: int, rows: int, length: int, *, logits: bool) -> None:
        self.model, self.layer, self.wants_logits = model, layer, logits
        self.tokens: list[int] = []
        self.logits: torch.Tensor = None
        """Scores of the next token, shape (vocabulary,), float32; None before the first token."""
        self._prefix = DynamicCache()
        self._blocks = [_Rows(rows, length) for _ in range(layer)]
        self._rows = Cache(layers=[*self._blocks])

    def extend(self, token: int) -> None:
        """Append one token to the prefix."""
        ids = self.model.ids([token])
        options = {"past_key_values": self._prefix, "use_cache": True}
        with torch.inference_mode(), failing(self.model.name):
            if self.wants_logits:
                self.logits = self.model.model(ids, **options).logits[0, -1].float()
            elif self.layer:
                self.model.deepen(ids, self.layer, **options)
            self.tokens.append(token)
            for block, kept in zip(self._blocks, self._kept(), strict=True):
                block.add(kept.keys[0, :, -1], kept.values[0, :, -1])

    def _kept(self) -> list[torch.Tensor]:
        kept = list(self._prefix.layers[: self.layer])
        if len(kept) < self.layer or any(getattr(k, "keys", None) is None for k in kept):
            remedy = "The attack needs attention layers whose prefix can be shared"
            raise UsageError(f"{self.model.name} keeps no keys and values up to {self.layer}", remedy=remedy)
        return kept

    def candidates(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the states of the prefix followed by each of some tokens, at the last position.

        Parameters
        ----------
        ids
            Token ids, shape (b,), b at most `rows`.

        Returns
        -------
        torch.Tensor
            Shape (b, width), in the model's dtype.
        """
        with torch.inference_mode(), failing(self.model.name):
            # Block 0 sees the embedding alone, whose position may still come from the cache's length.
            cached = bool(self.tokens) and self.layer > 0
            options: dict[str, object] = {"use_cache": cached}
            if cached:
                options["past_key_values"] = self._rows
            elif self.tokens:
                at = torch.full((1, 1), len(self.tokens), dtype=torch.long, device=self.model.device)
                options["position_ids"] = at
            return self.model.deepen(ids[:, None], self.layer, **options)[:, -1]
