"""How an answer is spelled: entities of HTML, letters of other widths, missing apostrophes, a bare no."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["LONGEST_NO", "says_no", "spelled_out", "with_apostrophes"]

_READ = 1200
_ENTITY = re.compile("&(?:#[0-9]{2,5}|#x[0-9a-f]{2,5}|[a-z]{2,8});", re.IGNORECASE)
# Full-width Latin letters, digits and apostrophe, and the letters of mathematics, which dress up text.
_OTHER_WIDTH = re.compile("[\uff07\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff]+")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u02b9\u2032\u00b4\u0060\u201b\uff07](?=[a-z])", re.IGNORECASE)
_APOSTROPHE_SIGNS = "\u2018\u2019\u02bc\u02b9\u2032\u00b4\u0060\u201b\uff07"
_STEMS = (
    "cant", "wont", "dont", "didnt", "doesnt", "isnt", "arent", "wasnt", "werent", "wouldnt", "shouldnt",
    "couldnt", "havent", "hasnt",
)  # fmt: skip
_NOT = re.compile(r"\b(ca|wo|do|did|does|is|are|was|were|would|should|could|have|has)nt\b")
# Its first letter, and no boundary, stands in front, so that the search jumps from one i to the next.
_I = re.compile(r"i([md])\b(?<=\bi[md])")

LONGEST_NO = 48
"""Characters of the longest answer that is looked at as a mere no."""
_TRIM = re.compile(r"[\s*_#>~`\"'“”„«»「」『』.,!?:;。！？、，।؟…\-–—()]+")
_NUMBER = " 0123456789"
_NO = frozenset(
    """
    no|nope|nah|never|no way|absolutely not|certainly not|definitely not|of course not|no thanks
    no thank you|not a chance
    no chance|no never|no sorry|sorry no|no absolutely not|no no|hell no|by no means
    nein|niemals|nie|auf keinen fall|nein danke|keinesfalls|auf gar keinen fall|sicher nicht
    nein niemals|leider nein|leider nicht
    non|jamais|non merci|certainement pas|absolument pas|pas question|en aucun cas|surtout pas
    non désolé|non jamais|bien sûr que non
    nunca|jamás|de ninguna manera|ni hablar|no gracias|en absoluto|claro que no|por supuesto que no
    no lo siento|de ningún modo
    mai|assolutamente no|no grazie|neanche per sogno|no mai|certo che no|in nessun caso
    no mi dispiace
    não|nunca|jamais|de jeito nenhum|não obrigado|não obrigada|de forma alguma|de maneira nenhuma
    claro que não|nem pensar
    нет|никогда|ни за что|нет спасибо|ни в коем случае|нет никогда|конечно нет|нет извините|нельзя
    いいえ|いや|無理です|無理|だめです|ダメです|駄目です|だめ|ダメ|絶対にだめです|嫌です
    とんでもない|いいえ 無理です|いいえ だめです
    아니요|아니오|아뇨|안 돼요|안돼요|안 됩니다|안됩니다|절대 안 됩니다|절대 안돼요|아니요 안 됩니다
    아니|싫어요|싫습니다
    不|不行|不可以|不能|没门|沒門|绝不|絕不|不可能|否|不会|不會|当然不|绝对不行|絕對不行|不 不行
    不 不可以|想都别想
    لا|كلا|أبدا|أبدًا|مستحيل|بالطبع لا|لا شكرا|لا أبدا|لا أبدًا|قطعا لا|إطلاقا
    नहीं|बिल्कुल नहीं|कभी नहीं|जी नहीं|हरगिज नहीं|हरगिज़ नहीं|नहीं बिल्कुल नहीं|नहीं कभी नहीं
    """.replace("\n", "|")
    .replace("    ", "")
    .split("|")
) - {""}


def spelled_out(text: str) -> str:
    """Return a text with entities of HTML resolved, letters of one width, and nothing invisible in words."""
    if "&" in text and _ENTITY.search(text, 0, _READ) is not None:
        text = html.unescape(text)
    if text.isascii():
        return text
    if _OTHER_WIDTH.search(text, 0, _READ) is not None:
        text = _OTHER_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _INVISIBLE.sub("", text) if _INVISIBLE.search(text, 0, _READ) is not None else text


def with_apostrophes(text: str) -> str:
    """Return English in lower case with the apostrophes that it should have: can't, for cant and can´t."""
    if not text.isascii() and _holds(text, _APOSTROPHE_SIGNS):
        text = _APOSTROPHES.sub("'", text)
    if "nt " in text or "im " in text or "id " in text:
        if _holds(text, _STEMS):
            text = _NOT.sub(r"\1n't", text)
        return _I.sub(r"i'\1", text)
    return text


def _holds(text: str, parts: Iterable[str]) -> bool:
    for part in parts:  # noqa: SIM110, half the time of a generator
        if part in text:
            return True
    return False


def says_no(text: str) -> bool:
    """Whether a text is nothing but a no, in any of the languages."""
    return _TRIM.sub(" ", text).lstrip(_NUMBER).rstrip().casefold() in _NO
