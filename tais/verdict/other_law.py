"""Which law sampled tokens fit that do not follow the one asked for: a pointer, never a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from tais.stats.conformance.alternatives import COLDEST, FITS, HOTTEST, Alternative, LawFit
from tais.stats.tidy import tidy
from tais.verdict.details.audit import OtherLaw
from tais.verdict.evidence import ConformanceEvidence
from tais.verdict.reasons import note
from tais.verdict.report import Reason

__all__ = ["explain_drift", "other_law"]

_CODES: Mapping[Alternative, str] = {
    "temperature": "law_of_other_temperature",
    "draft": "law_of_draft",
    "uncut": "law_without_cuts",
    "place_before": "law_of_token_before",
}
# Beyond these no more is known than which end of the grid it is.
_NEAR = 1.05


def explain_drift(law: ConformanceEvidence) -> Reason:
    """Return what fits the tokens of an arm that does not follow its law, or that nothing tried does."""
    why = law.why
    if why is None:
        message = (
            "nothing tried is more likely than the law asked for: no other temperature or draft's law fits"
        )
        return note("law_unexplained", message)
    values: dict[str, object] = {"share": tidy(why.share), "p": tidy(why.p), "tokens": why.tokens}
    if why.temperature is not None:
        values["temperature"] = tidy(why.temperature * law.temperature)
    stray = ""
    if why.odd:
        values["unlisted"] = tidy(why.unlisted)
        stray = (
            f"; {why.unlisted:.0%} of all tokens are none that the target lists, "
            f"where {why.expected:.1%} were to be expected"
        )
    if not why.fits:
        refuted = f"p = {why.p:.2g}" if why.p < FITS else "tokens that are not listed"
        message = f"nothing tried fits; nearest, and refuted too ({refuted}): {_said(why, law)}{stray}"
        return note("law_unexplained", message, **values)
    return note(
        _CODES[why.name], f"what fits the tokens: {_said(why, law)} (p = {why.p:.2g}){stray}", **values
    )


def _said(why: LawFit, law: ConformanceEvidence) -> str:
    of = "they" if why.share == 1 else f"{why.share:.0%} of those that the target lists"
    rest = "" if why.share == 1 else ", the others from the law asked for"
    return f"{of} are drawn from {_named(why, law)}{rest}"


def _named(why: LawFit, law: ConformanceEvidence) -> str:
    if why.temperature is None:
        return {
            "draft": "the draft's law",
            "uncut": "the law before top-k and top-p cut it",
            "place_before": "the law of the token before: what was computed for another place",
        }[why.name]
    if why.temperature < COLDEST * _NEAR:
        return f"the target's best token, as at temperature 0, where {law.temperature:g} was asked for"
    if why.temperature > HOTTEST / _NEAR:
        return "all tokens listed alike, whatever the target says of them"
    return (
        f"the target's law at temperature {why.temperature * law.temperature:.2g}, where "
        f"{law.temperature:g} was asked for"
    )


def other_law(why: LawFit | None) -> OtherLaw | None:
    """Return the same for the report."""
    if why is None:
        return None
    found = {name: tidy(value) if isinstance(value, float) else value for name, value in asdict(why).items()}
    return OtherLaw(fits=why.fits, **found)
