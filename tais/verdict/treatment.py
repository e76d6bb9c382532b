"""Whether an arm got the speculation that it asked for: the right mode, and enough of it to matter."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tais.manifest.model import Role, Rules
from tais.stats.acceptance import Acceptance, acceptance_by_position, too_rarely_accepted
from tais.stats.tidy import percent, tidy, tidy_interval
from tais.verdict.evidence import ContrastEvidence, TreatmentEvidence
from tais.verdict.reasons import Weighed, reason
from tais.verdict.report import LengthReport, PositionReport, Reason, TreatmentReport, Verdict

__all__ = ["LEAST_ANSWERS", "LEAST_TOKENS", "fold_treatment"]

LEAST_ANSWERS = 20
"""Answers with an accepted token that a treatment needs, however few were asked."""
LEAST_TOKENS = 100
LEAST_RATE = 0.01
"""Accepted tokens, and their share of those drafted, where nothing is known of single answers."""


def fold_treatment(contrast: ContrastEvidence, rules: Rules) -> tuple[TreatmentReport, list[Weighed]]:
    """Check that the candidate got the speculation that it asked for, enough of it, and no other.

    Parameters
    ----------
    contrast
        Evidence.
    rules
        Read for `min_treatment` and `min_acceptance`.

    Returns
    -------
    report
        `applied` is None where no speculation was asked for, or where the engine counts no drafts.
    weighed
        Reasons; in a `screen` contrast a treatment that was not shown to be applied excludes a pass.
    """
    t = contrast.treatment
    applied, why = _applied(t, rules)
    acceptance = _acceptance(t)
    report = TreatmentReport(
        requested=t.requested,
        resolved=t.resolved,
        drafts=t.drafts,
        draft_tokens=t.draft_tokens,
        accepted_tokens=t.accepted_tokens,
        acceptance_rate=_rate(t.accepted_tokens, t.draft_tokens),
        accepted_per_position=t.accepted_per_position,
        answers=t.answers,
        answers_accepted=t.answers_accepted,
        by_position=() if acceptance is None else tuple(_positions(t, acceptance)),
        by_prompt_length=tuple(_lengths(t)),
        applied=applied,
    )
    reasons = [] if why is None else [why]
    if t.requested is not None:
        reasons += _too_rare(t, acceptance, rules)
    # Other roles do not screen a treatment: what they lack there is worth a word and decides nothing.
    if contrast.role is Role.screen:
        return report, [(Verdict.inconclusive, found) for found in reasons]
    return report, [(Verdict.passed, found.model_copy(update={"severity": "note"})) for found in reasons]


def _applied(t: TreatmentEvidence, rules: Rules) -> tuple[bool | None, Reason | None]:
    values: dict[str, object] = {
        "requested": t.requested,
        "resolved": t.resolved,
        "draft_tokens": t.draft_tokens,
    }
    if t.requested is None:
        if t.resolved in (None, "unknown") and not t.draft_tokens:
            return None, None
        message = f"no speculation was asked for, yet the engine ran {t.resolved or 'drafts'}"
        return None, reason("treatment_not_requested", message, **values)
    if t.resolved not in (t.requested, "unknown"):
        message = f"treatment not applied: {t.requested} was asked for, the engine resolved to {t.resolved}"
        return False, reason("treatment_not_applied", message, **values)
    if t.draft_tokens == 0:
        message = f"treatment not applied: {t.requested} was asked for and drafted no token"
        return False, reason("treatment_not_applied", message, **values)
    if t.draft_tokens is None or t.accepted_tokens is None:
        message = f"treatment not shown: {t.requested} was asked for and the engine counts no drafts"
        return None, reason("treatment_not_shown", message, **values)
    values["accepted_tokens"] = t.accepted_tokens
    if t.accepted_tokens == 0:
        message = f"treatment not applied: {t.draft_tokens} tokens were drafted and none was accepted"
        return False, reason("treatment_not_applied", message, **values)
    why = _too_small(t, t.draft_tokens, t.accepted_tokens, rules.min_treatment, values)
    return why is None, why


def _too_small(
    t: TreatmentEvidence, drafted: int, accepted: int, least: float, values: dict[str, object]
) -> Reason | None:
    """Return why a treatment that was applied was not applied enough; None where it was."""
    if t.answers is not None and t.answers_accepted is not None:
        needed = max(LEAST_ANSWERS, math.ceil(least * t.answers))
        if t.answers_accepted >= needed:
            return None
        message = (
            f"treatment too small: {t.answers_accepted} of {t.answers} answers hold an accepted token, "
            f"{needed} are needed"
        )
        return reason("treatment_too_small", message, answers=t.answers, needed=needed, **values)
    said = f"{accepted} of {drafted} drafted tokens were accepted"
    if accepted < LEAST_TOKENS or accepted < LEAST_RATE * drafted:
        message = (
            f"treatment too small: {said}; without counts per answer {LEAST_TOKENS} are needed, and "
            f"{percent(LEAST_RATE)}"
        )
        return reason("treatment_too_small", message, needed=LEAST_TOKENS, **values)
    if least > Rules().min_treatment:
        message = (
            f"treatment not shown: min_treatment asks for accepted tokens in {percent(least)} of answers, "
            f"and this engine gives no counts per answer ({said})"
        )
        return reason("treatment_too_small", message, min_treatment=least, **values)
    return None


def _acceptance(t: TreatmentEvidence) -> Acceptance | None:
    if not t.accepted_per_position or len(t.tried_per_position) != len(t.accepted_per_position):
        return None
    return acceptance_by_position(t.tried_per_position, t.accepted_per_position)


def _positions(t: TreatmentEvidence, acceptance: Acceptance) -> Iterator[PositionReport]:
    for index, accepted in enumerate(t.accepted_per_position):
        tried = int(acceptance.trials[index])
        bounds = acceptance.lower[index], acceptance.upper[index]
        yield PositionReport(
            tried=tried,
            accepted=accepted,
            rate=_rate(accepted, tried),
            wilson=tidy_interval(bounds) if tried else None,
        )


def _lengths(t: TreatmentEvidence) -> Iterator[LengthReport]:
    for found in t.by_length:
        yield LengthReport(
            least=found.least,
            below=found.below,
            answers=found.answers,
            draft_tokens=found.draft_tokens,
            accepted_tokens=found.accepted_tokens,
            acceptance_rate=_rate(found.accepted_tokens, found.draft_tokens),
        )


def _too_rare(t: TreatmentEvidence, acceptance: Acceptance | None, rules: Rules) -> Iterator[Reason]:
    """Yield what is beyond doubt accepted less often than the rules ask."""
    least = rules.min_acceptance
    if least is None:
        return
    if acceptance is None:
        message = "min_acceptance is in the rules, and the engine counts no accepted tokens by position"
        yield reason("acceptance_not_counted", message)
        return
    for index in np.flatnonzero(too_rarely_accepted(acceptance, least)).tolist():
        wanted = least[index] if isinstance(least, tuple) else least
        tried, accepted = int(acceptance.trials[index]), t.accepted_per_position[index]
        message = (
            f"draft position {index + 1}: {accepted} of {tried} tokens are accepted after the one before, at "
            f"most {percent(float(acceptance.upper[index]))}, and min_acceptance asks for {percent(wanted)}"
        )
        values = {"position": index + 1, "tried": tried, "accepted": accepted, "min_acceptance": wanted}
        yield reason("acceptance_below_minimum", message, **values)


def _rate(part: int | None, whole: int | None) -> float | None:
    return tidy(part / whole) if whole and part is not None else None
