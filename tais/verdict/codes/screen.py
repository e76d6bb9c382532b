"""Codes that the whole screen says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tais.verdict.codes.code import Code

__all__ = ["SCREEN_CODES"]

_Points = partial(Code, "screen", "points")
_Blocks = partial(Code, "screen", "blocks")
_Note = partial(Code, "screen", "note")

_CONTROL = "Add a positive control of this reference that is caught on this battery, or mend the scorer"

SCREEN_CODES: Mapping[str, Code] = {
    "screen_passed": _Points("A screened contrast passes.", ""),
    "screen_failed": _Points("A screened contrast fails.", "Read the reasons of that contrast"),
    "screen_inconclusive": _Points(
        "A screened contrast is inconclusive.", "Read the reasons of that contrast"
    ),
    "no_screen_contrast": _Blocks(
        "No contrast has the role screen, as in a recording.",
        "Add a contrast, or compare the recording with another run (tais compare)",
    ),
    "calibration_not_passed": _Blocks(
        "The stack does not pass against itself.",
        "Steady the stack (tais doctor --determinism shows how it varies), or ask more items",
    ),
    "control_not_caught": _Blocks("A positive control does not fail.", _CONTROL),
    "endpoint_not_shown_sensitive": _Blocks(
        "Neither a positive control nor the exchange control shows that this endpoint can fail.", _CONTROL
    ),
    "no_opposite_behaviour": _Blocks(
        "The reference gives no answers of the opposite behaviour: it never refuses, or its refusals are not "
        "read.",
        _CONTROL,
    ),
    "sensitivity_waived": _Note(
        "The rules waive, by name, that an endpoint is shown able to fail.",
        "Take the waiver out once a control is caught",
    ),
    "drill": _Blocks(
        "Faults were planted on purpose: this run says nothing of any stack.",
        "Run the stacks as they are served",
        never_allowed=True,
    ),
    "intersection_union": _Note("Every endpoint must pass, so a pass needs no correction of alpha.", ""),
    "no_positive_control": _Note("No contrast is a positive control.", _CONTROL),
    "endpoint_control_not_caught": _Note("No positive control is caught on this endpoint.", _CONTROL),
    "battery_at_limit": _Note(
        "Every arm has 0 % or 100 % on a battery, the controls too: no arm shows how a leak would move it.",
        "Take a harder battery, or another scorer",
    ),
    "starts_seen": _Note(
        "How many fresh processes of an arm were judged, and the share of launches that may still fail.",
        "Raise `starts` on the arm where launches may differ",
    ),
    "under_equivalence": _Note("What equivalence would have come to, beside non-inferiority.", ""),
}
