"""Exact tests of direction: whether the changes of an endpoint go one way more than those of equal stacks."""

from __future__ import annotations

from dataclasses import dataclass

from tais.stats.cluster_table import Folded
from tais.stats.paired import mcnemar
from tais.stats.sign_flip import attainable_mcnemar_p, sign_flip_test
from tais.verdict.evidence import EndpointEvidence

__all__ = ["UNDECIDED", "FlipTest", "flip_test"]


@dataclass(frozen=True, slots=True)
class FlipTest:
    """Two-sided exact test of one endpoint; see :mod:`tais.verdict.family`."""

    p: float
    attainable: float
    """Least p-value that so many changes allow; 0 where looks made their number depend on them."""
    stopped_with: int | None = None
    """Endpoints of the plan, where a fail of this one stopped its candidate; None elsewhere."""


UNDECIDED = FlipTest(1.0, 0.0)
"""Of an endpoint whose rows another endpoint cut short: it counts, and shows nothing."""


def flip_test(endpoint: EndpointEvidence, folded: Folded) -> FlipTest:
    """Test the direction of the changes.

    McNemar's exact test where each cluster is one binary row, else the sign-flip test of the cluster means:
    for scores, and for repeats and variants of one prompt.
    """
    if endpoint.kind == "binary" and not folded.clustered:
        _, down, up, _ = folded.rows
        return FlipTest(float(mcnemar(down, up, mid_p=False)), float(attainable_mcnemar_p(down + up)))
    found = sign_flip_test(folded.difference)
    return FlipTest(found.p, found.attainable)
