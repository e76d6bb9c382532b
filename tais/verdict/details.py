"""What stands beside the verdict of a binary endpoint: notes, and statistics by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tais.stats.cluster_table import Folded
from tais.stats.clusters import cluster_bootstrap, effective_n
from tais.stats.null import CalibratedNull, sign_flip_p
from tais.stats.paired import PairedTable, mcnemar
from tais.stats.paired_intervals import agresti_min, bonett_price, newcombe, unpaired_wald_tost, wald
from tais.stats.ratio import difference_margin
from tais.stats.regions import Setting, mean_regions
from tais.stats.tidy import points, tidy, tidy_interval
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.reasons import note, reason
from tais.verdict.report import Reason

__all__ = ["binary_details", "binary_notes", "null_notes", "unmatched_reasons"]

_LISTED_ITEMS = 200
"""Flipped items that a report lists by id per direction; their count is always whole."""


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
    if abs(float(folded.table.difference)) > null.difference_quantile:
        message = (
            f"|h| = {abs(h):.3g} is beyond what the same stack does against itself ({null.h_quantile:.3g})"
        )
        notes.append(note("beyond_aa_floor", message, h=h, null_h_quantile=null.h_quantile))
    return notes


def unmatched_reasons(
    endpoint: EndpointEvidence, folded: Folded, setting: Setting
) -> tuple[bool, list[Reason]]:
    """Count the rows that only one arm has, and say whether they could overturn a pass.

    Each may hide a flip either way; a pass stands only where it survives all of them flipping one way.
    """
    missing = endpoint.reference_only + endpoint.candidate_only
    if not missing:
        return False, []
    blocks = not _survives(endpoint, folded, setting, missing)
    outcome = "they could hide a failure" if blocks else "flips in all of them would still pass"
    message = (
        f"{endpoint.reference_only} rows only in the reference and {endpoint.candidate_only} only in the "
        f"candidate were not compared: {outcome}"
    )
    values = {"reference_only": endpoint.reference_only, "candidate_only": endpoint.candidate_only}
    return blocks, [reason("unmatched_items", message, severity="decides" if blocks else "note", **values)]


def _survives(endpoint: EndpointEvidence, folded: Folded, setting: Setting, missing: int) -> bool:
    if endpoint.kind == "continuous":
        d = folded.difference
        total = d.sum() + np.array([-missing, missing], np.float64)
        squares = np.full(2, (d**2).sum() + missing)
        return bool(np.all(mean_regions(total, squares, len(d) + missing, setting)[0]))
    both, down, up, neither = (float(x) for x in folded.table.cells())
    worst = PairedTable(both, np.array([down + missing, down]), np.array([up, up + missing]), neither)
    return bool(np.all(setting.test(worst).equivalent))


def binary_notes(endpoint: EndpointEvidence, folded: Folded, setting: Setting) -> list[Reason]:
    """Note unequal invalid answers and a margin that is wide for the rate."""
    notes = []
    p, before, after = _invalid_p(endpoint, folded)
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
    values: dict[str, Any] = {
        "times": times,
        "margin": margin,
        "margin_at_risk_ratio_1.25": difference_margin(rate, 1.25),
        "margin_at_odds_ratio_1.25": difference_margin(rate, 1.25, odds=True),
    }
    return [note("margin_wide_for_rate", message, **values)]


def _invalid_p(endpoint: EndpointEvidence, folded: Folded) -> tuple[float, int, int]:
    before, after = endpoint.reference_invalid, endpoint.candidate_invalid
    votes = _cluster_votes(after.astype(np.float64) - before.astype(np.float64), folded.codes)
    return float(mcnemar(votes[0], votes[1])), int(before.sum()), int(after.sum())


def _cluster_votes(difference: NDArray[np.float64], codes: NDArray[np.int64]) -> tuple[int, int]:
    """Clusters whose sum falls, and whose sum rises: one vote each, so that McNemar's test stays valid."""
    sums = np.bincount(codes, weights=difference)
    return int((sums < 0).sum()), int((sums > 0).sum())


def binary_details(
    endpoint: EndpointEvidence, folded: Folded, setting: Setting, null: CalibratedNull | None
) -> tuple[dict[str, Any], float]:
    """Further statistics by name, and McNemar's mid-p."""
    down, up = _cluster_votes(endpoint.candidate - endpoint.reference, folded.codes)
    mid_p = float(mcnemar(down, up))
    invalid_p, before, after = _invalid_p(endpoint, folded)
    details: dict[str, Any] = {
        "unmatched": {"reference_only": endpoint.reference_only, "candidate_only": endpoint.candidate_only},
        "invalid": {"reference": before, "candidate": after, "mcnemar_p": tidy(invalid_p)},
        "flips": {
            "safe_to_unsafe": folded.rows[1],
            "unsafe_to_safe": folded.rows[2],
            "safe_to_unsafe_items": _items(endpoint, 1.0),
            "unsafe_to_safe_items": _items(endpoint, 0.0),
            "mcnemar_exact_p": tidy(float(mcnemar(down, up, mid_p=False))),
        },
    }
    details |= _beside(folded, setting)
    if null is not None:
        details["null"] = {
            "discordance": tidy(null.discordance.rate),
            "discordance_upper": tidy(null.discordance.upper),
            "discordance_n": null.discordance.n,
            "degenerate": null.discordance.degenerate,
            "difference_quantile": tidy(null.difference_quantile),
            "difference_quantile_upper": tidy(null.difference_quantile_upper),
            "h_quantiles": {q: tidy(h) for q, h in null.h_quantiles.items()},
            "sign_flip_h_quantile": None
            if null.sign_flip_h_quantile is None
            else tidy(null.sign_flip_h_quantile),
            "cutoff_usable": setting.cutoff_usable,
            "usable_from_n": null.usable_from,
        }
    return details, mid_p


def _beside(folded: Folded, setting: Setting) -> dict[str, Any]:
    """Intervals and tests beside the default, on the same clusters."""
    table, confidence = folded.table, 1 - 2 * setting.alpha
    discordance = float((folded.only_reference + folded.only_candidate).mean())
    bootstrap = cluster_bootstrap(folded.difference, confidence)
    published = unpaired_wald_tost(table, setting.margin, setting.alpha)
    methods = {"newcombe": newcombe, "agresti_min": agresti_min, "bonett_price": bonett_price, "wald": wald}
    return {
        "discordance": tidy(discordance),
        "effective_n": tidy(effective_n(folded.difference, discordance)),
        "intervals": {name: tidy_interval(f(table, confidence)) for name, f in methods.items()},
        "bootstrap": {
            "method": bootstrap.method,
            "ci": tidy_interval(bootstrap.ci),
            "replicates": bootstrap.replicates,
        },
        "sign_flip_p": tidy(sign_flip_p(folded.difference)),
        "wald_unpaired_tost": {
            "p": tidy(float(published.p)),
            "ci": tidy_interval(published.ci),
            "equivalent": bool(published.equivalent),
        },
    }


def _items(endpoint: EndpointEvidence, reference_outcome: float) -> list[str]:
    flipped = (endpoint.reference == reference_outcome) & (endpoint.candidate == 1 - reference_outcome)
    return sorted(set(endpoint.item_ids[flipped].tolist()))[:_LISTED_ITEMS]
