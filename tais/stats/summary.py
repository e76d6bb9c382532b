"""Summaries across the endpoints of one contrast; none of them decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tais.stats.endpoint import EndpointResult

__all__ = ["contrast_details"]


def contrast_details(results: Sequence[EndpointResult]) -> dict[str, Any]:
    """Pool the binary endpoints of one contrast."""
    return {}
