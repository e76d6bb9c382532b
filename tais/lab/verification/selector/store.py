"""A trained selector: its choice, and its folder of ``selector.safetensors`` and ``selector.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load, save

from tais.common.files import store_error, write_atomic
from tais.errors import Place, StoreError, UsageError
from tais.lab.verification.selector.actions import Grid, GridJson
from tais.lab.verification.selector.facts import SelectorFacts
from tais.lab.verification.selector.features import SCALARS, width
from tais.lab.verification.selector.latency_table import Latency, LatencyJson
from tais.lab.verification.selector.net import make_net

__all__ = ["OBJECTIVES", "Selector"]

VERSION = 1
OBJECTIVES = ("ratio", "rate")
"""``ratio``: tokens over seconds of the step. ``rate``: tokens less what its seconds bring elsewhere."""
_WEIGHTS, _FACTS = "selector.safetensors", "selector.json"
# Beyond so many standard deviations of the training data a feature says no more.
FAR = 4.0


class _Stored(SelectorFacts):
    """The JSON file; what does not fit it is met where it is read."""

    version: int
    weights_sha256: str
    scalars: list[str]
    grid: GridJson
    objective: str
    rates: dict[str, float]
    hidden: int
    latency: LatencyJson


@dataclass(frozen=True, slots=True, eq=False)
class Selector:
    """Chooses from features.

    Attributes
    ----------
    grid
        The choices.
    net
        From standardised features to standardised labels.
    scales
        ``x_mean`` and ``x_scale`` of the features (scale 0 for one that never varied, which is so left out),
        ``y_mean`` and ``y_scale`` of the labels.
    latency
        Seconds of each choice.
    objective
        One of :data:`OBJECTIVES`.
    rates
        Tokens per second that the best use of each method's choices came to in training; under "auto" of
        all choices. The objective ``rate`` needs them.
    hidden
        Width of the network.
    facts
        Pair, data and training, JSON-ready.
    """

    grid: Grid
    net: torch.nn.Sequential
    scales: dict[str, torch.Tensor]
    latency: Latency
    objective: str
    rates: dict[str, float]
    hidden: int
    facts: SelectorFacts

    def expected(self, features: torch.Tensor) -> torch.Tensor:
        """Return the expected accepted tokens of each choice, shape (..., actions).

        Parameters
        ----------
        features
            As :func:`tais.lab.verification.selector.features.describe` gives them, shape (..., features).
        """
        x = (features - self.scales["x_mean"]) * self.scales["x_scale"]
        with torch.inference_mode():
            y = self.net(x.clamp(-FAR, FAR))
        deepest = torch.tensor([float(action.shape.depth) for action in self.grid.actions])
        return torch.minimum((y * self.scales["y_scale"] + self.scales["y_mean"]).clamp(min=0), deepest)

    def values(self, expected: torch.Tensor, method: str = "auto") -> torch.Tensor:
        """Return what each choice is worth by the objective; -inf where the method may not choose it."""
        tokens = expected.double() + 1
        seconds = self.latency.seconds(self.grid) + self.latency.choosing
        worth = tokens / seconds if self.objective == "ratio" else tokens - self.rates[method] * seconds
        if method != "auto":
            others = torch.ones(len(self.grid.actions), dtype=torch.bool)
            others[self.grid.only(method)] = False
            worth = worth.masked_fill(others, -torch.inf)
        return worth

    def check(self, states: Sequence[int]) -> None:
        """Refuse hidden states of other sizes than those of the pair that this was trained for.

        Raises
        ------
        UsageError
            Naming both.
        """
        mine = [self.facts["pair"][side]["hidden_size"] for side in ("target", "draft")]
        if list(states) != mine:
            said = f"the selector was trained for hidden states of {mine[0]} and {mine[1]} numbers"
            raise UsageError(
                f"{said}, these models have {states[0]} and {states[1]}",
                remedy="Train one for this pair: tais law data, then tais law train",
            )

    def timed(self, latency: Latency) -> Selector:
        """Return the same selector with another device's table."""
        return replace(self, latency=latency)

    def digest(self) -> str:
        """Return the sha256 of all that decides a choice."""
        return hashlib.sha256(self._weights() + self._json()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the folder.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise store_error(error, folder) from error
        write_atomic(folder / _WEIGHTS, self._weights())
        write_atomic(folder / _FACTS, self._json())

    def _weights(self) -> bytes:
        plain = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        return bytes(save({**plain, **{f"scale.{name}": value for name, value in self.scales.items()}}))

    def _json(self) -> bytes:
        plain = {
            "version": VERSION,
            "weights_sha256": hashlib.sha256(self._weights()).hexdigest(),
            "scalars": list(SCALARS),
            "grid": self.grid.to_json(),
            "objective": self.objective,
            "rates": self.rates,
            "hidden": self.hidden,
            "latency": self.latency.to_json(),
            **self.facts,
        }
        return json.dumps(plain, indent=2).encode() + b"\n"

    @classmethod
    def load(cls, folder: Path) -> Selector:
        """Read what :meth:`save` wrote.

        Raises
        ------
        StoreError
            When a file is missing or not what it should be, or was written by another version.
        """
        place = Place(str(folder))
        remedy = "Name a folder that tais law train wrote"
        try:
            weights = (folder / _WEIGHTS).read_bytes()
            plain: _Stored = json.loads((folder / _FACTS).read_bytes())
            if plain["version"] != VERSION or plain["scalars"] != list(SCALARS):
                raise StoreError("this selector was written by another version", place=place, remedy=remedy)
            if plain["weights_sha256"] != hashlib.sha256(weights).hexdigest():
                raise StoreError(
                    f"{_WEIGHTS} is not the file that {_FACTS} was written with", place=place, remedy=remedy
                )
            return cls._read(weights, plain)
        except OSError as error:
            raise store_error(error, folder) from error
        except (KeyError, ValueError, TypeError, RuntimeError, UsageError) as error:
            raise StoreError("this is no selector", place=place, remedy=remedy) from error

    @classmethod
    def _read(cls, weights: bytes, plain: _Stored) -> Selector:
        tensors = load(weights)
        grid, hidden = Grid.from_json(plain["grid"]), int(plain["hidden"])
        sizes = [plain["pair"][side]["hidden_size"] for side in ("target", "draft")]
        net = make_net(width(*sizes), hidden, len(grid.actions), seed=0)
        net.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
        scales = {k[6:]: v for k, v in tensors.items() if k.startswith("scale.")}
        if plain["objective"] not in OBJECTIVES or set(scales) != {"x_mean", "x_scale", "y_mean", "y_scale"}:
            raise ValueError("fields that do not belong together")
        latency = Latency(**plain["latency"])
        latency.seconds(grid)
        facts: SelectorFacts = {
            "pair": plain["pair"],
            "collected": plain["collected"],
            "training": plain["training"],
        }
        return cls(grid, net, scales, latency, plain["objective"], plain["rates"], hidden, facts)
