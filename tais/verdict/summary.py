"""Summaries across the endpoints of one contrast; none of them decides."""

from __future__ import annotations

from collections.abc import Sequence

from tais.stats.multiplicity import holm
from tais.stats.stratified import pool_strata
from tais.stats.tidy import tidy, tidy_interval
from tais.verdict.details import written, written_list
from tais.verdict.details.contrast import AdjustedEndpoint, AnyDiffers, PooledBatteries
from tais.verdict.endpoint import EndpointResult

__all__ = ["contrast_details"]


def contrast_details(results: Sequence[EndpointResult]) -> dict[str, object]:
    """Pool the binary endpoints of one contrast, and correct "any differs" by Holm.

    Returns
    -------
    dict
        `any_differs`: Holm-adjusted McNemar p-values; `pooled`: Mantel-Haenszel summary per scorer and
        expectation, over its batteries (two scorers of one battery share items, so they are not pooled, and
        items to refuse and to answer never are). Empty without a binary endpoint that has statistics.
    """
    known = [r for r in results if r.folded and r.report.kind == "binary"]
    if not known:
        return {}
    adjusted = holm([r.report.mcnemar_p or 0.0 for r in known])
    alike: dict[tuple[str, str | None], list[EndpointResult]] = {}
    for r in known:
        alike.setdefault((r.report.scorer, r.report.stratum), []).append(r)
    endpoints = tuple(
        AdjustedEndpoint(**r.report.key._asdict(), p=tidy(float(p)))
        for r, p in zip(known, adjusted, strict=True)
    )
    pooled = [_pooled(*names, results) for names, results in alike.items()]
    return written(AnyDiffers(method="holm", endpoints=endpoints)) | written_list(pooled)


def _pooled(scorer: str, stratum: str | None, results: list[EndpointResult]) -> PooledBatteries:
    cells = [r.folded.table.cells() for r in results if r.folded]
    pooled = pool_strata(
        [float(b) for _, b, _, _ in cells],
        [float(c) for _, _, c, _ in cells],
        [float(sum(x)) for x in cells],
        1 - 2 * results[0].setting.alpha,
    )
    low, high = (None if x is None else tidy(x) for x in pooled.odds_ratio_ci)
    return PooledBatteries(
        scorer=scorer,
        stratum=stratum,
        batteries=tuple(r.report.battery for r in results),
        n=tidy(pooled.n),
        difference=tidy(pooled.difference),
        ci=tidy_interval(pooled.ci),
        odds_ratio=tidy(pooled.odds_ratio),
        odds_ratio_ci=(low, high),
        mcnemar_p=tidy(pooled.mcnemar_p),
    )
