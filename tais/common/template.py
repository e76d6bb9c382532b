"""Prompts from columns: a small part of Mustache, on plain text.

``{{ name }}`` is the column's value, ``{{ a.b }}`` goes into a nested one; ``{{# name }}...{{/ name }}``
stands only where the value is not empty, ``{{^ name }}...{{/ name }}`` only where it is. Nothing is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MissingColumn", "check_template", "is_template", "lookup", "render", "template_names"]

_TAG = re.compile(r"\{\{([#^/]?)\s*([^{}\s]+)\s*\}\}")
_SECTION = re.compile(r"\{\{([#^])\s*([^{}\s]+)\s*\}\}((?:(?!\{\{[#^]).)*?)\{\{/\s*\2\s*\}\}", re.DOTALL)


class MissingColumn(KeyError):
    """A row has no such column; the message is its name."""

    @property
    def column(self) -> str:
        """The name as written."""
        return str(self.args[0])


def is_template(text: str) -> bool:
    """Whether a text holds tags."""
    return "{{" in text


def template_names(template: str) -> tuple[str, ...]:
    """Return the names that a template uses, in order of first use."""
    return tuple(dict.fromkeys(match[2] for match in _TAG.finditer(template)))


def check_template(template: str) -> None:
    """Raise ValueError on sections that do not close and on braces that are no tag."""
    open_sections: list[str] = []
    for match in _TAG.finditer(template):
        if match[1] in ("#", "^") and match[1]:
            open_sections.append(match[2])
        elif match[1] == "/" and (not open_sections or open_sections.pop() != match[2]):
            raise ValueError(f"the template closes {match[2]!r}, which is not open")
    if open_sections:
        raise ValueError(f"the template does not close {open_sections[-1]!r}")
    if "{{" in _TAG.sub("", template):
        raise ValueError("the template has '{{' that starts no tag")


def lookup(row: Mapping[str, object], name: str) -> Any:
    """Return a column; a dotted name that is no column goes into nested mappings and lists (``turns.0``)."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise MissingColumn(name)
    return value


def render(template: str, row: Mapping[str, object]) -> str:
    """Return a template filled in from a row.

    Raises
    ------
    MissingColumn
        The row lacks a column that a tag names.
    """
    # Innermost sections first, so that nesting needs no parser; values are put in afterwards and are
    # therefore never read as tags themselves.
    while True:
        replaced = _SECTION.sub(lambda m: _section(m, row), template)
        if replaced == template:
            break
        template = replaced
    return _TAG.sub(lambda m: as_text(lookup(row, m[2])), template)


def _section(match: re.Match[str], row: Mapping[str, object]) -> str:
    empty = as_text(lookup(row, match[2])).strip() == ""
    return match[3] if empty == (match[1] == "^") else ""


def as_text(value: object) -> str:
    """Return a column's value as text; None is empty."""
    return value if isinstance(value, str) else "" if value is None else str(value)
