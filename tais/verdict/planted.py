"""Whether teacher-forced evidence was shown sensitive: by tokens planted in control answers."""

from __future__ import annotations

from tais.verdict.evidence import PlantedTokens
from tais.verdict.reasons import note, reason
from tais.verdict.report import Reason, Verdict

__all__ = ["LEAST_FLAGGED", "weigh_planted"]

LEAST_FLAGGED = 0.9
"""Share of the planted tokens that must be flagged."""


def weigh_planted(planted: PlantedTokens | None) -> tuple[Verdict, Reason]:
    """Return what the planted tokens say, with the best verdict that it leaves possible."""
    if planted is None or not planted.answers:
        message = "no token could be planted in a control answer, so nothing shows that one would be seen"
        return Verdict.inconclusive, reason("planted_tokens_missed", message, answers=0, flagged=0)
    said = (
        f"{planted.flagged} of {planted.answers} tokens planted in control answers (the runner-up in place "
        "of the choice) are flagged"
    )
    values = {"answers": planted.answers, "flagged": planted.flagged, "asked": LEAST_FLAGGED}
    if planted.flagged >= LEAST_FLAGGED * planted.answers:
        return Verdict.passed, note("planted_tokens_flagged", said, **values)
    message = f"{said}, and {100 * LEAST_FLAGGED:g} % are asked for: the numerical band hides too many"
    return Verdict.inconclusive, reason("planted_tokens_missed", message, **values)
