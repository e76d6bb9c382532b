"""What each choice takes on a device: drafting and the target's pass by shape, verification by algorithm."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch

from tais.common.machine import describe_environment
from tais.errors import UsageError
from tais.lab.verification.decode import Decoder, Speculation
from tais.lab.verification.draft import Draft, Verifier
from tais.lab.verification.policy import Root, Tap
from tais.lab.verification.registry import find_verifier
from tais.lab.verification.rng import Rng, SeededRng
from tais.lab.verification.selector.actions import Grid
from tais.lab.verification.selector.facts import MachineFacts
from tais.lab.verification.selector.features import describe, width
from tais.lab.verification.selector.latency_table import Latency
from tais.lab.verification.selector.net import make_net
from tais.lab.verification.shapes import Shape
from tais.lab.verification.warp import Warp
from tais.lab.workbench.pair import LoadedPair

__all__ = ["measure"]

# Tokens of the text behind which is drafted.
_CONTEXT = 64


class _Round:
    """Goes through the shapes in turn and times all algorithms on each draft."""

    def __init__(self, grid: Grid, clock: Callable[[], float]) -> None:
        self._grid, self._clock = grid, clock
        self._methods = {name: find_verifier(name) for name in grid.methods}
        self._order: list[Shape] = []
        self.root: Root | None = None
        self.shape = grid.shapes[0]
        self.spent = 0.0
        self.taken: dict[tuple[str, str], list[float]] = defaultdict(list)

    def choose(self, root: Root) -> tuple[Shape, Verifier]:
        if not self._order:
            self._order = list(self._grid.shapes)
        self.root, self.shape = root, self._order.pop()
        return self.shape, self.verify

    def verify(self, draft: Draft, rng: Rng) -> Sequence[int]:
        begun = self._clock()
        seed = int(rng.categorical(torch.ones(1 << 16)))
        output: Sequence[int] = ()
        for name, member in self._methods.items():
            if member.single and self.shape.kind != "chain":
                continue
            verify, own = member.load(), SeededRng(seed)
            at = self._clock()
            output = verify(draft, own)
            self.taken[name, str(self.shape)].append(self._clock() - at)
        if not output:
            output = find_verifier("token").load()(draft, SeededRng(seed))
        self.spent = self._clock() - begun
        return output


def measure(pair: LoadedPair, grid: Grid, rounds: int = 12, hidden: int = 64) -> Latency:
    """Time every choice on the device of the pair, over rounds in which each shape comes once.

    Parameters
    ----------
    pair
        The models.
    grid
        The choices.
    rounds
        Steps per shape.
    hidden
        Width of the selector whose own time is measured.

    Raises
    ------
    UsageError
        When the model's context is too short for a draft.
    """
    single = pair.facts["device"] == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if single else time.perf_counter
    taps = Tap(pair.target.model), Tap(pair.draft.model)
    room = min(pair.limit - _CONTEXT, 8 * (grid.depth + 1))
    if room < 3 * (grid.depth + 1):
        said = f"the model takes {pair.limit} tokens, drafts of {grid.depth} cannot be timed"
        raise UsageError(said, remedy="Choose a smaller trunk or length")
    turn = _Round(grid, clock)
    speculation = Speculation(pair.draft, Warp(), grid.shapes[0], turn.verify, turn, taps)
    decoder = Decoder(pair.target, Warp(), speculation)
    generator = torch.Generator().manual_seed(0)
    passes: dict[str, list[float]] = defaultdict(list)
    try:
        while min(len(passes[str(shape)]) for shape in grid.shapes) < rounds:
            prompt = torch.randint(pair.facts["target"]["vocabulary"], (_CONTEXT,), generator=generator)
            steps = decoder.steps(prompt.tolist(), room, SeededRng(int(prompt.sum())))
            written = len(next(steps).tokens)
            # The step behind the prompt also takes the draft over it.
            written += len(next(steps).tokens)
            while written + grid.depth + 1 < room:
                begun = clock()
                written += len(next(steps).tokens)
                passes[str(turn.shape)].append(clock() - begun - turn.spent)
    finally:
        for tap in taps:
            tap.close()
    assert turn.root is not None
    return Latency(
        {shape: _quick(times) for shape, times in passes.items()},
        _by_method(turn.taken),
        _choosing(turn.root, width(*pair.states), hidden, grid, clock),
        _CONTEXT,
        "processor" if single else "wall",
        _machine(pair),
    )


def _quick(times: list[float]) -> float:
    """Return the lower quartile: what else a machine does only ever adds to a time."""
    return sorted(times)[len(times) // 4]


def _by_method(taken: dict[tuple[str, str], list[float]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for (method, shape), times in taken.items():
        # Some outcomes take longer than others: a mean, without the tail that other work makes.
        kept = sorted(times)[: max(1, len(times) * 9 // 10)]
        found[method][shape] = statistics.mean(kept)
    return dict(found)


def _choosing(root: Root, features: int, hidden: int, grid: Grid, clock: Callable[[], float]) -> float:
    net = make_net(features, hidden, len(grid.actions), seed=0)
    times = []
    for _ in range(20):
        begun = clock()
        x = describe(root, Warp())
        with torch.inference_mode():
            net(x).argmax().item()
        times.append(clock() - begun)
    return statistics.median(times)


def _machine(pair: LoadedPair) -> MachineFacts:
    found = describe_environment()
    libraries = {k: v for k, v in found["libraries"].items() if k in ("torch", "transformers")}
    return {
        "device": pair.facts["device"],
        "threads": torch.get_num_threads(),
        "hardware": found["hardware"],
        "system": found["system"],
        "libraries": libraries,
    }
