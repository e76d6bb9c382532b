"""Decoding with any verifier and any shape of draft, one text at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from tais.verification.cached import TreeModel
from tais.verification.draft import Draft, Tree, Verifier
from tais.verification.policy import Policy, Tap, Watch
from tais.verification.rng import Rng
from tais.verification.shapes import Shape, grow
from tais.verification.warp import Warp

__all__ = ["Decoder", "Speculation", "Step"]


@dataclass(frozen=True, slots=True, eq=False)
class Speculation:
    """How tokens are proposed and judged.

    Attributes
    ----------
    draft
        The small model.
    warp
        How its tokens are drawn.
    shape
        What it drafts.
    verifier
        Who decides.
    policy
        Chooses shape and verifier anew at each root, in place of these two.
    taps
        Hidden states of target and draft for the policy.
    """

    draft: TreeModel
    warp: Warp
    shape: Shape
    verifier: Verifier
    policy: Policy | None = None
    taps: tuple[Tap, Tap] | None = None


@dataclass(slots=True, eq=False)
class _Drafted:
    """A drafted tree, its laws, the draft's cache row of each node that has one, and who judges it."""

    tree: Tree
    verifier: Verifier
    unseen: int
    """Tokens of the text, the root last, that the draft's cache had not seen."""
    q: dict[int, torch.Tensor] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one pass of the target gave.

    Attributes
    ----------
    tokens
        Accepted tokens and the one behind them.
    logits
        The target's, before any warp, that each was judged by: shape (tokens, V).
    drafted, accepted
        Tokens; None for the pass over the prompt, which drafts nothing.
    """

    tokens: Sequence[int]
    logits: torch.Tensor
    drafted: int | None
    accepted: int | None


class Decoder:
    """Target, and perhaps a draft.

    Parameters
    ----------
    target
        The model whose law is to be kept.
    warp
        How tokens are drawn from it.
    speculation
        None decodes token by token.
    """

    def __init__(self, target: TreeModel, warp: Warp, speculation: Speculation | None = None) -> None:
        self.target = target
        self.warp = warp
        self.speculation = speculation
        self._vocabulary = 0
        self._watch: Watch | None = None

    def steps(self, prompt: Sequence[int], room: int, rng: Rng) -> Iterator[Step]:
        """Yield steps until `room` tokens are there; the last step may bring more.

        Parameters
        ----------
        prompt
            Token ids, at least one.
        room
            Tokens that the context can still take, at least 1. No draft is deeper than what is left.
        rng
            Takes every decision.
        """
        logits = self.target.begin(prompt)[None]
        self._vocabulary = logits.shape[-1]
        text = [*prompt, rng.categorical(self.warp.law(logits)[0])]
        yield Step(text[-1:], logits, None, None)
        if self.speculation is not None and room > 1:
            self._begin_draft(self.speculation, prompt, logits)
        limit = len(prompt) + room
        while len(text) < limit:
            step = self._step(text, limit - len(text), rng)
            text.extend(step.tokens)
            yield step

    def _step(self, text: Sequence[int], room: int, rng: Rng) -> Step:
        if self.speculation is None or room < 2:
            logits = self.target.feed(text[-1:], [-1])
            self.target.commit([0])
            return Step([rng.categorical(self.warp.law(logits)[0])], logits, None, None)
        made = self._draft(self.speculation, text, room - 1, rng)
        tree = made.tree
        # One pass over the pending token, which is the root, and all that was drafted.
        logits = self.target.feed([text[-1], *tree.tokens[1:]], tree.parent)
        p = self.warp.law(logits)
        law = torch.full_like(p, torch.nan)
        for node, row in made.q.items():
            law[node] = row
        tokens = list(made.verifier(Draft(tree, p, law), rng))
        path = _path(tree, tokens[:-1])
        if self._watch is not None:
            self._watch.target(logits, path[-1])
            self._watch.accepted(path[-1])
        self.target.commit(path)
        self.speculation.draft.commit(
            [*range(made.unseen - 1), *(made.rows[node] for node in path if node in made.rows)]
        )
        return Step(tokens, logits[path], len(tree.tokens) - 1, len(tokens) - 1)

    def _begin_draft(self, how: Speculation, prompt: Sequence[int], logits: torch.Tensor) -> None:
        self._watch = Watch(how.taps) if how.policy is not None else None
        if self._watch is not None:
            self._watch.target(logits, 0)
        first = how.draft.begin(prompt)[None]
        if self._watch is not None:
            self._watch.draft([0], first)
            self._watch.accepted(0)

    def _draft(self, how: Speculation, text: Sequence[int], room: int, rng: Rng) -> _Drafted:
        """Draft at most `room` tokens deep."""
        model = how.draft
        unseen = text[model.committed :]
        first = model.feed(unseen, range(-1, len(unseen) - 1))
        shape, verifier = how.shape, how.verifier
        if how.policy is not None and self._watch is not None:
            # Nothing of this draft exists yet, so whatever the policy looks at lies in the past.
            shape, verifier = how.policy.choose(self._watch.root(len(text), first))
            self._watch.draft([0], first)
        made = _Drafted(Tree(), verifier, len(unseen), rows={0: len(unseen) - 1})

        def laws(tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
            logits = first[-1:]
            if nodes[0] != 0:
                count = len(made.rows) + len(unseen) - 1
                parents = [made.rows[tree.parent[node]] for node in nodes]
                logits = model.feed([tree.tokens[node] for node in nodes], parents)
                made.rows.update((node, count + i) for i, node in enumerate(nodes))
                if self._watch is not None:
                    self._watch.draft(nodes, logits)
            law = how.warp.law(logits[:, : self._vocabulary])
            # Vocabularies are padded to different sizes; what one model lacks it never draws.
            return torch.nn.functional.pad(law, (0, self._vocabulary - law.shape[-1]))

        made.tree, made.q = grow(shape.cut(room), laws, rng)
        return made


def _path(tree: Tree, tokens: Sequence[int]) -> list[int]:
    """Return the nodes of accepted tokens, the root first."""
    nodes = [0]
    for token in tokens:
        nodes.append(next(child for child in tree.draws[nodes[-1]] if tree.tokens[child] == token))
    return nodes
