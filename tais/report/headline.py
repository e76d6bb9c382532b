"""The top of a report, to be read in ten seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tais.common.text import one_line
from tais.manifest.model import Hypothesis, Role
from tais.report.wording import (
    NONE,
    VERDICTS,
    change,
    contrast_name,
    endpoint_name,
    interval_words,
    is_ratio,
    margin_words,
    number,
    share,
    strain,
)
from tais.verdict.details import listed
from tais.verdict.details.contrast import ShownSensitivity
from tais.verdict.facts import ArmFacts
from tais.verdict.report import ContrastReport, EndpointReport, Reason, Report, Verdict

__all__ = ["Figure", "Headline", "headline"]

_DIFFERENCE = {"difference_outside_margin", "interval_crosses_margin", "n_too_small"}
_EFFECT = {"effect_beyond_cutoff", "effect_not_below_cutoff", "cutoff_not_usable"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and what it means."""

    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Headline:
    """What stands at the top of a report."""

    verdict: str
    claim: str
    """The verdict as a sentence."""
    compared: Figure
    decided: Figure
    shown: Figure
    """Whether the scorers can read this model."""
    seen: Figure
    """How small a leak would have been seen: another question."""
    flips: Figure
    """Items whose outcome differs, by direction."""

    @property
    def figures(self) -> tuple[tuple[str, Figure], ...]:
        """The figures with their short names."""
        return (
            ("compared", self.compared),
            ("decided by", self.decided),
            ("flips", self.flips),
            ("shown able to fail", self.shown),
            ("could have seen", self.seen),
        )


def headline(report: Report) -> Headline:
    """Return the top of a report."""
    screens = [c for c in report.contrasts if c.role is Role.screen]
    return Headline(
        verdict=VERDICTS[report.verdict],
        claim=_drill(report) + _claim(report, screens) + _waived(screens) + _unverified(screens),
        compared=_compared(report, screens),
        decided=_decided(report, screens),
        shown=_shown(screens),
        seen=_seen(screens),
        flips=_flips(screens),
    )


def _drill(report: Report) -> str:
    """Return what stands before every word of a drill's report."""
    return "THIS IS A DRILL, with faults planted on purpose. " if report.facts.drill else ""


def _claim(report: Report, screens: list[ContrastReport]) -> str:
    if not screens:
        return "Nothing was screened: the answers are kept for a comparison with another run."
    names = sorted({_short(c.candidate) for c in screens})
    subject = names[0] if len(names) == 1 else f"{len(names)} candidates" if names else "the candidate"
    several = len(names) > 1
    if report.verdict is Verdict.passed and any(c.evidence != "matched" for c in screens):
        return (
            f"The tokens of {subject} are those of the reference up to the stated bounds; where the "
            "reference answered nothing itself, no answers were compared."
        )
    if report.verdict is Verdict.passed:
        word = "behave like their reference" if several else "behaves like its reference"
        if report.rules.hypothesis is Hypothesis.non_inferiority:
            word = "are not worse than their reference" if several else "is not worse than its reference"
        subject = f"All {subject}" if several else subject
        return f"{subject} {word} within the margin, on every endpoint screened."
    if report.verdict is Verdict.failed:
        worst = sorted({_short(c.candidate) for c in screens if c.verdict is Verdict.failed})
        return f"{', '.join(worst[:3]) or subject} does not behave like the reference."
    return f"Whether {subject} behave{'' if several else 's'} like the reference is not decided."


def _waived(screens: list[ContrastReport]) -> str:
    """Name the endpoints that nothing shows able to fail, and that the rules waive."""
    named = dict.fromkeys(
        one_line(e.key.label, 60)
        for c in screens
        for e in c.endpoints
        if e.sensitivity is not None and e.sensitivity.waived
    )
    if not named:
        return ""
    first, more = ", ".join(list(named)[:5]), f" and {len(named) - 5} more" if len(named) > 5 else ""
    return f" Waived by its rules: nothing shows that {first}{more} could fail."


def _unverified(screens: list[ContrastReport]) -> str:
    """Say what nobody could check: unsigned sources, and equal files that only the manifest tells apart."""
    said = ""
    if any(r.code == "sources_unverified" for c in screens for r in c.reasons):
        said += " Made from a run that was not verified."
    equal = [contrast_name(c) for c in screens if any(r.code == "produced_by_unverified" for r in c.reasons)]
    if equal:
        named = ", ".join(equal[:3])
        said += (
            f" Unverified: the files of {named} hold equal answers, and only produced_by tells them apart."
        )
    return said


def _compared(report: Report, screens: list[ContrastReport]) -> Figure:
    if not screens:
        return Figure("nothing", "no contrast has the role screen")
    first = screens[0]
    more = f" and {len(screens) - 1} more" if len(screens) > 1 else ""
    batteries = len({e.battery for c in screens for e in c.endpoints})
    items = sum(e.clusters for e in _one_scorer_each(first.endpoints))
    said = f"{items:,} prompts of {batteries} {'battery' if batteries == 1 else 'batteries'}"
    said += _releases(first)
    return Figure(f"{contrast_name(first)}{more}", f"{said}; {_stack(report, first.candidate)}".rstrip("; "))


def _releases(contrast: ContrastReport) -> str:
    """Name the engine's releases where they are not the same: often they are what was changed."""
    for reason in contrast.reasons:
        sides = tuple(reason.values.get(side) for side in ("reference", "candidate"))
        if reason.code != "engine_versions_differ" or not all(isinstance(side, dict) for side in sides):
            continue
        before, now = (side if isinstance(side, dict) else {} for side in sides)
        names = [name for name in before if before.get(name) != now.get(name)]
        name = "vllm" if "vllm" in names else next(iter(names), None)
        if name is not None:
            shown = "vLLM" if name == "vllm" else _short(name)
            return f"; {shown} {_short(before[name])} against {_short(now.get(name, 'none'))}"
    return ""


def _one_scorer_each(endpoints: Iterable[EndpointReport]) -> list[EndpointReport]:
    return list({e.key.label: e for e in endpoints}.values())


def _stack(report: Report, name: str) -> str:
    arm = report.facts.arms.get(name, ArmFacts())
    parts = [arm.engine, arm.model, arm.dtype]
    if arm.speculation is not None:
        parts.append(f"speculation by {arm.speculation.get('method') or 'a draft'}")
    return ", ".join(_short(part) for part in parts if part)


def _decided(report: Report, screens: list[ContrastReport]) -> Figure:
    """Name the endpoint closest to (or farthest beyond) its margin, or the reason that is no number."""
    judged = [(c, e) for c in screens for e in c.endpoints if e.verdict is report.verdict and e.tost]
    one_sided = report.rules.hypothesis is Hypothesis.non_inferiority
    if judged:
        contrast, endpoint = max(judged, key=lambda pair: _strain(pair[1], one_sided))
        which = endpoint_name(endpoint) + (f" ({_short(contrast.candidate)})" if len(judged) > 1 else "")
        return _of_effect(endpoint, which) or _of_difference(endpoint, which, one_sided)
    why = next(_blocking(report, screens), None)
    if why is None:
        return Figure("–", "no reason is given")
    return Figure(_short(why.code.replace("_", " ")), one_line(why.message, 300))


def _strain(endpoint: EndpointReport, one_sided: bool) -> float:
    """How far the interval reaches, in margins."""
    assert endpoint.tost is not None
    return strain(endpoint.tost, one_sided)


def _of_effect(endpoint: EndpointReport, which: str) -> Figure | None:
    """Return the effect size, or another reason, where not the difference was what decided."""
    deciding = [r for r in endpoint.reasons if r.severity == "decides"]
    if endpoint.verdict is Verdict.passed or not deciding or {r.code for r in deciding} & _DIFFERENCE:
        return None
    first = deciding[0]
    effect = first.code in _EFFECT and endpoint.cohens_h is not None
    value = f"h = {number(endpoint.cohens_h)}" if effect else _short(first.code.replace("_", " "))
    return Figure(value, one_line(f"{which}: {first.message}", 300))


def _of_difference(endpoint: EndpointReport, which: str, one_sided: bool) -> Figure:
    assert endpoint.tost is not None
    interval = f"{100 - 200 * endpoint.tost.alpha:g} % interval {interval_words(endpoint.tost)}"
    what = "ratio of outcomes that are not as expected" if is_ratio(endpoint) else "difference"
    said = f"{what} on {which}: {interval}, margin {margin_words(endpoint.tost, one_sided)}"
    if endpoint.verdict is Verdict.inconclusive:
        said += _needed(endpoint)
    return Figure(change(endpoint), said)


def _needed(endpoint: EndpointReport) -> str:
    """Say how many items decide, where a reason says so."""
    for values in (r.values for r in endpoint.reasons):
        few, many = values.get("needed_80"), values.get("needed_90")
        if isinstance(few, int):
            more = f"{many:,}" if isinstance(many, int) else "no number"
            return f"; {few:,} items decide with power 0.8, {more} with 0.9"
        # Reports made before say how many would just decide.
        if isinstance(needed := values.get("needed"), int):
            return f"; {needed:,} items would decide"
    return ""


def _blocking(report: Report, screens: list[ContrastReport]) -> Iterator[Reason]:
    """Reasons that decided, the most specific first."""
    worst = [c for c in screens if c.verdict is report.verdict and c.verdict is not Verdict.passed]
    inner = [r for c in worst for r in c.reasons if r.severity == "decides"]
    return iter([*inner, *(r for r in report.reasons if r.severity == "decides")])


def _shown(screens: list[ContrastReport]) -> Figure:
    """Count the endpoints that were shown able to fail."""
    shown = {(c.reference, e.key): e.sensitivity for c in screens for e in c.endpoints if e.sensitivity}
    if not shown:
        return Figure(NONE, "no endpoint of a screen was scored")
    by_exchange = sum("exchange" in s.shown_by for s in shown.values())
    by_control = sum(bool(set(s.shown_by) - {"exchange"}) for s in shown.values())
    able = sum(bool(s.shown_by) for s in shown.values())
    said = (
        f"endpoints that can fail: {by_exchange} by exchanging the reference's own answers, {by_control} by "
        "a positive control. It shows that the scorers read the words of the reference, and no more: what "
        "the candidate says in other words is bounded by the answers counted as invalid"
    )
    return Figure(f"{able} of {len(shown)}", said)


def _seen(screens: list[ContrastReport]) -> Figure:
    found = [(c, s) for c in screens for s in listed(c, ShownSensitivity)]
    if not found:
        return Figure(
            "not shown", "no positive control was run, so nothing shows how small a leak would be missed"
        )
    contrast, best = min(found, key=lambda pair: _smallest(pair[1]))
    shares = (
        (best.not_pass, "would not pass"),
        (best.fail, "would fail"),
        (best.identity, "would show in the outputs"),
    )
    known = [(value, words) for value, words in shares if value is not None]
    control, reference = _short(best.control), _short(contrast.reference)
    if not known:
        return Figure(
            "none", f"not even all of {control}'s answers in place of {reference}'s would be noticed"
        )
    (first, words), *others = known
    more = "".join(f"; {share(value)} {words}" for value, words in others)
    how_often = f"{10 * best.probability:g} times in 10"
    said = f"of {reference}'s answers, had they come from {control}: this screen {words} ({how_often}){more}"
    return Figure(share(first), said)


def _flips(screens: list[ContrastReport]) -> Figure:
    """Count what changed in each direction; a prompt that two scorers judge counts in both."""
    counted = [
        (
            _short(c.candidate),
            sum(e.table.reference_only for e in c.endpoints if e.table),
            sum(e.table.candidate_only for e in c.endpoints if e.table),
        )
        for c in screens
        if any(e.table for e in c.endpoints)
    ]
    if not counted:
        return Figure(NONE, "no outcomes were compared")
    worse, better = sum(down for _, down, _ in counted), sum(up for *_, up in counted)
    said = f"{worse:,} for the worse, {better:,} for the better"
    if len(counted) == 1:
        return Figure(said, "items whose outcome differs from the reference's")
    most = sorted(counted, key=lambda one: -(one[1] + one[2]))
    named = "; ".join(f"{name}: {down:,} worse, {up:,} better" for name, down, up in most[:3] if down or up)
    meaning = "items whose outcome differs from the reference's"
    return Figure(said, f"{meaning}, over {len(counted)} contrasts{f' ({named})' if named else ''}")


def _short(name: object) -> str:
    return one_line(str(name), 60)


def _smallest(shown: ShownSensitivity) -> float:
    return 2.0 if shown.not_pass is None else shown.not_pass
