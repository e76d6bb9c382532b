"""Training data of a pair: features and exact labels at roots that decoding really visits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from tais.errors import UsageError
from tais.lab.verification.decode import Decoder, Speculation
from tais.lab.verification.draft import Tree, Verifier
from tais.lab.verification.policy import Root, Tap
from tais.lab.verification.registry import find_verifier
from tais.lab.verification.rng import SeededRng
from tais.lab.verification.selector.actions import Grid
from tais.lab.verification.selector.features import describe
from tais.lab.verification.shapes import Shape
from tais.lab.verification.warp import Warp
from tais.lab.workbench.labels import Labels, draw_probe
from tais.lab.workbench.pair import LoadedPair
from tais.records import Request

__all__ = ["Collection", "Row", "collect", "seed_of"]


@dataclass(frozen=True, slots=True)
class Collection:
    """What is collected.

    Attributes
    ----------
    grid
        The choices.
    temperatures
        Each prompt is answered at each of them.
    top_k, top_p
        Of target and draft.
    max_tokens
        Of an answer.
    probes
        Drafted trees per root, each a row of its own.
    every
        Probe every so many steps.
    seed
        Of all draws.
    """

    grid: Grid
    temperatures: tuple[float, ...] = (1.0,)
    top_k: int = 0
    top_p: float = 1.0
    max_tokens: int = 64
    probes: int = 2
    every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        wrong = self.max_tokens < 2 or self.probes < 1 or self.every < 1 or not self.temperatures
        if wrong or any(t < 0 for t in self.temperatures) or not 0 < self.top_p <= 1:
            raise UsageError(
                "training data cannot be collected with these numbers",
                remedy="At least 2 tokens, 1 probe and every 1st step; temperatures from 0; top-p in (0, 1]",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One drafted tree at one root.

    Attributes
    ----------
    prompt
        Battery or file, and item: what is held out together.
    step
        Number of the step within the answer.
    temperature
        Of both models.
    features
        Shape (features,), float32.
    labels
        Expected accepted tokens of each choice, shape (actions,), float32.
    entropies
        Nats of the draft's law behind each node of the probe's trunk, shape (trunk + 1,), float32: what the
        entropy policy goes by. A selector sees only that of the root.
    """

    prompt: str
    step: int
    temperature: float
    features: torch.Tensor
    labels: torch.Tensor
    entropies: torch.Tensor


class _Wanderer:
    """Chooses shapes by chance, so that roots are visited as a mixture of choices would; keeps the root."""

    def __init__(self, grid: Grid, seed: int) -> None:
        self._shapes, self.verifier = grid.shapes, find_verifier("specinfer").load()
        self._generator = torch.Generator().manual_seed(seed)
        self.root: Root | None = None

    def choose(self, root: Root) -> tuple[Shape, Verifier]:
        self.root = root
        at = int(torch.randint(len(self._shapes), (), generator=self._generator))
        return self._shapes[at], self.verifier


def collect(
    pair: LoadedPair,
    requests: Sequence[Request],
    how: Collection,
    tell: Callable[[int, int], None] = lambda done, rows: None,
) -> Iterator[Row]:
    """Answer the requests and yield a row per probed root.

    Parameters
    ----------
    pair
        The models.
    requests
        At least one.
    how
        What is collected.
    tell
        Told answers that are done and rows that were made.

    Raises
    ------
    UsageError
        When a prompt leaves no room for an answer.
    """
    taps = Tap(pair.target.model), Tap(pair.draft.model)
    rows = 0
    try:
        for done, (request, heat) in enumerate((r, t) for r in requests for t in how.temperatures):
            for row in _answer(pair, request, heat, how, taps):
                rows += 1
                yield row
            tell(done + 1, rows)
    finally:
        for tap in taps:
            tap.close()


def _answer(
    pair: LoadedPair, request: Request, heat: float, how: Collection, taps: tuple[Tap, Tap]
) -> Iterator[Row]:
    prompt = pair.render(request)
    name = f"{request.key.battery}/{request.key.item_id}"
    room = min(how.max_tokens, pair.limit - len(prompt) - how.grid.depth)
    if not prompt or room < 2:
        said = f"the prompt {name} has {len(prompt)} tokens, the model takes {pair.limit}"
        raise UsageError(said, remedy="Leave it out, or use a shorter one")
    warp = Warp(heat, how.top_k, how.top_p)
    seed = seed_of(how.seed, name, heat)
    wanderer = _Wanderer(how.grid, seed)
    idle = Shape("chain", length=0)
    speculation = Speculation(pair.draft, warp, idle, wanderer.verifier, wanderer, taps)
    text, probes = list(prompt), list[tuple[torch.Tensor, torch.Tensor]]()
    decoder = Decoder(pair.target, warp, speculation)
    for step, made in enumerate(decoder.steps(prompt, room, SeededRng(seed))):
        if probes and wanderer.root is not None:
            features = describe(wanderer.root, warp)
            yield from (Row(name, step, heat, features, *probe) for probe in probes)
        text.extend(made.tokens)
        # The last token of the room is decoded without a draft, so there is no root there.
        if any(t in pair.ends for t in made.tokens) or len(text) >= len(prompt) + room - 1:
            return
        probes = []
        if step == 0:
            # The decoder starts its draft when it goes on; the first root is probed before.
            pair.draft.begin(prompt)
        if step % how.every == 0:
            rng = SeededRng(seed_of(seed, step))
            probes = [_probe(pair, text, warp, how.grid, rng) for _ in range(how.probes)]


def _probe(
    pair: LoadedPair, text: Sequence[int], warp: Warp, grid: Grid, rng: SeededRng
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return labels of one drafted tree and entropies of its trunk; the caches are left as they were."""
    unseen = text[pair.draft.committed :]
    rows = {0: len(unseen) - 1}
    first = pair.draft.feed(unseen, range(-1, len(unseen) - 1))[-1:]
    vocabulary = int(pair.facts["target"]["vocabulary"])

    def laws(tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
        logits = first
        if nodes[0] != 0:
            count = len(unseen) - 1 + len(rows)
            parents = [rows[tree.parent[node]] for node in nodes]
            logits = pair.draft.feed([tree.tokens[node] for node in nodes], parents)
            rows.update((node, count + i) for i, node in enumerate(nodes))
        law = warp.law(logits[:, :vocabulary])
        return torch.nn.functional.pad(law, (0, vocabulary - law.shape[-1]))

    probe = draw_probe(grid, laws, rng)
    logits = pair.target.feed([text[-1], *probe.tree.tokens[1:]], probe.tree.parent)
    pair.draft.commit([])
    pair.target.commit([])
    labels = Labels(grid, probe, warp.law(logits), pair.ends).all()
    trunk = torch.stack([probe.q[node] for node in probe.trunk])
    entropies = -torch.xlogy(trunk, trunk).sum(-1)
    return labels.to(torch.float32), entropies.to(torch.float32)


def seed_of(*parts: object) -> int:
    """Return a seed that depends on all parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "big")
