"""Models and tokenizers of a user's own, outside of any arm; what goes wrong is told in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tais.errors import Place, UsageError

__all__ = ["load_pretrained"]

Loaded = TypeVar("Loaded")


def load_pretrained(name: str, what: str, load: Callable[[], Loaded]) -> Loaded:
    """Return what `load` returns, a call of one of transformers' ``from_pretrained``.

    Parameters
    ----------
    name
        Local directory, or repository on the hub.
    what
        What it is, for messages: model, tokenizer.
    load
        Does it.

    Raises
    ------
    UsageError
        When it is not there or cannot be loaded, with the first line of the reason.
    """
    # Loads transformers.
    import transformers

    path = Path(name)
    if (name.startswith((".", "/", "~")) or path.exists()) and not path.is_dir():
        raise UsageError(f"no {what} directory", place=Place(name), remedy="Name a model directory")
    # Its progress bar writes to the terminal for weights of any size.
    transformers.utils.logging.disable_progress_bar()
    try:
        return load()
    except Exception as error:  # foreign code: whatever it raises, the model cannot be had
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        remedy = "Name a model directory, or a repository that can be reached"
        what = f"the {what} cannot be loaded: {lines[0]}"
        raise UsageError(what, place=Place(name), remedy=remedy) from error
