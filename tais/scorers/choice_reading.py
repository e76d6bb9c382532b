r"""The letter that an answer names; docs/batteries.md has the rules in words, in this order.

Fast answers first: nearly all are a letter in its usual place, and need none of what follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tais.scorers.choice_labels import ARTICLE, Letters, Patterns, letters_in, patterns_of
from tais.scorers.choice_mentions import Mention, Weight, in_doubt, mentions_in
from tais.scorers.choice_phrases import DENIED_AFTER, DENYING
from tais.scorers.choice_text import bare_text

__all__ = ["Letters", "read_letters"]

# Of a longer answer the beginning and the end are read, so that no text takes long.
_HEAD, _TAIL = 4_000, 12_000
_ONE = {label: frozenset(label) for label in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"}
# In what stands behind a letter: it may be denied, or taken back, or another may be said in another way.
_NOT_PLAIN = re.compile(
    r"[<?\\]|[^\x00-\x7f]|n't|\b(?:not?|nor?|No|never|wrong|incorrect|false|eliminated|excluded|ruled|out|impossible|"
    r"unlikely|invalid|but|But|[Ww]ait|[Hh]owever|[Aa]ctually|[Ff]inal|FINAL|option|nicht|pas|falsch|"
    r"faux|falsa|[b-hj])\b"
)
# Tags and boxes around a final answer.
_TAGGED = re.compile(
    r"<(?:answer|final_?answer|final|response|option|choice|solution|result|output|"
    r"\|begin_of_box\|)>\s{0,20}([^<]{1,200})",
    re.IGNORECASE,
)
_BOXED = re.compile(r"oxed\s?\{((?:[^{}]|\{[^{}]{0,100}\}){0,200})\}")
_FINAL = re.compile(r"[Ff]inal\s{1,3}(?:answer|Answer|ANSWER|choice|decision)|FINAL ANSWER")
_REVISED = re.compile(
    r"\b(?:wait|no|actually|reconsider\w*|however|but|correction|sorry|mistake\w*|oops|hmm+|apolog\w+|"
    r"instead|re-?examin\w*|"
    r"second thought|re-?check\w*|double-?check\w*|aber|pero|mais|ma|mas|но)\b|"
    r"不对|等等|但|いや|しかし|아니|하지만",
    re.IGNORECASE,
)
ALTERNATIVE = re.compile(
    r"[)\]\"']{0,3}\s(?:or|oder|ou|o|или)\s[(\[\"']{0,3}(?:option\s)?[A-Z0-9](?![A-Za-z0-9])"
)


def read_letters(text: str, labels: str, options: Mapping[str, str] | None = None) -> Letters | None:
    """Return the letters that an answer names in one statement, two in `A and C`; None without any.

    Parameters
    ----------
    text
        The answer, without thinking.
    labels
        Those that an answer may name.
    options
        Letter to option text, for answers that repeat an option in place of its letter.
    """
    patterns = patterns_of(labels)
    text = text.strip()
    plain = patterns.plain.match(text)
    if plain is not None and (
        plain.end() == len(text)
        or (not patterns.letter.search(text, plain.end()) and not _NOT_PLAIN.search(text, plain.end()))
    ):
        # Most answers: one letter, in its usual place.
        return _ONE[plain[1]]
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]}\n{text[-_TAIL:]}"
    final = _boxes(text)
    bare = bare_text(text)
    for value in reversed(final):
        if found := _value(bare_text(value), patterns, options):
            return found
    opens = not patterns.repeated.match(bare)
    if (
        opens
        and (match := patterns.alone.match(bare)) is not None
        and (letters := letters_in(match[1], patterns))
    ):
        return letters
    marked = (patterns.marked.match(bare) or patterns.dashed.match(bare)) if opens else None
    if marked is not None and (
        DENIED_AFTER.match(bare, marked.end(1)) or ALTERNATIVE.match(bare, marked.end(1))
    ):
        marked = None
    if marked is not None and bare.isascii() and "nswer" not in bare and "NSWER" not in bare:
        # Nothing could go before it.
        return letters_in(marked[1], patterns)
    mentions = mentions_in(bare, patterns)
    if _FINAL.search(bare) and (last := _last_final(bare, mentions)):
        return last
    answers = [mention for mention in mentions if mention.weight == Weight.answer]
    if answers:
        return _agreed(answers, bare)
    if marked is not None:
        return letters_in(marked[1], patterns)
    if options and (named := _stated_option(bare, options)):
        return frozenset(named)
    if chosen := [mention for mention in mentions if mention.weight == Weight.chosen]:
        return _agreed(chosen, bare)
    if opens and (verb := patterns.verb.match(bare)) is not None and _stands_alone(verb, mentions):
        return letters_in(verb[1], patterns)
    if spoken := [mention for mention in mentions if mention.weight == Weight.option]:
        return _agreed(spoken, bare)
    named = _option_named(bare, options) if options else None
    if named is None and (run := patterns.run.fullmatch(bare)) is not None and _ascending(run[1], patterns):
        return frozenset(run[1])
    return frozenset(named) if named else None


def _boxes(text: str) -> list[str]:
    if "oxed" not in text and "<" not in text:
        return []
    found = [(match.start(), match[1]) for match in _BOXED.finditer(text)]
    found += [(match.start(), match[1]) for match in _TAGGED.finditer(text)]
    return [value for _, value in sorted(found)][-4:]


def _value(value: str, patterns: Patterns, options: Mapping[str, str] | None) -> Letters | None:
    """Return the letters that what stands in a box or in tags is."""
    value = value.strip()
    match = patterns.value.match(value)
    if match is not None and not (match[1] in "AaIi" and ARTICLE.match(value, match.end(1))):
        return letters_in(match[1], patterns)
    if value.isascii() and value.isalpha() and value.isupper() and _ascending(value, patterns):
        return frozenset(value)
    named = _option_named(value, options) if options else None
    return frozenset(named) if named else None


def _ascending(value: str, patterns: Patterns) -> bool:
    """Whether a run such as `AC` is letters of options, in their order."""
    return (
        2 <= len(value) <= 6
        and list(value) == sorted(set(value))
        and all(map(patterns.letter.fullmatch, value))
    )


def _last_final(text: str, mentions: Sequence[Mention]) -> Letters | None:
    """Return what the last statement of a final answer names."""
    said = [
        m
        for m in mentions
        if m.weight >= Weight.option and _FINAL.search(text, max(0, m.start - 60), m.start)
    ]
    return said[-1].letters if said else None


def _agreed(said: Sequence[Mention], text: str) -> Letters | None:
    """Return what all statements name, or the last where it takes back those before it."""
    last = said[-1]
    if any(ALTERNATIVE.match(text, mention.end) for mention in said):
        return None
    others = [mention for mention in said if mention.letters != last.letters]
    if not others or _REVISED.search(text, others[-1].end, last.start):
        return last.letters
    return None


def _stands_alone(verb: re.Match[str], mentions: Sequence[Mention]) -> bool:
    """Whether an opening `C is ...` is not one of several such sentences, and is not denied."""
    return not any(
        (m.start == verb.start(1) and m.weight == Weight.denied)
        or (
            m.start > verb.end() and m.weight >= Weight.mentioned and verb.string[m.end : m.end + 4] == " is "
        )
        for m in mentions
    )


_LEAD = re.compile(
    r"(?:.{0,80}?\b(?:answer|option|choice|solution)\b(?:\s\w+){0,4}?\s?(?:is|:|would be|must be)\s?:?|"
    r"(?:so |thus |therefore )?,?it(?:'s| is| must be| would be)|"
    r"答案是|答案:|.{0,20}(?:respuesta|réponse|antwort|risposta|resposta)[\w\s]{0,20}?(?:\bes|\best|\bist|\bé|"
    r"\bè|:))\s{0,3}",
    re.IGNORECASE | re.DOTALL,
)


def _stated_option(text: str, options: Mapping[str, str]) -> str | None:
    """Return the letter of the option that a statement repeats: ``The answer is Paris``."""
    lead = _LEAD.match(text)
    if lead is None or in_doubt(lead[0]):
        return None
    return _begins(text[lead.end() :], options)


def _begins(said: str, options: Mapping[str, str]) -> str | None:
    said = _plain(said[:2000])
    fits = [
        (len(plain), letter)
        for letter, option in options.items()
        if (plain := _plain(option)) and _starts(said, plain)
    ]
    return max(fits)[1] if fits else None


def _starts(said: str, option: str) -> bool:
    return said.startswith(option) and not said[len(option) : len(option) + 1].isalnum()


def _option_named(text: str, options: Mapping[str, str]) -> str | None:
    """Return the letter of the option that an answer is, or that its one sentence begins or ends with."""
    line, _, rest = text.strip().partition("\n")
    plain = _plain(line)
    same = [
        letter
        for letter, option in options.items()
        if plain in (_plain(option), f"{letter.casefold()} {_plain(option)}")
    ]
    if same:
        return same[0] if len(same) == 1 else None
    if rest.strip() or len(plain) > 200 or _denied_words(plain):
        return None
    held = [
        letter for letter, option in options.items() if (inner := _plain(option)) and _holds(plain, inner)
    ]
    return held[0] if len(held) == 1 else None


def _holds(plain: str, option: str) -> bool:
    """Whether a sentence begins or ends with an option of more than a letter or two."""
    if len(option) < 3:
        return False
    ends = plain.endswith(option) and not plain[-len(option) - 1 : -len(option)].isalnum()
    return ends or _starts(plain, option)


def _denied_words(plain: str) -> bool:
    return any(
        word in DENYING or word.endswith("n't") or word in ("wrong", "incorrect", "false")
        for word in plain.split()
    )


def _plain(text: str) -> str:
    return bare_text(text).strip(" \t\r\n_`\"'.!()").casefold()
