r"""How models say which letter they choose: patterns for :mod:`tais.scorers.choice`.

English, Spanish, French, German, Portuguese, Italian, Chinese, Japanese, Korean, Russian, Arabic, Hindi,
and the word for *answer* in Dutch, Polish, Turkish, Vietnamese, Indonesian and Ukrainian. The tests have an
example of each.
"""

from __future__ import annotations

import re

__all__ = [
    "AFTER_LETTER",
    "ARTICLE",
    "BUT",
    "CLOSE",
    "DENIED_AFTER",
    "FINALS",
    "LETTERS",
    "OPEN",
    "WIDE",
    "denied_before",
    "letters_in",
    "statement_tables",
]

# Letters of full width, as Chinese and Japanese texts have them.
WIDE = {0xFF21 + place: 0x41 + place for place in range(10)}
# Cyrillic letters that look like Latin ones, after a Russian or Ukrainian word for the answer.
_CYRILLIC = str.maketrans("АВСЕН", "ABCEH")

# Brackets, quotes and Markdown or LaTeX emphasis that may surround a letter. All runs are bounded: an
# answer can be thousands of blanks or asterisks, on which open-ended ones take time in the square of it.
OPEN = r"[\s*_`\"'“‘(\[{$（【「『]{0,8}"
CLOSE = r"[*_`\"'”’)\]}$）】」』]{0,6}"
_AND = r"[*_)\]}\"']{0,4}\s{0,3}(?:,?\s?(?:and|und|et|y|e|и|和|と)\s|[,/&、，;])\s{0,3}[*_(\[{\"']{0,4}"
LETTERS = rf"[A-J](?:{_AND}[A-J](?![A-Za-z0-9'’]|\s(?:is|was|isn't|ist|est|es)\b)){{0,9}}"
"""One letter, or several as a list."""
_TEX = r"(?:\\(?:text|mathrm|textbf|mathbf|mathbb|textit)\s?\{)?"
_TARGET = rf"[\s*_`\"'“(\[{{$（【「『《]{{0,8}}{_TEX}[(\s]{{0,2}}({LETTERS})(?![A-Za-z0-9'’])"
_CYRILLIC_TARGET = _TARGET.replace("[A-J]", "[A-JАВСЕН]")

ARTICLE = re.compile(r"[ \t]+(?!(?:because|since|is|as|and|for|with|due|which|based|from|in)\b)[a-z]")

# Words in front of a letter. Each pattern stands beside a text that it holds, which `in` finds much faster
# than `re` does; the first letter of a cue is left out because it may be a capital.
_KIND = r"(?:option|choice|letter|answer|number)"
_LINK = r"(?:\s{1,4}(?:is|are|would be|should be|must be|was)|\s{0,4}[:=–—]|\s{1,4}is\s{0,4}:)?"
_MOST = r"(?:\s(?:most likely|probably|clearly|therefore|thus|definitely|likely|indeed))?"
_ANSWER_IS = (
    rf"nswers?(?:\s{{1,4}}{_KIND})?{CLOSE}{_LINK}{_MOST}:?{CLOSE}\s{{0,4}}(?:the )?(?:\w{{0,2}}{_KIND})?"
)
_ANSWER = _ANSWER_IS + _TARGET
_FINAL_END = r"(?:\s?</|\s?<\||\s{0,2}$|\s{0,2}\n|[).:,\s-])"

FINALS = (
    ("oxed{", re.compile(rf"oxed\{{\s?{_TEX}\s?(?:{_KIND}\s)?{_TARGET}(?=[\s}}.):,-])")),
    ("<answer>", re.compile(rf"<answer>\s{{0,8}}(?:[A-Z][a-z]{{3,8}}\s)?{_TARGET}(?={_FINAL_END})")),
    ("<option>", re.compile(rf"<option>{_TARGET}(?={_FINAL_END})")),
    ("<choice>", re.compile(rf"<choice>{_TARGET}(?={_FINAL_END})")),
    ("begin_of_box|>", re.compile(rf"begin_of_box\|>{_TARGET}(?={_FINAL_END})")),
    ("inal", re.compile(rf"[Ff]inal\s{{1,3}}(?:[aA]{_ANSWER_IS}|(?:choice|decision){_LINK}){_TARGET}")),
    ("INAL ANSWER", re.compile(rf"INAL ANSWER{CLOSE}{_LINK}:?{_TARGET}")),
)
"""Statements that are the answer whatever else is said; `final` in front of one makes it so."""

# Small words between *answer* and the letter, in the other languages.
_FILLERS = "|".join(
    (
        "correcta|correcte|correta|corretta|certa|juste|giusta|richtige|bonne|esatta",
        "es|est|ist|lautet|wäre|sería|serait|sarebbe|seria|é|è|la|le|lo|il|der|die|das|a|o|l",
        "opción|option|Option|opção|opzione|letra|lettre|lettera|Buchstabe|alternativa|número|Antwortmöglichkeit",
        "正确|正確|应该|應該|应为|選項|选项|是|为|為|選|选|择|擇|了|项|項|番号|は|が|の|记号|記号",
        "은|는|이|가|번",
        "верный|правильный|вариант|буква|это|является|под|буквой",
        "الصحيحة|الصحيح|الإجابة|الخيار|الحرف|هي|هو",
        "है|सही|विकल्प|होगा",
        "is|jest|to|doğru|là|adalah|yang|benar|правильна",
    )
)
_BETWEEN = rf"(?:{CLOSE}[\s'’]{{0,3}}(?:{_FILLERS}|[:：=—–-])(?![a-zà-ÿ])){{0,6}}{CLOSE}"


def _other(cue: str, words: str | None = None, target: str = _TARGET) -> tuple[str, re.Pattern[str]]:
    return cue, re.compile(rf"{words or cue}{_BETWEEN}{target}")


_VERB = r"\s(?:the\s)?(?:\w{2,12}\s)?(?:option\s|answer\s|choice\s|letter\s)?"
_SO = re.compile(rf"(?:So|Thus|Hence|[Tt]herefore),?{_TARGET}{CLOSE}[.!]?\s{{0,4}}$")
BUT = re.compile(
    rf"\b(?:not|nicht|no|pas|non|não|не|不是)\s{{0,3}}(?:option\s)?{OPEN}[A-J]{CLOSE}\s?[,，]?\s{{0,3}}"
    rf"(?:but|sondern|sino|mais|ma|mas|а|而是)(?:\s(?:rather|instead|la|die))?{_TARGET}"
)
_IS_RIGHT = re.compile(
    rf"(?<![A-Za-z'’])({LETTERS}){CLOSE}\sis{_MOST}\s(?:also\s)?(?:the\s)?(?:most\s|only\s)?"
    r"(?:right|correct|best|answer|true|appropriate|accurate)\b"
)
_ANSWERS = (("nswer", re.compile(_ANSWER)), ("NSWER", re.compile(rf"NSWER{CLOSE}{_LINK}:?{_TARGET}")))
_ENGLISH = (
    ("hoose", re.compile(rf"[Cc]hoose(?:{_VERB})?{_TARGET}")),
    ("hose", re.compile(rf"[Cc]hose(?:{_VERB})?{_TARGET}")),
    ("pick", re.compile(rf"pick(?:{_VERB})?{_TARGET}")),
    ("elect", re.compile(rf"[Ss]elect(?:{_VERB})?{_TARGET}")),
    ("go with", re.compile(rf"go with(?:{_VERB})?{_TARGET}")),
    ("oing with", re.compile(rf"oing with(?:{_VERB})?{_TARGET}")),
    (" opt", re.compile(rf"opt(?:ing)? for(?:{_VERB})?{_TARGET}")),
    (" be ", re.compile(rf"\b(?:must|should|would|has to|have to) be{_TARGET}")),
    ("t is ", re.compile(rf"[Ii]t is{_MOST}{_TARGET}")),
    ("t's ", re.compile(rf"[Ii]t's{_MOST}{_TARGET}")),
    ("orrect", re.compile(rf"[Cc]orrect(?:\s{_KIND})?{CLOSE}\s?[:=]{_TARGET}")),
    *((word, _IS_RIGHT) for word in ("orrect", "right", "best", "true")),
    *((word, _SO) for word in ("So", "Thus", "Hence", "herefore")),
    ("but", BUT),
)
_LATIN = (
    # es, fr, de, pt, it, nl, pl, tr, vi, id
    _other("espuesta"), _other("éponse"), _other("ntwort"), _other("esposta"), _other("isposta"),
    _other("pción"), _other("pção"), _other("pzione"), _other("lternativa"), _other("lijo", r"\b[Ee]lijo"),
    _other("scojo", r"\b[Ee]scojo"), _other("hoisis", r"\b[Cc]hoisis"), _other("ähle", r"\bwähle"),
    _other("ürde", r"\bwürde"), _other("scolho", r"\b[Ee]scolho"), _other("celgo", r"\b[Ss]celgo"),
    _other("ntwoord"), _other("dpowied", "dpowied[zź]"), _other("evap", r"\b[Cc]evap"), _other("áp án"),
    _other("awaban"), *((word, BUT) for word in ("sondern", "sino", "mais", " ma ", " mas ")),
)  # fmt: skip
_OTHER_SCRIPTS = (
    # zh, ja, ko, ru, uk, ar, hi
    _other("答案"), _other("选"), _other("選"), _other("答え"), _other("正解"), _other("回答"),
    _other("解答"),
    _other("정답"), _other("답"), ("而是", BUT), (" а ", BUT),
    _other("твет", target=_CYRILLIC_TARGET), _other("ариант", target=_CYRILLIC_TARGET),
    _other("ыбираю", target=_CYRILLIC_TARGET), _other("ідповідь", target=_CYRILLIC_TARGET),
    _other("الإجابة"), _other("الاجابة"), _other("الجواب"), _other("الخيار"),
    _other("उत्तर"), _other("जवाब"), _other("विकल्प"),
)  # fmt: skip
_MENTIONS = (
    ("ption", re.compile(rf"[Oo]ption{CLOSE}{_LINK}{_TARGET}")),
    ("hoice", re.compile(rf"[Cc]hoice{CLOSE}{_LINK}{_TARGET}")),
)
AFTER_LETTER = (
    r"(?:is|because|since|as|es|est|ist|é|è|porque|weil|car|perché|является|—\s)(?=[\s:])",
    r"(?:입니다|이다|번|가\s|이\s|です|が|は|是|选项|選項|项|正确|正確|है)",
)
"""What follows an opening letter that is the answer: after a blank, and without one."""

_WRONG = (
    "not|wrong|incorrect|false|out|ruled|eliminated|excluded|impossible|unlikely|a distractor|nicht|falsch|"
    "faux|fausse|incorrecte|incorrecta|incorreta|sbagliata|errada|pas|неверн"
)
DENIED_AFTER = re.compile(
    rf"{CLOSE}(?:\s{{1,2}}(?:(?:is|are|was|seems|would be|can be|could be|ist|est|es|é|è|не)\s"
    rf"(?:also\s|therefore\s|clearly\s)?(?:{_WRONG})|isn't|aren't|cannot|can't|doesn't|does not|"
    r"n'est pas|no es|não é|non è|неверн|неправил)"
    rf"|(?:{_AND}(?:[Oo]ption\s|[Cc]hoice\s)?[A-J]{CLOSE}){{1,4}}\s{{1,2}}are\s(?:both\s|all\s)?(?:{_WRONG}))"
)
_DENYING = frozenset(
    {
        *(
            "not",
            "never",
            "neither",
            "nor",
            "than",
            "instead",
            "nicht",
            "kein",
            "keine",
            "pas",
            "não",
            "non",
            "no",
        ),
        *("ne", "не", "rule", "rules", "ruled", "eliminate", "eliminates", "eliminated"),
        *("exclude", "excludes", "excluded"),
    }
)
_PASSED_OVER = frozenset(("the", "a", "an", "be", "to", "out", "of"))


def denied_before(text: str, start: int) -> bool:
    """Whether the words in front of a place deny what follows: ``not option A``, ``rather than A``."""
    words = text[max(0, start - 32) : start].casefold().split()
    if words and text[start - 1].isalpha():
        # A cue lacks its first letter.
        words.pop()
    while words and words[-1] in _PASSED_OVER:
        words.pop()
    return bool(words) and (words[-1] in _DENYING or words[-1].endswith(("n't", "n’t", "不")))


Table = tuple[tuple[str, re.Pattern[str]], ...]


def statement_tables(text: str) -> tuple[Table, ...]:
    """Return what is looked for in a text, the first that finds anything decides.

    Who names an answer goes before who mentions an option. A text that holds *the* is English,
    and one of ASCII
    in none of the other scripts.
    """
    if not text.isascii():
        return (_ANSWERS, _ENGLISH, _OTHER_SCRIPTS, _LATIN, _MENTIONS)
    english = (_ANSWERS, _ENGLISH, _MENTIONS)
    return english if " the " in text else (_ANSWERS, _ENGLISH, _LATIN, _MENTIONS)


_ONE = {
    written: frozenset(letter)
    for letter, alike in zip("ABCDEFGHIJ", ["А", "В", "С", "", "Е", "", "", "Н", "", ""], strict=True)
    for written in (letter, letter.lower(), alike)
    if written
}


def letters_in(said: str) -> frozenset[str]:
    """Return the letters of a list, upper case."""
    if (one := _ONE.get(said)) is not None:
        return one
    return frozenset(re.findall(r"(?<![A-Za-z])[A-J](?![A-Za-z])", said.translate(_CYRILLIC)))
