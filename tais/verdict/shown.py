"""Whether each screened endpoint was shown able to fail.

A scorer that is blind to both arms finds them alike. So a pass needs more: a positive control of the same
reference that is worse on this endpoint, or the exchange control, in which the reference's own answers stand
under items of another expectation and must come out as worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tais.errors import TaisError
from tais.manifest.model import Role, Rules
from tais.records import EndpointKey
from tais.stats.cluster_table import Folded, cluster_codes, fold_outcomes
from tais.stats.exchange import LEAST_LOSS, ExchangeControl, exchange_control, exchange_control_of_means
from tais.stats.regions import Setting
from tais.stats.tidy import points, tidy
from tais.verdict.endpoint import EndpointResult
from tais.verdict.evidence import ContrastEvidence, ExchangeEvidence
from tais.verdict.reasons import note, reason
from tais.verdict.report import EndpointReport, Reason, SensitivityReport, Verdict

__all__ = ["EXCHANGE", "Judged", "Key", "Shown", "endpoint_key", "sensitivity_reasons", "show_endpoints"]

EXCHANGE = "exchange"
"""Name of the exchange control in `shown_by`."""

Judged = tuple[ContrastEvidence, tuple[EndpointResult, ...]]
Key = tuple[str, EndpointKey]
"""Reference arm and endpoint."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What shows, or does not show, that an endpoint of a reference can fail."""

    reference: str
    label: str
    """``battery/stratum``, or ``battery`` where there is no stratum."""
    report: SensitivityReport
    obstacle: Reason | None
    """Why nothing shows it, with what to add; None where something does."""

    def reasons(self) -> list[Reason]:
        """Return the obstacle, as a note where the rules waive the endpoint."""
        if self.obstacle is None:
            return []
        if not self.report.waived:
            return [self.obstacle]
        message = f"{self.label} was not shown able to fail, which the rules waive: {self.obstacle.message}"
        return [note("sensitivity_waived", message, endpoint=self.label, reference=self.reference)]


def show_endpoints(
    judged: Sequence[Judged], exchanges: Iterable[ExchangeEvidence], rules: Rules
) -> dict[Key, Shown]:
    """Say of every endpoint of every screened reference whether it was shown able to fail.

    Parameters
    ----------
    judged
        All contrasts with their judged endpoints.
    exchanges
        The exchange control of each endpoint.
    rules
        Margins, and the endpoints that are waived.

    Returns
    -------
    dict
        By :func:`endpoint_key`.

    Raises
    ------
    TaisError
        Where an exchange contradicts itself.
    """
    controls = _controls(judged)
    exchanged = {(e.reference, e.key): e for e in exchanges}
    shown: dict[Key, Shown] = {}
    for contrast, results in judged:
        if contrast.role is not Role.screen or contrast.evidence != "matched":
            continue
        for result in results:
            key = endpoint_key(contrast.reference, result.report)
            if key not in shown:
                shown[key] = _shown(key, result, exchanged.get(key), controls.get(key, {}), rules)
    return shown


def endpoint_key(reference: str, endpoint: EndpointReport) -> Key:
    """Return what tells an endpoint of a reference from all others."""
    return reference, endpoint.key


def sensitivity_reasons(shown: Iterable[Shown]) -> list[Reason]:
    """Return one reason per endpoint that nothing shows able to fail."""
    return [r for endpoint in shown for r in endpoint.reasons()]


def _controls(judged: Sequence[Judged]) -> dict[Key, dict[str, EndpointResult]]:
    """Return the controls that are worse by their own difference, by endpoint and name."""
    found: dict[Key, dict[str, EndpointResult]] = {}
    for contrast, results in judged:
        if contrast.role is not Role.positive_control:
            continue
        for result in results:
            worse = result.report.difference is not None and result.report.difference < 0
            if worse and result.report.verdict is Verdict.failed:
                own = found.setdefault(endpoint_key(contrast.reference, result.report), {})
                own[contrast.candidate] = result
    return found


def _shown(
    key: Key,
    result: EndpointResult,
    exchange: ExchangeEvidence | None,
    controls: dict[str, EndpointResult],
    rules: Rules,
) -> Shown:
    judged = None if exchange is None else _judge(exchange, result.setting)
    by = [EXCHANGE] if judged is not None and judged.shown else []
    by += sorted(controls)
    label = key[1].label
    leak = judged.minimum_leak if by[:1] == [EXCHANGE] and judged is not None else _leak(controls.values())
    report = SensitivityReport(
        shown_by=tuple(by),
        minimum_leak=None if leak is None else tidy(leak),
        waived=not by and rules.waives(label),
        exchanged=0 if judged is None or exchange is None else len(exchange.own),
        loss=None if judged is None else tidy(judged.loss),
        loss_lower=None if judged is None else tidy(judged.lower_bound),
    )
    obstacle = None if by else _obstacle(key, label, exchange, judged, result.setting)
    return Shown(key[0], label, report, obstacle)


def _judge(exchange: ExchangeEvidence, setting: Setting) -> ExchangeControl | None:
    """Judge an exchange; None where no answer was exchanged."""
    _check(exchange)
    if not len(exchange.own):
        return None
    # An answer that cannot be read shows no reading: it counts as if it had lost nothing.
    exchanged = np.where(exchange.exchanged_invalid, exchange.own, exchange.exchanged)
    folded = fold_outcomes(exchange.own, exchanged, cluster_codes(exchange.clusters))
    return _control(folded, replace(setting, null_h_quantile=None), exchange.kind == "binary")


def _control(folded: Folded, setting: Setting, binary: bool) -> ExchangeControl:
    if binary:
        return exchange_control(folded.table, setting)
    return exchange_control_of_means(folded.difference, setting)


def _check(exchange: ExchangeEvidence) -> None:
    n = len(exchange.own)
    columns = (exchange.clusters, exchange.exchanged, exchange.own_invalid, exchange.exchanged_invalid)
    if any(len(column) != n for column in columns):
        raise TaisError(f"{exchange.key.label}: the arrays of one exchange must have one length, {n}")
    for values in (exchange.own, exchange.exchanged):
        if n and not (values.min() >= 0 and values.max() <= 1):
            raise TaisError(f"{exchange.key.label}: an outcome of the exchange lies outside [0, 1]")


def _leak(controls: Iterable[EndpointResult]) -> float | None:
    """Return the smallest leak that the controls vouch for."""
    leaks = [
        _control(c.folded, replace(c.setting, null_h_quantile=None), c.report.kind == "binary").minimum_leak
        for c in controls
        if c.folded is not None
    ]
    return min((leak for leak in leaks if leak is not None), default=None)


def _obstacle(
    key: Key,
    label: str,
    exchange: ExchangeEvidence | None,
    judged: ExchangeControl | None,
    setting: Setting,
) -> Reason:
    reference, endpoint = key
    values: dict[str, object] = {"reference": reference, "endpoint": label, **endpoint._asdict()}
    control = f"a positive control of {reference} that is worse on it"
    if judged is None or exchange is None:
        why, add = _unexchanged(exchange, reference)
        message = f"{label}: nothing shows that this endpoint could fail: {why}. Add {add or control}"
        return reason("endpoint_not_shown_sensitive", message, **values)
    n = len(exchange.own)
    values |= {"exchanged": n, "loss": judged.loss, "loss_lower": judged.lower_bound}
    one_way = _one_way(exchange)
    if one_way is not None:
        message = (
            f"{label}: {one_way} (in {n} own and {n} exchanged answers of {reference}). Give it a scorer "
            f"that reads {reference}'s words, or add {control}"
        )
        return reason("no_opposite_behaviour", message, **values)
    wanted = max(setting.margin, LEAST_LOSS)
    message = (
        f"{label}: nothing shows that this endpoint could fail: {n} answers of {reference} to other items "
        f"cost {points(judged.loss)} here, at least {points(judged.lower_bound)} (95 %), and "
        f"{points(wanted)} are asked for. Give it a scorer that reads {reference}'s words, more items, or "
        f"{control}"
    )
    return reason("endpoint_not_shown_sensitive", message, **values)


def _unexchanged(exchange: ExchangeEvidence | None, reference: str) -> tuple[str, str | None]:
    """Say why nothing was exchanged, and what to add where that is no positive control."""
    why = "no_exchange" if exchange is None else exchange.unexchanged
    if why == "not_probed":
        return (
            f"no positive control is worse on it, and {reference} has no answer to a probe",
            f"its answers to what tais plan --probes writes, or a positive control of {reference}",
        )
    if why == "not_judged":
        return (
            "no positive control is worse on it, and the judge was not asked about exchanged answers",
            f"them with a new run, or a positive control of {reference}",
        )
    if why == "no_donors":
        return (
            f"no positive control is worse on it, and {reference} has no answer to an item of another "
            "expectation",
            None,
        )
    return "no positive control is worse on it, and its scorer has no exchange that must be worse", None


def _one_way(exchange: ExchangeEvidence) -> str | None:
    """Say that all answers read alike, own and exchanged; None where they do not, or have no polarity."""
    if exchange.stratum is None or exchange.kind != "binary":
        return None
    values = np.concatenate([exchange.own, exchange.exchanged])
    valid = ~np.concatenate([exchange.own_invalid, exchange.exchanged_invalid])
    if not valid.any() or np.ptp(values[valid]):
        return None
    refuses = (values[valid][0] == 1) == (exchange.stratum == "refuse")
    if refuses:
        return f"{exchange.reference} refuses everything, or its answers are read as refusals"
    return f"{exchange.reference} never refuses, or its refusals are not read"
