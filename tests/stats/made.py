"""Evidence made by hand: a few counts in, frozen evidence out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tais.manifest.model import Role, Rules
from tais.verdict.evidence import (
    ContrastEvidence,
    EndpointEvidence,
    ExchangeEvidence,
    Finding,
    IdentityCounts,
    ScreenEvidence,
    TreatmentEvidence,
)

PLAIN = TreatmentEvidence(None, None, None, None, None)
DRAFTED = TreatmentEvidence("draft_model", "draft_model", 100, 500, 300)


def endpoint(
    both: int,
    reference_only: int = 0,
    candidate_only: int = 0,
    neither: int = 0,
    *,
    battery: str = "mine",
    repeats: int = 1,
    **other: Any,
) -> EndpointEvidence:
    """A binary endpoint with these counts of items, each repeated `repeats` times."""
    counts = (both, reference_only, candidate_only, neither)
    reference = np.repeat([1.0, 1.0, 0.0, 0.0], counts).repeat(repeats)
    candidate = np.repeat([1.0, 0.0, 1.0, 0.0], counts).repeat(repeats)
    return outcomes(reference, candidate, battery=battery, repeats=repeats, **other)


def outcomes(
    reference: Any, candidate: Any, *, battery: str = "mine", repeats: int = 1, **other: Any
) -> EndpointEvidence:
    """An endpoint with these outcomes, row by row."""
    before, after = np.asarray(reference, np.float64), np.asarray(candidate, np.float64)
    ids = np.array([f"{battery}-{i // repeats:05d}" for i in range(len(before))], dtype=np.str_)
    none = np.zeros(len(before), dtype=bool)
    given: dict[str, Any] = {
        "scorer": "refusal",
        "kind": "binary",
        "item_ids": ids,
        "clusters": ids,
        "reference_invalid": none,
        "candidate_invalid": none,
    }
    return EndpointEvidence(battery=battery, reference=before, candidate=after, **(given | other))


def contrast(
    *endpoints: EndpointEvidence,
    role: str = "screen",
    candidate: str | None = None,
    treatment: TreatmentEvidence = PLAIN,
    identical: float = 1.0,
    findings: tuple[Finding, ...] = (),
    **other: Any,
) -> ContrastEvidence:
    """A contrast of `target` with a candidate named after its role."""
    identity = tuple(
        IdentityCounts(e.battery, len(e.reference), round(identical * len(e.reference)), len(e.reference))
        for e in endpoints
    )
    given: dict[str, Any] = {"lossless": True, "divergences": ()}
    return ContrastEvidence(
        reference="target",
        candidate=candidate or {"screen": "spec", "calibration": "again"}.get(role, "draft"),
        role=Role(role),
        identity=identity,
        treatment=treatment,
        endpoints=endpoints,
        findings=findings,
        **(given | other),
    )


def screen(
    *contrasts: ContrastEvidence, findings: tuple[Finding, ...] = (), shown: bool = True, **rules: Any
) -> ScreenEvidence:
    """A screen of these contrasts under the default rules but for those named.

    Each of its endpoints is shown able to fail by its exchange control, but where the test says not.
    """
    screened = [(c.reference, e) for c in contrasts if c.role is Role.screen for e in c.endpoints]
    exchanges = {(reference, e.key): exchange(e, reference=reference) for reference, e in screened}
    made = tuple(exchanges.values()) if shown else ()
    return ScreenEvidence("made", Rules(**rules), contrasts, findings, exchanges=made)


def exchange(
    endpoint: EndpointEvidence, lost: int = 60, kept: int = 0, *, reference: str = "target", **other: Any
) -> ExchangeEvidence:
    """An exchange control of an endpoint, of which so many items are lost and so many still as expected."""
    own = np.ones(lost + kept)
    none = np.zeros(len(own), dtype=bool)
    given: dict[str, Any] = {
        "own": own,
        "exchanged": np.repeat([0.0, 1.0], (lost, kept)),
        "own_invalid": none,
        "exchanged_invalid": none,
        "clusters": np.array([f"x-{i}" for i in range(len(own))], dtype=np.str_),
        "stratum": endpoint.stratum,
        "kind": endpoint.kind,
    }
    return ExchangeEvidence(reference, endpoint.battery, endpoint.scorer, **(given | other))


QUIET = contrast(endpoint(480, 1, 1, 118), role="calibration")
"""An A/A run with two flips in 600 items."""
CAUGHT = contrast(endpoint(240, 240, 0, 120), role="positive_control", identical=0.1)
"""A control that answers half of what the reference refuses."""
