"""Foreign text made harmless, and the first line of an error."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tais.common.text import first_line, one_line, printable, visible, without_hidden, words, xml_text

HOSTILE = "a\x1b[2Jb\u202ec\ud800d\u200be\ufffef"


def test_hidden_characters_are_named_or_left_out() -> None:
    assert visible(HOSTILE) == "a⟨U+001B⟩[2Jb⟨U+202E⟩c⟨U+D800⟩d⟨U+200B⟩e⟨U+FFFE⟩f"
    assert without_hidden(HOSTILE) == "a[2Jbcdef"
    assert words(HOSTILE) == "a [2Jb c d e f"


@pytest.mark.parametrize("mark", [*"\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"])
def test_no_line_break_is_left(mark: str) -> None:
    text = f"a{mark}::error::b"
    assert without_hidden(text) == "a ::error::b"
    assert printable(text) == "a : :error::b"
    assert len(one_line(text).splitlines()) == 1
    assert words(text) == "a ::error::b"


def test_xml_holds_any_text() -> None:
    element = ET.Element("a")
    element.text = xml_text("".join(map(chr, [*range(0x250), 0xD800, 0xFFFE, 0xFFFF])), 10_000)
    assert ET.fromstring(ET.tostring(element, encoding="unicode")).text == element.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("\n  one. \ntwo"), "one."),
        (KeyError(), "KeyError"),
        (OSError(" \n"), "OSError"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, said: str) -> None:
    assert first_line(error) == said
