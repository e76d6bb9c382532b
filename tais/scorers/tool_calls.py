"""Calls of tools, read from what models of the current families write.

The forms are those of the families' chat templates, and of the parsers that vLLM has for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue

from tais.common.differences import equal
from tais.scorers.json_answer import MalformedJson, parse_json
from tais.scorers.python_calls import python_calls

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
    Wrapper("<TOOLCALL>", "</TOOLCALL>", "Nemotron Nano 2", "its chat template"),
    Wrapper("<|tools_prefix|>", "<|tools_suffix|>", "Apertus", "vLLM apertus"),
)
"""Marks that stand around one call or several; what is inside is read by its own form."""

_NAMES = ("name", "tool_name", "tool", "function", "function_name", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_args", "tool_input", "action_input", "kwargs")
_BESIDE = {"type", "id", "index", "tool_call_id", "call_id", "toolUseId", "status", "thought"}
# What the interfaces of OpenAI, Google, Anthropic and Amazon put around calls, and the parts that are none.
_HOLDERS = ("choices", "message", "tool_calls", "parts", "content", "output")
_WRAPPED = ("function", "function_call", "functionCall", "toolUse")
_NO_CALLS = frozenset(("text", "output_text", "thinking", "redacted_thinking", "reasoning", "message"))
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
# LangChain's and Qwen's ReAct prompts; Cohere Command R, LangChain's structured chat: a fence with JSON.
_REACT = re.compile(
    rf"Action:\s{{0,4}}`?({_NAME})`?\s{{0,4}}\n\s{{0,4}}Action[ _]Input:\s{{0,4}}"
    r"(?:```(?:json)?\s{0,4})?(?=\{)"
)
_ACTION = re.compile(r"Action:\s{0,4}(?:```(?:json)?\s{0,4})(?=[\[{])|Action:\s{0,4}(?=[\[{])")
_FENCE = re.compile(
    r"\s*```(?:json|python|tool_code|tool_call|xml)?[ \t]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL
)
_MOST = 500
_QUOTES = frozenset("`'\"")
_CALLED = re.compile(rf"\s*\[?\s*{_NAME}\(")


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
    if text.lstrip()[:3] == "```" and (fenced := _FENCE.match(text)) is not None:
        text = fenced[1]
    start = text.lstrip()[:1]
    marked = "<" in text or "[TOOL_CALLS]" in text or "Action" in text
    if start == "{" or (start == "[" and "[TOOL_CALLS]" not in text[:64]):
        if not marked:
            return _unmarked(text)
        try:
            return _from_json(parse_json(text))
        except MalformedJson as error:
            if error.label != "unparseable":
                raise
    if not marked and "```tool_code" not in text:
        return _body(text.removeprefix("functools"), marked=False)
    calls, rest = _marked(text)
    if not calls:
        return _body(text.removeprefix("functools"), marked=False)
    # Calls in two notations are all made; what else stands around them is said, and calls nothing.
    return calls + (_unmarked(rest) if rest.lstrip()[:1] in ("{", "[") else [])


def _marked(text: str) -> tuple[list[Call], str]:
    """Return the calls of every notation with marks, and the text without them."""
    calls: list[Call] = []
    for wrapper in WRAPPERS:
        if wrapper.opens in text:
            bodies, text = _taken(text, wrapper.opens, wrapper.closes)
            calls += [call for body in bodies for call in _body(body)]
    if "[TOOL_CALLS]" in text:
        text, *bodies = text.split("[TOOL_CALLS]")
        calls += [call for body in bodies for call in _mistral(body)]
    for opens, closes, head in (
        (_DEEPSEEK, "<｜tool▁call▁end｜>", _DEEPSEEK_CALL),
        (_KIMI, "<|tool_call_end|>", _KIMI_CALL),
    ):
        if opens in text:
            bodies, text = _taken(text, opens, closes)
            calls += [_headed(head, body) for body in bodies]
    for pattern in (_FUNCTION, _INVOKE):
        if calls and (found := pattern.search(text)) is not None:
            calls += _body(text[found.start() :])
            text = text[: found.start()]
    if "Action" in text:
        # What a model makes up as the observation is no call of its own.
        thought, _, _ = text.partition("\nObservation:")
        for action in _REACT.finditer(thought):
            calls.append(Call(action[1], _object(_first_object(thought, action.end()))))
        for action in _ACTION.finditer(thought):
            calls += _from_json(parse_json(_first_object(thought, action.end())))
    return calls, text


def _taken(text: str, opens: str, closes: str) -> tuple[list[str], str]:
    """Return what stands between marks, of which the last may be left open, and the rest of the text.

    A mark in quotes or backticks is spoken of, and opens nothing.
    """
    rest, *parts = text.split(opens)
    bodies: list[str] = []
    for part in parts:
        if rest[-1:] in _QUOTES and rest:
            rest += opens + part
            continue
        body, _, behind = part.partition(closes)
        bodies.append(body)
        rest += behind
    return bodies, rest


_SCALARS = frozenset((str, int, bool, float, type(None)))


def same_arguments(given: object, expected: object) -> bool:
    """Return whether arguments are those expected, types included where they were written."""
    kind = type(given)
    if kind is type(expected) and kind in _SCALARS:
        return given == expected
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
            return [Call(*call) for call in python_calls(text)]
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
        return [Call(*call) for call in python_calls(body)]
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
    found = _bounded(list(pattern.finditer(text)))
    for match, end in zip(found, [*(m.start() for m in found[1:]), len(text)], strict=False):
        yield match[1], text[match.end() : end]


def _bounded(found: list[re.Match[str]]) -> list[re.Match[str]]:
    """Return marks as they are, unless nobody means so many: a model in a loop writes them."""
    if len(found) > _MOST:
        raise MalformedJson("unparseable")
    return found


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
    matches = _bounded(list(_INVOKED.finditer(inner)))
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
        calls = [call for one in value if not _says_something(one) for call in _from_json(one)]
        if not calls:
            raise NotACall("not_a_call")
        return calls
    if isinstance(value, dict):
        name, arguments = value.get("name"), value.get("arguments")
        if len(value) == 2 and type(name) is str and type(arguments) is dict:
            # The most common form.
            return [Call(name, arguments)]
        holder = next((key for key in _HOLDERS if _holds_calls(value.get(key))), None)
        if holder is not None:
            return _from_json(value[holder])
    return [_as_call(value)]


def _says_something(value: object) -> bool:
    """Whether a part of a message is text or thinking beside its calls."""
    if not isinstance(value, dict):
        return False
    return (value.get("type") in _NO_CALLS and "name" not in value) or set(value) in (
        {"text"},
        {"thought", "text"},
    )


def _holds_calls(value: object) -> bool:
    """Whether a value is a list of parts, or a message: what interfaces put around calls."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    return isinstance(value, dict) and any(
        key in value for key in ("role", "tool_calls", "function_call", "parts")
    )


def _as_call(value: object) -> Call:
    """Return the call that a JSON object means, by the names that families give its fields."""
    if isinstance(value, dict):
        wrapped = next((key for key in _WRAPPED if isinstance(value.get(key), dict)), None)
        if wrapped is not None and any(name in value[wrapped] for name in _NAMES):
            value = value[wrapped]
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
