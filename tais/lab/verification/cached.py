"""A causal language model with a key-value cache that can hold a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    import transformers

__all__ = ["CachedModel", "NotCacheable", "TreeModel", "refuse_other_caches"]


class NotCacheable(ValueError):
    """The model's cache cannot hold a tree."""


class TreeModel(Protocol):
    """A model under decoding, as :class:`CachedModel` is."""

    @property
    def committed(self) -> int:
        """Rows of the text in the cache."""
        ...

    def begin(self, tokens: Sequence[int]) -> torch.Tensor:
        """Start with a prompt; return the logits behind it."""
        ...

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        """Add drafted rows and return their logits."""
        ...

    def commit(self, rows: Sequence[int]) -> None:
        """Keep drafted rows and drop the others."""
        ...


class CachedModel:
    """One text under decoding: committed rows of the cache, and drafted rows behind them.

    Parameters
    ----------
    model
        A transformers causal language model whose layers keep every key and value (no sliding window, no
        recurrent state) and which takes a mask of shape (1, 1, new rows, all rows).

    Raises
    ------
    NotCacheable
        At the first pass, when the model's cache is of another kind.

    Notes
    -----
    A row sees the committed rows, its ancestors among the drafted ones and itself, and stands at the
    position behind its parent: what a plain pass over its own path would compute.
    """

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        self.model = model
        self._committed = 0
        self._parents: list[int] = []
        self._depths: list[int] = []
        self._cache: transformers.DynamicCache = None

    @property
    def committed(self) -> int:
        """Rows of the text in the cache."""
        return self._committed

    def begin(self, tokens: Sequence[int]) -> torch.Tensor:
        """Drop everything, commit a prompt and return the logits behind it, shape (V,)."""
        # Loads transformers.
        from transformers import DynamicCache

        self._cache = DynamicCache(config=self.model.config)
        self._parents, self._depths, self._committed = [], [], 0
        logits = self._pass(tokens, None, None, last=True)
        refuse_other_caches(self.model, self._cache)
        self._committed = len(tokens)
        return logits[-1]

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        """Add drafted rows and return their logits, shape (rows, V).

        Parameters
        ----------
        tokens
            One per new row.
        parents
            Drafted row that each follows, in the order of feeding since the last commit; -1 for the
            committed text.
        """
        first = len(self._parents)
        self._parents.extend(parents)
        self._depths.extend(0 for _ in parents)
        seen = torch.zeros(len(tokens), len(self._parents), dtype=torch.bool)
        for i, parent in enumerate(parents):
            row = first + i
            self._depths[row] = self._depths[parent] + 1 if parent >= 0 else 0
            while row >= 0:
                seen[i, row] = True
                row = self._parents[row]
        text = torch.ones(len(tokens), self.committed, dtype=torch.bool)
        positions = [self.committed + depth for depth in self._depths[first:]]
        return self._pass(tokens, torch.cat([text, seen], 1), positions)

    def commit(self, rows: Sequence[int]) -> None:
        """Make drafted rows part of the text, in this order, and drop the others."""
        keep = torch.tensor([*range(self.committed), *(self.committed + row for row in rows)])
        for layer in self._cache.layers:
            index = keep.to(layer.keys.device)
            layer.keys = layer.keys.index_select(2, index)
            layer.values = layer.values.index_select(2, index)
        self._committed += len(rows)
        self._parents, self._depths = [], []

    def _pass(
        self,
        tokens: Sequence[int],
        seen: torch.Tensor | None,
        positions: Sequence[int] | None,
        *,
        last: bool = False,
    ) -> torch.Tensor:
        device = self.model.device
        arguments: dict[str, object] = {"logits_to_keep": 1} if last else {}
        if seen is not None:
            mask = torch.zeros(seen.shape, dtype=self.model.dtype)
            mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)
            arguments["attention_mask"] = mask[None, None].to(device)
            arguments["position_ids"] = torch.tensor([list(positions or ())], device=device)
        ids = torch.tensor([list(tokens)], device=device)
        with torch.no_grad():
            out = self.model(input_ids=ids, past_key_values=self._cache, use_cache=True, **arguments)
        return out.logits[0]


def refuse_other_caches(model: transformers.PreTrainedModel, cache: transformers.DynamicCache) -> None:
    """Raise NotCacheable unless a cache, after a first pass, keeps every key and value."""
    if any(getattr(layer, "is_sliding", False) or not hasattr(layer, "keys") for layer in cache.layers):
        name = type(model).__name__
        raise NotCacheable(f"{name} does not keep every key and value, so its cache cannot hold a tree")
