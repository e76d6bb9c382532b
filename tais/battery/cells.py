"""Lists and objects that a table holds as text: JSON, or as Python or numpy print them."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from typing import Any

__all__ = ["parsed_cell"]

_LONGEST = 1 << 20
_OPENS = re.compile(r"\s*(?:[\[{]|(?:np\.|numpy\.)?array\()")
_UNSEPARATED = re.compile(r"\}\s+\{")
_BROKEN = (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError)


def parsed_cell(text: str) -> Any:
    """Return the list or object that a text holds; None for any other text."""
    if not _OPENS.match(text) or len(text) > _LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        # pandas writes a column of lists this way, and one of numpy's arrays as they print themselves.
        # Literals only: nothing is run.
        tree = ast.parse(_separated(text.strip()), mode="eval")
        found = ast.literal_eval(_Arrays().visit(tree))
    except _BROKEN:
        return None
    return found if isinstance(found, list | dict) else None


def _separated(text: str) -> str:
    """Return a text with commas between the objects of an array, where numpy prints none."""
    if not _UNSEPARATED.search(text):
        return text
    words: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.string == "{" and words[-1:] == ["}"]:
            words.append(",")
        if token.string.strip():
            words.append(token.string)
    return " ".join(words)


class _Arrays(ast.NodeTransformer):
    """Puts what an array holds in its place: ``array([...], dtype=object)``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        self.generic_visit(node)
        return node.args[0] if name == "array" and len(node.args) == 1 else node
