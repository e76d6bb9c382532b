"""The closed vocabulary of reasons: every code that a report can hold, what it means and what to do.

``docs/codes.md`` is made from this table, policies are checked against it, and a test walks the source for
codes that are missing here.
"""

from __future__ import annotations

from collections.abc import Mapping

from tais.common.document import suggest
from tais.verdict.codes.code import Code
from tais.verdict.codes.contrast import CONTRAST_CODES
from tais.verdict.codes.endpoint import ENDPOINT_CODES
from tais.verdict.codes.screen import SCREEN_CODES

__all__ = ["CODES", "Code", "check_code"]

CODES: Mapping[str, Code] = {**ENDPOINT_CODES, **CONTRAST_CODES, **SCREEN_CODES}
"""By name; each stands at the level that says it, and some are said at a second one too."""


def check_code(name: str) -> str:
    """Return the name of a code, or raise ValueError with the nearest one that TAIS knows."""
    if name not in CODES:
        near = suggest(name, CODES)
        hint = near if near.startswith("Did") else "See docs/codes.md"
        raise ValueError(f"unknown reason code {name[:60]!r}. {hint}")
    return name
