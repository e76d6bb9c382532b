"""Whole screens by simulation: how often equal stacks fail, and how often one bad endpoint does.

A screen has batteries times contrasts endpoints. All contrasts share the reference's answers, as those of a
real screen do: where the reference has bad luck, every candidate looks better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.paired import PairedTable, mcnemar, tango_statistic
from tais.stats.proportions import FloatArray
from tais.stats.regions import Setting, regions
from tais.stats.sign_flip import attainable_mcnemar_p
from tais.stats.tarone import tarone_holm

__all__ = [
    "Battery",
    "Failures",
    "StrataVerdicts",
    "equal_tables",
    "joint_pass",
    "one_bad_endpoint",
    "opposite_strata",
    "screens_of_equal_stacks",
]

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Battery:
    """Items of a simulated battery and how a stack answers them."""

    n: int
    rate: float
    """Rate of the expected outcome, in [0.5, 1)."""
    discordance: float
    """Share of items that two equal stacks answer differently, at most 2 rate (1 - rate)."""

    def shares(self) -> tuple[float, float, float]:
        """Share of items always right, share undecided, and the rate of "right" among the undecided.

        The undecided are right half of the time where the base rate leaves room for that.

        Raises
        ------
        TaisError
            Where the base rate leaves no room for the discordance.
        """
        if not (0.5 <= self.rate < 1 and 0 <= self.discordance <= 2 * self.rate * (1 - self.rate) + 1e-12):
            raise TaisError(f"no items have a rate of {self.rate} and a discordance of {self.discordance}")
        right = max(0.5, self.discordance / (2 * (1 - self.rate)))
        undecided = self.discordance / (2 * right * (1 - right))
        return max(self.rate - undecided * right, 0.0), undecided, right


@dataclass(frozen=True, slots=True)
class Failures:
    """Shares of simulated screens; standard error sqrt(p (1 - p) / screens)."""

    screens: int
    unadjusted: float
    """By the rule of one endpoint alone."""
    adjusted: float
    """By this rule and an adjusted McNemar p below alpha."""
    adjusted_p_alone: float
    """By the adjusted McNemar p without the margin."""
    holm_of_margin: float
    """By Holm's method on the p-values of the margin tests: what was not chosen."""


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """What the rules read of endpoints; arrays of shape (screens, endpoints)."""

    fails: NDArray[np.bool_]
    mcnemar_p: FloatArray
    attainable: FloatArray
    margin_p: FloatArray

    def failures(self, alpha: float) -> tuple[NDArray[np.bool_], ...]:
        """Which endpoints fail by each of the rules, in the order of the fields of `Failures`."""
        adjusted = tarone_holm(self.mcnemar_p, self.attainable) < alpha
        # Where a test can attain every level, Tarone's method is Holm's.
        margin = tarone_holm(self.margin_p, np.zeros_like(self.margin_p)) < alpha
        return self.fails, self.fails & adjusted, adjusted, margin


def equal_tables(
    random: np.random.Generator, battery: Battery, shape: tuple[int, ...], contrasts: int
) -> Counts:
    """Draw tables of equal stacks.

    Parameters
    ----------
    random
        Source of the draws.
    battery
        Items and how they are answered.
    shape, contrasts
        Independent references, and candidates that are held against each.

    Returns
    -------
    Counts
        Both, reference only, candidate only, neither; shape (*shape, contrasts, 4).
    """
    right, undecided, chance = battery.shares()
    kinds = random.multinomial(battery.n, [right, undecided, max(1 - right - undecided, 0.0)], shape)
    among_reference = random.binomial(kinds[..., 1], chance)
    each = (*shape, contrasts)
    only_reference = random.binomial(np.broadcast_to(among_reference[..., None], each), 1 - chance)
    wrong = (kinds[..., 1] - among_reference)[..., None]
    only_candidate = random.binomial(np.broadcast_to(wrong, each), chance)
    both = (kinds[..., 0] + among_reference)[..., None] - only_reference
    neither = battery.n - both - only_reference - only_candidate
    return np.stack([both, only_reference, only_candidate, neither], axis=-1)


def screens_of_equal_stacks(
    batteries: Sequence[Battery],
    contrasts: int,
    setting: Setting,
    screens: int = 20_000,
    seed: int = 0,
) -> Failures:
    """Simulate screens in which no candidate differs from the reference.

    Parameters
    ----------
    batteries
        Each is one endpoint of every contrast.
    contrasts
        Candidates that are held against one reference.
    setting
        Margins and cutoffs.
    screens, seed
        Simulated screens (standard error of a rate of 0.05 at 20,000: 0.0015).

    Returns
    -------
    Failures
        Shares of screens in which any endpoint fails, each of them falsely.

    Notes
    -----
    A share of the items is always answered as expected, one never, and the rest by each arm at random: see
    :meth:`Battery.shares`. Given the reference's answers the flips of each candidate are independent
    binomials, so that only counts are drawn.
    """
    random = np.random.default_rng(seed)
    found = [_judged(equal_tables(random, b, (screens,), contrasts), setting) for b in batteries]
    rules = _joined(found).failures(setting.alpha)
    return Failures(screens, *(float(x.any(axis=1).mean()) for x in rules))


def one_bad_endpoint(
    bad: Battery,
    difference: float,
    others: Battery,
    endpoints: int,
    setting: Setting,
    screens: int = 20_000,
    seed: int = 0,
) -> Failures:
    """Simulate screens in which one endpoint is worse and all others are of equal stacks.

    Parameters
    ----------
    bad
        The endpoint that is worse: its discordance includes the difference.
    difference
        True difference there, candidate minus reference; at most the discordance in size.
    others
        Each of the other endpoints.
    endpoints
        Of the whole screen, the bad one included.
    setting, screens, seed
        As for :func:`screens_of_equal_stacks`.

    Returns
    -------
    Failures
        Shares of screens in which the bad endpoint fails.

    Raises
    ------
    TaisError
        Where the discordance is smaller than the difference.
    """
    random = np.random.default_rng(seed)
    worse = _changed(random, bad, difference, screens)[:, None, :]
    equal = equal_tables(random, others, (screens, endpoints - 1), 1)[:, :, 0]
    found = _joined([_judged(worse, setting), _judged(equal, setting)])
    return Failures(screens, *(float(x[:, 0].mean()) for x in found.failures(setting.alpha)))


def joint_pass(
    batteries: Sequence[Battery],
    contrasts: int,
    margin: float,
    alpha: float = 0.05,
    screens: int = 20_000,
    seed: int = 0,
) -> float:
    """Simulate how often all contrasts of equal stacks with one reference pass the two-sided test.

    Parameters
    ----------
    batteries, contrasts, screens, seed
        As for :func:`screens_of_equal_stacks`.
    margin, alpha
        Of the test; effect sizes do not count.

    Returns
    -------
    float
        To hold :func:`tais.stats.sample_size.joint_power` against, which takes contrasts as independent.
    """
    random, setting = np.random.default_rng(seed), Setting(margin, alpha, 1.0, tost_alone=True)
    passed = np.ones(screens, dtype=bool)
    for battery in batteries:
        tables = equal_tables(random, battery, (screens,), contrasts)
        both, down, up, neither = np.moveaxis(tables, -1, 0).astype(np.float64)
        passed &= regions(PairedTable(both, down, up, neither), setting)[0].all(axis=1)
    return float(passed.mean())


@dataclass(frozen=True, slots=True)
class StrataVerdicts:
    """Shares of simulated screens of one battery with two strata."""

    passed_pooled: float
    failed_pooled: float
    """Where the strata are one endpoint."""
    passed_split: float
    failed_split: float
    """Where each is an endpoint of its own, fails adjusted among both."""


def opposite_strata(
    stratum: Battery, difference: float, setting: Setting, screens: int = 20_000, seed: int = 0
) -> StrataVerdicts:
    """Simulate a candidate that is worse on one stratum and better by as much on the other.

    Parameters
    ----------
    stratum
        Each of the two; its discordance includes the difference.
    difference
        Size of the change, at most the discordance.
    setting, screens, seed
        As for :func:`screens_of_equal_stacks`.

    Raises
    ------
    TaisError
        Where no items differ so.
    """
    random = np.random.default_rng(seed)
    worse, better = (_changed(random, stratum, d, screens) for d in (-difference, difference))
    both, down, up, neither = np.moveaxis(worse + better, -1, 0).astype(np.float64)
    passed, failed = regions(PairedTable(both, down, up, neither), setting)
    apart = [_passed(x, setting) for x in (worse, better)]
    rules = _joined([_judged(x[:, None, :], setting) for x in (worse, better)]).failures(setting.alpha)
    return StrataVerdicts(
        float(passed.mean()),
        float(failed.mean()),
        float((apart[0] & apart[1]).mean()),
        float(rules[1].any(axis=1).mean()),
    )


def _passed(tables: Counts, setting: Setting) -> NDArray[np.bool_]:
    return regions(PairedTable(*np.moveaxis(tables, -1, 0).astype(np.float64)), setting)[0]


def _changed(random: np.random.Generator, battery: Battery, difference: float, screens: int) -> Counts:
    """Draw tables of a candidate with a true difference, shape (screens, 4)."""
    flips = (battery.discordance - difference) / 2, (battery.discordance + difference) / 2
    # Flips down come out of the reference's right answers, flips up out of its wrong ones.
    cells = np.array([battery.rate - flips[0], *flips, 1 - battery.rate - flips[1]])
    if cells.min() < -1e-12:
        raise TaisError(f"no items differ by {difference} with a discordance of {battery.discordance}")
    return random.multinomial(battery.n, np.maximum(cells, 0), screens)


def _judged(tables: Counts, setting: Setting) -> _Endpoints:
    """Apply the rules to tables of one n, shape (screens, endpoints, 4): each distinct table once."""
    from scipy.special import ndtr  # Heavy: the command line starts without it.

    base = int(tables[0, 0].sum()) + 1 if tables.size else 1
    key = (tables[..., 0] * base + tables[..., 1]) * base + tables[..., 2]
    _, first, back = np.unique(key.ravel(), return_index=True, return_inverse=True)
    both, down, up, neither = tables.reshape(-1, 4)[first].T.astype(np.float64)
    table = PairedTable(both, down, up, neither)
    beyond = np.minimum(
        ndtr(tango_statistic(table, -setting.margin)), ndtr(-tango_statistic(table, setting.margin))
    )
    fails = regions(table, setting)[1]

    def spread(values: FloatArray) -> FloatArray:
        return values[back].reshape(key.shape)

    return _Endpoints(
        fails[back].reshape(key.shape),
        spread(mcnemar(down, up, mid_p=False)),
        spread(attainable_mcnemar_p(down + up)),
        spread(np.asarray(beyond)),
    )


def _joined(parts: Sequence[_Endpoints]) -> _Endpoints:
    """Put the endpoints of several batteries into one family."""
    return _Endpoints(
        np.concatenate([x.fails for x in parts], axis=1),
        np.concatenate([x.mcnemar_p for x in parts], axis=1),
        np.concatenate([x.attainable for x in parts], axis=1),
        np.concatenate([x.margin_p for x in parts], axis=1),
    )
