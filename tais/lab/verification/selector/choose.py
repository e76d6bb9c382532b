"""A selector as a policy of the decoder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tais.errors import UsageError
from tais.lab.verification.draft import Verifier
from tais.lab.verification.policy import Root
from tais.lab.verification.registry import find_verifier
from tais.lab.verification.selector.features import describe
from tais.lab.verification.selector.store import Selector
from tais.lab.verification.shapes import Shape
from tais.lab.verification.warp import Warp

__all__ = ["AUTO", "Chooser", "load_selector"]

AUTO = "auto"
"""Method of an arm whose selector may choose any that it knows."""


class Chooser:
    """Chooses a shape and a verifier at each root.

    Parameters
    ----------
    selector
        A trained one.
    warp
        How the target's tokens are drawn.
    method
        The only one to be chosen; ``auto`` for any.

    Attributes
    ----------
    chosen
        How often each choice was made.
    """

    def __init__(self, selector: Selector, warp: Warp, method: str = AUTO) -> None:
        self.selector, self.warp, self.method = selector, warp, method
        self.chosen: Counter[str] = Counter()
        self._load = {name: find_verifier(name).load() for name in selector.grid.methods}

    def choose(self, root: Root) -> tuple[Shape, Verifier]:
        """Return what is worth most by the selector's objective."""
        expected = self.selector.expected(describe(root, self.warp))
        action = self.selector.grid.actions[int(self.selector.values(expected, self.method).argmax())]
        self.chosen[str(action)] += 1
        return action.shape, self._load[action.method]


def load_selector(path: str, method: str) -> Selector:
    """Return the selector of an arm.

    Raises
    ------
    StoreError
        When there is none at `path`.
    UsageError
        When it does not know the method.
    """
    selector = Selector.load(Path(path))
    known = (AUTO, *selector.grid.methods)
    if method not in known:
        raise UsageError(f"the selector does not know {method!r}", remedy=f"It knows {', '.join(known)}")
    return selector
