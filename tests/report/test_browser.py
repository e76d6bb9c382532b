"""The page in a real browser: silent, deaf to hostile text, and its filters work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tais.report.html.page import render_html
from tests.report.browser import Browser, find_chromium
from tests.report.factory import HOSTILE, hostile_report, report

_CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium on the PATH"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert _CHROMIUM is not None
    with Browser(_CHROMIUM) as opened:
        yield opened


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(report()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "hostile.html"
    path.write_text(render_html(hostile_report()), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def silent(browser: Browser) -> Iterator[None]:
    """Whatever a test does with a page, the page complains about nothing and asks for nothing."""
    browser.complaints.clear()
    browser.requests.clear()
    yield
    assert browser.complaints == []
    assert all(url.startswith(("file:", "about:")) for url in browser.requests)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_takes_the_colours_of_its_reader(
    browser: Browser, usual: Path, width: int, dark: bool
) -> None:
    browser.open(usual, width=width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
    ink = "getComputedStyle(document.querySelector('svg text')).fill"
    assert browser.evaluate(ink) == ("rgb(230, 237, 243)" if dark else "rgb(27, 31, 36)")


def test_hostile_text_runs_nothing_and_hides_nothing(browser: Browser, hostile: Path) -> None:
    browser.open(hostile, width=800)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.evaluate("new Promise(done => setTimeout(done, 200))")
    assert browser.evaluate("typeof window.hacked") == "undefined"
    assert browser.evaluate("document.querySelectorAll('.item').length") == len(HOSTILE) + 1
    assert browser.evaluate("document.querySelectorAll('script').length") == 1
    assert browser.evaluate("document.documentElement.scrollWidth") <= 800
    assert browser.evaluate("document.querySelector('footer').getBoundingClientRect().height") > 0


def test_search_and_filters_show_what_they_say(browser: Browser, usual: Path) -> None:
    browser.open(usual)
    items = "Array.from(document.querySelectorAll('.item')).filter(i => !i.hidden)"
    shown = f"{items}.map(i => i.querySelector('code').textContent).join()"

    def choose(name: str, value: str, event: str) -> str:
        field = f"document.querySelector('[name={name}]')"
        browser.evaluate(f"{field}.value = '{value}'; {field}.dispatchEvent(new Event('{event}'))")
        browser.evaluate("new Promise(done => setTimeout(done, 200))")
        return str(browser.evaluate(shown))

    assert browser.evaluate(shown) == "m-1,m-2"
    assert choose("kind", "worse", "change") == "m-1"
    assert choose("kind", "better", "change") == ""
    assert choose("kind", "diverging", "change") == "m-2"
    assert choose("kind", "", "change") == "m-1,m-2"
    assert choose("search", "SURE first", "input") == "m-1"
    assert browser.evaluate("document.getElementById('items-shown').textContent") == "1 of 2 shown"
    browser.evaluate("document.querySelector('[name=open]').click()")
    assert browser.evaluate("document.querySelectorAll('.item[open]').length") == 1
    browser.evaluate("document.querySelector('[name=close]').click()")
    assert browser.evaluate("document.querySelectorAll('.item[open]').length") == 0


def test_without_scripts_the_items_are_there_and_the_controls_are_not(browser: Browser, usual: Path) -> None:
    browser.open(usual, scripts=False)
    count = browser.call("DOM.getDocument", depth=-1)
    assert str(count).count("'class', 'item'") == 2
    assert "controls', 'hidden'" in str(count)


def test_it_prints(browser: Browser, usual: Path, tmp_path: Path) -> None:
    browser.open(usual)
    browser.print(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
