"""Whether a given answer says what its tokens say: scores are of tokens, and people read the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tais.engines.base import Teacher
from tais.manifest.sampling import Sampling

__all__ = ["Said", "says_its_tokens"]


class Said(NamedTuple):
    """What an answer says beside its tokens."""

    text: str
    parts: str | None = None
    """What stands outside the text; see :func:`tais.common.parts.render_parts`."""


def says_its_tokens(teacher: Teacher, tokens: Sequence[int], said: Said, sampling: Sampling) -> bool | None:
    """Return whether an answer's text is what a stack reads in its tokens, and nothing stands beside it.

    Parameters
    ----------
    teacher
        Started; its own tokenizer reads the tokens.
    tokens, said
        Of the answer, as it was stored.
    sampling
        Its stop strings and stop tokens end an answer; an engine leaves them out of the text, or keeps them.

    Returns
    -------
    bool or None
        None where no tokenizer is at hand.

    Notes
    -----
    Detokenisers differ in white space at the ends, in special tokens, in the clean-up of blanks before
    punctuation (transformers does it where a tokenizer's settings say so, vLLM never), and in a last
    character that is not complete (vLLM holds its bytes back, transformers writes U+FFFD). In nothing else.
    """
    readings = list(teacher.readings(tokens))
    if tokens and tokens[-1] in (*teacher.end_tokens(), *sampling.stop_token_ids):
        # Where special tokens are kept, the one that ends an answer may be left out all the same.
        readings += teacher.readings(tokens[:-1])
    if not readings:
        return None
    return said.parts is None and _trimmed(said.text) in set(_accepted(readings, sampling))


def _accepted(readings: Sequence[str], sampling: Sampling) -> Iterator[str]:
    kept = sampling.include_stop_str_in_output
    for reading in readings:
        yield _trimmed(reading)
        for stop in sampling.stop:
            # The first one ends an answer, unless it stands among the tokens that min_tokens asks for.
            places = [found.start() for found in re.finditer(re.escape(stop), reading)]
            for place in places if sampling.min_tokens else places[:1]:
                yield _trimmed(reading[: place + len(stop) if kept else place])


# What the clean-up of transformers takes the blank before away from.
_AFTER_BLANK = (".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re")


def _trimmed(text: str) -> str:
    """Return a text without what detokenisers differ in."""
    text = text.rstrip("\ufffd").strip().replace(" ' ", "'")
    for end in _AFTER_BLANK:
        text = text.replace(f" {end}", end)
    return text
