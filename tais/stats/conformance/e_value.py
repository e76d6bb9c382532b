"""An anytime-valid e-value against "every token was drawn from the target's law"."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["EProcess", "EValue"]

LEAKS: tuple[float, ...] = tuple(float(x) for x in np.geomspace(1e-4, 0.5, 16))
_ROWS = 1 << 14
"""Tokens multiplied out at once (2 MB)."""


@dataclass(frozen=True, slots=True)
class EValue:
    """State of the e-process after n tokens, natural logarithms."""

    n: int
    log_e: float
    """Evidence now; its exponential has mean at most 1 without a leak."""
    log_e_sup: float
    """Largest evidence so far."""
    p: float
    """Anytime-valid p-value 1 / sup E, at most 1."""
    crossed_at: int | None
    """Number of tokens at which E first reached 1 / alpha; None if never."""
    alpha: float


class EProcess:
    """Mixture over e of the likelihood ratios prod(1 - e + e q/p).

    Without a leak it is a non-negative martingale that starts at 1, so that it ever reaches 1 / alpha with
    probability at most alpha (Ville): a run may be looked at after every token, stopped and continued. The
    order of the tokens must not depend on what was drawn.

    Parameters
    ----------
    alpha
        Level of `crossed_at`, in (0, 1).
    leaks
        Values of e that the mixture weighs equally, each in (0, 1).

    References
    ----------
    Ville (1939), Étude critique de la notion de collectif. Grünwald, de Heide, Koolen (2024), Journal of
    the Royal Statistical Society B 86, 1091-1128.
    """

    def __init__(self, alpha: float = 0.05, leaks: tuple[float, ...] = LEAKS) -> None:
        if not (0 < alpha < 1 and leaks and all(0 < e < 1 for e in leaks)):
            raise TaisError("an e-process needs alpha and every e in (0, 1)")
        self.alpha = alpha
        self._leaks = np.array(leaks)
        self._logs = np.full(len(leaks), -math.log(len(leaks)))
        self._sup = 0.0
        self._now = 0.0
        self._n = 0
        self._crossed: int | None = None

    def add(self, ratios: FloatArray) -> EValue:
        """Multiply in tokens in their order; ratios q/p of the sampled cells, shape (n,), finite."""
        for start in range(0, len(ratios), _ROWS):
            block = ratios[start : start + _ROWS, None] - 1
            paths = self._logs + np.cumsum(np.log1p(self._leaks * block), axis=0)
            top = paths.max(axis=1)
            evidence = top + np.log(np.exp(paths - top[:, None]).sum(axis=1))
            self._logs, self._now = paths[-1], float(evidence[-1])
            over = evidence >= -math.log(self.alpha)
            if self._crossed is None and over.any():
                self._crossed = self._n + int(over.argmax()) + 1
            self._sup = max(self._sup, float(evidence.max()))
            self._n += len(block)
        return self.value()

    def value(self) -> EValue:
        """Return the state now."""
        return EValue(self._n, self._now, self._sup, math.exp(-self._sup), self._crossed, self.alpha)
