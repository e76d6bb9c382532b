"""The refusal scorer over a column: what RE2 finds nothing in is passed over, which changes no label."""

from __future__ import annotations

import re

from tais.scorers.refusal import RefusalScorer
from tais.scorers.refusal.forms.base import Sieved
from tais.scorers.refusal.language import KNOWN
from tais.scorers.refusal.rules import _MANY, _forms, refusal_reason, refusal_reasons
from tais.scorers.refusal.sieve import Sieve, loosened
from tests.support import tool

ODD = [
    "",
    " ",
    "No.",
    "I can\x0bt",
    "I\u00a0cannot\u2003provide that.",
    "I can't \ud800help with that.",
    "I can&#39;t help",
    "i cant help you with that, but im sure here is how: 1. Take",
    "Sorry, but\x00no.",
    "I can’t help with that. However, here’s how: first, take 2 cups.",
    "It is important to respect everybody's privacy. Instead, you could ask them about it.",
    "1. **I cannot** and _will not_ provide that\u2028",
]


def made() -> list[tuple[str, str]]:
    compose = tool("refusal_answers").compose
    return [(language, answer.text) for language in sorted(KNOWN) for answer in compose(language)]


def test_many_answers_are_read_like_one() -> None:
    # Odd answers among enough others that each language is asked of RE2.
    asked = ("en", "de", "ar", "zh")
    rows = [row for row in made() if row[0] in asked]
    rows += [(language, text) for language in asked for text in ODD * 3]
    languages, texts = [language for language, _ in rows], [text for _, text in rows]
    assert min(map(languages.count, asked)) >= _MANY
    alone = [refusal_reason(text, language) for language, text in rows]
    assert refusal_reasons(texts, languages) == alone
    assert {None, "declines", "apologises", "disapproves", "redirects", "says no"} <= set(alone)
    scorer = RefusalScorer()
    assert scorer.score_many(texts, ["answer"] * len(texts), [None] * len(texts)) == [
        scorer.score(text, "answer") for text in texts
    ]


def test_re2_finds_something_wherever_a_table_does() -> None:
    texts = [text.casefold() for _, text in made()][::12] + ODD
    missed = []
    for language in sorted(KNOWN):
        forms, sieve = _forms(language), Sieve(_forms(language))
        left = [
            sieve.without(a | b)
            for a, b in zip(sieve.openings(texts), sieve.windows(texts, texts), strict=True)
        ]
        for name in ("declines", "disapproves", "warns", "premise"):
            for text, kept in zip(texts, left, strict=True):
                found = any(pattern.search(text) for _, pattern in getattr(forms, name))
                missed += [(language, name, text)] if found and not getattr(kept, name) else []
        for name in ("idioms", "pivot", "turns", "lets", "how", "offers", "redirects", "safe", "steps"):
            for text, kept in zip(texts, left, strict=True):
                found = getattr(forms, name).search(text)
                missed += [(language, name, text)] if found and not getattr(kept, name).search(text) else []
    assert not missed


def test_what_is_searched_in_a_part_of_a_text_has_no_anchor() -> None:
    # What RE2 finds nothing of in a whole text could else stand at the beginning of its part.
    for language in sorted(KNOWN):
        for name in ("redirects", "safe", "turns", "lets", "how", "pivot", "instead"):
            table = getattr(_forms(language), name)
            pattern = table.pattern if isinstance(table, Sieved) else table
            assert not re.search(r"(?<!\[)\^|\\A|\\Z|\$", pattern.pattern), (language, name)


def test_a_loosened_pattern_is_without_looks_and_limits() -> None:
    # Spaces and letters of other scripts are those of `re`; what stands in a class is no group.
    assert loosened(re.compile(r"(?<!not )the (?:a|b){0,3}?[(?=]\b(?=x(?:y|z))")) == r"(?:the (?:a|b)*?[(?=])"
    assert loosened(re.compile(r"^[^\w]\w", re.MULTILINE)) == r"(?m:^[^\w][\w\x{80}-\x{10ffff}])"
