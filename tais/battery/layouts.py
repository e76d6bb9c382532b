"""Shapes in which JSON and YAML files hold rows: lists, mappings by id or category, and columns.

A row that is no object has one value without a name, which is called ``prompt``; a chat is ``messages``, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tais.common.jsonlines import Row

__all__ = ["PROMPT", "is_chat", "rows_of", "to_row"]

PROMPT = "prompt"
"""What a value without a name is called."""

# How published chats call who speaks: OpenAI's form, ShareGPT's, and one of its relatives.
_SPEAKERS = ("role", "from", "speaker")


def is_chat(value: object) -> bool:
    """Whether a value is a list of turns, each with who speaks."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, Mapping) and any(name in turn for name in _SPEAKERS) for turn in value)
    )


def to_row(value: Any) -> Row:
    """Return one entry of a file as a row.

    Raises
    ------
    ValueError
        When it is neither an object, nor a text, nor a chat.
    """
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {PROMPT: value}
    if is_chat(value):
        return {PROMPT: value, "messages": value}
    raise ValueError(f"a row must be a JSON object, a text or a chat, not {type(value).__name__}")


def rows_of(data: Any, wanted: Collection[str]) -> list[Row]:
    """Return the rows that a file holds.

    Parameters
    ----------
    data
        What was read: a list of rows; a mapping of lists of rows by category, however deep; of rows or
        texts by id; of columns, each a list or (as pandas writes it) a mapping by index.
    wanted
        Columns that the battery names: they tell a row from a category.

    Returns
    -------
    list of dict
        A row in a category has it as ``category``, one below it as ``category_2`` and so on; a row by id has
        that as ``id``. What a row says itself goes before both.

    Raises
    ------
    ValueError
        When it holds something else, or beside the rows something that is none.
    """
    if isinstance(data, list):
        return [to_row(entry) for entry in data]
    if not isinstance(data, dict):
        raise ValueError(f"the rows must be a list or a mapping, not {type(data).__name__}")
    named = [data[name] for name in wanted if name in data]
    if any(is_chat(cell) or not isinstance(cell, list | dict) for cell in named):
        return [data]
    columns = _columns(data) if named else None
    return columns if columns is not None else list(_nested(data, (), wanted))


def _columns(data: Row) -> list[Row] | None:
    """Return the rows of a table that is stored column by column; None where it is not."""
    cells = list(data.values())
    if all(isinstance(cell, list) for cell in cells) and len({len(cell) for cell in cells}) == 1:
        return [dict(zip(data, row, strict=True)) for row in zip(*cells, strict=True)]
    if all(isinstance(cell, dict) for cell in cells) and len({frozenset(cell) for cell in cells}) == 1:
        return [{name: data[name][index] for name in data} for index in cells[0]]
    return None


def _nested(data: Row, path: tuple[str, ...], wanted: Collection[str]) -> Iterator[Row]:
    categories = _categories(path)
    texts = [isinstance(value, str) for value in data.values()]
    if any(texts) and not all(texts):
        raise ValueError(f"{next(iter(data))!r} and others hold texts beside lists: not all of them are rows")
    for key, value in data.items():
        if isinstance(value, str):
            yield {"id": key, PROMPT: value, **categories}
        elif isinstance(value, list):
            for entry in value:
                yield {**_categories((*path, key)), **to_row(entry)}
        elif isinstance(value, dict) and _is_row(value, wanted):
            yield {"id": key, **categories, **value}
        elif isinstance(value, dict):
            yield from _nested(value, (*path, key), wanted)
        else:
            raise ValueError(f"{key!r} holds {type(value).__name__} where rows are due")


def _is_row(value: Row, wanted: Collection[str]) -> bool:
    if value.keys() & set(wanted):
        return True
    if all(isinstance(cell, list | dict) for cell in value.values()):
        return False
    # Texts by id have no column names; whoever asks for `prompt` means each of them.
    return not (PROMPT in wanted and all(isinstance(cell, str) for cell in value.values()))


def _categories(path: tuple[str, ...]) -> Row:
    return {f"category_{n}" if n > 1 else "category": key for n, key in enumerate(path, start=1)}
