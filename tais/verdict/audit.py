"""What an audit means for a contrast: causes of divergence, conformance, and what it bounds.

A pure function of the evidence. Tokens pass by score; a miss counts only outside the band that the control
and the dtype explain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial

from tais.manifest.model import Role, Rules
from tais.stats.draft_pull import draft_pull
from tais.stats.proportions import wilson
from tais.stats.rounding_band import share_upper_bound
from tais.stats.tidy import points, tidy, tidy_interval, tidy_values
from tais.verdict.details import written
from tais.verdict.details.audit import Audit, AuditedBattery, DivergingToken, DraftPull, Planted, ScoredTokens
from tais.verdict.drift import drift_details, weigh_drift
from tais.verdict.evidence import (
    Attribution,
    AuditCounts,
    AuditEvidence,
    BatteryAudit,
    ContrastEvidence,
    Divergence,
)
from tais.verdict.planted import weigh_planted
from tais.verdict.reasons import Weighed, note, reason
from tais.verdict.report import Reason, Verdict
from tais.verdict.token_family import TokenTests
from tais.verdict.token_law import law_details, weigh_law

__all__ = ["audit_details", "weigh_audit"]

# Of each contrast, in the report; audits/ holds the rest.
_LISTED_TOKENS = 50
_NAMED = 10
_EXPLAINED = ("tie", "numerical")


def weigh_audit(contrast: ContrastEvidence, rules: Rules, tests: TokenTests) -> list[Weighed]:
    """Return what the audit says, each with the best verdict that it leaves possible.

    Parameters
    ----------
    contrast, rules
        Evidence, and what it is held against.
    tests
        Its p-values, adjusted over all tests of tokens.
    """
    audit = contrast.audit
    weighed = [*_lossy(contrast), *weigh_law(contrast, rules, tests)]
    if audit is None:
        return [*weighed, *_unaudited(contrast)]
    weighed += _structural(contrast, audit.attributions)
    weighed += _unexplained(contrast, audit.attributions, audit.left_out)
    if (drift := weigh_drift(contrast, tests.drift, rules)) is not None:
        weighed.append(drift)
    weighed += [(Verdict.passed, r) for r in _notes(audit)]
    if contrast.evidence == "teacher_forced":
        weighed += _bounds(audit, rules)
        weighed.append(weigh_planted(audit.planted))
    return weighed


def _of(attributions: Sequence[Attribution], *causes: str) -> list[Attribution]:
    return [a for a in attributions if a.cause in causes]


def _claims(contrast: ContrastEvidence) -> bool:
    """Whether a divergence is held against a contrast; a calibration is judged by TOST alone."""
    return contrast.lossless and contrast.role is not Role.calibration


def _unaudited(contrast: ContrastEvidence) -> Iterator[Weighed]:
    """Hold the divergences that no stack scored against a claim that there are none."""
    if not (contrast.greedy and _claims(contrast)) or contrast.role is not Role.screen:
        return
    found = [_unscored(d) for d in contrast.divergences]
    differing = sum(x.n - x.identical for x in contrast.identity)
    yield from _structural(contrast, found)
    yield from _unexplained(contrast, found, max(0, differing - len(found)))


def _unscored(d: Divergence) -> Attribution:
    return Attribution(
        d.battery,
        d.item_id,
        d.repeat,
        position=d.position,
        cause=d.unscored_cause,
        token=d.candidate_token,
        proposed=d.proposed,
    )


def _lossy(contrast: ContrastEvidence) -> Iterator[Weighed]:
    """A rule that is meant to let other tokens through must be seen to do so."""
    if not contrast.lossy_by_design or not contrast.greedy:
        return
    if contrast.audit is not None and _of(contrast.audit.attributions, "structural", "unconfirmed"):
        return
    message = (
        "a speculative arm is meant to be lossy (its rule, or lossless: false), and no token is there that "
        "the target would not have chosen: the lossy rule was not applied, or these items do not show it"
    )
    yield Verdict.inconclusive, reason("lossy_treatment_not_shown", message)


def _structural(contrast: ContrastEvidence, attributions: Sequence[Attribution]) -> Iterator[Weighed]:
    found, claims = _of(attributions, "structural", "length"), _claims(contrast)
    if found:
        first, lengths = found[0], len(_of(found, "length"))
        counted = [
            f"{len(found) - lengths} tokens that the target would not have chosen"
            if len(found) > lengths
            else "",
            f"{lengths} answers of another length" if lengths else "",
        ]
        said = " and ".join(filter(None, counted))
        message = f"structural divergence: {said}, first {_place(first)}: {_said(first)}"
        why = (reason if claims else note)(
            "structural_divergence",
            message,
            tokens=len(found),
            lengths=lengths,
            first=[_token(a).model_dump() for a in found[:_NAMED]],
        )
        yield Verdict.failed if claims else Verdict.passed, why
    texts = _of(attributions, "text")
    if texts:
        message = (
            f"{len(texts)} answers have the same tokens and say something else, first {_place(texts[0])}"
        )
        why = (reason if claims else note)("text_divergence", message, answers=len(texts))
        yield Verdict.inconclusive if claims else Verdict.passed, why


def _unexplained(
    contrast: ContrastEvidence, attributions: Sequence[Attribution], left_out: int
) -> Iterator[Weighed]:
    """Say what has no cause: a claim to be lossless cannot pass beside it."""
    caps = _claims(contrast) and contrast.role is Role.screen
    allowed = Verdict.inconclusive if caps else Verdict.passed
    beside = ", so the claim to be lossless is not shown" if caps else ""
    unknown = len(_of(attributions, "unknown"))
    if unknown:
        message = f"{unknown} divergences have no cause: they could not be scored{beside}"
        yield (
            allowed,
            (reason if caps else note)("divergences_unexplained", message, divergences=unknown),
        )
    if left_out:
        message = f"{left_out} divergences were not looked at{beside}"
        yield (
            allowed,
            (reason if caps else note)("divergences_left_out", message, divergences=left_out),
        )


def _place(found: Attribution) -> str:
    return f"at token {found.position} of {found.battery}/{found.item_id}"


def _said(found: Attribution) -> str:
    if found.cause == "length":
        return "one answer ends where the other goes on"
    way = f" ({found.proposed})" if found.proposed else ""
    token, best = (
        "the end of the answer" if one is None else f"token {one}" for one in (found.token, found.best_token)
    )
    below = "" if found.margin is None else f" {found.margin:.4g}"
    return f"{token}{way} scores{below} below {best}"


def _notes(audit: AuditEvidence) -> Iterator[Reason]:
    causes: Counter[str] = Counter(a.cause for a in audit.attributions)
    explained = sum(causes[cause] for cause in _EXPLAINED)
    if explained:
        message = (
            f"{explained} divergences are explained: {causes['tie']} ties, {causes['numerical']} within the "
            f"numerical band of {audit.band:.3g} ({audit.dtype})"
        )
        yield note("divergences_explained", message, tie=causes["tie"], numerical=causes["numerical"])
    if causes["unconfirmed"]:
        first = _of(audit.attributions, "unconfirmed")[0]
        lacking = (
            "answer of the reference's own says what rounding does"
            if not audit.control.tokens
            else "finer stack than float32 confirms or clears them"
            if audit.dtype == "float32"
            else "float32 check confirms or clears them"
        )
        message = (
            f"{causes['unconfirmed']} tokens lie outside the numerical band of {audit.band:.3g} and no "
            f"{lacking}, first {_place(first)}: reported, decides nothing"
        )
        yield note("divergences_unconfirmed", message, tokens=causes["unconfirmed"])
    # Beside any other dtype the check in float32 tells what is sure.
    if audit.dtype == "float32" and audit.sure > audit.band:
        message = (
            f"the reference's own noise varies by position more than {audit.control.tokens} of its tokens "
            f"can bound: more than 5 % of lossless arms lie outside the numerical band of {audit.band:.3g}, "
            f"and only what lies beyond {audit.sure:.3g} is held against an arm"
        )
        yield note("noise_varies", message, band=tidy(audit.band), sure=tidy(audit.sure))
    if audit.candidate.tokens:
        message = f"{_best_choices(audit.candidate)}; of the reference's own, {_best_choices(audit.control)}"
        yield note("conformance", message, tokens=audit.candidate.tokens, misses=audit.candidate.misses)
    pull = _pull(audit)
    if pull:
        message = (
            f"{pull.hits} of {pull.n} diverging tokens are the draft's own choice, where chance and "
            f"ties make {pull.expected:.3g} (p = {pull.p:.2g})"
        )
        yield note("draft_pull", message, **pull.model_dump())
    if audit.unavailable:
        yield note("audit_incomplete", f"not everything could be scored: {audit.unavailable}")


def _best_choices(counts: AuditCounts) -> str:
    rate = 100 * (1 - counts.misses / counts.tokens) if counts.tokens else 100.0
    return f"{rate:.6g} % of {counts.tokens} tokens score best, {counts.beyond} lie outside the band"


def _bounds(audit: AuditEvidence, rules: Rules) -> Iterator[Weighed]:
    """Without the reference's own answers, bound what may have changed."""
    if not audit.candidate.tokens:
        message = "no token was scored, so nothing is known of this candidate"
        yield Verdict.inconclusive, reason("nothing_scored", message)
        return
    tokens = share_upper_bound(audit.candidate.beyond, audit.candidate.tokens, 1 - rules.alpha)
    message = f"at most {points(tokens)} of {audit.candidate.tokens} tokens are not the target's"
    yield Verdict.passed, note("leak_bounded", message, bound=tidy(tokens))
    for battery in audit.batteries:
        yield _bounded(battery, rules)


def _bounded(battery: BatteryAudit, rules: Rules) -> Weighed:
    """Hold a battery's answers, all that were planned, against its margin."""
    bound, margin = _battery_bound(battery, rules), _margin(battery, rules)
    values = {**asdict(battery), "margin": margin, "bound": tidy(bound)}
    other = f"{battery.other_text} whose text is not what their tokens say, " if battery.other_text else ""
    said = (
        f"{battery.battery}: at most {points(bound)} of answers are not the target's to the end "
        f"({battery.items} planned, {battery.items_beyond - battery.other_text} with a token that it would "
        f"not have chosen, {other}"
        f"{battery.unscored} not scored to their end)"
    )
    if battery.planned_out:
        said += f"; {battery.planned_out} more were planned out: their context has no room for an answer"
    if battery.items and bound <= margin:
        return Verdict.passed, note("difference_bounded", said, **values)
    message = f"{said}, more than the margin of {points(margin)}"
    return Verdict.inconclusive, reason("difference_not_bounded", message, **values)


def _margin(battery: BatteryAudit, rules: Rules) -> float:
    return rules.margin if battery.margin is None else battery.margin


def _battery_bound(battery: BatteryAudit, rules: Rules) -> float:
    if not battery.items:
        return 1.0
    return share_upper_bound(battery.items_beyond + battery.unscored, battery.items, 1 - rules.alpha)


def _pull(audit: AuditEvidence) -> DraftPull | None:
    asked = [a for a in audit.attributions if a.draft_choice is not None]
    if not asked:
        return None
    found = draft_pull([bool(a.draft_choice) for a in asked], [a.draft_chance or 0.0 for a in asked])
    return DraftPull(
        n=found.n,
        hits=found.matches,
        wilson=tidy_interval(found.wilson),
        expected=tidy(found.expected * found.n),
        p=tidy(found.p),
        pull=tidy(found.pull),
        pull_ci=tidy_interval(found.pull_ci),
    )


def _token(found: Attribution) -> DivergingToken:
    known = {key: value for key, value in asdict(found).items() if value is not None}
    return DivergingToken(**tidy_values(known))


def _scored(counts: AuditCounts) -> ScoredTokens:
    found = partial(ScoredTokens, **{**asdict(counts), "largest": tidy(counts.largest)})
    if not counts.tokens:
        return found()
    return found(
        rate=tidy(1 - counts.misses / counts.tokens),
        wilson=tidy_interval(wilson(counts.tokens - counts.misses, counts.tokens)),
    )


def audit_details(contrast: ContrastEvidence, rules: Rules, tests: TokenTests) -> dict[str, object]:
    """Return the figures of an audit for the report; nothing where there was none."""
    audit = contrast.audit
    if audit is None:
        return law_details(contrast, rules, tests)
    causes: Counter[str] = Counter(a.cause for a in audit.attributions)
    # What needs a look stands first.
    order = {"structural": 0, "length": 0, "unconfirmed": 1, "text": 1, "unknown": 2}
    shown = sorted(audit.attributions, key=lambda a: order.get(a.cause, 3))[:_LISTED_TOKENS]
    found = Audit(
        scope=audit.scope,
        dtype=audit.dtype,
        band=tidy(audit.band),
        rounding=tidy(audit.rounding),
        control=_scored(audit.control),
        candidate=_scored(audit.candidate),
        causes=dict(sorted(causes.items())),
        downstream=audit.downstream,
        draft_pull=_pull(audit),
        batteries=tuple(_battery(b, rules) for b in audit.batteries if b.items or b.planned_out),
        attributions=tuple(_token(a) for a in shown),
        attributions_left_out=audit.left_out + len(audit.attributions) - len(shown),
        prompts_differ=audit.prompts_differ,
        planted=None if audit.planted is None else Planted(**asdict(audit.planted)),
        drift=drift_details(audit.drift, tests.drift),
        unavailable=audit.unavailable,
    )
    return written(found)


def _battery(battery: BatteryAudit, rules: Rules) -> AuditedBattery:
    figures = {**asdict(battery), "margin": _margin(battery, rules)}
    return AuditedBattery(**figures, bound=tidy(_battery_bound(battery, rules)))
