"""Regenerate the tables of docs/statistics.md: size of the tests, coverage of the intervals, sizes needed.

::

    python tools/tables/statistics_tables.py           # rewrite the tables in place
    python tools/tables/statistics_tables.py --check   # exit 1 where they differ
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tais.stats.power import n_needed, wald_n, zero_discordance_floor
from tais.stats.simulation.clusters import WORLDS, cluster_passes
from tais.stats.simulation.endpoint import (
    INTERVALS,
    TESTS,
    coverage,
    h_coverage,
    h_size,
    judged_passes,
    size,
)
from tais.stats.simulation.floor import STARTS, World, beyond_floor, beyond_floor_of_starts
from tais.stats.simulation.pooled import seen_by_batteries, seen_pooled

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
SIZES = (50, 88, 99, 100, 120, 147, 200, 300, 500, 1000)
AT_MARGIN = (0.03, 0.035, 0.05, 0.1, 0.2)
DISCORDANCE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
H_RATES = (0.5, 0.79, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
RATES = (0.02, 0.1, 0.3, 0.5, 0.79, 0.9, 0.98)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay out a Markdown table."""
    titles = list(head)
    lines = ["| " + " | ".join(titles) + " |", "|" + " ---: |" * len(titles)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def size_table() -> str:
    """Largest size over the discordance, and over base rates where it depends on them."""
    rows = []
    for n in SIZES:
        found = {
            test: max(
                size(test, n, 0.03, psi, base_rate=rate)
                for psi in AT_MARGIN
                for rate in (RATES if test == "wald_unpaired" else (0.79,))
            )
            for test in TESTS
        }
        rows.append([str(n), *(f"{found[test]:.4f}" for test in TESTS)])
    return table(["n", "Tango (default)", "exact", "Wald, paired", "Wald, unpaired (published)"], rows)


def coverage_table() -> str:
    """Least and mean coverage of the 90 % intervals over discordance and difference."""
    rows = []
    for n in (50, 100, 200, 500, 1000):
        cells = []
        for method in INTERVALS:
            found = [
                coverage(method, n, psi, delta)
                for psi in DISCORDANCE
                for delta in (0.0, -0.005, -0.02, -0.03)
                if abs(delta) <= psi
            ]
            cells.append(f"{min(found):.3f} / {sum(found) / len(found):.3f}")
        rows.append([str(n), *cells])
    return table(["n", "Tango", "Newcombe", "Agresti-Min", "Bonett-Price", "Wald"], rows)


def h_table() -> str:
    """Least coverage of the 90 % interval of Cohen's h over the discordance, by base rate."""
    rows = []
    for n in (50, 100, 300, 1000):
        cells = []
        for rate in RATES:
            found = [x for psi in DISCORDANCE if (x := h_coverage(n, rate, psi)) is not None]
            cells.append(f"{min(found):.3f}")
        rows.append([str(n), *cells])
    return table(["n", *(f"p = {rate:g}" for rate in RATES)], rows)


def power_table() -> str:
    """Items needed at a margin of 3 points."""
    rows = []
    for psi in (0.0, 0.005, 0.01, 0.02, 0.05, 0.1):
        needed = [str(n_needed(0.03, psi, power)) for power in (0.8, 0.9)]
        textbook = [str(wald_n(0.03, psi, power)) for power in (0.8, 0.9)]
        rows.append([f"{psi:g}", *needed, *textbook])
    rows.append(["floor", *[str(zero_discordance_floor(0.03))] * 2, "", ""])
    return table(["discordance", "n, power 0.8", "n, power 0.9", "Wald, 0.8", "Wald, 0.9"], rows)


def h_size_table() -> str:
    """Probability that the whole interval of h lies beyond the cutoff where the true h is the cutoff."""
    rows = []
    for h in (-0.1, 0.1):
        for n in (100, 300, 1000, 3000):
            cells = []
            for rate in H_RATES:
                found = [x for psi in (0.0, 0.01) if (x := h_size(n, rate, h, psi)) is not None]
                cells.append(f"{max(found):.3f}" if found else "")
            rows.append([f"{h:g}", str(n), *cells])
    return table(["true h", "n", *(f"p = {rate:g}" for rate in H_RATES)], rows)


def cluster_table() -> str:
    """Size at the margin, and power between equal stacks, of prompts with 8 rows and with 1 to 15."""
    rows = []
    cases = [(20, 0.2), (50, 0.1), (100, 0.03), (200, 0.03), (500, 0.03), (1000, 0.03)]
    for clusters, margin in cases:
        for unequal in (False, True):
            sizes = [f"{cluster_passes(w, clusters, margin, margin, unequal=unequal):.3f}" for w in WORLDS]
            power = cluster_passes("rates", clusters, 0.0, margin, unequal=unequal)
            many = "1 to 15" if unequal else "8"
            rows.append([str(clusters), many, f"{100 * margin:g} pp", *sizes, f"{power:.3f}"])
    return table(["prompts", "rows each", "margin", *WORLDS, "equal stacks pass"], rows)


def floor_table() -> str:
    """Honest runs beyond the A/A floor, before and after; exact."""
    rows = []
    for n in (50, 100, 300, 1000):
        for share in (0.002, 0.01, 0.02, 0.05, 0.2):
            found = *beyond_floor(n, share, plug_in=True), *beyond_floor(n, share)
            rows.append([str(n), f"{share:g}", *(f"{x:.4f}" for x in found)])
    head = [
        "n",
        "share that flips",
        "answers, at the share seen",
        "outcomes",
        "answers, predicted",
        "outcomes",
    ]
    return table(head, rows)


def starts_table() -> str:
    """Honest starts beyond the floor of several A/A runs, where starts differ; simulated."""
    rows = []
    worlds: tuple[tuple[str, World, float], ...] = (
        ("nothing", "rate", 0.0),
        ("how often", "rate", 0.02),
        ("which way", "lean", 0.3),
    )
    for name, world, correlation in worlds:
        for runs in (1, 2, 4, 8):
            cells = []
            for pooled in (True, False):
                for found in beyond_floor_of_starts(300, runs, world, correlation, pooled=pooled):
                    cells.append(f"{found:.3f} ± {(found * (1 - found) / STARTS) ** 0.5:.3f}")
            rows.append([name, str(runs), *cells])
    head = [
        "starts differ in",
        "A/A runs",
        "answers, as if one start",
        "outcomes",
        "answers, with the spread",
    ]
    return table([*head, "outcomes"], rows)


def pooled_table() -> str:
    """Power to see a loss of 0.3 points that six batteries share; exact."""
    rows = []
    for n in (3000, 10_000, 30_000):
        for psi in (0.01, 0.03):
            one, two = (seen_pooled(n, psi, 0.003, one_sided=side) for side in (True, False))
            alone, level = seen_by_batteries(n, 6, psi, 0.003), seen_pooled(n, psi, 0.0)
            rows.append([f"{n:,}", f"{psi:g}", *(f"{x:.4f}" for x in (one, two, alone, level))])
    return table(
        ["n", "discordance", "pooled", "pooled, two-sided", "any of six batteries", "equal stacks"], rows
    )


def youden_table() -> str:
    """Probability that a true loss of the margin passes, by Youden's index of the scorer; exact."""
    indices = (1.0, 0.9, 0.8, 0.7, 0.5)
    rows = [
        [str(n), *(f"{judged_passes(n, j, 0.05, 0.03):.4f}" for j in indices)] for n in (300, 500, 1000, 3000)
    ]
    return table(["n", *(f"J = {j:g}" for j in indices)], rows)


TABLES = {
    "size": size_table,
    "coverage": coverage_table,
    "coverage-h": h_table,
    "power": power_table,
    "h-size": h_size_table,
    "clusters": cluster_table,
    "aa-floor": floor_table,
    "aa-starts": starts_table,
    "pooled-safety": pooled_table,
    "youden": youden_table,
}


def regenerate(text: str, tables: Mapping[str, Callable[[], str]] = TABLES) -> str:
    """Put fresh tables between their markers."""
    for name, build in tables.items():
        start, end = f"<!-- table: {name} -->", f"<!-- end: {name} -->"
        before, rest = text.split(start)
        text = f"{before}{start}\n{build()}\n{end}{rest.split(end)[1]}"
    return text


def main() -> int:
    """Rewrite or check the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where tables differ")
    args = parser.parse_args()
    old = DOCUMENT.read_text(encoding="utf-8")
    new = regenerate(old)
    if args.check:
        return int(new != old)
    DOCUMENT.write_text(new, encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT}: {'changed' if new != old else 'unchanged'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
