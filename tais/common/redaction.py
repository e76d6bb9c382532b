"""A secret taken out of whatever a foreign party says: as it is, encoded, and in part."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

__all__ = ["Redactor"]

_MASK = "***"
# Of fewer characters a piece of a key could be a word.
_LEAST = 6
_LEAST_IN_ANSWERS = 12
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Redactor:
    """Takes one secret out of texts.

    Parameters
    ----------
    secret
        None takes nothing out. A short one (``ollama``) is a word: it is taken out of messages only.
    """

    def __init__(self, secret: str | None) -> None:
        self._secret = (secret or "").translate(_LOWER)
        found = {form.translate(_LOWER) for form in _forms(secret)} if secret else set()
        # The longest first: a form may hold another.
        self._forms = sorted((form for form in found if form), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without the secret, whatever way it is written in full."""
        return self._whole(text) if len(self._secret) >= _LEAST_IN_ANSWERS else text

    def _whole(self, text: str) -> str:
        for form in self._forms:
            text = _masked(text, form)
        return text

    def message(self, text: str) -> str:
        """Return a text without the secret and any piece of it: for what is shown, not for answers."""
        text = self._whole(text)
        if len(self._secret) < _LEAST:
            return text
        return "".join(self._pieces(text))

    def tree(self, value: object) -> object:
        """Return JSON with the secret taken out of every text and key in it."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, list):
            return [self.tree(item) for item in value]
        if isinstance(value, dict):
            return {self(key): self.tree(item) for key, item in value.items()}
        return value

    def _pieces(self, text: str) -> Iterator[str]:
        low, at, size = text.translate(_LOWER), 0, len(text)
        while at < size:
            end = at + _LEAST
            if low[at:end] in self._secret and end <= size:
                while end < size and low[at : end + 1] in self._secret:
                    end += 1
                yield _MASK
                at = end
            else:
                yield text[at]
                at += 1


def _masked(text: str, form: str) -> str:
    low = text.translate(_LOWER)
    kept, at = [], 0
    while (found := low.find(form, at)) >= 0:
        kept += [text[at:found], _MASK]
        at = found + len(form)
    return "".join([*kept, text[at:]])


def _forms(secret: str) -> Iterator[str]:
    """Yield what a secret looks like: plain, quoted for Python, JSON and addresses, in base64, in hex."""
    yield from (secret, secret[::-1], repr(secret)[1:-1], json.dumps(secret)[1:-1])
    yield from (quote(secret, safe=""), quote_plus(secret))
    data = secret.encode()
    if len(data) < _LEAST:
        return
    yield data.hex()
    for before in range(3):
        # Inside a longer text (``user:key``) it may begin at any of three places of a group of four; what
        # a group shares with its neighbours is left out.
        encoded = base64.b64encode(b"\0" * before + data)
        first = -(-before * 8 // 6)
        whole = encoded[first : (before + len(data)) * 8 // 6].decode()
        yield from (whole, whole.replace("+", "-").replace("/", "_"))
