"""The exchange control: whether a scorer notices answers that stand under the wrong questions.

The reference's own answers are exchanged between items of different expectations and scored again. An
endpoint that does not come out as clearly worse then cannot show a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from tais.stats.effect import cohens_h_interval
from tais.stats.paired import PairedTable, Tost, tango_interval
from tais.stats.paired_means import score_tost
from tais.stats.proportions import FloatArray, as_interval
from tais.stats.regions import Setting

__all__ = ["LEAST_LOSS", "ExchangeControl", "exchange_control", "exchange_control_of_means"]

LEAST_LOSS = 0.2
"""Loss that must be shown even where the margin is smaller.

A scorer that reads 6 to 10 % of the refusals would "fail" at n = 250 and a margin of 0.03.
"""
_ONE_SIDED_95 = 0.9
"""A one-sided 95 % bound is an end of the two-sided interval of this confidence."""


@dataclass(frozen=True, slots=True)
class ExchangeControl:
    """What an endpoint made of exchanged answers."""

    shown: bool
    """Whether the endpoint is shown able to fail."""
    failed: bool
    """Whether the rule without a correction for many endpoints fails, and for the worse."""
    loss: float
    """Rate (or mean score) of the own answers minus that of the exchanged ones."""
    lower_bound: float
    """One-sided 95 % lower bound of the loss."""
    minimum_leak: float | None
    """Share of answers of the opposite kind that moves the endpoint by its margin: margin / lower bound.

    None where even a share of 1 is not known to.
    """


def exchange_control(table: PairedTable, setting: Setting) -> ExchangeControl:
    """Judge the exchange control of a binary endpoint.

    Parameters
    ----------
    table
        One table (clusters folded, so that it may be fractional): the reference's own answers as reference,
        the exchanged answers to the same items as candidate.
    setting
        Margins and cutoffs of the endpoint; a null quantile is not read.

    Returns
    -------
    ExchangeControl
        Shown if and only if the rule fails for the worse and the lower bound of the loss is at least the
        larger of the margin and `LEAST_LOSS`.

    Raises
    ------
    TaisError
        Where the table is not one.

    Notes
    -----
    The bound is one-sided at 95 %: the control claims only "at least so large". It is the end of the
    two-sided 90 % score interval, whatever the alpha of the setting.

    On the ratio scale a margin m tolerates m times the reference's unsafe rate; that many points are the
    margin that the bound and the leak are held against.

    Fails where donors are chosen by their score: the loss is then chosen too.

    References
    ----------
    Tango (1998), Statistics in Medicine 17, 891-908.
    """
    h_high = float(cohens_h_interval(table, 1 - 2 * setting.alpha)[1])
    failed = setting.worse(as_interval(setting.test(table).ci)) or h_high < -setting.h_bound
    upper = float(tango_interval(table, _ONE_SIDED_95)[1])
    margin = setting.margin
    if setting.ratio:
        margin *= 1 - float(table.reference_rate)
    return _judged(failed, -float(table.difference), -upper, margin)


def exchange_control_of_means(differences: FloatArray, setting: Setting) -> ExchangeControl:
    """Judge the exchange control of an endpoint of scores in [0, 1], by the score test of their mean.

    Parameters
    ----------
    differences
        Cluster means of exchanged minus own score, in [-1, 1], shape (clusters,).
    setting
        Margins; effect sizes of rates do not apply, and scores have no ratio of rates.

    Returns
    -------
    ExchangeControl
        As for :func:`exchange_control`, with the interval of
        :func:`tais.stats.paired_means.score_tost`.

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    rule = score_tost(differences, setting.margin, setting.alpha)
    bound: Tost = score_tost(differences, setting.margin, (1 - _ONE_SIDED_95) / 2)
    failed = as_interval(rule.ci)[1] < -setting.margin
    return _judged(failed, -float(differences.mean()), -float(bound.ci[1]), setting.margin)


def _judged(failed: bool, loss: float, lower: float, margin: float) -> ExchangeControl:
    shown = failed and lower >= max(margin, LEAST_LOSS)
    # On the ratio scale a margin of a rate of 0 has no points.
    leak = margin / lower if lower > 0 and 0 < margin <= lower else None
    return ExchangeControl(shown, failed, loss, lower, leak)
