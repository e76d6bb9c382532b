"""Several texts under decoding in one key-value cache, each with a tree of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from tais.lab.verification.cached import refuse_other_caches
from tais.lab.verification.decode import Ask, Speculation, Step, Talk, Text
from tais.lab.verification.rng import Rng
from tais.lab.verification.warp import Warp

if TYPE_CHECKING:
    import transformers

__all__ = ["BatchDecoder", "BatchedModel"]


class BatchedModel:
    """A model and the caches of several texts.

    What :class:`tais.lab.verification.cached.CachedModel` is for one.

    Parameters
    ----------
    model
        A transformers causal language model, with the same limits.

    Notes
    -----
    Texts lie in the rows of one cache, each from its first column on; behind them are the drafted rows of the
    last passes, and columns that mean nothing, which the mask hides. A row sees its own text, its ancestors
    and itself and stands at the position behind its parent, so in exact arithmetic its logits do not depend
    on what else is in the batch. In floating point the order of sums does: by about 1e-15 in float64, 1e-6
    in float32.
    """

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        self.model = model
        self._rows: dict[int, _Row] = {}
        self._cache: transformers.DynamicCache = None

    def begin(self, prompts: Mapping[int, Sequence[int]]) -> dict[int, torch.Tensor]:
        """Take texts into the batch by a name of their own; return the logits behind each, shape (V,)."""
        # Loads transformers.
        from transformers import DynamicCache

        names, width = list(prompts), max(map(len, prompts.values()))
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        for row, prompt in enumerate(prompts.values()):
            ids[row, : len(prompt)] = torch.tensor(list(prompt))
        cache = DynamicCache(config=self.model.config)
        # Padded behind their ends, prompts see nothing of the padding: a causal model looks back only.
        ends = sorted({len(prompt) - 1 for prompt in prompts.values()})
        logits = self._pass(ids, cache, logits_to_keep=torch.tensor(ends, device=self.model.device))
        refuse_other_caches(self.model, cache)
        self._tidy()
        self._cache = _stacked(self._cache, cache) if self._rows else cache
        self._rows.update((name, _Row(len(prompt))) for name, prompt in prompts.items())
        return {name: logits[row, ends.index(len(prompts[name]) - 1)] for row, name in enumerate(names)}

    def feed(self, asked: Mapping[int, tuple[Sequence[int], Sequence[int]]]) -> dict[int, torch.Tensor]:
        """Add drafted rows to some texts and return their logits, each of shape (rows, V).

        Parameters
        ----------
        asked
            By name, tokens and parents as of :meth:`CachedModel.feed`.
        """
        self._tidy()
        width = max(len(tokens) for tokens, _ in asked.values())
        before = self._width()
        ids = torch.zeros(len(self._rows), width, dtype=torch.long)
        positions = torch.zeros_like(ids)
        seen = torch.zeros(len(self._rows), width, before + width, dtype=torch.bool)
        # A row of padding sees itself: one that sees nothing has no law.
        seen[:, range(width), range(before, before + width)] = True
        for place, (name, row) in enumerate(self._rows.items()):
            if name in asked:
                tokens, parents = asked[name]
                ids[place, : len(tokens)] = torch.tensor(list(tokens))
                row.add(parents, before, seen[place], positions[place])
        mask = torch.zeros(seen.shape, dtype=self.model.dtype)
        mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)
        device = self.model.device
        logits = self._pass(
            ids, self._cache, attention_mask=mask[:, None].to(device), position_ids=positions.to(device)
        )
        places = {name: place for place, name in enumerate(self._rows)}
        return {name: logits[places[name], : len(tokens)] for name, (tokens, _) in asked.items()}

    def commit(self, name: int, rows: Sequence[int]) -> None:
        """Make drafted rows part of a text, in this order, and drop its others."""
        self._rows[name].keep(rows)

    def drop(self, name: int) -> None:
        """Forget a text, if it is there."""
        if name in self._rows:
            self._rows[name].gone = True

    def _width(self) -> int:
        return int(self._cache.layers[0].keys.shape[2])

    def _tidy(self) -> None:
        """Drop the texts that have ended and the columns that no text needs."""
        if not any(row.moved or row.gone for row in self._rows.values()):
            return
        places = [place for place, row in enumerate(self._rows.values()) if not row.gone]
        self._rows = {name: row for name, row in self._rows.items() if not row.gone}
        if not self._rows:
            self._cache = None
            return
        width = max(len(row.columns) for row in self._rows.values())
        index = torch.zeros(len(places), width, dtype=torch.long)
        for row, columns in zip(self._rows.values(), index, strict=True):
            columns[: len(row.columns)] = torch.tensor(row.columns)
            row.columns, row.moved = list(range(len(row.columns))), False
        for layer in self._cache.layers:
            place = torch.tensor(places, device=layer.keys.device)[:, None, None]
            heads = torch.arange(layer.keys.shape[1], device=layer.keys.device)[None, :, None]
            columns = index.to(layer.keys.device)[:, None, :]
            layer.keys = layer.keys[place, heads, columns]
            layer.values = layer.values[place, heads, columns]

    def _pass(self, ids: torch.Tensor, cache: transformers.DynamicCache, **arguments: object) -> torch.Tensor:
        with torch.no_grad():
            out = self.model(
                input_ids=ids.to(self.model.device), past_key_values=cache, use_cache=True, **arguments
            )
        logits: torch.Tensor = out.logits
        return logits


class _Row:
    """Where a text lies in the cache.

    Attributes
    ----------
    columns
        Of the text and then of its drafted rows.
    committed
        How many of them are text.
    parents, depths
        Of the drafted rows.
    moved, gone
        Whether columns were dropped, and whether the text has ended.
    """

    __slots__ = ("columns", "committed", "depths", "gone", "moved", "parents")

    def __init__(self, committed: int) -> None:
        self.columns = list(range(committed))
        self.committed = committed
        self.parents: list[int] = []
        self.depths: list[int] = []
        self.moved = self.gone = False

    def add(self, parents: Sequence[int], first: int, seen: torch.Tensor, positions: torch.Tensor) -> None:
        """Add drafted rows at the columns from `first` on; write what they see and where they stand."""
        old = len(self.parents)
        self.columns.extend(range(first, first + len(parents)))
        self.parents.extend(parents)
        seen[: len(parents), self.columns[: self.committed]] = True
        for i, parent in enumerate(parents):
            self.depths.append(self.depths[parent] + 1 if parent >= 0 else 0)
            positions[i] = self.committed + self.depths[old + i]
            while parent >= 0:
                seen[i, self.columns[self.committed + parent]] = True
                parent = self.parents[parent]

    def keep(self, rows: Sequence[int]) -> None:
        text, drafted = self.columns[: self.committed], self.columns[self.committed :]
        self.columns = text + [drafted[row] for row in rows]
        self.committed = len(self.columns)
        self.parents, self.depths, self.moved = [], [], True


def _stacked(
    first: transformers.DynamicCache, second: transformers.DynamicCache
) -> transformers.DynamicCache:
    """Put two caches on top of each other, the narrower one padded behind."""
    for upper, lower in zip(first.layers, second.layers, strict=True):
        for name in ("keys", "values"):
            both = getattr(upper, name), getattr(lower, name)
            width = max(part.shape[2] for part in both)
            padded = [torch.nn.functional.pad(part, (0, 0, 0, width - part.shape[2])) for part in both]
            setattr(upper, name, torch.cat(padded))
    return first


class BatchDecoder:
    """As :class:`tais.lab.verification.decode.Decoder`, for several texts at once.

    Parameters
    ----------
    target
        The model whose law is to be kept.
    warp
        How tokens are drawn from it.
    speculation
        None decodes token by token. Its own model is not used but for `draft`.
    draft
        The draft, in a batch as well.
    size
        Texts at once.

    Notes
    -----
    Passes are batched: prompts, levels of drafts and trees under the target. Drafting decisions and
    verification are taken text by text, each from a generator of its own, so that no text depends on another.
    """

    def __init__(
        self,
        target: BatchedModel,
        warp: Warp,
        speculation: Speculation | None = None,
        draft: BatchedModel | None = None,
        *,
        size: int = 16,
    ) -> None:
        self.models = {"target": target, **({"draft": draft} if draft is not None else {})}
        self.warp = warp
        self.speculation = speculation
        self.size = size
        self._talks: dict[int, Talk] = {}
        self._asks: dict[int, Ask] = {}

    def run(self, texts: Iterable[tuple[Sequence[int], int, Rng]]) -> Iterator[tuple[int, Step | None]]:
        """Decode texts, given as prompt, room and decisions (see :meth:`Decoder.steps`).

        Yields
        ------
        (int, Step or None)
            Number of a text and its next step; None when it has ended by itself.
        """
        waiting = enumerate(texts)
        more = True
        while more or self._talks:
            # Not one by one: prompts of a few texts share a pass.
            if more and len(self._talks) <= self.size - max(1, self.size // 4):
                while more and len(self._talks) < self.size:
                    found = next(waiting, None)
                    more = found is not None
                    if found is not None:
                        number, (prompt, room, rng) = found
                        self._talks[number] = Text(self.warp, self.speculation, prompt, room, rng).talk()
                        yield from self._go_on(number, None)
            for number, logits in self._pass().items():
                # A text that was stopped by now has no say any more.
                if number in self._talks:
                    yield from self._go_on(number, logits)

    def stop(self, number: int) -> None:
        """End a text."""
        self._talks.pop(number, None)
        self._asks.pop(number, None)
        for model in self.models.values():
            model.drop(number)

    def _go_on(self, number: int, answer: torch.Tensor | None) -> Iterator[tuple[int, Step | None]]:
        """Send a text what it asked for, until it asks for another pass."""
        while number in self._talks:
            try:
                said = self._talks[number].send(answer)
            except StopIteration:
                self.stop(number)
                yield number, None
                return
            answer = None
            if isinstance(said, Step):
                yield number, said
            elif said.method == "commit":
                self.models[said.side].commit(number, said.tokens)
            else:
                self._asks[number] = said
                return

    def _pass(self) -> dict[int, torch.Tensor]:
        """Make the pass that brings the most texts to one point: drafts before the target looks at them."""
        for method, side in (("begin", "target"), ("begin", "draft"), ("feed", "draft"), ("feed", "target")):
            chosen = {n: ask for n, ask in self._asks.items() if (ask.method, ask.side) == (method, side)}
            if chosen:
                break
        else:
            return {}
        self._asks = {n: ask for n, ask in self._asks.items() if n not in chosen}
        model = self.models[side]
        if method == "begin":
            return model.begin({n: ask.tokens for n, ask in chosen.items()})
        return model.feed({n: (ask.tokens, ask.parents) for n, ask in chosen.items()})
