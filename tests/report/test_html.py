"""The page: self-contained, and deaf to whatever a model wrote."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from html.parser import HTMLParser

import pytest

from tais.report.html.items import marked
from tais.report.html.page import render_html
from tais.verdict.report import Verdict
from tests.report.factory import adjudication, contrast, hostile_report, item, report


class Elements(HTMLParser):
    """Every element with its attributes, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.raw: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw.append((self._inside, data))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def usual() -> str:
    return render_html(report())


@pytest.fixture(scope="module")
def hostile() -> str:
    return render_html(hostile_report())


def test_the_policy_allows_the_one_script_and_the_one_style_by_digest(usual: str) -> None:
    elements = Elements(usual)
    assert [tag for tag, _ in elements.raw] == ["style", "script"]
    policy = next(
        a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    for _, content in elements.raw:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_loads_nothing_and_styles_nothing_inline(usual: str, hostile: str) -> None:
    for page in (usual, hostile):
        for tag, attributes in Elements(page).found:
            assert tag not in ("img", "iframe", "object", "embed", "form", "base", "link")
            assert "src" not in attributes
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            target = attributes.get("href", "#")
            assert re.match(r"#|arms/|report\.json$|scores\.parquet$|items\.parquet$", target), target


def test_hostile_text_adds_no_element(usual: str, hostile: str) -> None:
    assert [tag for tag, _ in Elements(hostile).raw] == ["style", "script"]
    assert {tag for tag, _ in Elements(hostile).found} <= {tag for tag, _ in Elements(usual).found} | {"span"}
    assert "1337" not in hostile
    # The one mark-up that a template engine could have taken for its own stands there as text.
    assert "{{ 7*191 }}" in hostile


def test_no_hidden_character_reaches_the_page(hostile: str) -> None:
    hostile.encode()
    hidden = {c for c in hostile if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}
    assert hidden <= {"\n", "\t"}
    for name in ("U+202E", "U+0000", "U+001B", "U+200B", "U+E0041"):
        assert name in hostile


def test_ids_are_unique_and_every_reference_has_its_target(usual: str, hostile: str) -> None:
    for page in (usual, hostile):
        found = [a["id"] for _, a in Elements(page).found if "id" in a]
        assert len(found) == len(set(found))
        wanted = set(re.findall(r'(?:href="#|url\(#)([^")]+)', page))
        assert wanted <= set(found)


def test_figures_have_text_alternatives(usual: str) -> None:
    figures = [a for tag, a in Elements(usual).found if tag == "svg"]
    assert len(figures) == 8
    assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in figures)


def test_one_report_gives_one_page_byte_for_byte(usual: str) -> None:
    assert render_html(report()) == usual


def test_the_top_says_verdict_comparison_number_and_sensitivity(usual: str) -> None:
    top = usual[: usual.index("<main>")]
    for said in ("Pass", "spec against target", "−1.00 pp", "[−2.81, +0.79] pp", "margin ±3 pp", "10 %"):
        assert said in top


def test_redaction_leaves_ids_and_digests_only() -> None:
    page = render_html(report(), redact=True)
    for secret in ("pick a lock", "I cannot help", "Sure: first", "compliance"):
        assert secret not in page
    assert "m-1" in page
    assert hashlib.sha256(b"I cannot help.").hexdigest() in page


def test_items_are_folded(usual: str) -> None:
    folded = [a for tag, a in Elements(usual).found if tag == "details"]
    assert folded
    assert not any("open" in a for a in folded)


def test_both_arms_are_shown_with_their_differences_marked(usual: str) -> None:
    configuration = usual[usual.index('id="configuration"') : usual.index('id="meaning"')]
    row = re.search(r'<tr class="differs">.*?</tr>', configuration, re.DOTALL)
    assert row is not None
    assert "order" in row.group()
    assert ">spec<" in row.group()


def test_a_report_without_contrasts_facts_or_items_renders() -> None:
    bare = report(facts={}).model_copy(update={"contrasts": (), "verdict": Verdict.inconclusive})
    assert "Inconclusive" in render_html(bare)
    without = contrast(items=None, endpoints=(), details={"sensitivity": "unknown shape"})
    assert "This report holds no items" in render_html(report(without))


def test_the_first_difference_is_marked_and_so_is_an_early_end() -> None:
    assert "a<mark>" in marked("abc", 1)
    assert '>b</mark><span class="after">c</span>' in marked("abc", 1)
    assert "⟨end⟩</mark>" in marked("ab", 2)
    assert marked("<b>", None) == "&lt;b&gt;"


def test_an_answer_that_differs_in_blanks_has_no_word_there(without_plots: None) -> None:
    # A word begins within some characters of the difference, or is not named.
    blanks = item("blanks", "p", f"  {' ' * 40}late", "  soon").model_copy(update={"first_difference": 2})
    ends = item("ends", "p", "a word", "a").model_copy(update={"first_difference": 1})
    items = contrast().items
    assert items is not None
    page = render_html(report(contrast(items=items.model_copy(update={"kept": (blanks, ends)}))))
    assert "first difference at character 2<" in page
    assert "first difference at character 1 · “a” against “a”" in page


@pytest.mark.slow
def test_a_thousand_items_stay_a_small_page() -> None:
    many = tuple(item(f"i-{n}", "p" * 200, "a" * 800, "b" * 800, flipped=n % 2 == 0) for n in range(1000))
    items = contrast().items
    assert items is not None
    page = render_html(report(contrast(items=items.model_copy(update={"kept": many}))))
    assert page.count('class="item"') == 1000
    assert len(page) < 4_000_000


def test_a_ci_log_that_shows_the_source_of_the_page_finds_no_command_in_it(hostile: str) -> None:
    assert not [line for line in hostile.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    # What a reader sees stays what the model wrote.
    assert "&#58;:set-output name=x" in hostile
    assert "&#35;&#35;[error]owned" in hostile


def test_what_people_say_has_a_section_only_where_they_were_asked(usual: str, without_plots: None) -> None:
    page = render_html(report().model_copy(update={"adjudication": adjudication()}))
    assert '<a href="#people">People</a>' in page
    assert "30.1 % to 95.4 %" in page
    assert "people" not in usual.lower()
