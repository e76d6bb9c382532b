"""What a choice of the draft may look at: the text so far, and what both models said of it.

A draft stays lossless ground as long as its shape and its verifier are fixed by what is known before
its tokens are drawn. A policy is therefore handed nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from tais.lab.verification.draft import Verifier
from tais.lab.verification.shapes import Shape

if TYPE_CHECKING:
    import transformers

__all__ = ["Policy", "Root", "Tap", "Watch"]


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """The end of the text, before anything is drafted behind it.

    Attributes
    ----------
    length
        Tokens of the text.
    p_before, q_before
        Logits of target and draft behind all tokens but the last: shape (V,), before any warp. The target
        has not passed over the last token yet.
    q
        Logits of the draft behind the text.
    p_state_before, q_state_before, q_state
        What the models' output layers read where those logits were made, shape (d,); empty where no
        :class:`Tap` is set.
    """

    length: int
    p_before: torch.Tensor
    q_before: torch.Tensor
    q: torch.Tensor
    p_state_before: torch.Tensor
    q_state_before: torch.Tensor
    q_state: torch.Tensor


class Policy(Protocol):
    """Chooses what is drafted behind a text and who judges it."""

    def choose(self, root: Root) -> tuple[Shape, Verifier]:
        """Return the shape of the draft, of depth 0 for none, and the verifier."""
        ...


class Tap:
    """Keeps what a model's output layer read in the last pass: its last hidden states.

    Parameters
    ----------
    model
        A transformers model.

    Raises
    ------
    ValueError
        When the model has no output layer of its own.
    """

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        layer = model.get_output_embeddings()
        if layer is None:
            raise ValueError(f"{type(model).__name__} has no output layer to read hidden states from")
        self.rows = torch.empty(0, 0)
        self._hook = layer.register_forward_pre_hook(self._keep)

    def _keep(self, layer: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        self.rows = arguments[0].detach()[0]

    def close(self) -> None:
        """Stop reading."""
        self._hook.remove()


Seen = tuple[torch.Tensor, torch.Tensor]
"""Logits, and the hidden state that they were made of."""


class Watch:
    """Follows the passes of both models, so that a :class:`Root` can be told.

    Parameters
    ----------
    taps
        Of target and draft; None leaves hidden states out.
    """

    def __init__(self, taps: tuple[Tap, Tap] | None) -> None:
        self._taps = taps
        self._p: Seen | None = None
        self._q: Seen | None = None
        self._drafted: dict[int, Seen] = {}

    def target(self, logits: torch.Tensor, row: int) -> None:
        """Take row `row` of the target's last pass as the law of the token that was drawn last."""
        self._p = self._seen(0, logits, row)

    def draft(self, nodes: Sequence[int], logits: torch.Tensor) -> None:
        """Take the rows of the draft's last pass as what it says behind these nodes."""
        for row, node in enumerate(nodes, len(logits) - len(nodes)):
            self._drafted[node] = self._seen(1, logits, row)

    def accepted(self, node: int) -> None:
        """End a step: the text goes on behind `node`, with one token that the target drew."""
        self._q = self._drafted.get(node)
        self._drafted = {}

    def root(self, length: int, logits: torch.Tensor) -> Root:
        """Return what is known at the end of the text.

        Parameters
        ----------
        length
            Tokens of the text.
        logits
            Of the draft's last pass, over all tokens that it had not seen, shape (rows, V).
        """
        now = self._seen(1, logits, len(logits) - 1)
        # A leaf that was accepted is passed over only now, together with the token behind it.
        before = self._q if self._q is not None else self._seen(1, logits, len(logits) - 2)
        if self._p is None:
            raise RuntimeError("a root was asked for before the target's first pass")
        return Root(length, self._p[0], before[0], now[0], self._p[1], before[1], now[1])

    def _seen(self, side: int, logits: torch.Tensor, row: int) -> Seen:
        state = self._taps[side].rows[row] if self._taps else torch.empty(0)
        return logits[row], state
