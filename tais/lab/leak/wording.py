"""A leak report in rows of text, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator

from tais.lab.leak.report import Cell, LeakReport, Rate

__all__ = ["COLUMNS", "SAYS_NOT", "defence_of", "headline", "rows", "utility_rows"]

COLUMNS = (
    "layer",
    "defence",
    "tokens read",
    "prompts",
    "best, second",
    "tried per token",
    "no match",
    "seconds",
    "perplexity",
)
_NONE = "–"

SAYS_NOT = (
    "A recovery rate below 100 % is the failure of this attack, not a proof that no attack reads more.",
    "Permutations are the shuffles of rows, of coordinates, and of one after the other; entries moved freely "
    "across rows and coordinates are not covered.",
    "It needs the weights. Nothing follows for a model whose weights the host does not have.",
    "It is a finding on privacy and changes no verdict of a screen.",
)


def defence_of(cell: Cell) -> str:
    """Return such as ``both, noise 0.1, 4 bits``."""
    noise = [f"noise {cell.noise:g}"] if cell.noise else []
    bits = [f"{cell.bits} bits"] if cell.bits else []
    permuted = {"none": "as they are", "both": "rows and coordinates shuffled"}
    named = permuted.get(cell.permutation, f"{_SHUFFLED.get(cell.permutation, cell.permutation)} shuffled")
    return ", ".join([named, *noise, *bits])


_SHUFFLED = {"sequence": "rows", "hidden": "coordinates"}


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "not known"
    low, high = rate.wilson
    return f"{rate.count}/{rate.of} {100 * rate.rate:.1f} % [{100 * low:.0f}, {100 * high:.0f}]"


def rows(report: LeakReport) -> Iterator[tuple[str, ...]]:
    """Yield one row per cell, under :data:`COLUMNS`."""
    for cell in report.cells:
        m, u = cell.margins, cell.utility
        perplexity = _NONE if u is None or u.perplexity is None else f"{u.perplexity:.4g}"
        yield (
            str(cell.layer),
            defence_of(cell),
            _rate(cell.tokens),
            _rate(cell.prompts),
            _NONE if m is None else f"{m.best:.3g}, {m.second:.3g}",
            f"{cell.cost.tried_mean:.0f} of {cell.cost.vocabulary}",
            str(cell.unmatched),
            f"{cell.cost.seconds:.1f}",
            perplexity,
        )


def utility_rows(report: LeakReport) -> Iterator[tuple[str, ...]]:
    """Yield layer, defence, endpoint, rates, difference with interval, and verdict, once per change."""
    seen = set()
    for cell in report.cells:
        key = cell.layer, cell.noise, cell.bits
        if cell.utility is None or key in seen:
            continue
        seen.add(key)
        for e in cell.utility.endpoints:
            interval = (e.get("tost") or {}).get("ci")
            shown = "" if interval is None else f" ({interval[0]:+.3f} to {interval[1]:+.3f})"
            change = f"{e['candidate_rate'] - e['reference_rate']:+.3f}{shown}"
            rates = f"{e['reference_rate']:.3f} to {e['candidate_rate']:.3f}"
            name = f"{e['battery']} / {e['scorer']}, n = {e['n']}"
            changed = defence_of(cell).split(", ", 1)[1]
            yield (str(cell.layer), changed, name, rates, change, str(e["verdict"]))


def headline(report: LeakReport) -> str:
    """Return one sentence: the most that any cell read."""
    known = [cell for cell in report.cells if cell.tokens is not None]
    if not known:
        return f"{report.prompts} prompts attacked; nobody wrote down what they were, so no rate is known."
    worst = max(known, key=lambda cell: cell.tokens.rate if cell.tokens else 0.0)
    assert worst.tokens is not None
    assert worst.prompts is not None
    return (
        f"{100 * worst.tokens.rate:.1f} % of the tokens and {worst.prompts.count} of {worst.prompts.of} "
        f"prompts were read from states at layer {worst.layer} ({defence_of(worst)})."
    )
