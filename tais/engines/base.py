"""What an engine must be able to do, and what it gives back.

An engine lives in a worker process of its own (:mod:`tais.worker.main`); these types cross no
process boundary but the sample store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from tais.manifest.model import Arm
from tais.manifest.sampling import NEUTRAL, Sampling
from tais.records import Counters, Request, Sample, ScoreRequest, TokenScores

__all__ = [
    "ConfigurationRefusal",
    "CountsUnderway",
    "Engine",
    "EngineRefusal",
    "ImitatesFaults",
    "PlantedFault",
    "ServerFailure",
    "Teacher",
]


class EngineRefusal(Exception):
    """The engine does not accept an arm's configuration or a prompt; the message is for the user."""


class ConfigurationRefusal(EngineRefusal):
    """The engine does not accept what an arm says, whatever machine it runs on.

    Parameters
    ----------
    what
        What is wrong.
    path
        Keys below the arm that lead to it; none where it is the arm as a whole.
    remedy
        What to write instead, where that is known.
    """

    def __init__(self, what: str, path: tuple[str | int, ...] = (), remedy: str | None = None) -> None:
        super().__init__(what)
        self.path, self.remedy = path, remedy


class ServerFailure(Exception):
    """A server that an engine speaks to does not answer; nothing is wrong with the arm's configuration."""


class Engine(Protocol):
    """A serving stack that generates.

    Methods are called in the order of their definition, from one thread.
    """

    def start(self, arm: Arm) -> dict[str, object]:
        """Load the model and return the configuration that the engine resolved to (JSON-ready).

        Raises
        ------
        EngineRefusal
            When the engine does not accept the configuration.
        """
        ...

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Refuse, before the first token, a request that the engine cannot answer.

        Raises
        ------
        EngineRefusal
            Naming the first such item and the reason.
        """
        ...

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Yield samples as they finish, and None after each step that finished none."""
        ...

    def counters(self) -> Counters | None:
        """Speculation counters since the last call; None where the engine has none."""
        ...

    def close(self) -> None:
        """Release the model."""
        ...


@runtime_checkable
class CountsUnderway(Protocol):
    """An engine that knows how many tokens its unfinished answers have."""

    def tokens_underway(self) -> int:
        """Return the tokens of answers that are not finished; 0 where this release does not tell."""
        ...


class PlantedFault(Protocol):
    """A fault of a drill, as an engine without a model imitates it."""

    @property
    def effect(self) -> str:
        """What goes wrong: ``tokens``, ``text``, ``prompt`` or ``draft``."""
        ...

    def act(self, times: int = 1) -> None:
        """Count that it changed something."""
        ...


@runtime_checkable
class ImitatesFaults(Protocol):
    """An engine into which no fault can be planted, and which behaves as if one were."""

    def imitate(self, fault: PlantedFault) -> None:
        """Take the fault, before the start."""
        ...


class Teacher(Protocol):
    """A serving stack that reads given tokens (teacher forcing): one pass over prompt and answer.

    Methods are called in the order of their definition, from one thread.
    """

    def start_forcing(
        self, arm: Arm, temperature: float, top: int, sampling: Sampling = NEUTRAL
    ) -> dict[str, object]:
        """Load the model, without speculation, and return what the engine resolved to (JSON-ready).

        Parameters
        ----------
        arm
            The stack; its speculation is left out.
        temperature
            0 for raw logits, else that of the log-probabilities.
        top
            Number k of best tokens per position; all of a smaller vocabulary.
        sampling
            Settings that the scores follow, and over them those of each request; the temperature is the one
            above.

        Raises
        ------
        EngineRefusal
            When the engine does not accept the configuration.
        """
        ...

    def end_tokens(self) -> Sequence[int]:
        """Return the tokens that end an answer, the model's own first; none where they are not known."""
        ...

    def text_of(self, answer: Sequence[int]) -> str | None:
        """Return tokens of an answer as text; None where no tokenizer is at hand."""
        ...

    def readings(self, answer: Sequence[int]) -> Sequence[str]:
        """Return the texts that detokenisers make of tokens, special ones left out and kept.

        None of them where no tokenizer is at hand.
        """
        ...

    def room(self, request: Request) -> int | None:
        """Return how many tokens behind a prompt can be scored; None where that is not known."""
        ...

    def force(self, requests: Iterable[ScoreRequest]) -> Iterator[TokenScores | None]:
        """Yield the scores of given tokens as they finish, and None after each step that finished none."""
        ...

    def close(self) -> None:
        """Release the model."""
        ...
