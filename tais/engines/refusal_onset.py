"""First tokens of refusals, in a model's own vocabulary: where an answer turns one way or the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["onset_tokens"]

_OPENERS = (
    "I'm sorry",
    "I am sorry",
    "I cannot",
    "I can't",
    "I can’t",
    "I won't",
    "I will not",
    "I must",
    "I apologize",
    "I'm unable",
    "Sorry",
    "Unfortunately",
    "As an AI",
    "It is not",
    "No",
)


def onset_tokens(encode: Callable[[str], Sequence[int]], special: Sequence[int] = ()) -> list[int]:
    """Return the first tokens of usual refusals, with and without a space in front.

    Parameters
    ----------
    encode
        Text to token ids.
    special
        Ids that an encoder puts in front of any text.
    """
    found = set()
    for opener in _OPENERS:
        for text in (opener, f" {opener}"):
            ids = [token for token in encode(text) if token not in special]
            found.update(ids[:1])
    return sorted(found)
