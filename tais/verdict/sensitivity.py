"""What this very screen could have seen: contamination curves and the minimum detectable leak.

A leak of share e means that each prompt is answered by the unsafe arm instead of the reference with
probability e. The per-item outcomes of a positive control against the same reference say what such a
leak does to the paired table; the rule of the verdict says whether the screen would have noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tais.manifest.model import Rules
from tais.records import EndpointKey
from tais.stats.cluster_table import Folded, cluster_codes
from tais.stats.paired import PairedTable
from tais.stats.paired_means import Moments
from tais.stats.power import zero_discordance_floor
from tais.stats.proportions import FloatArray
from tais.stats.regions import Setting, mean_regions, means_stand, regions, stands
from tais.stats.tidy import tidy
from tais.verdict.calibration import Calibration
from tais.verdict.details.contrast import EndpointLeaks, LeakCurve, ShownSensitivity, TitratedControl
from tais.verdict.endpoint import EndpointResult
from tais.verdict.endpoint_table import fold
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence
from tais.verdict.reasons import note
from tais.verdict.report import Reason

__all__ = [
    "EndpointLeak",
    "Sensitivity",
    "best_and_worst",
    "identity_leak",
    "leak_curve",
    "measure_sensitivity",
    "titrated_control",
]

PROBABILITY = 0.9
"""With which a leak of the minimum detectable size is noticed."""
_DRAWS = 400
_POINTS = 48
_FINE = 64
"""Outcomes of many-valued clusters are grouped to multiples of 1 / 64."""


@dataclass(frozen=True, slots=True)
class EndpointLeak:
    """Contamination curve of one endpoint."""

    key: EndpointKey
    shares: FloatArray
    """Shares e, shape (points,), rising to 1."""
    not_passed: FloatArray
    """Probability that the endpoint no longer passes at each share."""
    failed: FloatArray
    passes_clean: bool
    """Whether it passes without a leak; else no leak is needed for a verdict other than pass."""
    control_difference: float
    titrated: TitratedControl | None = None
    """The control diluted to the share at which the screen fails, and its verdict."""

    def detectable(self, curve: FloatArray) -> float | None:
        """Smallest share noticed with probability 0.9; None where not even a whole leak is."""
        return _crossing(self.shares, curve) if self.passes_clean else None

    def details(self) -> EndpointLeaks:
        """Return what the report says of it."""
        not_passed, failed = self.detectable(self.not_passed), self.detectable(self.failed)
        return EndpointLeaks(
            **self.key._asdict(),
            passes_clean=self.passes_clean,
            control_difference=tidy(self.control_difference),
            not_pass=not_passed,
            fail=failed,
            titrated=self.titrated,
            curve=LeakCurve(
                share=_tidied(self.shares), not_pass=_tidied(self.not_passed), fail=_tidied(self.failed)
            ),
        )


def _tidied(values: FloatArray) -> tuple[float, ...]:
    return tuple(tidy(x) for x in values.tolist())


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Minimum detectable leak of one positive control into its reference."""

    reference: str
    control: str
    endpoints: tuple[EndpointLeak, ...]
    not_pass: float | None
    """Overall: some endpoint no longer passes."""
    fail: float | None
    identity: float | None
    """More outputs differ than the same stack differs from itself."""

    def notes(self) -> list[Reason]:
        """Say it in one sentence."""
        if not self.endpoints:
            return []
        first = f"a leak of {self.control} into {self.reference}"
        parts = [
            f"{_share(self.not_pass)} would not pass",
            f"{_share(self.fail)} would fail",
            f"{_share(self.identity)} would show in the outputs",
        ]
        message = f"minimum detectable leak (probability 0.9): {first} of {', of '.join(parts)}"
        values: dict[str, object] = {"control": self.control, "not_pass": self.not_pass, "fail": self.fail}
        return [note("minimum_detectable_leak", message, identity=self.identity, **values)]

    def details(self) -> ShownSensitivity:
        """Return what the report says of it."""
        return ShownSensitivity(
            control=self.control,
            probability=PROBABILITY,
            not_pass=self.not_pass,
            fail=self.fail,
            identity=self.identity,
            endpoints=tuple(e.details() for e in self.endpoints),
        )


def best_and_worst(measured: Sequence[Sensitivity]) -> list[Reason]:
    """Name, of several controls of one reference, the one seen at the smallest share and at the largest."""
    if len(measured) < 2:
        return []
    best, *_, worst = sorted(measured, key=lambda s: 2.0 if s.fail is None else s.fail)
    message = (
        f"of {len(measured)} controls a leak of {best.control} is seen best ({_share(best.fail)} would fail) "
        f"and one of {worst.control} worst ({_share(worst.fail)}): a leak like neither may need more"
    )
    values = {"best": best.control, "best_fail": best.fail, "worst": worst.control, "worst_fail": worst.fail}
    return [note("controls_best_and_worst", message, reference=best.reference, **values)]


def _share(value: float | None) -> str:
    return "no share" if value is None else f"{100 * value:.3g} %"


def _crossing(shares: FloatArray, curve: FloatArray) -> float | None:
    """Share at which a noisy rising curve first stays at 0.9, by linear interpolation in log share."""
    below = np.nonzero(curve < PROBABILITY)[0]
    if len(below) == 0:
        return tidy(float(shares[0]))
    i = int(below[-1])
    if i == len(curve) - 1:
        return None
    part = (PROBABILITY - curve[i]) / (curve[i + 1] - curve[i])
    return tidy(float(shares[i] * (shares[i + 1] / shares[i]) ** part))


def _shares(clusters: int) -> FloatArray:
    return np.geomspace(min(0.2 / clusters, 0.01), 1.0, _POINTS)


def _leaked(values: FloatArray, shares: FloatArray, seed: int) -> FloatArray:
    """Sums of `values`, shape (clusters, columns), over leaked clusters: (columns, shares, draws)."""
    kinds, counts = np.unique(values, axis=0, return_counts=True)
    if len(kinds) > _FINE:
        kinds, counts = np.unique(np.round(values * _FINE) / _FINE, axis=0, return_counts=True)
    random = np.random.RandomState(seed)
    total = np.zeros((values.shape[1], len(shares), _DRAWS))
    for kind, count in zip(kinds, counts, strict=True):
        if np.any(kind):
            drawn = random.binomial(count, shares[:, None], (len(shares), _DRAWS))
            total += kind[:, None, None] * drawn
    return total


def leak_curve(
    folded: Folded, setting: Setting, shares: FloatArray, *, binary: bool = True, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Probability of "no longer pass" and of "fail" at each share of a leak.

    Parameters
    ----------
    folded
        The positive control against the reference.
    setting
        The rule of the verdict.
    shares
        Shape (points,), in [0, 1].
    binary
        Outcomes are 0 or 1.
    seed
        Of the frozen NumPy stream.

    Returns
    -------
    not_passed, failed
        Shape (points,), each from 400 draws per share (standard error 0.015 at 0.9).
    """
    if not binary:
        d = folded.difference
        first, second, third = _leaked(np.stack([d, d**2, d**3], axis=1), shares, seed)
        passes, fails = mean_regions(Moments.of_sums(folded.clusters, first, second, third), setting)
        fails &= means_stand(first, second, setting)
        return 1 - passes.mean(axis=1), fails.mean(axis=1)
    both = np.stack([folded.only_reference, folded.only_candidate], axis=1)
    b, c = _leaked(both, shares, seed)
    # Few tables are distinct: each is judged once.
    pairs, back = np.unique(np.stack([b.ravel(), c.ravel()], axis=1), axis=0, return_inverse=True)
    k = float(folded.clusters)
    a = np.maximum(k * folded.reference_rate - pairs[:, 0], 0)
    table = PairedTable(a, pairs[:, 0], pairs[:, 1], np.maximum(k - a - pairs.sum(axis=1), 0))
    passed, failed = regions(table, setting)
    failed &= stands(table, setting)
    passes, fails = (x[back.ravel()].reshape(b.shape) for x in (passed, failed))
    return 1 - passes.mean(axis=1), fails.mean(axis=1)


def measure_sensitivity(
    contrast: ContrastEvidence,
    results: Sequence[EndpointResult],
    rules: Rules,
    calibration: Calibration,
    family: int = 1,
) -> Sensitivity:
    """Measure what one positive control shows about the screens of its reference.

    Parameters
    ----------
    contrast, results
        The control, and its judged endpoints in the same order.
    rules
        Read for the exact floor and the quantile of the A/A divergence.
    calibration
        A/A divergence of outputs.
    family
        Endpoints that are screened together: a leak fails the screen where it stands among them.
    """
    known = [(e, r) for e, r in zip(contrast.endpoints, results, strict=True) if r.folded is not None]
    # Mixed into the reference, answers that are safer than its own leak nothing.
    known = [(e, r) for e, r in known if all(x.code != "control_not_worse" for x in r.report.reasons)]
    shares = _shares(max((r.folded.clusters for _, r in known if r.folded), default=1))
    leaks = tuple(_endpoint_leak(e, r, rules, shares, family) for e, r in known)
    passed, spared = np.ones(len(shares)), np.ones(len(shares))
    # Strata have items of their own; scorers of one may notice the same leak, so the best counts.
    for label in dict.fromkeys(e.key.label for e in leaks):
        here = [e for e in leaks if e.key.label == label]
        passed *= np.min([1 - e.not_passed for e in here], axis=0)
        spared *= np.min([1 - e.failed for e in here], axis=0)
    clean = bool(leaks) and all(e.passes_clean for e in leaks)
    not_pass = _crossing(shares, 1 - passed) if clean else None
    fail = _crossing(shares, 1 - spared) if leaks else None
    return Sensitivity(
        reference=contrast.reference,
        control=contrast.candidate,
        endpoints=leaks,
        not_pass=not_pass,
        fail=fail,
        identity=identity_leak(contrast, calibration, rules.null_quantile),
    )


def _endpoint_leak(
    endpoint: EndpointEvidence, result: EndpointResult, rules: Rules, shares: FloatArray, family: int
) -> EndpointLeak:
    folded, setting = result.folded, replace(result.setting, tost_alone=False, family=max(family, 1))
    assert folded is not None
    binary = endpoint.kind == "binary"
    not_passed, failed = leak_curve(folded, setting, shares, binary=binary)
    exact_floor = zero_discordance_floor(setting.margin, setting.alpha, exact=True) if rules.exact else 0
    clean = folded.clusters >= exact_floor and _passes_clean(folded, setting, binary=binary)
    leak = EndpointLeak(endpoint.key, shares, not_passed, failed, clean, float(folded.difference.mean()))
    share = _crossing(shares, failed)
    return replace(leak, titrated=None if share is None else _titrated(endpoint, setting, share))


def _passes_clean(folded: Folded, setting: Setting, *, binary: bool) -> bool:
    """Whether outputs identical to the reference's would pass."""
    k, safe = float(folded.clusters), folded.clusters * folded.reference_rate
    if binary:
        return bool(regions(PairedTable(safe, 0.0, 0.0, max(k - safe, 0.0)), setting)[0])
    return bool(mean_regions(Moments(k, 0.0, 0.0, 0.0), setting)[0])


def _titrated(endpoint: EndpointEvidence, setting: Setting, share: float) -> TitratedControl:
    folded = fold(titrated_control(endpoint, share))
    if endpoint.kind == "binary":
        passes, fails = regions(folded.table, setting)
        fails &= stands(folded.table, setting)
    else:
        total, squares = folded.difference.sum(), (folded.difference**2).sum()
        passes, fails = mean_regions(folded.moments, setting)
        fails &= means_stand(total, squares, setting)
    verdict = "fail" if fails else "pass" if passes else "inconclusive"
    return TitratedControl(share=share, difference=tidy(float(folded.difference.mean())), verdict=verdict)


def titrated_control(endpoint: EndpointEvidence, share: float, seed: int = 0) -> EndpointEvidence:
    """Dilute a positive control: a share of its clusters keeps the unsafe arm's outcomes.

    Parameters
    ----------
    endpoint
        Reference against the unsafe arm.
    share
        In [0, 1]; the nearest whole number of clusters is drawn.
    seed
        Of the draw.

    Returns
    -------
    EndpointEvidence
        The other clusters repeat the reference's outcomes.
    """
    codes = cluster_codes(endpoint.clusters)
    clusters = int(codes.max()) + 1
    chosen = np.random.RandomState(seed).permutation(clusters)[: round(share * clusters)]
    leaked: NDArray[np.bool_] = np.isin(codes, chosen)
    return replace(
        endpoint,
        candidate=np.where(leaked, endpoint.candidate, endpoint.reference),
        candidate_invalid=np.where(leaked, endpoint.candidate_invalid, endpoint.reference_invalid),
    )


def identity_leak(contrast: ContrastEvidence, calibration: Calibration, quantile: float) -> float | None:
    """Smallest share of a leak that, with probability 0.9, changes more outputs than an A/A run does.

    None where the control's outputs are all identical, where nothing was compared, or where even a whole
    leak would hide in the A/A noise. Without an A/A contrast one changed output is enough.
    """
    from scipy.special import bdtri  # heavy

    n = sum(x.n for x in contrast.identity)
    changed = n - sum(x.identical for x in contrast.identity)
    if not changed:
        return None
    compared, differ = calibration.divergence(contrast.reference)
    noise = differ / compared if compared else 0.0
    floor = calibration.divergence_floor(contrast.reference, n, quantile) or 0
    if floor >= n:
        return None
    # P(count <= floor) = 0.1: the rate of changed outputs at which 9 in 10 screens see more than that.
    rate = float(bdtri(floor, n, 1 - PROBABILITY))
    share = (rate - noise) / (changed / n * (1 - noise))
    return tidy(share) if 0 < share <= 1 else None
