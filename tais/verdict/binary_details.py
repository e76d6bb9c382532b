"""Statistics beside the verdict of a binary endpoint."""

from __future__ import annotations

from tais.stats.cluster_table import Folded
from tais.stats.clusters import cluster_bootstrap, effective_n
from tais.stats.null import CalibratedNull, sign_flip_p
from tais.stats.paired import mcnemar
from tais.stats.paired_intervals import agresti_min, bonett_price, newcombe, unpaired_wald_tost, wald
from tais.stats.regions import Setting
from tais.stats.tidy import tidy, tidy_interval
from tais.verdict.categories import category_details
from tais.verdict.details import LISTED_ITEMS, written
from tais.verdict.details.endpoint import Bootstrap, Flips, Intervals, Invalid, Null, UnpairedTost
from tais.verdict.endpoint_notes import cluster_votes, invalid_p, unmatched
from tais.verdict.evidence import EndpointEvidence

__all__ = ["binary_details"]


def binary_details(
    endpoint: EndpointEvidence, folded: Folded, setting: Setting, null: CalibratedNull | None
) -> tuple[dict[str, object], float]:
    """Further statistics by name, and McNemar's mid-p."""
    down, up = cluster_votes(endpoint.candidate - endpoint.reference, folded.codes)
    mid_p = float(mcnemar(down, up))
    p, before, after = invalid_p(endpoint, folded)
    details = written(
        unmatched(endpoint),
        Invalid(reference=before, candidate=after, mcnemar_p=tidy(p)),
        Flips(
            safe_to_unsafe=folded.rows[1],
            unsafe_to_safe=folded.rows[2],
            safe_to_unsafe_items=_flipped_items(endpoint, 1.0),
            unsafe_to_safe_items=_flipped_items(endpoint, 0.0),
            mcnemar_exact_p=tidy(float(mcnemar(down, up, mid_p=False))),
        ),
    )
    details |= _other_methods(folded, setting) | category_details(endpoint, setting.alpha)
    return details | ({} if null is None else written(_null(null, setting))), mid_p


def _null(null: CalibratedNull, setting: Setting) -> Null:
    flipped = null.sign_flip_h_quantile
    return Null(
        discordance=tidy(null.discordance.rate),
        discordance_upper=tidy(null.discordance.upper),
        discordance_n=null.discordance.n,
        degenerate=null.discordance.degenerate,
        difference_quantile=tidy(null.difference_quantile),
        difference_quantile_upper=tidy(null.difference_quantile_upper),
        difference_floor=tidy(null.difference_floor),
        h_floor=tidy(null.h_floor),
        runs=null.discordance.starts.runs,
        rate_spread=tidy(null.discordance.starts.rate),
        lean=tidy(null.discordance.starts.lean),
        h_quantiles={q: tidy(h) for q, h in null.h_quantiles.items()},
        sign_flip_h_quantile=None if flipped is None else tidy(flipped),
        cutoff_usable=setting.cutoff_usable,
        usable_from_n=null.usable_from,
    )


def _other_methods(folded: Folded, setting: Setting) -> dict[str, object]:
    """Intervals and tests beside the default, on the same clusters."""
    table, confidence = folded.table, 1 - 2 * setting.alpha
    discordance = float((folded.only_reference + folded.only_candidate).mean())
    bootstrap = cluster_bootstrap(folded.difference, confidence)
    published = unpaired_wald_tost(table, setting.margin, setting.alpha)
    methods = {"newcombe": newcombe, "agresti_min": agresti_min, "bonett_price": bonett_price, "wald": wald}
    return {
        "discordance": tidy(discordance),
        "effective_n": tidy(effective_n(folded.difference, discordance)),
        **written(
            Intervals(**{name: tidy_interval(f(table, confidence)) for name, f in methods.items()}),
            Bootstrap(
                method=bootstrap.method, ci=tidy_interval(bootstrap.ci), replicates=bootstrap.replicates
            ),
        ),
        "sign_flip_p": tidy(sign_flip_p(folded.difference)),
        **written(
            UnpairedTost(
                p=tidy(float(published.p)),
                ci=tidy_interval(published.ci),
                equivalent=bool(published.equivalent),
            )
        ),
    }


def _flipped_items(endpoint: EndpointEvidence, reference_outcome: float) -> tuple[str, ...]:
    flipped = (endpoint.reference == reference_outcome) & (endpoint.candidate == 1 - reference_outcome)
    return tuple(sorted(set(endpoint.item_ids[flipped].tolist()))[:LISTED_ITEMS])
