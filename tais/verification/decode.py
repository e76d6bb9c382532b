"""Decoding with any verifier and any shape of draft, one text at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from tais.verification.cached import TreeModel
from tais.verification.draft import Draft, Tree, Verifier
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
    """

    draft: TreeModel
    warp: Warp
    shape: Shape
    verifier: Verifier


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
            self.speculation.draft.begin(prompt)
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
        tree, q, drafted_rows, fed = self._draft(self.speculation, text, room - 1, rng)
        # One pass over the pending token, which is the root, and all that was drafted.
        logits = self.target.feed([text[-1], *tree.tokens[1:]], tree.parent)
        p = self.warp.law(logits)
        law = torch.full_like(p, torch.nan)
        for node, row in q.items():
            law[node] = row
        tokens = list(self.speculation.verifier(Draft(tree, p, law), rng))
        path = _path(tree, tokens[:-1])
        self.target.commit(path)
        self.speculation.draft.commit(
            [*range(fed - 1), *(drafted_rows[n] for n in path if n in drafted_rows)]
        )
        return Step(tokens, logits[path], len(tree.tokens) - 1, len(tokens) - 1)

    def _draft(
        self, how: Speculation, text: Sequence[int], room: int, rng: Rng
    ) -> tuple[Tree, dict[int, torch.Tensor], dict[int, int], int]:
        """Draft at most `room` tokens deep.

        Returns the tree, its laws, the draft's cache row of each node that has one, and how many tokens of
        the text, the root last, its cache had not seen.
        """
        model = how.draft
        unseen = text[model.committed :]
        rows: dict[int, int] = {}
        count = len(unseen)

        def laws(tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
            nonlocal count
            if nodes[0] == 0:
                logits = model.feed(unseen, range(-1, len(unseen) - 1))[-1:]
                rows[0] = len(unseen) - 1
            else:
                logits = model.feed([tree.tokens[n] for n in nodes], [rows[tree.parent[n]] for n in nodes])
                rows.update((node, count + i) for i, node in enumerate(nodes))
                count += len(nodes)
            law = how.warp.law(logits[:, : self._vocabulary])
            # Vocabularies are padded to different sizes; what one model lacks it never draws.
            return torch.nn.functional.pad(law, (0, self._vocabulary - law.shape[-1]))

        tree, q = grow(how.shape.cut(room), laws, rng)
        return tree, q, rows, len(unseen)


def _path(tree: Tree, tokens: Sequence[int]) -> list[int]:
    """Return the nodes of accepted tokens, the root first."""
    nodes = [0]
    for token in tokens:
        nodes.append(next(child for child in tree.draws[nodes[-1]] if tree.tokens[child] == token))
    return nodes
