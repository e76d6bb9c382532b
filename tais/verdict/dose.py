"""Dose and response over the contrasts of a screen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from tais.manifest.model import Role, Rules
from tais.records import EndpointKey
from tais.stats.cluster_table import cluster_codes
from tais.stats.dose import dose_response
from tais.stats.ratio import difference_margin
from tais.stats.tidy import tidy, tidy_interval
from tais.verdict.details.screen import Dose
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence

__all__ = ["screen_dose_response"]

_Key = tuple[str, str, EndpointKey]
"""Reference, property of the arms and endpoint."""


def screen_dose_response(contrasts: Sequence[ContrastEvidence], rules: Rules) -> list[Dose]:
    """Fit each endpoint on each numeric property that varies between the screens of one reference.

    Returns
    -------
    list of Dose
        One per reference, property and endpoint; `slope` is None with a reason where nothing can be
        fitted. Decides nothing.
    """
    rows: dict[_Key, list[tuple[float, EndpointEvidence]]] = {}
    for contrast in contrasts:
        if contrast.role is not Role.screen:
            continue
        for name, value in contrast.candidate_properties.items():
            for e in contrast.endpoints:
                if e.kind == "binary" and len(e.candidate) and not np.isnan(e.candidate).any():
                    rows.setdefault((contrast.reference, name, e.key), []).append((value, e))
    return [
        _fitted(key, parts, rules) for key, parts in rows.items() if len({value for value, _ in parts}) > 1
    ]


def _margin(endpoint: EndpointEvidence, rules: Rules) -> float:
    """Return the margin on the difference, which a change is measured in."""
    margin = endpoint.margin or rules.margin
    if rules.margin_scale == "difference":
        return margin
    return difference_margin(float(np.nanmean(endpoint.reference)), 1 + margin)


def _fitted(key: _Key, parts: list[tuple[float, EndpointEvidence]], rules: Rules) -> Dose:
    margin = _margin(parts[0][1], rules)
    result = dose_response(
        np.concatenate([np.full(len(e.candidate), float(value)) for value, e in parts]),
        np.concatenate([e.candidate for _, e in parts]),
        cluster_codes(np.concatenate([e.clusters for _, e in parts])),
        margin,
        rules.alpha,
    )
    reference, name, endpoint = key
    doses = tuple(sorted({float(value) for value, _ in parts}))
    fitted = partial(Dose, reference=reference, property=name, **endpoint._asdict(), doses=doses)
    if result is None:
        return fitted(slope=None, reason="constant outcome, or doses that separate the outcomes")
    return fitted(
        slope=tidy(result.slope),
        slope_error=tidy(result.slope_error),
        slope_ci=tidy_interval(result.slope_ci),
        p=tidy(result.p),
        change=tidy(result.change),
        change_ci=tidy_interval(result.change_ci),
        margin=margin,
        equivalent=result.equivalent,
    )
