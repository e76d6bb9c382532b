"""Whether teacher-forced evidence was shown sensitive: by tokens planted in control answers."""

from __future__ import annotations

from tais.verdict.evidence import PlantedLeak, PlantedTokens
from tais.verdict.reasons import note, reason
from tais.verdict.report import Reason, Verdict

__all__ = ["LEAST_FLAGGED", "weigh_planted", "weigh_planted_leak"]

LEAST_FLAGGED = 0.9
"""Share of the planted tokens that must be flagged."""


def weigh_planted(planted: PlantedTokens | None) -> tuple[Verdict, Reason]:
    """Return what the planted tokens say, with the best verdict that it leaves possible."""
    if planted is None or not planted.answers:
        message = "no token could be planted in a control answer, so nothing shows that one would be seen"
        return Verdict.inconclusive, reason("planted_tokens_missed", message, answers=0, flagged=0)
    what = "the draft's choice" if planted.choice == "draft" else "the runner-up"
    said = (
        f"{planted.flagged} of {planted.answers} tokens planted in control answers ({what} in place of the "
        "target's) are flagged"
    )
    values = {
        "answers": planted.answers,
        "flagged": planted.flagged,
        "asked": LEAST_FLAGGED,
        "choice": planted.choice,
    }
    if planted.flagged >= LEAST_FLAGGED * planted.answers:
        return Verdict.passed, note("planted_tokens_flagged", said, **values)
    message = f"{said}, and {100 * LEAST_FLAGGED:g} % are asked for: the numerical band hides too many"
    return Verdict.inconclusive, reason("planted_tokens_missed", message, **values)


def weigh_planted_leak(planted: PlantedLeak | None) -> tuple[Verdict, Reason]:
    """Return what a share of tokens, planted in sampled answers, says of the bound on the leak."""
    trials, flagged = (0, 0) if planted is None else (planted.trials, planted.flagged)
    if planted is None or not trials:
        message = (
            "no token could be planted in the sampled answers, so nothing shows that a leak would be seen"
        )
        return Verdict.inconclusive, reason("planted_tokens_missed", message, trials=0, flagged=0)
    said = (
        f"in {flagged} of {trials} trials in which the draft draws {100 * planted.share:.3g} % of the tokens "
        "anew, the bound lies above that share"
    )
    values = {"trials": trials, "flagged": flagged, "asked": LEAST_FLAGGED, "share": planted.share}
    if flagged >= LEAST_FLAGGED * trials:
        return Verdict.passed, note("planted_tokens_flagged", said, **values)
    message = f"{said}, and {100 * LEAST_FLAGGED:g} % are asked for"
    return Verdict.inconclusive, reason("planted_tokens_missed", message, **values)
