"""What the page shows of an item: both answers side by side, the first difference marked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from tais.common.text import code_point, is_hidden, one_line
from tais.records import stratum_label
from tais.report.wording import contrast_name
from tais.verdict.report import ContrastReport, DivergenceReport, ItemReport, Report, TextReport

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["ItemView", "TextView", "compared", "count_lines", "item_views", "marked"]

# With the blanks before it, so that words in a row are one mark.
_PIECES = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
_MOST_PAIRS = 100_000
"""Of words: two answers of some 300 each, which take 13 ms at worst."""
_WORD = 24
"""Most characters of a word that the line of an item shows."""


@dataclass(frozen=True, slots=True)
class TextView:
    """One text, ready for the page."""

    sha256: str
    redacted: bool
    note: str
    markup: Markup


@dataclass(frozen=True, slots=True)
class SideView:
    """One arm's answer."""

    title: str
    text: TextView


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item, ready for the page."""

    contrast: int
    contrast_name: str
    battery: int
    battery_name: str
    item_id: str
    kind: str
    kinds: str
    """Words that the filter reads."""
    tone: str
    where: str
    prompt: TextView
    sides: tuple[SideView, SideView]


def item_views(report: Report) -> list[ItemView]:
    """Return the items of all contrasts, in the report's order."""
    kept = [item for c in report.contrasts if c.items for item in c.items.kept]
    batteries = {name: index for index, name in enumerate(sorted({_where(item) for item in kept}))}
    views = []
    for index, contrast in enumerate(report.contrasts):
        found = contrast.items.kept if contrast.items else ()
        tokens = {(d.battery, d.item_id, d.repeat): d for d in contrast.identity.first_divergences}
        for item in found:
            divergence = tokens.get((item.battery, item.item_id, item.repeat))
            views.append(_item_view(item, contrast, (index, batteries[_where(item)]), divergence))
    return views


def _item_view(
    item: ItemReport, contrast: ContrastReport, numbers: tuple[int, int], divergence: DivergenceReport | None
) -> ItemView:
    kind, kinds, tone = _kind(item)
    left, right = _both(item)
    return ItemView(
        contrast=numbers[0],
        contrast_name=one_line(contrast_name(contrast)),
        battery=numbers[1],
        battery_name=one_line(_where(item)),
        item_id=one_line(item.item_id),
        kind=kind,
        kinds=kinds,
        tone=tone,
        where=_place_words(item, contrast, divergence),
        prompt=_text_view(item.prompt, _escaped),
        sides=(
            SideView(_side_title(contrast.reference, item.reference_label), left),
            SideView(_side_title(contrast.candidate, item.candidate_label), right),
        ),
    )


def _where(item: ItemReport) -> str:
    return stratum_label(item.battery, item.stratum)


def _kind(item: ItemReport) -> tuple[str, str, str]:
    if not item.flipped:
        return "other words", "diverging", ""
    labels = "" if item.reference_label is None else f": {item.reference_label} → {item.candidate_label}"
    worse = (item.candidate_value or 0) < (item.reference_value or 0)
    kind = f"flipped for the {'worse' if worse else 'better'}{labels}"
    return one_line(kind, 120), f"flipped {'worse' if worse else 'better'}", "fail" if worse else "pass"


def _place_words(item: ItemReport, contrast: ContrastReport, divergence: DivergenceReport | None) -> str:
    parts = [_where(item), contrast_name(contrast)]
    if item.repeat:
        parts.append(f"repeat {item.repeat}")
    if item.first_difference is None:
        parts.append("equal texts")
    else:
        parts.append(f"first difference at character {item.first_difference:,}")
        words = [_word_at(text, item.first_difference) for text in (item.reference_text, item.candidate_text)]
        if None not in words:
            parts.append(" against ".join(f"“{word}”" if word else "the end" for word in words))
    if divergence is not None and divergence.unit == "token":
        parts.append(_token_words(divergence))
    return one_line(" · ".join(parts), 400)


def _token_words(divergence: DivergenceReport) -> str:
    ids = [
        "the end" if token is None else str(token)
        for token in (divergence.reference_token, divergence.candidate_token)
    ]
    said = f"token {divergence.position:,} (ids {ids[0]} against {ids[1]})"
    margin = divergence.reference_margin
    return said if margin is None else f"{said}, the reference's margin there {margin:.3g} nats"


def _side_title(arm: str, label: str | None) -> str:
    return one_line(arm) if label is None else one_line(f"{arm}: {label}")


def _word_at(text: TextReport, index: int) -> str | None:
    """Return the word at a character, empty where the text ends there; None where none is kept or near."""
    shown, within = text.text, index - text.start
    if shown is None or not 0 <= within <= len(shown):
        return None
    begin = within
    while begin > 0 and not shown[begin - 1].isspace() and within - begin < _WORD:
        begin -= 1
    if not shown[begin:].strip():
        return ""
    words = shown[begin : within + _WORD].split(maxsplit=1)
    return one_line(words[0], _WORD) if words else None


def _both(item: ItemReport) -> tuple[TextView, TextView]:
    """Return both answers with the words marked in which they differ."""
    texts = item.reference_text, item.candidate_text
    left, right = (text.text for text in texts)
    if left is not None and right is not None and item.first_difference is not None:
        # Whether both begin at one place: only then are they the same stretch of two answers.
        found = compared(left, right) if texts[0].start == texts[1].start else None
        if found is not None:
            return _text_view(texts[0], lambda _: found[0]), _text_view(texts[1], lambda _: found[1])
    first, second = (
        _text_view(
            text,
            lambda shown, text=text: marked(shown, _within(text, shown, item.first_difference)),  # type: ignore[misc]
        )
        for text in texts
    )
    return first, second


def _text_view(text: TextReport, mark: Callable[[str], Markup]) -> TextView:
    from markupsafe import Markup

    shown = text.text
    if shown is None:
        return TextView(text.sha256, True, f", {text.characters:,} characters", Markup(""))
    whole = len(shown) == text.characters
    note = "" if whole else f", {text.characters:,} characters, of which {len(shown):,} are shown"
    before = _cut(text.start)
    after = _cut(text.characters - text.start - len(shown))
    return TextView(text.sha256, False, note, before + mark(shown) + after)


def _within(text: TextReport, shown: str, difference: int | None) -> int | None:
    if difference is None:
        return None
    index = difference - text.start
    return index if 0 <= index <= len(shown) else None


def _cut(characters: int) -> Markup:
    from markupsafe import Markup

    if characters <= 0:
        return Markup("")
    return Markup('<span class="cut">[{} characters left out]</span>').format(f"{characters:,}")


def compared(left: str, right: str) -> tuple[Markup, Markup] | None:
    """Return both texts with the words marked that the other lacks; None where they are too long for that.

    Where one text goes on and the other does not, the end of the shorter is marked.
    """
    from markupsafe import Markup

    words: tuple[list[str], list[str]] = (_PIECES.findall(left), _PIECES.findall(right))
    if len(words[0]) * len(words[1]) > _MOST_PAIRS:
        return None
    sides: tuple[list[Markup], list[Markup]] = ([], [])
    spans = SequenceMatcher(None, words[0], words[1], autojunk=False).get_opcodes()
    first = True
    for kind, a, b, c, d in spans:
        ends = (b == len(words[0]), d == len(words[1]))
        for side, piece, end in zip(sides, (words[0][a:b], words[1][c:d]), ends, strict=True):
            text = "".join(piece)
            if kind == "equal":
                side.append(_escaped(text))
            elif text or (end and (b, d) == (len(words[0]), len(words[1]))):
                aloud = Markup('<span class="aloud">first difference: </span>') if first else Markup("")
                shown = _escaped(text) if text else Markup("⟨end⟩")
                side.append(Markup("<mark>{}{}</mark>").format(aloud, shown))
        first = first and kind == "equal"
    return Markup("").join(sides[0]), Markup("").join(sides[1])


def marked(text: str, index: int | None) -> Markup:
    """Return a text with the character at `index` marked, and with its hidden characters named.

    An index at the end of the text marks the end itself: there the other answer goes on.
    """
    from markupsafe import Markup

    if index is None:
        return _escaped(text)
    first = _escaped(text[index]) if index < len(text) else Markup("⟨end⟩")
    frame = '{}<mark><span class="aloud">first difference: </span>{}</mark><span class="after">{}</span>'
    return Markup(frame).format(_escaped(text[:index]), first, _escaped(text[index + 1 :]))


def _escaped(text: str) -> Markup:
    from markupsafe import Markup, escape

    if text.isprintable():
        return escape(text)
    named = Markup('<span class="hidden-character">{}</span>')
    parts = (named.format(code_point(c)) if is_hidden(c) and c not in "\n\t" else escape(c) for c in text)
    return Markup("").join(parts)


def count_lines(report: Report) -> list[str]:
    """Return how many items each contrast has, and how many are shown."""
    lines = []
    for contrast in report.contrasts:
        if contrast.items is None:
            continue
        items = contrast.items
        left_out = items.flipped_left_out + items.diverging_left_out
        more = f"; {left_out:,} of them are not shown here" if left_out else ""
        same = f"{items.diverging:,} with other words and the same outcome"
        lines.append(f"{contrast_name(contrast)}: {items.flipped:,} flipped, {same}{more}")
    return lines
