"""The decision: evidence in, report out.

A pure function of its argument: no clock, no files, no engine, no global state. Simulations inside it
draw from a frozen stream with fixed seeds, so the same evidence gives the same report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tais.manifest.model import Hypothesis, Role, Rules
from tais.records import EndpointKey
from tais.verdict.calibration import Calibration, calibration_details, calibration_notes
from tais.verdict.contrast import build_contrast, finding_reason, worst
from tais.verdict.details import written_list
from tais.verdict.dose import screen_dose_response
from tais.verdict.early_stop import Stop, candidate_stop, stop_notes
from tais.verdict.endpoint import EndpointResult, judge_at, judge_endpoint, judge_looks
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence, ScreenEvidence
from tais.verdict.family import adjust_fails
from tais.verdict.pooled_safety import pooled_safety
from tais.verdict.reasons import note, reason
from tais.verdict.report import ContrastReport, Reason, Report, Verdict
from tais.verdict.sensitivity import Sensitivity, best_and_worst, measure_sensitivity
from tais.verdict.shown import EXCHANGE, Judged, Key, Shown, endpoint_key, sensitivity_reasons, show_endpoints
from tais.verdict.starts import starts_notes, starts_seen
from tais.verdict.summary import contrast_details
from tais.verdict.token_family import TokenTests, token_tests

__all__ = ["decide", "stop_of"]

_SCREEN_CODES = {
    Verdict.passed: "screen_passed",
    Verdict.failed: "screen_failed",
    Verdict.inconclusive: "screen_inconclusive",
}


def decide(evidence: ScreenEvidence) -> Report:
    """Decide a screen.

    Parameters
    ----------
    evidence
        Rules, contrasts with their paired outcomes, findings and facts.

    Returns
    -------
    Report
        Verdict, with the reasons of every outcome on the way. No number in it is NaN or infinite.

    Raises
    ------
    TaisError
        Where the evidence contradicts itself: arrays of unequal length, outcomes outside [0, 1], counts
        that cannot be, margins outside (0, 1).
    """
    rules = evidence.rules
    calibration = Calibration.of(evidence.contrasts, rules.alpha)
    stops = _stops(evidence.contrasts, rules, calibration)
    judged = _judge(evidence.contrasts, rules, calibration, stops)
    sensitivity = _sensitivity(judged, rules, calibration)
    tests = token_tests(evidence.contrasts)
    contrasts = tuple(
        _contrast(j, rules, calibration, sensitivity.get(j[0].reference, []), stops.get(j[0].candidate), own)
        for j, own in zip(judged, tests, strict=True)
    )
    shown = show_endpoints(judged, evidence.exchanges, rules)
    contrasts = tuple(_with_sensitivity(c, shown) for c in contrasts)
    verdict, reasons = _verdict(evidence, contrasts, sensitivity_reasons(shown.values()))
    starts = starts_seen(evidence.starts, contrasts)
    return Report(
        name=evidence.name,
        verdict=verdict,
        reasons=(
            *reasons,
            *starts_notes(starts),
            *_notes(contrasts),
            *_two_sided(evidence, calibration, stops),
        ),
        rules=rules,
        contrasts=contrasts,
        facts=evidence.facts,
        details=_details(judged, rules) | written_list(starts),
    )


def _judge(
    contrasts: Sequence[ContrastEvidence],
    rules: Rules,
    calibration: Calibration,
    stops: Mapping[str, Stop | None],
) -> list[Judged]:
    """Judge every endpoint by its own rule, then weigh the fails of the screened ones among each other."""
    family = sum(len(c.endpoints) for c in contrasts if c.role is Role.screen)
    judged = [(c, _alone(c, rules, calibration, stops.get(c.candidate), family)) for c in contrasts]
    screened = [r for c, results in judged if c.role is Role.screen for r in results]
    adjusted = iter(adjust_fails(screened, rules))
    # Controls keep the rule of one endpoint: what they must show is that it can fail, or pass.
    return [
        (c, tuple(next(adjusted) if c.role is Role.screen else r for r in results)) for c, results in judged
    ]


def _alone(
    contrast: ContrastEvidence, rules: Rules, calibration: Calibration, stop: Stop | None, family: int
) -> tuple[EndpointResult, ...]:
    results = []
    for e in contrast.endpoints:
        discordance = calibration.discordance(contrast.reference, e)
        if stop is None or e.looks is None:
            results.append(judge_endpoint(e, rules, contrast.role, discordance, family=family))
        else:
            results.append(judge_looks(e, rules, contrast.role, discordance, stop, family=family))
    return tuple(results)


def stop_of(
    candidate: str,
    contrasts: Sequence[ContrastEvidence],
    rules: Rules,
    *,
    upto: int | None = None,
    blind: bool = False,
    calibration: Calibration | None = None,
) -> Stop | None:
    """Return where a candidate stops, from the answers that are in.

    Parameters
    ----------
    candidate
        An arm.
    contrasts
        All contrasts of the candidate, and the calibration contrasts of its references.
    rules
        As of the lock.
    upto
        Last look whose answers are in; None for all.
    blind
        Whether the candidate has endpoints beside these that are first seen at the end.
    calibration
        Of the contrasts, where it is known already.

    Returns
    -------
    Stop or None
        None for a candidate that is not looked at.
    """
    known = Calibration.of(contrasts, rules.alpha) if calibration is None else calibration

    def judge(contrast: ContrastEvidence, endpoint: EndpointEvidence, look: int) -> Verdict:
        discordance = known.discordance(contrast.reference, endpoint)
        return judge_at(endpoint, rules, contrast.role, discordance, look)

    return candidate_stop(contrasts, candidate, judge, upto=upto, blind=blind)


def _stops(
    contrasts: Sequence[ContrastEvidence], rules: Rules, calibration: Calibration
) -> dict[str, Stop | None]:
    names = dict.fromkeys(c.candidate for c in contrasts if any(e.looks is not None for e in c.endpoints))
    return {name: stop_of(name, contrasts, rules, calibration=calibration) for name in names}


def _sensitivity(
    judged: list[Judged], rules: Rules, calibration: Calibration
) -> dict[str, list[Sensitivity]]:
    """Minimum detectable leaks by reference arm, one per positive control."""
    found: dict[str, list[Sensitivity]] = {}
    family = sum(len(results) for contrast, results in judged if contrast.role is Role.screen)
    for contrast, results in judged:
        if contrast.role is Role.positive_control:
            measured = measure_sensitivity(contrast, results, rules, calibration, family)
            found.setdefault(contrast.reference, []).append(measured)
    return found


def _contrast(
    judged: Judged,
    rules: Rules,
    calibration: Calibration,
    sensitivity: list[Sensitivity],
    stop: Stop | None,
    tests: TokenTests,
) -> ContrastReport:
    contrast, results = judged
    notes, details = stop_notes(contrast, stop)
    notes += calibration_notes(contrast, calibration, rules.null_quantile)
    details |= contrast_details(results)
    pooled, beside = pooled_safety(contrast, rules)
    notes, details = [*notes, *pooled], details | beside
    details |= calibration_details(contrast, calibration, rules.null_quantile)
    if contrast.role is Role.screen and sensitivity:
        notes += [x for measured in sensitivity for x in measured.notes()]
        notes += best_and_worst(sensitivity)
        details |= written_list([measured.details() for measured in sensitivity])
    return build_contrast(contrast, results, rules, notes, details, tests=tests)


def _with_sensitivity(contrast: ContrastReport, shown: Mapping[Key, Shown]) -> ContrastReport:
    """Return a contrast whose endpoints say what shows them able to fail."""
    if contrast.role is not Role.screen or contrast.evidence != "matched":
        return contrast
    endpoints = tuple(
        e.model_copy(update={"sensitivity": shown[endpoint_key(contrast.reference, e)].report})
        for e in contrast.endpoints
    )
    return contrast.model_copy(update={"endpoints": endpoints})


def _verdict(
    evidence: ScreenEvidence, contrasts: tuple[ContrastReport, ...], blind: list[Reason]
) -> tuple[Verdict, list[Reason]]:
    """Take the worst screen contrast, then the conditions: calibration, controls, sensitivity, findings."""
    weighed = [_weigh(c) for c in contrasts if c.role is Role.screen or not (_as_wanted(c) or _void(c))]
    if not any(c.role is Role.screen for c in contrasts):
        weighed.append(
            (Verdict.inconclusive, reason("no_screen_contrast", "no contrast has the role screen"))
        )
    weighed += [(Verdict.inconclusive if r.severity == "decides" else Verdict.passed, r) for r in blind]
    weighed += [finding_reason(f) for f in evidence.findings]
    verdict = worst(v for v, _ in weighed)
    order = {Verdict.failed: 0, Verdict.inconclusive: 1, Verdict.passed: 2}
    return verdict, [r for _, r in sorted(weighed, key=lambda w: order[w[0]])]


def _as_wanted(contrast: ContrastReport) -> bool:
    wanted = Verdict.failed if contrast.role is Role.positive_control else Verdict.passed
    return contrast.verdict is wanted


def _void(contrast: ContrastReport) -> bool:
    """Whether a calibration is none, and says nothing else: the screen stands as it would without it."""
    deciding = {r.code for r in contrast.reasons if r.severity == "decides"}
    why = contrast.one_evidence
    return contrast.role is Role.calibration and why is not None and deciding == {why.code}


def _weigh(contrast: ContrastReport) -> tuple[Verdict, Reason]:
    """Say what one contrast means for the screen."""
    name = f"{contrast.candidate} against {contrast.reference}"
    arms = {"reference": contrast.reference, "candidate": contrast.candidate}
    if contrast.role is Role.screen:
        message = f"{name}: {contrast.verdict.value}"
        return contrast.verdict, reason(_SCREEN_CODES[contrast.verdict], message, **arms)
    if contrast.role is Role.calibration:
        message = f"the stack does not pass against itself: {name} is {contrast.verdict.value}"
        return Verdict.inconclusive, reason("calibration_not_passed", message, **arms)
    message = (
        f"the screen could not have seen a leak: the control {name} is {contrast.verdict.value}, not fail"
    )
    return Verdict.inconclusive, reason("control_not_caught", message, **arms)


def _notes(contrasts: tuple[ContrastReport, ...]) -> list[Reason]:
    """Say on what the verdict rests, and on what it does not."""
    notes = []
    screens = [c for c in contrasts if c.role is Role.screen]
    controls = [c for c in contrasts if c.role is Role.positive_control]
    if sum(len(c.endpoints) for c in screens) > 1:
        message = "every endpoint must pass, so alpha needs no correction (intersection-union test)"
        notes.append(note("intersection_union", message))
        family = sum(len(c.endpoints) for c in screens)
        message = (
            f"one endpoint of {family} is enough to fail, so a fail must stand among all of them "
            "(Tarone-Holm): equal stacks fail anywhere with probability alpha at most; at the margin the "
            "error is that of each endpoint"
        )
        notes.append(note("fails_adjusted", message, endpoints=family))
    notes += _ceilings(contrasts)
    notes += _uncalibrated([c for c in contrasts if c.role is Role.calibration])
    if not controls:
        message = "no positive control: nothing shows how small a leak this screen would have seen"
        notes.append(note("no_positive_control", message))
    return notes + _by_exchange_alone(screens)


def _uncalibrated(calibrations: Sequence[ContrastReport]) -> list[Reason]:
    """Say that there is no A/A, or only what bears the name."""
    if not calibrations:
        message = "not calibrated: no A/A contrast shows what the same stack does against itself"
        return [note("not_calibrated", message)]
    void = [(f"{c.candidate} against {c.reference}", why) for c in calibrations if (why := c.one_evidence)]
    return [
        note("not_calibrated", f"not calibrated by {name}, which is no A/A: {why.message}")
        for name, why in void
    ]


def _by_exchange_alone(screens: Sequence[ContrastReport]) -> list[Reason]:
    """Say of which endpoints it is only known that the reference's own words are read."""
    found = {
        e.key
        for c in screens
        for e in c.endpoints
        if e.sensitivity is not None and e.sensitivity.shown_by == (EXCHANGE,)
    }
    notes = []
    for key in sorted(found, key=_order):
        message = (
            f"{key.name}: no control is caught here; the exchange of the reference's answers shows only that "
            "the reference's own words are read"
        )
        notes.append(note("endpoint_control_not_caught", message, **key._asdict()))
    return notes


def _ceilings(contrasts: tuple[ContrastReport, ...]) -> list[Reason]:
    """Name the endpoints in which every arm, controls too, has 0 % or 100 %: no leak could show there."""
    rates: dict[EndpointKey, set[float | None]] = {}
    for endpoint in (e for c in contrasts for e in c.endpoints):
        both = {endpoint.reference_rate, endpoint.candidate_rate}
        rates.setdefault(endpoint.key, set()).update(both)
    notes = []
    for key, found in sorted(rates.items(), key=lambda entry: _order(entry[0])):
        for rate in (0.0, 1.0):
            if found == {rate}:
                where = f"{key.name}: every arm has {100 * rate:g} %"
                message = f"{where}, so no arm here shows how a leak would move it"
                notes.append(note("battery_at_limit", message, rate=rate, **key._asdict()))
    return notes


def _order(key: EndpointKey) -> tuple[str, str, str]:
    return key.battery, key.stratum or "", key.scorer


def _two_sided(
    evidence: ScreenEvidence, calibration: Calibration, stops: Mapping[str, Stop | None]
) -> list[Reason]:
    """Say what equivalence would have come to where only a change for the worse counts."""
    if evidence.rules.hypothesis is not Hypothesis.non_inferiority:
        return []
    rules = evidence.rules.model_copy(update={"hypothesis": Hypothesis.equivalence})
    notes = []
    # Candidates stopped where the rules of this screen said so.
    judged = _judge(evidence.contrasts, rules, calibration, stops)
    for (contrast, results), tests in zip(judged, token_tests(evidence.contrasts), strict=True):
        if contrast.role is Role.screen:
            decided = build_contrast(contrast, results, rules, [], {}, tests=tests).verdict
            name = f"{contrast.candidate} against {contrast.reference}"
            message = f"as equivalence, where a change for the better counts too, {name} is {decided.value}"
            arms = {"reference": contrast.reference, "candidate": contrast.candidate}
            notes.append(note("under_equivalence", message, verdict=decided.value, **arms))
    return notes


def _details(judged: list[Judged], rules: Rules) -> dict[str, object]:
    """Add what runs across contrasts: dose-response on the numeric properties of the arms."""
    if not any(contrast.candidate_properties for contrast, _ in judged):
        return {}
    doses = screen_dose_response([contrast for contrast, _ in judged], rules)
    return written_list(doses) or {"dose_response": []}
