"""What a selector's files say beside numbers: the pair, how data were collected, how it was trained."""

from __future__ import annotations

from typing import TypedDict

__all__ = [
    "Collected",
    "DataFacts",
    "MachineFacts",
    "ModelFacts",
    "PairFacts",
    "SelectorFacts",
    "TrainingFacts",
]


class ModelFacts(TypedDict):
    """One model of a pair."""

    model: str
    architecture: str
    vocabulary: int
    hidden_size: int
    parameters: int


class PairFacts(TypedDict):
    """Target and draft, and how they were loaded."""

    target: ModelFacts
    draft: ModelFacts
    dtype: str
    device: str


class Collected(TypedDict):
    """How the roots were drawn."""

    temperatures: list[float]
    top_k: int
    top_p: float
    seed: int
    probes: int
    every: int


class DataFacts(TypedDict):
    """What a file of training data says of itself."""

    pair: PairFacts
    collected: Collected


class MachineFacts(TypedDict):
    """Where a selector's choices were timed."""

    device: str
    threads: int
    hardware: dict[str, object]
    system: dict[str, object]
    libraries: dict[str, object]


class TrainingFacts(TypedDict):
    """How the network was fitted, and what was left on prompts that it never saw."""

    objective: str
    hidden: int
    epochs: int
    held_out: float
    seed: int
    rate: float
    decay: float
    dropout: float
    patience: int
    roots: dict[str, int]
    epochs_taken: int
    held_out_loss: float
    held_out_loss_of_the_mean: float


class SelectorFacts(DataFacts, total=False):
    """What the folder of a selector says of itself; ``training`` once it is trained."""

    training: TrainingFacts
