"""What a reason code is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """One word of the closed vocabulary that reasons and notes of a report are written in."""

    level: Literal["endpoint", "contrast", "screen"]
    """Who says it."""
    says: Literal["passes", "fails", "blocks", "points", "note"]
    """The most that it does: it explains a pass, fails, stands in the way of a pass, only points to a reason
    below it, or decides nothing."""
    meaning: str
    remedy: str
    """What to do about it; empty where there is nothing to do."""
    never_allowed: bool = False
    """Whether no policy may let it pass: not in ``allowed_reasons``, and not by ``allow_inconclusive``."""

    @property
    def allowable(self) -> bool:
        """Whether it has an effect in ``allowed_reasons`` of a policy."""
        return self.says == "blocks" and not self.never_allowed
