"""The report of a study as one self-contained page, under the same content policy as a run's."""

from __future__ import annotations

from tais.common.text import one_line
from tais.report.figures.canvas import MOST_ROWS, Drawn, Row, draw_rows, row_canvas
from tais.report.figures.svg import COLOURS, RC, svg_of
from tais.report.html.page import defused, page_asset, page_environment, page_policy
from tais.study.report import StudyContrast, StudyReport
from tais.study.wording import CONTRAST_COLUMNS, RUN_COLUMNS, SAYS, contrast_cells, published, run_cells

__all__ = ["render_study_html"]

_NAME = 44


def render_study_html(report: StudyReport) -> str:
    """Return the page of a study."""
    from markupsafe import Markup

    style = page_asset("page.css")
    figure = _figure(report)
    page = (
        page_environment()
        .get_template("study.html")
        .render(
            policy=page_policy(style, None),
            style=Markup(style),
            report=report,
            name=one_line(report.title),
            rows=[(row, published(row)) for row in report.rows],
            run_columns=RUN_COLUMNS,
            runs=[(run, run_cells(run)) for run in report.runs],
            columns=CONTRAST_COLUMNS,
            tables=[
                (run, [(c, contrast_cells(c)) for c in run.contrasts]) for run in report.runs if run.contrasts
            ],
            figure=figure,
            says=SAYS,
        )
    )
    return defused(page)


def _figure(report: StudyReport) -> dict[str, str] | None:
    import matplotlib
    from markupsafe import Markup

    with matplotlib.rc_context(RC):
        drawn = _identity(report)
        if drawn is None:
            return None
        svg = svg_of(drawn.figure, "plot-study", f"{drawn.title}. {drawn.words}")
    return {"title": drawn.title, "caption": drawn.caption, "svg": Markup(svg)}


def _identity(report: StudyReport) -> Drawn | None:
    """Draw the share of identical answers of every contrast that compares answers."""
    found = [(run.name, c) for run in report.runs for c in run.contrasts if c.n]
    if not found:
        return None
    shown = found[:MOST_ROWS]
    rows: list[Row] = []
    marks: list[StudyContrast | None] = []
    before = ""
    for name, contrast in shown:
        if name != before:
            rows.append(Row(one_line(name, _NAME), header=True))
            marks.append(None)
            before = name
        rows.append(Row(_label(contrast), f"{contrast.identical:,} of {contrast.n:,}"))
        marks.append(contrast)
    figure, axes, heights = row_canvas(rows)
    for y, mark in zip(heights, marks, strict=True):
        if mark is not None:
            colour = COLOURS[mark.verdict.value]
            low, high = mark.identical_wilson or (mark.identical / mark.n,) * 2
            axes.plot([100 * low, 100 * high], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot([100 * mark.identical / mark.n], [y], marker=_MARK[mark.verdict.value], color=colour)
    axes.set_xlim(-1, 101)
    axes.set_xlabel("identical answers, percent")
    draw_rows(axes, rows, heights)
    words = "; ".join(f"{_label(c)}: {c.identical:,} of {c.n:,}, {c.verdict.value}" for _, c in shown)
    more = len(found) - len(shown)
    left_out = f" {more} more contrasts stand in the tables only." if more else ""
    return Drawn(
        figure,
        "Identical answers",
        "Share of answers that are the same in both arms, with its Wilson interval. Circle: the contrast "
        f"passes; cross: it fails, as a positive control should; diamond: inconclusive.{left_out}",
        words,
    )


_MARK = {"pass": "o", "fail": "X", "inconclusive": "D"}


def _label(contrast: StudyContrast) -> str:
    return one_line(f"{contrast.candidate} against {contrast.reference}", _NAME)
