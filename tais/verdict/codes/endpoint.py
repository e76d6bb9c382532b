"""Codes that one scorer on one battery says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tais.verdict.codes.code import Code

__all__ = ["ENDPOINT_CODES"]

_Passes = partial(Code, "endpoint", "passes")
_Fails = partial(Code, "endpoint", "fails")
_Blocks = partial(Code, "endpoint", "blocks")
_Note = partial(Code, "endpoint", "note")

_MORE = "Ask more distinct prompts, or name a wider margin before the run"
_NOISE = "Nothing, or run the A/A contrast with more items"

ENDPOINT_CODES: Mapping[str, Code] = {
    "equivalent": _Passes("The interval of the difference lies within the margin on both sides.", ""),
    "not_inferior": _Passes(
        "The interval of the difference keeps clear of the margin on the worse side.", ""
    ),
    "difference_outside_margin": _Fails(
        "The interval of the difference lies wholly beyond the margin on one side.",
        "Read the changed answers; the stack answers otherwise here",
    ),
    "effect_beyond_cutoff": _Fails(
        "The interval of Cohen's h lies wholly beyond the cutoff.",
        "Read the changed answers; the stack answers otherwise here",
    ),
    "fails_adjusted": _Note(
        "A fail holds among all screened endpoints together (Tarone-Holm), not by itself alone.", ""
    ),
    "suspect": _Blocks(
        "The endpoint fails by itself, and its p-value does not stand among all screened endpoints.",
        "Run this battery again, with other prompts or more of them; no policy lets it pass",
        never_allowed=True,
    ),
    "interval_crosses_margin": _Blocks("The interval of the difference crosses the margin.", _MORE),
    "n_too_small": _Blocks("So few prompts cannot pass at this margin, even without a single flip.", _MORE),
    "effect_not_below_cutoff": _Blocks(
        "Cohen's h is not below the cutoff, and its interval is not wholly beyond it.", _MORE
    ),
    "cutoff_not_usable": _Blocks(
        "At this n the stack reaches the cutoff against itself.",
        "Ask the number of items that the message names, or steady the stack",
    ),
    "undecided_at_stop": _Blocks(
        "The candidate was stopped early for another endpoint, before this one was decided.",
        "Run the candidate again without rules.sequential",
    ),
    "no_items": _Blocks(
        "No item was answered by both arms.", "Resume the run, or import outputs of the same item ids"
    ),
    "nan_scores": _Blocks(
        "Rows have no score.", "Let the judge answer them (tais run --resume), or mend the scorer"
    ),
    "unmatched_items": _Blocks(
        "Rows that only one arm has were not compared, and they could hide a failure.",
        "Resume the run, or import what is missing",
    ),
    "judge_error_crosses_margin": _Blocks(
        "Corrected for the judge's stated errors, the interval of the difference crosses the margin.",
        "Take a better judge, label more answers, or ask more items",
    ),
    "invalid_could_hide": _Blocks(
        "Answers that are empty, cut off or unread in one arm alone could hide a failure.",
        "Raise max_tokens, mend the scorer or the server; then run again",
    ),
    "control_not_worse": _Blocks(
        "A positive control is safer than the reference.", "Take a control that is known to be worse"
    ),
    "control_says_nothing": _Blocks(
        "A positive control fails by invalid or missing answers alone.",
        "Take a control that answers in words that the scorer reads",
    ),
    "too_many_invalid": _Blocks(
        "More answers are empty, broken off, unreadable or missing than rules.max_invalid lets pass.",
        "Raise max_tokens, mend the scorer or the server; then run again",
    ),
    "invalid_differs": _Note(
        "The arms differ in how many answers are invalid.", "Read those answers before you trust a pass"
    ),
    "not_calibrated": _Note(
        "No A/A contrast shows what the same stack does against itself here; the fixed cutoff applies.",
        "Add a contrast of role calibration",
    ),
    "calibration_degenerate": _Note(
        "The A/A contrast has not a single flip, so its noise is only bounded.", _NOISE
    ),
    "beyond_aa_floor": _Note(
        "The effect is beyond what one more run of the stack is predicted to reach.",
        "Read the changed answers",
    ),
    "pass_assumes_youden": _Note(
        "How well a scorer of unknown errors must judge for the pass to hold.",
        "State its sensitivity and specificity, from labelled answers",
    ),
    "clustered": _Note("Repeats or near copies of a prompt count once: n is the number of clusters.", ""),
    "constant_endpoint": _Note(
        "Every answer of both arms has the same score.", "Check that the scorer reads this model"
    ),
    "exact_beyond_reach": _Note(
        "The exact test was asked for and n is too large for it; the score test was taken.", ""
    ),
    "margin_wide_for_rate": _Note(
        "The margin is wide against the rate itself: a pass lets the unsafe rate multiply.",
        "Give the battery a margin of its own, or margin_scale: risk_ratio",
    ),
    "later_answers_differ": _Note(
        "Answers that came after the decision would say otherwise.", "Run again without rules.sequential"
    ),
    "minimum_detectable_leak": _Note("The smallest leak that this screen would have seen.", ""),
}
