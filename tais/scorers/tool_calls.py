"""Calls of tools, read from what models of the current families write.

The forms are those of the families' chat templates, and of the parsers that vLLM has for them.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue

from tais.common.differences import equal
from tais.scorers.json_answer import MalformedJson, parse_json

__all__ = ["WRAPPERS", "Call", "NotACall", "Untyped", "Wrapper", "read_calls", "same_arguments"]


class Wrapper(NamedTuple):
    """What a family puts around its calls."""

    opens: str
    closes: str
    models: str
    source: str


WRAPPERS = (
    Wrapper(
        "<tool_call>", "</tool_call>", "Hermes, Qwen, GLM, ERNIE, Granite 3.1", "vLLM hermes, glm47, qwen3"
    ),
    Wrapper("<|tool_call|>", "<|/tool_call|>", "Granite 3.0, Phi-4-mini", "vLLM granite; Phi-4-mini card"),
    Wrapper("<|tool_call>", "<tool_call|>", "Gemma 4", "Gemma 4 prompt formatting; vLLM gemma4_utils"),
    Wrapper("<start_function_call>", "<end_function_call>", "FunctionGemma", "vLLM functiongemma"),
    Wrapper("```tool_code\n", "```", "Gemma 3", "Gemma function calling guide"),
    Wrapper("<|tool_call_start|>", "<|tool_call_end|>", "LFM2", "vLLM lfm2"),
    Wrapper("<tool_calls>", "</tool_calls>", "MiniMax-M1, Hunyuan, Jamba", "vLLM hunyuan_a13b, jamba"),
    Wrapper("<function_calls>", "</function_calls>", "OLMo 3", "vLLM olmo3"),
    Wrapper("<function_call>", "</function_call>", "Granite 20B function calling", "vLLM granite_20b_fc"),
    Wrapper("<|python_start|>", "<|python_end|>", "Llama 4", "Llama 4 prompt format; vLLM llama4_pythonic"),
    Wrapper("<|python_tag|>", "<|eom_id|>", "Llama 3.1, 3.2, 3.3", "Llama 3.1 prompt format"),
    Wrapper("<|START_ACTION|>", "<|END_ACTION|>", "Command A, Command R7B", "vLLM cohere_command"),
    Wrapper("<|action_start|><|plugin|>", "<|action_end|>", "InternLM 2.5", "vLLM internlm2"),
    Wrapper("<longcat_tool_call>", "</longcat_tool_call>", "LongCat-Flash", "vLLM longcat"),
    Wrapper("<seed:tool_call>", "</seed:tool_call>", "Seed-OSS", "vLLM seed_oss"),
    Wrapper("<minimax:tool_call>", "</minimax:tool_call>", "MiniMax-M2", "vLLM minimax_m2"),
    Wrapper("<dots_function_call>", "</dots_function_call>", "dots", "vLLM dots"),
    Wrapper("<｜DSML｜function_calls>", "</｜DSML｜function_calls>", "DeepSeek-V3.2", "vLLM deepseek_v32"),
    Wrapper("<｜tool_calls_begin｜>", "<｜tool_calls_end｜>", "Step3", "vLLM step3"),
    Wrapper("<|content_invoke_tool_json|>", "<|end_message|>", "Inkling", "vLLM inkling"),
    Wrapper("<|tools_prefix|>", "<|tools_suffix|>", "Apertus", "vLLM apertus"),
)
"""Marks that stand around one call or several; what is inside is read by its own form."""

_NAMES = ("name", "tool_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
_BESIDE = {"type", "id", "index", "tool_call_id", "call_id"}
_NAME = r"[A-Za-z_][\w.\-]{0,127}"
# All runs end at a mark or at the end of the text: no pattern looks at a character more than a few times.
_MISTRAL = re.compile(rf"\s*({_NAME})\s*(?:\[CALL_ID\][^\[\s]{{0,64}})?\s*(?:\[ARGS\])?\s*(?=\{{)")
_DEEPSEEK = "<｜tool▁call▁begin｜>"
_DEEPSEEK_CALL = re.compile(rf"(?:function<｜tool▁sep｜>)?({_NAME})\s*(?:<｜tool▁sep｜>|```json)")
_KIMI = "<|tool_call_begin|>"
_KIMI_CALL = re.compile(rf"\s*(?:functions\.)?({_NAME})(?::\d{{1,4}})?\s*<\|tool_call_argument_begin\|>")
_FUNCTION = re.compile(rf"<function(?:=| name=)\s*[\"']?({_NAME})[\"']?\s*>")
_PARAMETER = re.compile(rf"<param(?:eter)?(?:=| name=)\s*[\"']?({_NAME})[\"']?\s*>")
_INVOKE = re.compile(rf"<(?:[\w｜]{{1,16}}[:｜])?invoke\s+name\s?=\s?[\"']?({_NAME})[\"']?\s*>")
_INVOKED = re.compile(
    rf"<(?:[\w｜]{{1,16}}[:｜])?parameter\s+name\s?=\s?[\"']?({_NAME})[\"']?(?:\s+string=\"(true|false)\")?\s*>"
)
_NEXT = re.compile(r"[;\s]*")
_END = re.compile(r"</(?:[\w｜]{1,16}[:｜])?(?:param|parameter|invoke|function)>")
_GLM = re.compile(rf"\s*({_NAME})\s*(?=<arg_key>|\Z)")
_GLM_KEY, _GLM_VALUE = ("<arg_key>", "</arg_key>"), ("<arg_value>", "</arg_value>")
_GEMMA = re.compile(rf"\s*call:({_NAME})\s*(?=\{{)")
_GEMMA_QUOTES = ('<|"|>', "<escape>")
_BARE_KEY = re.compile(r"([{,]\s*)([A-Za-z_][\w.\-]{0,127})\s*:")
_BARE_WORD = re.compile(r"(:\s*|[\[,]\s*)(?!(?:true|false|null)\b)([A-Za-z_][^,{}\[\]:\"]{0,200})(?=[,}\]])")
_REACT = re.compile(rf"Action:\s?({_NAME})\s*\nAction Input:\s?(?=\{{)")
_FENCE = re.compile(r"\s*```(?:json|python|tool_code)?[ \t]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)
_CALLED = re.compile(rf"\s*\[?\s*{_NAME}\(")
_LONGEST_CODE = 20_000
_WORDS: Mapping[str, JsonValue] = {"true": True, "false": False, "null": None}


class NotACall(ValueError):
    """What was written can be read, and calls no tool."""


class Untyped(str):
    """A value that was written without its type, as XML forms do: what was asked for says which it is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call."""

    name: str
    arguments: Mapping[str, object]


def read_calls(text: str) -> list[Call]:
    """Return the calls that an answer makes, in order.

    Text around marked calls is passed over; a call without marks is the whole answer.

    Raises
    ------
    MalformedJson
        No form is recognised, or what is in it does not parse.
    NotACall
        It parses, and is no call.
    """
    if (fenced := _FENCE.match(text)) is not None:
        text = fenced[1]
    start = text.lstrip()[:1]
    if start == "{" or (start == "[" and "[TOOL_CALLS]" not in text[:64]):
        return _unmarked(text)
    for wrapper in WRAPPERS:
        if wrapper.opens in text:
            return [call for body in _between(text, wrapper.opens, wrapper.closes) for call in _body(body)]
    if "[TOOL_CALLS]" in text:
        return [call for body in text.split("[TOOL_CALLS]")[1:] for call in _mistral(body)]
    if _DEEPSEEK in text:
        return [_headed(_DEEPSEEK_CALL, body) for body in _between(text, _DEEPSEEK, "<｜tool▁call▁end｜>")]
    if _KIMI in text:
        return [_headed(_KIMI_CALL, body) for body in _between(text, _KIMI, "<|tool_call_end|>")]
    if (action := _REACT.search(text)) is not None:
        return [Call(action[1], _object(_first_object(text[action.end() :])))]
    return _body(text.removeprefix("functools"), marked=False)


def same_arguments(given: object, expected: object) -> bool:
    """Return whether arguments are those expected, types included where they were written."""
    if isinstance(given, Untyped):
        return _as_expected(given, expected)
    if isinstance(given, Mapping) and isinstance(expected, Mapping):
        return given.keys() == expected.keys() and all(same_arguments(given[k], expected[k]) for k in given)
    return equal(given, expected)


def _as_expected(given: Untyped, expected: object) -> bool:
    if isinstance(expected, str):
        return expected in (given, given.strip())
    try:
        return equal(parse_json(given.strip().lower() if isinstance(expected, bool) else given), expected)
    except MalformedJson:
        return expected is None and given.strip() in ("None", "null")


def _between(text: str, opens: str, closes: str) -> list[str]:
    """Return what stands between marks; the last may be left open."""
    return [part.partition(closes)[0] for part in text.split(opens)[1:]]


def _unmarked(text: str) -> list[Call]:
    try:
        value = parse_json(text)
    except MalformedJson as error:
        if error.label != "unparseable":
            raise
        if _CALLED.match(text):
            return _pythonic(text)
        return [call for value in _objects(text) for call in _from_json(value)]
    return _from_json(value)


def _objects(text: str) -> Iterator[JsonValue]:
    """Yield JSON objects that stand one after the other (Llama 3: between semicolons)."""
    start = 0
    while (begin := _NEXT.match(text, start)) is not None and begin.end() < len(text):
        found = _first_object(text, begin.end())
        yield parse_json(found)
        start = begin.end() + len(found)


def _first_object(text: str, start: int = 0) -> str:
    """Return the JSON value that begins at a place."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise MalformedJson("unparseable") from error
    return text[start:end]


def _body(body: str, *, marked: bool = True) -> list[Call]:
    """Return the calls of one marked part, or of a whole answer without marks."""
    if body.lstrip()[:1] in ("{", "["):
        return _unmarked(body)
    if _FUNCTION.search(body):
        return [_function(name, inner) for name, inner in _cut_at(_FUNCTION, body)]
    if _INVOKE.search(body):
        return [Call(name, _invoked(inner)) for name, inner in _cut_at(_INVOKE, body)]
    if (gemma := _GEMMA.match(body)) is not None:
        return [Call(gemma[1], _gemma(body[gemma.end() :]))]
    if _CALLED.match(body):
        return _pythonic(body)
    if "[ARGS]" in body or body.rstrip().endswith("}"):
        return _mistral(body)
    glm = _GLM.match(body)
    # A name alone is a call where marks stand around it.
    if glm is None or (glm.end() == len(body) and not marked):
        raise MalformedJson("unparseable")
    keys = (_between(body, *_GLM_KEY), _between(body, *_GLM_VALUE))
    if len(keys[0]) != len(keys[1]):
        raise MalformedJson("unparseable")
    return [Call(glm[1], {key.strip(): Untyped(value) for key, value in zip(*keys, strict=True)})]


def _cut_at(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each match, and what follows it up to the next."""
    found = list(pattern.finditer(text))
    for match, end in zip(found, [*(m.start() for m in found[1:]), len(text)], strict=False):
        yield match[1], text[match.end() : end]


def _function(name: str, inner: str) -> Call:
    if inner.lstrip().startswith("{"):
        # Llama 3.1, custom tools: <function=name>{...}</function>
        return Call(name, _object(inner.partition("</function>")[0]))
    parameters = ((key, _END.split(value, maxsplit=1)[0]) for key, value in _cut_at(_PARAMETER, inner))
    return Call(
        name, {key: Untyped(value.removeprefix("\n").removesuffix("\n")) for key, value in parameters}
    )


def _invoked(inner: str) -> dict[str, object]:
    found = dict[str, object]()
    matches = list(_INVOKED.finditer(inner))
    for match in matches:
        end = _END.search(inner, match.end())
        value = inner[match.end() : len(inner) if end is None else end.start()]
        if match[2] is None:
            found[match[1]] = Untyped(value.removeprefix("\n").removesuffix("\n"))
        else:
            found[match[1]] = value if match[2] == "true" else parse_json(value)
    return found


def _headed(head: re.Pattern[str], body: str) -> Call:
    """Return a call that is a name, a mark and JSON."""
    match = head.match(body)
    if match is None:
        raise MalformedJson("unparseable")
    return Call(match[1], _object(body[match.end() :].strip().removeprefix("```json").removesuffix("```")))


def _mistral(body: str) -> list[Call]:
    if body.lstrip()[:1] in ("[", "{"):
        return _from_json(parse_json(_first_object(body.strip())))
    return [_headed(_MISTRAL, body.strip().removesuffix("</s>"))]


def _object(text: str) -> dict[str, object]:
    value = parse_json(text)
    if not isinstance(value, dict):
        raise NotACall("not_a_call")
    return value


def _from_json(value: object) -> list[Call]:
    if isinstance(value, list):
        if not value:
            raise NotACall("not_a_call")
        return [_as_call(one) for one in value]
    return [_as_call(value)]


def _as_call(value: object) -> Call:
    """Return the call that a JSON object means, by the names that families give its fields."""
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if isinstance(value, dict) and len(value) == 1:
        # Apertus: {"name of the tool": {arguments}}
        ((name, arguments),) = value.items()
        if isinstance(arguments, dict) and name not in _ARGUMENTS:
            return Call(name, arguments)
    if not isinstance(value, dict):
        raise NotACall("not_a_call")
    names, given = ([key for key in keys if key in value] for keys in (_NAMES, _ARGUMENTS))
    if len(names) != 1 or len(given) != 1 or not set(value) <= {names[0], given[0], *_BESIDE}:
        raise NotACall("not_a_call")
    name, arguments = value[names[0]], value[given[0]]
    if isinstance(arguments, str):
        # OpenAI's interface: arguments are JSON text.
        try:
            arguments = parse_json(arguments or "{}")
        except MalformedJson as error:
            raise NotACall("not_a_call") from error
    if arguments is None:
        arguments = {}
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise NotACall("not_a_call")
    return Call(name, arguments)


def _gemma(text: str) -> dict[str, object]:
    """Return arguments in Gemma's form: bare keys, and strings between marks of their own."""
    quote = next((mark for mark in _GEMMA_QUOTES if mark in text), _GEMMA_QUOTES[0])
    written = ""
    for place, piece in enumerate(text.strip().split(quote)):
        bare = _BARE_WORD.sub(lambda m: m[1] + json.dumps(m[2].strip()), _BARE_KEY.sub(r'\1"\2":', piece))
        written += json.dumps(piece) if place % 2 else bare
    return _object(_first_object(written))


def _pythonic(text: str) -> list[Call]:
    code = text.strip()
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


def _python_call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call):
        raise ValueError("no call")
    if isinstance(node.func, ast.Name) and node.func.id == "print" and len(node.args) == 1:
        # Gemma 3 prints what its calls return.
        return _python_call(node.args[0])
    if node.args or any(word.arg is None for word in node.keywords):
        raise ValueError("arguments without names")
    name = ast.unparse(node.func).removesuffix(".call")
    return Call(name, {str(word.arg): _python_value(word.value) for word in node.keywords})


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
