"""A pair of models, loaded as the reference engine loads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tais.battery.load import load_battery
from tais.errors import UsageError
from tais.lab.reference.engine import ReferenceEngine
from tais.lab.verification.cached import CachedModel
from tais.lab.verification.selector.facts import ModelFacts, PairFacts
from tais.manifest.model import Arm, BatteryRef
from tais.records import Message, Request, SampleKey

__all__ = ["LoadedPair", "battery_requests", "file_requests", "load_pair"]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPair:
    """Target and draft.

    Attributes
    ----------
    target, draft
        With their caches.
    render
        Returns the token ids of a request.
    ends
        Tokens that end a text.
    limit
        Most tokens of prompt and answer.
    facts
        What the pair is, JSON-ready.
    """

    target: CachedModel
    draft: CachedModel
    render: Callable[[Request], list[int]]
    ends: frozenset[int]
    limit: int
    facts: PairFacts

    @property
    def states(self) -> tuple[int, int]:
        """Sizes of the hidden states of target and draft."""
        return self.facts["target"]["hidden_size"], self.facts["draft"]["hidden_size"]


def load_pair(target: str, draft: str, dtype: str = "float32", device: str | None = None) -> LoadedPair:
    """Load a pair.

    Raises
    ------
    EngineRefusal
        When transformers cannot load a model, or its cache cannot hold a tree.
    """
    engine = ReferenceEngine()
    how = {"method": "token", "model": draft, "num_speculative_tokens": 1}
    arguments = {} if device is None else {"device": device}
    engine.start(
        Arm(
            name="pair",
            engine="reference",
            model=target,
            dtype=dtype,
            engine_args=arguments,
            speculative_config=how,
        )
    )
    assert engine.draft is not None
    facts: PairFacts = {
        "target": _facts(target, engine.target.model),
        "draft": _facts(draft, engine.draft.model),
        "dtype": dtype,
        "device": engine.device,
    }
    ends = frozenset(end for end in engine.ends if end is not None)
    return LoadedPair(engine.target, engine.draft, engine.render, ends, engine.limit, facts)


def _facts(name: str, model: torch.nn.Module) -> ModelFacts:
    layer = model.get_output_embeddings()
    return {
        "model": name,
        "architecture": type(model).__name__,
        "vocabulary": int(layer.weight.shape[0]),
        "hidden_size": int(layer.weight.shape[1]),
        "parameters": sum(int(weight.numel()) for weight in model.parameters()),
    }


def battery_requests(names: Sequence[str], items: int, skip: int = 0) -> Iterator[Request]:
    """Yield requests of `items` items of each battery, behind the first `skip`.

    Raises
    ------
    UsageError
        When a battery has no item behind those skipped.
    """
    for battery in names:
        loaded = load_battery(BatteryRef(name=battery, limit=skip + items), Path())
        if len(loaded.items) <= skip:
            said = f"the battery {battery} has {len(loaded.items)} items, none behind the first {skip}"
            raise UsageError(said, remedy="Skip fewer")
        for item in loaded.items[skip : skip + items]:
            messages = tuple(Message(turn.role, turn.content) for turn in item.messages)
            chat = loaded.definition.chat is not False
            yield Request(SampleKey(battery, item.id, 0), messages, 0, chat)


def file_requests(prompts: Sequence[str], name: str) -> Iterator[Request]:
    """Yield one request per prompt of a file."""
    for number, text in enumerate(prompts, 1):
        yield Request(SampleKey(name, str(number), 0), (Message("user", text),), 0, True)
