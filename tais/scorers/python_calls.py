"""Calls of tools in Python: ``[f(x=1, y="a")]``, as Llama, Gemma and LFM2 write them."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping

from pydantic import JsonValue

from tais.scorers.json_answer import MalformedJson

__all__ = ["PythonCall", "python_calls"]

PythonCall = tuple[str, dict[str, object]]
"""Name and arguments."""

_KEY = r"[A-Za-z_]\w{0,63}"
_LITERAL = r"\"[^\"\\\n]*\"|'[^'\\\n]*'|-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?|True|False|None|true|false|null"
_PLAIN_VALUE = re.compile(rf"({_KEY})=({_LITERAL})")
_PLAIN_CALL = re.compile(
    rf"\[?([A-Za-z_][\w.\-]{{0,127}})\(((?>{_KEY}=(?:{_LITERAL})(?:, ?(?=[A-Za-z_])|(?=\))))*+)\)\]?"
)
_LONGEST_CODE = 20_000
_WORDS: Mapping[str, JsonValue] = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None
}  # fmt: skip
_ABSENT = object()


def python_calls(text: str) -> list[PythonCall]:
    """Return the calls that a text in Python is; it is parsed and never run."""
    code = text.strip()
    if (plain := _PLAIN_CALL.fullmatch(code)) is not None and plain[1] != "print":
        return [_plain_call(plain)]
    if len(code) > _LONGEST_CODE:
        raise MalformedJson("unparseable")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            # Parsed, never run. Llama 4 writes calls one after the other, Gemma 3 one a line.
            tree = ast.parse(
                code if code.startswith("[") else f"[{code}]".replace(")\n", "),\n"), mode="eval"
            )
        return [_python_call(node) for node in tree.body.elts] if isinstance(tree.body, ast.List) else []
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MalformedJson("unparseable") from error


def _plain_call(match: re.Match[str]) -> PythonCall:
    """Return a call with plain values: most are, and are read at a tenth of the time."""
    arguments = dict[str, object]()
    for key, written in _PLAIN_VALUE.findall(match[2]):
        if key in arguments:
            raise MalformedJson("duplicate_key")
        arguments[key] = written[1:-1] if written[0] in "\"'" else _WORDS.get(written, _ABSENT)
        if arguments[key] is _ABSENT:
            arguments[key] = json.loads(written)
    return match[1].removesuffix(".call"), arguments


def _python_call(node: ast.expr) -> PythonCall:
    if not isinstance(node, ast.Call):
        raise ValueError("no call")
    if isinstance(node.func, ast.Name) and node.func.id == "print" and len(node.args) == 1:
        # Gemma 3 prints what its calls return.
        return _python_call(node.args[0])
    if node.args or any(word.arg is None for word in node.keywords):
        raise ValueError("arguments without names")
    name = ast.unparse(node.func).removesuffix(".call")
    return name, {str(word.arg): _python_value(word.value) for word in node.keywords}


def _python_value(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List() | ast.Tuple():
            return [_python_value(one) for one in node.elts]
        case ast.Dict():
            keys = [_python_value(key) if key is not None else None for key in node.keys]
            if not all(isinstance(key, str) for key in keys):
                raise ValueError("keys are texts")
            return dict(zip(map(str, keys), map(_python_value, node.values), strict=True))
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
    raise ValueError("no plain value")
