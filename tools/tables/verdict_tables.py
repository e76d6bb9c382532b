"""Regenerate the tables of docs/statistics.md on whole screens: false fails, power, sizes that decide.

::

    python tools/tables/verdict_tables.py                # rewrite the tables in place (some minutes)
    python tools/tables/verdict_tables.py false-fails    # these tables only
    python tools/tables/verdict_tables.py --check        # exit 1 where they differ
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from statistics_tables import DOCUMENT, regenerate, table

from tais.manifest.model import Role, Rules
from tais.stats.exchange import exchange_control
from tais.stats.paired import PairedTable, tango_statistic, tost
from tais.stats.power import n_for_scores
from tais.stats.proportions import wilson
from tais.stats.regions import Setting
from tais.stats.sample_size import EndpointDesign, decision_power, items_to_decide, joint_power
from tais.stats.simulation.screen import (
    Battery,
    one_bad_endpoint,
    opposite_strata,
    screens_of_equal_stacks,
)
from tais.verdict.details import detail
from tais.verdict.details.contrast import ContrastLooks
from tais.verdict.evidence import (
    ContrastEvidence,
    EndpointEvidence,
    LookEvidence,
    ScreenEvidence,
    TreatmentEvidence,
)
from tais.verdict.report import Report
from tais.verdict.screen import decide

SCREENS = 20_000
BAD_SCREENS = 10_000
DEFAULT = Setting(margin=0.03, alpha=0.05, h_cutoff=0.1)
CONTRASTS = 5
MIXED = (100, 100, 120, 198, 285, 468)
SCREENED = {
    "n 100 to 468": [Battery(n, 0.8, 0.05) for n in MIXED],
    "n = 100": [Battery(100, 0.8, 0.05)] * 6,
    "n = 100, near a ceiling": [Battery(100, 0.97, 0.03)] * 6,
    "n = 100, nearer": [Battery(100, 0.98, 0.03)] * 6,
    "n 100 to 468, nearer": [Battery(n, 0.98, 0.03) for n in MIXED],
    "n = 100, all items at 97 %": [Battery(100, 0.97, 0.058)] * 6,
    "n = 300, all items a coin": [Battery(300, 0.5, 0.5)] * 6,
    "n = 100, 36 batteries": [Battery(100, 0.8, 0.05)] * 36,
}


def interval(p: float, draws: int) -> str:
    """Say a simulated share with its 95 % Wilson interval."""
    low, high = wilson(p * draws, draws)
    return f"{p:.4f} [{float(low):.4f}, {float(high):.4f}]"


def false_fails_table() -> str:
    """Screens of equal stacks that fail, six batteries and five contrasts with one reference."""
    rows = []
    for seed, (name, batteries) in enumerate(SCREENED.items()):
        found = screens_of_equal_stacks(batteries, CONTRASTS, DEFAULT, SCREENS, seed)
        told = [interval(p, SCREENS) for p in (found.unadjusted, found.adjusted, found.adjusted_p_alone)]
        rows.append([name, f"{batteries[0].rate:g}", f"{batteries[0].discordance:g}", *told])
    head = ["batteries", "rate", "discordance", "unadjusted", "and adjusted p", "adjusted p alone"]
    return table(head, rows)


def bad_endpoint_table() -> str:
    """Power to fail one endpoint that is 10 points worse at n = 130."""
    rows = []
    for psi in (0.1, 0.12, 0.15):
        for others in (0.02, 0.05):
            for endpoints in (12, 180):
                bad, quiet = Battery(130, 0.8, psi), Battery(130, 0.8, others)
                found = one_bad_endpoint(bad, -0.1, quiet, endpoints, DEFAULT, BAD_SCREENS, seed=1)
                told = (found.unadjusted, found.adjusted, found.holm_of_margin)
                cells = [interval(p, BAD_SCREENS) for p in told]
                rows.append([f"{psi:g}", f"{others:g}", str(endpoints), *cells])
    head = ["discordance there", "elsewhere", "endpoints", "unadjusted", "and adjusted p", "Holm on margins"]
    return table(head, rows)


def starts_table() -> str:
    """How often starts of equal stacks fail, and how often one start at fault does."""
    rows = []
    for n, starts in ((100, 1), (100, 2), (100, 4), (100, 8), (300, 1), (300, 2), (300, 4), (300, 8)):
        sound, faulty = Battery(n, 0.8, 0.05), Battery(n, 0.8, 0.12)
        equal = screens_of_equal_stacks([sound], starts, DEFAULT, SCREENS, seed=starts).adjusted
        bad = one_bad_endpoint(faulty, -0.1, sound, starts, DEFAULT, BAD_SCREENS, seed=starts).adjusted
        met = 1 - (7 / 8) ** starts
        left = 1 - 0.05 ** (1 / starts)
        cells = [interval(equal, SCREENS), interval(bad, BAD_SCREENS), f"{met:.2f}", f"{left:.2f}"]
        rows.append([str(n), str(starts), *cells])
    head = ["items", "starts", "equal stacks fail", "one start 10 points worse: fails"]
    return table([*head, "a fault of 1 launch in 8 is met", "share of launches left, none failing"], rows)


def decide_table() -> str:
    """Items that decide with power 0.8 and 0.9, and what the old number was worth."""
    rows = []
    for psi, delta in ((0.005, 0.0), (0.01, 0.0), (0.02, 0.0), (0.05, 0.0), (0.05, -0.01), (0.12, -0.1)):
        fail = abs(delta) > DEFAULT.margin
        seen = PairedTable(1 - psi, (psi - delta) / 2, (psi + delta) / 2, 0)
        scores = (float(tango_statistic(seen, m)) for m in (-DEFAULT.margin, DEFAULT.margin))
        before = n_for_scores(1, *scores)
        worth = None if before is None else float(decision_power(before, 0.03, psi, delta, fail=fail))
        cells = [str(before), "" if worth is None else f"{worth:.3f}"]
        for wanted in (0.8, 0.9):
            n = items_to_decide(psi, delta, DEFAULT.margin, power=wanted)
            cells += ["", ""] if n is None else [str(n), _simulated(n, psi, delta, fail=fail)]
        rows.append([f"{psi:g}", f"{delta:g}", *cells])
    head = ["discordance", "difference", "just decides", "its power", "n, 0.8", "simulated", "n, 0.9"]
    return table([*head, "simulated"], rows)


def _simulated(n: int, psi: float, delta: float, *, fail: bool) -> str:
    """Share of drawn tables that are decided."""
    cells = [1 - psi, (psi - delta) / 2, (psi + delta) / 2, 0]
    drawn = np.random.RandomState(n).multinomial(n, cells, SCREENS).T.astype(float)
    found = tost(PairedTable(*drawn), DEFAULT.margin)
    beyond = (found.ci[1] < -DEFAULT.margin) | (found.ci[0] > DEFAULT.margin)
    return interval(float((beyond if fail else found.equivalent).mean()), SCREENS)


def joint_table() -> str:
    """Probability that a whole screen of equal stacks passes."""
    screens = {
        "XSTest, strata as 200 and 222 units, 1 contrast": ((200, 222), 1, 0),
        "XSTest, its 168 and 196 clusters, 1 contrast": ((168, 196), 1, 0),
        "the same with 1 A/A": ((168, 196), 1, 1),
        "6 batteries of 200, 1 contrast, 1 A/A": ((200,) * 6, 1, 1),
        "6 batteries of 450, 1 contrast, 1 A/A": ((450,) * 6, 1, 1),
        "6 batteries of 450, 5 contrasts, 1 A/A": ((450,) * 6, 5, 1),
        "6 batteries of 1000, 5 contrasts, 1 A/A": ((1000,) * 6, 5, 1),
    }
    rows = []
    for name, (sizes, contrasts, again) in screens.items():
        found = [
            joint_power([EndpointDesign(n, DEFAULT.margin, psi) for n in sizes], contrasts, again)
            for psi in (0.0, 0.01, 0.02, 0.05)
        ]
        rows.append([name, *(f"{p:.3f}" for p in found)])
    return table(["screen", "no flips", "1 %", "2 %", "5 %"], rows)


def exchange_table() -> str:
    """How often a scorer that reads a share of the refusals is shown sensitive, by enumeration."""
    from scipy.stats import binom

    read = (0.0, 0.06, 0.1, 0.2, 0.25, 0.3, 0.5, 0.95)
    columns = []
    for n in (50, 250):
        # Of the answers to n items so many come out otherwise than the own ones, all for the worse.
        found = [exchange_control(PairedTable(0, k, 0, n - k), DEFAULT) for k in range(n + 1)]
        for hits in ([x.failed for x in found], [x.shown for x in found]):
            mass = [binom.pmf(np.flatnonzero(hits), n, share).sum() for share in read]
            columns.append([f"{min(x, 1):.3f}" for x in mass])
    rows = [[f"{share:g}", *cells] for share, *cells in zip(read, *columns, strict=True)]
    return table(["refusals read", "fails, n = 50", "shown", "fails, n = 250", "shown"], rows)


def strata_table() -> str:
    """A change for the worse in one stratum and for the better in the other: averaged, and apart."""
    rows = []
    for n in (100, 250, 500):
        for size in (0.03, 0.05, 0.1):
            stratum = Battery(n, 0.8, size + 0.02)
            found = opposite_strata(stratum, size, DEFAULT, SCREENS, seed=n)
            told = (found.passed_pooled, found.failed_pooled, found.passed_split, found.failed_split)
            rows.append([str(n), f"{100 * size:g}", *(f"{p:.3f}" for p in told)])
    head = ["items of each", "points", "averaged: pass", "fail", "apart: pass", "fail"]
    return table(head, rows)


LOOKED_SCREENS = 200
LOOKS = (50, 100, 150, 200)


def early_stop_table() -> str:
    """Whole screens with looks, decided by the rule that decides runs: three batteries, two candidates."""
    cases = {
        "equal stacks": (0.0, 0.05),
        "one endpoint worse by the margin": (-0.06, 0.08),
        "one endpoint 20 points worse": (-0.2, 0.22),
    }
    rows = []
    for seed, (name, (difference, discordance)) in enumerate(cases.items()):
        reports = [_looked(difference, discordance, 1000 * seed + i) for i in range(LOOKED_SCREENS)]
        shares = [np.mean([r.verdict.value == verdict for r in reports]) for verdict in ("pass", "fail")]
        early = np.mean([_stopped(r) for r in reports])
        rows.append([name, *(interval(float(p), LOOKED_SCREENS) for p in (*shares, early))])
    return table(["screen", "pass", "fail", "a candidate stopped early"], rows)


def _stopped(report: Report) -> bool:
    found = [detail(contrast, ContrastLooks) for contrast in report.contrasts]
    return any(looks is not None and looks.stopped is not None for looks in found)


def _looked(difference: float, discordance: float, seed: int) -> Report:
    """Return the report of one screen whose first endpoint has the difference; margin 6 points."""
    random = np.random.RandomState(seed)
    contrasts = tuple(
        _candidate(
            random,
            f"c{place}",
            [(difference, discordance) if not place + b else (0.0, 0.02) for b in range(3)],
        )
        for place in range(2)
    )
    # What the exchange control shows is not asked here: the endpoints are waived.
    rules = Rules(margin=0.06, h_cutoff=0.3, sensitivity="waived")
    return decide(ScreenEvidence("simulated", rules, contrasts))


def _candidate(
    random: np.random.RandomState, name: str, changes: Sequence[tuple[float, float]]
) -> ContrastEvidence:
    n, none = LOOKS[-1], TreatmentEvidence(None, None, None, None, None)
    endpoints = []
    for place, (difference, discordance) in enumerate(changes):
        down, up = (discordance - difference) / 2, (discordance + difference) / 2
        kinds = random.choice(4, n, p=[0.8 - down, down, up, 0.2 - up])
        ids, no = np.array([f"{place}-{i}" for i in range(n)]), np.zeros(n, dtype=bool)
        at = np.searchsorted(LOOKS, np.arange(n), "right") + 1
        looks = LookEvidence("obrien_fleming", LOOKS, True, at, (0,) * 4, (0,) * 4, endpoints=6)
        endpoints.append(
            EndpointEvidence(
                f"b{place}",
                "refusal",
                "binary",
                ids,
                ids,
                np.asarray(kinds < 2, np.float64),
                np.asarray(kinds % 2 == 0, np.float64),
                no,
                no,
                looks=looks,
            )
        )
    return ContrastEvidence("target", name, Role.screen, False, (), (), none, tuple(endpoints))


TABLES = {
    "strata": strata_table,
    "early-screens": early_stop_table,
    "false-fails": false_fails_table,
    "bad-endpoint": bad_endpoint_table,
    "starts": starts_table,
    "decide": decide_table,
    "joint-power": joint_table,
    "exchange": exchange_table,
}


def main() -> int:
    """Rewrite or check the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="all where none is named")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where tables differ")
    args = parser.parse_args()
    old = DOCUMENT.read_text(encoding="utf-8")
    new = regenerate(old, {name: TABLES[name] for name in args.tables or TABLES})
    if args.check:
        return int(new != old)
    DOCUMENT.write_text(new, encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT}: {'changed' if new != old else 'unchanged'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
