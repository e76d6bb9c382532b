"""The language of an answer: by script, by function words, and by py3langid where those settle nothing.

The rules know twelve languages. Hangul and kana are settled by themselves, and most answers in European
languages by their function words: three different ones of one language, and more than of any other, at the
beginning. What is left is asked of py3langid (Lui and Baldwin 2012, langid.py; fork of A. Barbaresi), which
knows 140 languages and takes some 0.2 ms for a text.

A text with hardly any letters (a number, a choice, code) has no language, and nothing in it is unread.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

__all__ = ["KNOWN", "NONE", "detector", "language_of"]

KNOWN = frozenset({"ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "ru", "zh"})
NONE = ""
"""The language of what has none."""

_READ = 400
_WORDS = 200
_BEHIND_CODE = 4000
# Words that stand in nearly every paragraph of one of these languages and in none of the languages beside it
# that the rules do not know: Dutch has no "the" and no "und", Catalan no "los", Galician no "não".
_FUNCTION_WORDS = {
    code: frozenset(words.split())
    for code, words in {
        "en": (
            "the and you that this to it's i i'm can't is are of for with your not but can be if how have"
        ),
        "es": (
            "los las y una el del puede puedo eso es lo para tu con su pero esta este más estoy"
            " esa ese siento sobre ayudarte no"
        ),
        "fr": "je est une vous dans pour avec ne sur cette pas les des et que votre mais ce c'est",
        "de": "und nicht ich das ist ein eine die der zu mit für dass sie auf aber auch dir ihnen kann",
        "pt": "não uma em você são é um os as do da para com isso isto mas seu sua posso está fazer",
        "it": "che non di è il una della per sono gli nel questo ma con un posso alla come più",
        "ru": (
            "что это вы если может чтобы вас есть для я только быть также их можно нужно этого"
            " не могу мне этим буду вам помочь сожалению вместо"
        ),
        "ar": (
            "في من على أن إلى هذا لا هو أو مع هذه التي عن كل ذلك يمكن لكن إذا ما بعد قد لا"
            " يمكنني أستطيع حول كيفية ليس بدلًا"
        ),
        "hi": "है में के और से का को की यह हैं कर लिए नहीं आप एक पर इस मैं हूँ",
    }.items()
}
_OWN_SCRIPT = frozenset({"ru", "ar", "hi"})
_CODES_OF = {
    word: tuple(code for code, words in _FUNCTION_WORDS.items() if word in words)
    for word in frozenset().union(*_FUNCTION_WORDS.values())
}
_ALL_WORDS = frozenset(_CODES_OF)
# Letters of Ukrainian, Belarusian, Serbian, Kazakh, Persian, Urdu and Marathi that these three lack.
_FOREIGN = re.compile(
    "[іїєґўјљњћђџәғқңөұүһ\u067e\u0686\u0698\u06a9\u06af\u06cc\u06d2\u0679\u0933]", re.IGNORECASE
)
# Of these no other language of Latin letters has three; most English answers need no closer look.
_ENGLISH = (
    " the ",
    " and ",
    " you ",
    " that ",
    " this ",
    " with ",
    " your ",
    "I'm ",
    " for ",
    " of ",
    "can't",
    " it ",
)
_SURE = 3
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_HANGUL = re.compile("[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]")
_KANA = re.compile("[\u3040-\u30ff]")
_HAN = re.compile("[\u3400-\u9fff]")
_CANTONESE = re.compile("[唔嘅咗冇佢哋喺啲嚟嘢]")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_ARABIC = re.compile("[\u0600-\u06ff]")
_DEVANAGARI = re.compile("[\u0900-\u097f]")
_LATIN = re.compile("[a-zA-Z\u00c0-\u024f\u1e00-\u1eff]")
_LETTER = re.compile(r"[^\W\d_]")
_CODE_SIGNS = re.compile(r"[{}();=<>\[\]\\|&]")
_FEWEST = 7
"""With fewer Latin letters than this no language can be told from another."""
_SHORT = 40
_UNSURE, _POSSIBLE, _CERTAIN = 0.2, 0.05, 0.6
"""Of a text shorter than that: below what probability py3langid knows nothing; what a known language needs,
and how sure py3langid may be of another one."""


@lru_cache(maxsize=1)
def detector() -> str:
    """Return name and version of what tells languages apart, for a scorer's identity."""
    return f"py3langid {version('py3langid')}"


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_of(text: str) -> str:
    """Return the ISO 639-1 code of an answer's language, or `NONE` where it has none.

    Parameters
    ----------
    text
        The answer, as it was said. Its first 400 characters outside code are looked at.

    Returns
    -------
    str
        A code of `KNOWN`, another code of py3langid, ``und`` (a script, or a language, that nothing here
        knows), or `NONE`.
    """
    found = _by_words(text[:_WORDS])
    if found is not None:
        return found
    if "`" in text:
        text = _CODE.sub(" ", text[:_BEHIND_CODE])
    return _by_script(text.strip()[:_READ])


def _by_words(opening: str) -> str | None:
    if _surely_english(opening):
        return "en"
    found = _ALL_WORDS.intersection(opening.casefold().split())
    if len(found) < _SURE:
        return None
    counts: dict[str, int] = {}
    for word in found:
        for code in _CODES_OF[word]:
            counts[code] = counts.get(code, 0) + 1
    best = max(counts, key=counts.__getitem__)
    most = counts.pop(best)
    if most < _SURE or most <= max(counts.values(), default=0) + 1:
        return None
    if best in _OWN_SCRIPT:
        return None if _FOREIGN.search(opening) else best
    return best if _mostly_latin(opening) else None


def _surely_english(opening: str) -> bool:
    n = 0
    for word in _ENGLISH:
        if word in opening:
            n += 1
            if n == _SURE:
                return _mostly_latin(opening)
    return False


def _mostly_latin(opening: str) -> bool:
    # In a text of another script a few European words are a quotation.
    return opening.isascii() or len(_LATIN.findall(opening)) * 3 > len(opening)


def _by_script(text: str) -> str:
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    letters = len(_LETTER.findall(text))
    script, most = max(counts.items(), key=lambda pair: pair[1])
    if letters == 0:
        return NONE
    if most * 2 < letters and not (counts["ja"] + counts["zh"]) * 2 >= letters:
        return "und"
    if script in ("zh", "ja") or (counts["ja"] + counts["zh"]) * 2 >= letters:
        return _east_asian(text, counts)
    if script == "ko":
        return "ko"
    return _latin(text, letters) if script == "latin" else _asked(text, letters)


_SCRIPTS = {
    "latin": _LATIN,
    "ko": _HANGUL,
    "ja": _KANA,
    "zh": _HAN,
    "cyrillic": _CYRILLIC,
    "ar": _ARABIC,
    "hi": _DEVANAGARI,
}


def _east_asian(text: str, counts: dict[str, int]) -> str:
    if counts["ja"] * 20 >= counts["ja"] + counts["zh"]:
        return "ja"
    return "yue" if len(_CANTONESE.findall(text)) * 40 >= counts["zh"] else "zh"


def _latin(text: str, letters: int) -> str:
    found = _by_words(text)
    if found:
        return found
    if letters < _FEWEST or len(_CODE_SIGNS.findall(text)) * 12 > len(text):
        return NONE
    return _asked(text, letters)


def _asked(text: str, letters: int) -> str:
    ranked = _identifier().rank(text)
    code, sure = ranked[0]
    if letters < _SHORT and code not in KNOWN:
        if sure < _UNSURE:
            return NONE
        # "Open door, walk in." is a little more Dutch than English, "Nie mogę." is Polish and nothing else.
        known, possible = next(pair for pair in ranked if pair[0] in KNOWN)
        if sure < _CERTAIN and possible >= _POSSIBLE:
            return str(known)
    return NONE if code == "zxx" else str(code)
