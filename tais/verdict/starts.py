"""Fresh processes of one arm: what they did alike, and what is known of launches that nobody saw."""

from __future__ import annotations

from collections.abc import Sequence

from tais.stats.proportions import clopper_pearson
from tais.stats.tidy import tidy
from tais.verdict.contrast import worst
from tais.verdict.details.screen import StartRate, Starts, StartSeen
from tais.verdict.evidence import StartsEvidence
from tais.verdict.reasons import note
from tais.verdict.report import ContrastReport, Reason, Verdict

__all__ = ["starts_notes", "starts_seen"]

_CONFIDENCE = 0.95


def starts_seen(evidence: Sequence[StartsEvidence], contrasts: Sequence[ContrastReport]) -> list[Starts]:
    """Return what a report says of each arm that was started several times.

    Parameters
    ----------
    evidence
        How far the starts answered alike.
    contrasts
        Decided. Each further start stands in one of its own, as a candidate.

    Notes
    -----
    A launch is the unit: k launches of which none fails leave room for a share of faulty launches up to
    1 - 0.05 ** (1 / k) (Clopper and Pearson), however many prompts each of them answered.
    """
    return [_seen(found, contrasts) for found in evidence]


def _seen(found: StartsEvidence, contrasts: Sequence[ContrastReport]) -> Starts:
    alike = (None, *found.identity)
    starts = tuple(_start(arm, same, contrasts) for arm, same in zip(found.arms, alike, strict=True))
    failed = sum(start.verdict == Verdict.failed.value for start in starts)
    # One-sided: the two-sided interval at twice the error has this upper end.
    upper = clopper_pearson(failed, len(starts), 2 * _CONFIDENCE - 1)[1]
    return Starts(arm=found.arms[0], starts=starts, failed=failed, failed_upper=tidy(float(upper)))


def _start(arm: str, same: tuple[int, int] | None, contrasts: Sequence[ContrastReport]) -> StartSeen:
    own = [contrast for contrast in contrasts if contrast.candidate == arm]
    # The first start of a reference stands in its contrasts on the other side.
    as_reference = [contrast for contrast in contrasts if contrast.reference == arm] if not own else []
    sides = [(e, e.candidate_rate) for contrast in own for e in contrast.endpoints]
    sides += [(e, e.reference_rate) for contrast in as_reference[:1] for e in contrast.endpoints]
    rates = {e.key: rate for e, rate in sides}
    return StartSeen(
        arm=arm,
        compared=None if same is None else same[0],
        identical=None if same is None else same[1],
        verdict=worst(contrast.verdict for contrast in own).value if own else None,
        rates=tuple(StartRate(**key._asdict(), rate=rate) for key, rate in rates.items()),
    )


def starts_notes(found: Sequence[Starts]) -> list[Reason]:
    """Say how many launches are known of an arm, and how many others may still fail."""
    notes = []
    for seen in found:
        compared = sum(int(start.compared or 0) for start in seen.starts)
        differ = compared - sum(int(start.identical or 0) for start in seen.starts)
        failed, upper = int(seen.failed or 0), float(seen.failed_upper or 0.0)
        message = (
            f"{seen.arm}: {len(seen.starts)} starts, {failed} of them fail; between starts {differ:,} of "
            f"{compared:,} answers differ. Of all launches up to {100 * upper:.0f} % may fail "
            f"({100 * _CONFIDENCE:g} % upper bound)"
        )
        values = {"starts": len(seen.starts), "failed": failed, "failed_upper": upper, "differ": differ}
        notes.append(note("starts_seen", message, arm=seen.arm, compared=compared, **values))
    return notes
