"""Format instructions that can be checked by a program, in the manner of IFEval (Zhou et al. 2023).

`expect` is a list of checks, each a mapping with the check's `id` and its parameters::

    [{"id": "words", "at_least": 50}, {"id": "bullets", "exactly": 3}, {"id": "no_comma"}]

All must hold (prompt-level strict accuracy). Written from the paper's descriptions; counts are made
over white-space words and non-empty lines, so figures are near those of IFEval's own checker, not equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tais.common.document import suggest
from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.json_answer import MalformedJson, parse_json

__all__ = ["CHECKS", "InstructionScorer"]

Check = Mapping[str, Any]
_BOUNDS = frozenset({"at_least", "at_most", "exactly"})


def _within(count: int, check: Check) -> bool:
    least, most, exactly = check.get("at_least", 0), check.get("at_most", count), check.get("exactly", count)
    return bool(least <= count <= most and count == exactly)


def _words(text: str, check: Check) -> bool:
    return _within(len(text.split()), check)


def _sentences(text: str, check: Check) -> bool:
    return _within(len(re.findall(r"[.!?](?=\s|$)", text)), check)


def _paragraphs(text: str, check: Check) -> bool:
    return _within(len([part for part in re.split(r"\n\s*\n", text) if part.strip()]), check)


def _bullets(text: str, check: Check) -> bool:
    return _within(len(re.findall(r"^[ \t]*[*\-•] +\S", text, re.MULTILINE)), check)


def _placeholders(text: str, check: Check) -> bool:
    return _within(len(re.findall(r"\[[^\[\]\n]+\]", text)), check)


def _highlights(text: str, check: Check) -> bool:
    return _within(len(re.findall(r"\*{1,2}[^*\n]+\*{1,2}", text)), check)


def _keyword(text: str, check: Check) -> bool:
    pattern = rf"(?<!\w){re.escape(check['word'])}(?!\w)"
    found = len(re.findall(pattern, text, re.IGNORECASE))
    return _within(found, check) if _BOUNDS & set(check) else found > 0


def _forbidden(text: str, check: Check) -> bool:
    return not any(_keyword(text, {"word": word}) for word in check["words"])


def _letter(text: str, check: Check) -> bool:
    return _within(text.casefold().count(check["letter"].casefold()), check)


def _json(text: str, check: Check) -> bool:
    try:
        parse_json(text)
    except MalformedJson:
        return False
    return True


def _two_answers(text: str, check: Check) -> bool:
    parts = [part.strip() for part in text.split("******")]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


@dataclass(frozen=True, slots=True)
class _Rule:
    holds: Callable[[str, Check], bool]
    needs: frozenset[str] = frozenset()
    bounds: bool = False


_CASED = re.compile(r"[^\W\d_]")

CHECKS: Mapping[str, _Rule] = {
    "bullets": _Rule(_bullets, bounds=True),
    "ends_with": _Rule(lambda text, c: text.rstrip().endswith(c["text"]), frozenset({"text"})),
    "forbidden_words": _Rule(_forbidden, frozenset({"words"})),
    "highlights": _Rule(_highlights, bounds=True),
    "json": _Rule(_json),
    "keyword": _Rule(_keyword, frozenset({"word"}), bounds=True),
    "letter": _Rule(_letter, frozenset({"letter"}), bounds=True),
    "lowercase": _Rule(lambda text, c: text == text.lower() and bool(_CASED.search(text))),
    "no_comma": _Rule(lambda text, c: "," not in text),
    "one_of": _Rule(lambda text, c: text.strip() in c["options"], frozenset({"options"})),
    "paragraphs": _Rule(_paragraphs, bounds=True),
    "placeholders": _Rule(_placeholders, bounds=True),
    "quoted": _Rule(lambda text, c: len(t := text.strip()) > 1 and t[0] == t[-1] == '"'),
    "sentences": _Rule(_sentences, bounds=True),
    "starts_with": _Rule(lambda text, c: text.lstrip().startswith(c["text"]), frozenset({"text"})),
    "title": _Rule(lambda text, c: re.search(r"<<[^\n<>]+>>", text) is not None),
    "two_answers": _Rule(_two_answers),
    "uppercase": _Rule(lambda text, c: text == text.upper() and bool(_CASED.search(text))),
    "words": _Rule(_words, bounds=True),
}


@dataclass(frozen=True, slots=True)
class InstructionScorer:
    """1 when an answer follows every instruction; the label names the first that it breaks."""

    name: ClassVar[str] = "instructions"
    version: ClassVar[str] = "1"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` is a list of known checks with their parameters."""
        if not isinstance(expect, list) or not expect:
            raise ValueError(f"expect must be a list of checks, not {expect!r}")
        for check in expect:
            _check_rule(check)

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer."""
        if not text or text.isspace():
            return EMPTY
        for check in expect:
            if not CHECKS[check["id"]].holds(text, check):
                return Score(0.0, False, f"breaks {check['id']}")
        return Score(1.0, False, "follows")


def _check_rule(check: object) -> None:
    if not isinstance(check, Mapping) or not isinstance(check.get("id"), str):
        raise ValueError(f"a check needs an id, not {check!r}")
    rule = CHECKS.get(check["id"])
    if rule is None:
        raise ValueError(f"no check {check['id']!r}. {suggest(check['id'], CHECKS)}")
    given = set(check) - {"id"}
    bounds = given & _BOUNDS if rule.bounds else set()
    if missing := rule.needs - given:
        raise ValueError(f"check {check['id']!r} lacks {', '.join(sorted(missing))}")
    if unknown := given - rule.needs - bounds:
        raise ValueError(f"check {check['id']!r} does not take {', '.join(sorted(unknown))}")
    if rule.bounds and not rule.needs and not bounds:
        raise ValueError(f"check {check['id']!r} needs at_least, at_most or exactly")
    for name in bounds:
        if isinstance(check[name], bool) or not isinstance(check[name], int) or check[name] < 0:
            raise ValueError(f"{name} of check {check['id']!r} must be a whole number")
