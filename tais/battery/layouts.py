"""Shapes in which JSON and YAML files hold rows: lists, mappings by id or category, and columns.

A row that is no object has one value without a name, which is called ``prompt``; a chat is ``messages``, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tais.common.jsonlines import Row

__all__ = ["PROMPT", "ROLES", "by_role", "is_chat", "rows_of", "to_row"]

PROMPT = "prompt"
"""What a value without a name is called."""

# How published chats call who speaks: OpenAI's form, ShareGPT's, and one of its relatives.
_SPEAKERS = ("role", "from", "speaker")

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
}
"""What published chats call who speaks."""

# Keys under which files describe themselves, beside what they hold.
_ABOUT = frozenset({
    "authors", "citation", "config", "description", "features", "info", "licence", "license", "meta",
    "metadata", "schema", "version",
})  # fmt: skip


def is_chat(value: object) -> bool:
    """Whether a value is a list of turns, each with who speaks."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, Mapping) and any(name in turn for name in _SPEAKERS) for turn in value)
    )


def by_role(turns: Any) -> Any:
    """Return turns that are pairs of role and text, or have the role for a key, as messages.

    Anything else is returned as it is.
    """
    if not isinstance(turns, list) or is_chat(turns):
        return turns
    made: list[tuple[str, Any]] = []
    for turn in turns:
        if isinstance(turn, list) and len(turn) == 2:
            made.append((str(turn[0]).lower(), turn[1]))
        elif isinstance(turn, Mapping):
            made.extend((str(role).lower(), content) for role, content in turn.items())
        else:
            return turns
    # "tool" and "model" are keys of much that is no chat; somebody asks in every chat.
    known = all(role in ROLES and isinstance(content, str) for role, content in made)
    if not known or not any(ROLES[role] == "user" for role, _ in made):
        return turns
    return [{"role": role, "content": content} for role, content in made]


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
    if is_chat(chat := by_role(value)):
        return {PROMPT: chat, "messages": chat}
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
        When it holds something else, or beside the rows something that is none: what describes the data is
        not asked.
    """
    if isinstance(data, list):
        return [to_row(entry) for entry in data]
    if not isinstance(data, dict):
        raise ValueError(f"the rows must be a list or a mapping, not {type(data).__name__}")
    if (framed := _framed(data)) is not None:
        return framed
    named = [data[name] for name in wanted if name in data]
    if any(is_chat(cell) or not isinstance(cell, list | dict) for cell in named):
        return [data]
    columns = _columns(data) if named else None
    return columns if columns is not None else list(_nested(data, (), wanted, {}))


def _columns(data: Row) -> list[Row] | None:
    """Return the rows of a table that is stored column by column; None where it is not."""
    cells = list(data.values())
    if all(isinstance(cell, list) for cell in cells) and len({len(cell) for cell in cells}) == 1:
        return [dict(zip(data, row, strict=True)) for row in zip(*cells, strict=True)]
    if all(isinstance(cell, dict) for cell in cells) and len({frozenset(cell) for cell in cells}) == 1:
        return [{name: data[name][index] for name in data} for index in cells[0]]
    return None


def _framed(data: Row) -> list[Row] | None:
    """Return the rows of a table in pandas' orientations ``split`` and ``table``; None for others."""
    names, rows = data.get("columns"), data.get("data")
    if not isinstance(rows, list):
        return None
    if isinstance(names, list) and data.keys() <= {"columns", "data", "index"}:
        if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
            raise ValueError("rows of another width than the columns that the file names")
        return [dict(zip(map(str, names), row, strict=True)) for row in rows]
    schema = data.get("schema")
    if isinstance(schema, dict) and "fields" in schema and data.keys() == {"schema", "data"}:
        return [to_row(row) for row in rows]
    return None


_Kinds = dict[tuple[str, int], str]
"""Kinds of rows, each with how deep it stands, and the first key that holds it."""


def _check_kind(kind: str, path: tuple[str, ...], kinds: _Kinds) -> None:
    """Refuse rows of two kinds in one file: one of them is none."""
    kinds.setdefault((kind, len(path)), path[0])
    if len(kinds) > 1:
        (one, _), (other, _) = kinds
        keys = list(kinds.values())
        if one == other:
            one, other = f"{one} at one depth", f"{other} at another"
        raise ValueError(f"{keys[0]!r} holds {one}, {keys[1]!r} {other}: not all of them are rows")


def _nested(data: Row, path: tuple[str, ...], wanted: Collection[str], kinds: _Kinds) -> Iterator[Row]:
    categories = _categories(path)
    about = [key for key, value in data.items() if value and str(key).lower() in _ABOUT]
    if about and len(about) < len(data):
        raise ValueError(f"{about[0]!r} seems to describe the data, and is no row")
    texts = [isinstance(value, str) for value in data.values()]
    if any(texts) and not all(texts):
        raise ValueError(f"{next(iter(data))!r} and others hold texts beside lists: not all of them are rows")
    for key, value in data.items():
        if isinstance(value, str):
            _check_kind("texts by id", (*path, key), kinds)
            yield {"id": key, PROMPT: value, **categories}
        elif isinstance(value, list):
            if value:
                words = "texts" if isinstance(value[0], str) else "objects"
                _check_kind(f"{words} in a list", (*path, key), kinds)
            for entry in value:
                yield {**_categories((*path, key)), **to_row(entry)}
        elif isinstance(value, dict) and _is_row(value, wanted):
            _check_kind("objects by id", (*path, key), kinds)
            yield {"id": key, **categories, **value}
        elif isinstance(value, dict):
            yield from _nested(value, (*path, key), wanted, kinds)
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
