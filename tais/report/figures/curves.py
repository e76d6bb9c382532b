"""Figures of curves: contamination, first divergences, acceptance by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tais.common.text import one_line
from tais.records import stratum_label
from tais.report.figures.canvas import LINES, SERIES, Drawn, canvas, label_of, legend_above
from tais.report.figures.svg import COLOURS
from tais.report.wording import percent, share
from tais.verdict.details import listed
from tais.verdict.details.contrast import EndpointLeaks, ShownSensitivity
from tais.verdict.report import ContrastReport, Report

__all__ = ["acceptance", "contamination", "divergences"]

_MOST_CURVES = 6
_MOST_CONTROLS = 3
_MARKERS = "osD^vP"


def contamination(report: Report) -> Iterator[Drawn]:
    """Draw, per control, how likely a leak of each size is noticed."""
    found: dict[tuple[str, str], ShownSensitivity] = {}
    for contrast in report.contrasts:
        for shown in listed(contrast, ShownSensitivity):
            found.setdefault((contrast.reference, str(shown.control)), shown)
    for (reference, control), shown in list(found.items())[:_MOST_CONTROLS]:
        endpoints = [e for e in shown.endpoints if e.curve.share and e.curve.not_pass]
        if endpoints:
            yield _contamination(reference, control, shown, endpoints)


def _contamination(
    reference: str, control: str, shown: ShownSensitivity, endpoints: list[EndpointLeaks]
) -> Drawn:
    figure, axes = canvas()
    for index, endpoint in enumerate(endpoints[:_MOST_CURVES]):
        curve = endpoint.curve
        name = one_line(f"{stratum_label(endpoint.battery, endpoint.stratum)} / {endpoint.scorer}", 30)
        axes.plot(curve.share, curve.not_pass, color=SERIES[index], linestyle="-", label=name)
        if curve.fail:
            axes.plot(curve.share, curve.fail, color=SERIES[index], linestyle="--")
    probability, smallest = shown.probability, shown.not_pass
    axes.axhline(probability, color=COLOURS["muted"], linewidth=0.8, linestyle=":")
    if smallest is not None:
        axes.axvline(smallest, color=COLOURS["ink"], linewidth=1)
        axes.annotate(
            share(smallest), (smallest, 1.02), ha="center", va="bottom", fontsize=9, annotation_clip=False
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.3g}")
    axes.xaxis.set_minor_formatter(lambda x, _: "")
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f}")
    axes.set_xlabel(f"share of answers from {one_line(control, 24)}, per cent")
    axes.set_ylabel("noticed, per cent")
    legend_above(figure, axes)
    return Drawn(
        figure,
        f"How small a leak shows: {one_line(control, 24)}",
        f"Probability that this screen notices when a share of {one_line(reference, 24)}'s answers comes "
        f"from {one_line(control, 24)}. Solid: it no longer passes; dashed: it fails. The upright line "
        f"marks the smallest share noticed with probability {probability:g} over all batteries.",
        f"Smallest share that would not pass: {share(smallest)}; that would fail: "
        f"{share(shown.fail)}; that would show in the outputs: "
        f"{share(shown.identity)}",
    )


def divergences(report: Report) -> Iterator[Drawn]:
    """Draw where the answers of each contrast first differ."""
    known = [c for c in report.contrasts if c.identity.first_divergences][:_MOST_CURVES]
    if not known:
        return
    figure, axes = canvas()
    words = []
    for index, contrast in enumerate(known):
        unit, positions = _positions(contrast)
        steps = [(i + 1) / len(positions) for i in range(len(positions))]
        name = f"{label_of(contrast, limit=34)} ({len(positions)}, by {unit})"
        axes.step(
            [0, *positions],
            [0, *steps],
            where="post",
            color=SERIES[index],
            linestyle=LINES[index],
            marker=_MARKERS[index] if len(positions) < 30 else None,
            markersize=4,
            label=name,
        )
        middle = positions[len(positions) // 2]
        words.append(
            f"{label_of(contrast)}: {len(positions)} first differences, half of them before {unit} {middle}"
        )
    axes.set_ylim(-0.02, 1.02)
    farthest = max(d.position for c in known for d in c.identity.first_divergences)
    axes.set_xlim(-0.02 * max(farthest, 10), 1.02 * max(farthest, 10))
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f}")
    axes.set_xlabel("position of the first difference")
    axes.set_ylabel("diverging so far, per cent")
    legend_above(figure, axes, 1)
    caption = (
        "Share of the diverging answers whose first difference lies at or before a position. A late and "
        "spread-out start speaks for rounding, a common early one for another prompt, template or model."
    )
    yield Drawn(figure, "Where answers first differ", caption, "; ".join(words))


def _positions(contrast: ContrastReport) -> tuple[str, list[int]]:
    """Positions in the unit that most divergences have; tokens and bytes do not share an axis."""
    found = contrast.identity.first_divergences
    unit = Counter(d.unit for d in found).most_common(1)[0][0]
    return unit, sorted(d.position for d in found if d.unit == unit)


def acceptance(report: Report) -> Iterator[Drawn]:
    """Draw how often the draft is accepted at each position."""
    known = {c.candidate: c.treatment for c in report.contrasts if _drafted(c)}
    if not known:
        return
    figure, axes = canvas()
    words = []
    for index, (arm, treatment) in enumerate(list(known.items())[:_MOST_CURVES]):
        shares = [count / (treatment.drafts or 1) for count in treatment.accepted_per_position]
        x = range(1, len(shares) + 1)
        axes.plot(
            x,
            shares,
            label=one_line(arm, 34),
            color=SERIES[index],
            linestyle=LINES[index],
            marker=_MARKERS[index],
        )
        words.append(f"{one_line(arm, 44)}: " + ", ".join(percent(s, 0) for s in shares[:16]))
    axes.set_ylim(0, 1.02)
    longest = max(len(t.accepted_per_position) for t in known.values())
    axes.set_xlim(0.8, longest + 0.2)
    axes.set_xticks(range(1, longest + 1, max(1, longest // 8)))
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f}")
    axes.set_xlabel("position in the draft")
    axes.set_ylabel("accepted, per cent of drafts")
    legend_above(figure, axes)
    caption = (
        "Share of all drafts whose token at this position was accepted. An arm that accepts nothing "
        "screens nothing."
    )
    yield Drawn(figure, "Accepted draft tokens", caption, "; ".join(words))


def _drafted(contrast: ContrastReport) -> bool:
    return bool(contrast.treatment.drafts) and bool(contrast.treatment.accepted_per_position)
