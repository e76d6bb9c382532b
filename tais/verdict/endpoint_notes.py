"""Notes beside the verdict of an endpoint: its calibration, rows that were not compared, invalid answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tais.stats.cluster_table import Folded
from tais.stats.null import CalibratedNull
from tais.stats.paired import mcnemar
from tais.stats.ratio import difference_margin
from tais.stats.regions import Setting
from tais.stats.tidy import percent, points
from tais.verdict.details.endpoint import Unmatched
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.reasons import note, reason
from tais.verdict.report import EndpointReport, Reason, Verdict
from tais.verdict.worst_case import (
    Reached,
    invalid_in_both,
    invalid_on_one_side,
    passes_at_worst,
    passes_without_invalid,
)

__all__ = [
    "answer_counts",
    "binary_notes",
    "block_invalid",
    "cluster_votes",
    "invalid_p",
    "null_notes",
    "unmatched",
    "unmatched_reasons",
]


def null_notes(folded: Folded, h: float, null: CalibratedNull | None) -> list[Reason]:
    """Say how far the cutoff is calibrated, and whether the candidate stands out from the A/A noise."""
    if null is None:
        message = (
            "not calibrated: no A/A contrast of this reference has this endpoint, the fixed cutoff applies"
        )
        return [note("not_calibrated", message)]
    notes = []
    if null.discordance.degenerate:
        message = (
            f"the A/A contrast is degenerate: no flip in {null.discordance.n} items, "
            f"so its noise is only known to be below {points(null.discordance.upper)}"
        )
        notes.append(
            note("calibration_degenerate", message, n=null.discordance.n, upper=null.discordance.upper)
        )
    if abs(float(folded.table.difference)) > null.difference_floor:
        message = (
            f"|h| = {abs(h):.3g} is beyond what one more run of the same stack is predicted to reach "
            f"({null.h_floor:.3g})"
        )
        notes.append(note("beyond_aa_floor", message, h=h, h_floor=null.h_floor))
    return notes


def unmatched_reasons(
    endpoint: EndpointEvidence, folded: Folded, setting: Setting, reached: Reached | None = None
) -> tuple[bool, list[Reason]]:
    """Count the rows that only one arm has, and say whether they could overturn a pass.

    What was asked and neither arm has counts alike, and so do answers that are invalid in one arm alone. Each
    may hide a flip either way; a pass stands only where it survives all of them flipping one way.
    """
    missing = endpoint.reference_only + endpoint.candidate_only + endpoint.unanswered
    found: list[Reason] = []
    blocks = False
    if missing:
        blocks = not passes_at_worst(endpoint, folded, setting, invalid=False, reached=reached)
        outcome = "they could hide a failure" if blocks else "flips in all of them would still pass"
        message = (
            f"{endpoint.reference_only} rows only in the reference and {endpoint.candidate_only} only in "
            f"the candidate were not compared, and {endpoint.unanswered} that were asked are in neither: "
            f"{outcome}"
        )
        values = unmatched(endpoint).model_dump()
        found.append((reason if blocks else note)("unmatched_items", message, **values))
    one_sided = invalid_on_one_side(endpoint)
    if (
        one_sided
        and not blocks
        and not passes_at_worst(endpoint, folded, setting, invalid=True, reached=reached)
    ):
        message = (
            f"{one_sided} answers are invalid (empty, cut off or unread) in one arm and not in the other: "
            "they could hide a failure"
        )
        found.append(reason("invalid_could_hide", message, rows=one_sided))
        blocks = True
    silent = invalid_in_both(endpoint)
    if silent and not blocks and not passes_without_invalid(endpoint, folded, setting, reached):
        message = f"{silent} answers are invalid in both arms, and the others alone do not pass"
        found.append(reason("invalid_could_hide", message, rows=silent))
        blocks = True
    return blocks, found


def unmatched(endpoint: EndpointEvidence) -> Unmatched:
    """Return the rows that were not compared."""
    return Unmatched(
        reference_only=endpoint.reference_only,
        candidate_only=endpoint.candidate_only,
        unanswered=endpoint.unanswered,
    )


def answer_counts(endpoint: EndpointEvidence) -> dict[str, int | None]:
    """Return how many answers of each arm are invalid, and how many were cut at the limit of their length."""
    cut = (None if x is None else int(x.sum()) for x in (endpoint.reference_cut, endpoint.candidate_cut))
    return {
        "reference_invalid": int(endpoint.reference_invalid.sum()),
        "candidate_invalid": int(endpoint.candidate_invalid.sum()),
        **dict(zip(("reference_cut", "candidate_cut"), cut, strict=True)),
    }


def block_invalid(report: EndpointReport, n: int, most: float) -> EndpointReport:
    """Take back a pass where too many answers of one arm are invalid; a fail stays what it is.

    Parameters
    ----------
    report
        A judged endpoint, with its counts.
    n
        Answers of each arm.
    most
        Largest share of one arm.
    """
    sides = (("reference", report.reference_invalid or 0), ("candidate", report.candidate_invalid or 0))
    many = [f"{count} of {n} in the {side}" for side, count in sides if n and count > most * n]
    if not many:
        return report
    message = (
        f"too many answers are invalid (empty, cut off or unread): {' and '.join(many)}, {percent(most)} may"
    )
    values = {"n": n, "max_invalid": most} | dict(sides)
    if report.verdict is Verdict.failed:
        return report.model_copy(
            update={"reasons": (*report.reasons, note("too_many_invalid", message, **values))}
        )
    kept = [r for r in report.reasons if report.verdict is not Verdict.passed or r.severity == "note"]
    why = reason("too_many_invalid", message, **values)
    return report.model_copy(update={"verdict": Verdict.inconclusive, "reasons": (why, *kept)})


def binary_notes(endpoint: EndpointEvidence, folded: Folded, setting: Setting) -> list[Reason]:
    """Note unequal invalid answers and a margin that is wide for the rate."""
    notes = []
    p, before, after = invalid_p(endpoint, folded)
    if p < setting.alpha:
        message = f"invalid answers differ: {before} in the reference, {after} in the candidate (p = {p:.2g})"
        notes.append(note("invalid_differs", message, reference=before, candidate=after, p=p))
    if not (setting.tost_alone or setting.ratio):
        notes += _margin_notes(folded.reference_rate, setting.margin)
    return notes


def _margin_notes(rate: float, margin: float) -> list[Reason]:
    """Warn where the margin would let the outcomes that are not as expected double or more."""
    unsafe = 1 - rate
    if unsafe >= margin:
        return []
    times = (unsafe + margin) / unsafe if unsafe > 1e-12 else None
    much = f"{times:.3g} times the unsafe outcomes" if times else "unsafe outcomes where there are none"
    message = (
        f"at a rate of {rate:.4g} a margin of {points(margin)} tolerates {much}: "
        "margin_scale: risk_ratio sets one on their ratio"
    )
    others = {
        "margin_at_risk_ratio_1.25": difference_margin(rate, 1.25),
        "margin_at_odds_ratio_1.25": difference_margin(rate, 1.25, odds=True),
    }
    return [note("margin_wide_for_rate", message, times=times, margin=margin, **others)]


def invalid_p(endpoint: EndpointEvidence, folded: Folded) -> tuple[float, int, int]:
    """Return McNemar's p of the invalid answers, and their number in the reference and the candidate."""
    before, after = endpoint.reference_invalid, endpoint.candidate_invalid
    votes = cluster_votes(after.astype(np.float64) - before.astype(np.float64), folded.codes)
    return float(mcnemar(votes[0], votes[1])), int(before.sum()), int(after.sum())


def cluster_votes(difference: NDArray[np.float64], codes: NDArray[np.int64]) -> tuple[int, int]:
    """Clusters whose sum falls, and whose sum rises: one vote each, so that McNemar's test stays valid."""
    sums = np.bincount(codes, weights=difference)
    return int((sums < 0).sum()), int((sums > 0).sum())
