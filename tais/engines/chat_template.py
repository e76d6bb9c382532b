"""Chat templates, found and tried without an engine: which one an arm has, what it reads, what it refuses.

Templates come from model repositories and run in Jinja's sandbox alone, as in transformers, whose environment
this follows (``transformers.utils.chat_template_utils``, 5.19): blocks trimmed, loop controls,
``raise_exception``, ``strftime_now`` and a ``tojson`` that escapes no HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from tais.engines.hub_cache import read_model_file
from tais.manifest.model import Arm
from tais.records import Message

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = [
    "CLOCK",
    "FoundTemplate",
    "TemplateRefusal",
    "clock_of",
    "find_template",
    "read_variables",
    "renders_elsewhere",
    "served_template",
    "try_template",
    "unread_kwargs",
    "with_fixed_clock",
]

CLOCK = "strftime_now"
"""The one function by which templates read the clock."""

_CLOCK_CALL = re.compile(rf"{CLOCK}\(\s*(['\"])((?:(?!\1)[^\\])*)\1\s*\)")
# Any other use, also under another name: {% set now = strftime_now %}. Asking whether it is there is none.
_READS_CLOCK = re.compile(rf"\b{CLOCK}\b(?!\s+is\s+(?:not\s+)?defined)")
# What C and glibc know; those without a leading zero go before their plain forms only by their sign.
_CODES = tuple(f"%{code}" for code in (*(f"-{c}" for c in "dHIjmMSy"), *"aAbBcdDeFfGhHIjmMnpRSTuUVwWxXyYzZ"))
# Marks what an assistant says, for training; it prints nothing.
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_NAMES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
# Tokenizers of mistral-common, which render by themselves.
_MISTRAL = ("tekken.json", "tokenizer.model.v3", "tokenizer.model.v7")
# Of vLLM 0.32: tokenizer modes that write conversations without a template, and the models that choose one.
_OWN_MODES = re.compile(r"mistral|deepseek_v\d+|kimi_\w+|inkling|cohere")
_OWN_MODELS = re.compile(r"(DeepseekV32|DeepseekV4\d*|MoonshotKimia|KimiK3|Inkling)For\w+")


class TemplateRefusal(Exception):
    """A template raised: it does not take such a conversation. The message is the template's own."""


@dataclass(frozen=True, slots=True)
class FoundTemplate:
    """What is known of an arm's template before its engine starts."""

    kind: Literal["text", "own", "none", "unknown"]
    """text: here it is; own: the tokenizer renders by itself; none: there is none; unknown: not at hand."""
    text: str = ""
    tokens: Mapping[str, str] | None = None
    """Special tokens that templates name, such as ``bos_token``."""

    @property
    def reads_clock(self) -> bool:
        """Whether what it writes may depend on the day."""
        return self.kind == "unknown" or CLOCK in self.text


def find_template(arm: Arm) -> FoundTemplate:
    """Return the chat template by which an arm's prompts are rendered, as far as it is at hand.

    Parameters
    ----------
    arm
        Local paths absolute. Of a model on a hub, files that are cached here are read, and none is fetched.
    """
    if arm.engine in ("import", "fake"):
        return FoundTemplate("own")
    if renders_elsewhere(arm):
        return FoundTemplate("unknown")
    read = _reader(arm)
    config = _object(read("tokenizer_config.json"))
    tokens = {key: _token(value) for key, value in config.items() if key.endswith("_token")}
    if arm.chat_template is not None:
        return FoundTemplate("text", Path(arm.chat_template).read_text(encoding="utf-8"), tokens)
    if _vllm_renders(arm, _object(read("config.json"))):
        return FoundTemplate("own")
    plain = read("chat_template.jinja")
    text = plain or _default(_object(read("chat_template.json"))) or _default(config)
    if text:
        return FoundTemplate("text", text, tokens)
    if any(read(name) is not None for name in _MISTRAL):
        # transformers decides by the kind of model whether mistral-common reads them.
        return FoundTemplate("own" if _on_vllm(arm) is not None else "unknown")
    # Of a hub's files only some may be cached, and a gguf holds its own.
    local = Path(arm.tokenizer or arm.model or "")
    whole = local.is_dir() and not any(local.glob("*.gguf"))
    return FoundTemplate("none" if whole else "unknown")


def renders_elsewhere(arm: Arm) -> bool:
    """Whether a server that runs already writes the prompts, by a template and a clock of its own."""
    return arm.attached and not (arm.tokenizer and arm.engine_args.get("endpoint") == "completions")


def _on_vllm(arm: Arm) -> Mapping[str, object] | None:
    """Return the arguments of vLLM where it runs the arm, in process or as its server; None elsewhere."""
    serve = arm.engine_args.get("serve")
    given = arm.engine_args if arm.engine == "vllm" else serve if isinstance(serve, dict) else None
    return None if given is None else {str(key).replace("-", "_"): value for key, value in given.items()}


def _vllm_renders(arm: Arm, config: Mapping[str, object]) -> bool:
    """Whether vLLM writes an arm's conversations without a template, by its mode or by what auto takes."""
    given = _on_vllm(arm)
    if given is None:
        return False
    mode = str(given.get("tokenizer_mode", "auto"))
    if mode != "auto":
        return _OWN_MODES.fullmatch(mode) is not None
    listed = config.get("architectures")
    if any(_OWN_MODELS.fullmatch(str(name)) for name in (listed if isinstance(listed, list) else ())):
        return True
    folder = Path(arm.tokenizer or arm.model or "")
    files = ("tekken.json", "tokenizer.model.v*")
    return any(folder.glob("consolidated*.safetensors")) and any(any(folder.glob(name)) for name in files)


def _reader(arm: Arm) -> Callable[[str], str | None]:
    """Return what reads a file of the arm's tokenizer; None where it is not at hand."""
    name = arm.tokenizer or arm.model or ""
    revision = arm.revision if arm.tokenizer is None else None
    return lambda file: read_model_file(name, file, revision)


def _object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _token(value: object) -> str:
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""


def _default(config: Mapping[str, object]) -> str:
    """Return the template of a configuration; of several, the one that is called default."""
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {str(one.get("name")): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else ""


def clock_of(day: str) -> Callable[[str], str]:
    """Return the clock that a template reads: midnight of a day (``YYYY-MM-DD``)."""
    return datetime.fromisoformat(day).strftime


def with_fixed_clock(text: str, day: str) -> str:
    """Return a template with what it reads from the clock written out, for servers that take no clock."""
    now = clock_of(day)
    written = _CLOCK_CALL.sub(lambda match: json.dumps(now(match[2]), ensure_ascii=False), text)
    return _clock_macro(now) + written if _READS_CLOCK.search(written) else written


def _clock_macro(now: Callable[[str], str]) -> str:
    """Return a macro in place of the clock, for formats that stand in a variable or are put together."""
    # A doubled sign is put aside first. What a code becomes never holds a code.
    said = [("%%", "\0"), *((code, now(code)) for code in _CODES), ("\0", "%")]
    steps = "".join(f" | replace({json.dumps(code)}, {json.dumps(text)})" for code, text in said)
    # The line's end goes with the block (trim_blocks), so that the template begins where it did.
    return f"{{% macro {CLOCK}(format) %}}{{{{ format{steps} }}}}{{% endmacro %}}\n"


def served_template(arm: Arm) -> str | None:
    """Return the template for a server of the arm's own, date written out; None where the model's will do."""
    if arm.chat_template_date is not None:
        found = find_template(arm)
        if found.kind == "text" and found.reads_clock:
            return with_fixed_clock(found.text, arm.chat_template_date)
    return arm.chat_template


def unread_kwargs(found: FoundTemplate, kwargs: Mapping[str, object]) -> list[str]:
    """Return those of ``chat_template_kwargs`` that a template never reads."""
    return sorted(kwargs.keys() - read) if kwargs and (read := read_variables(found)) is not None else []


def read_variables(found: FoundTemplate) -> set[str] | None:
    """Return the variables that a template reads; None where it is not at hand."""
    if found.kind != "text":
        return None
    from jinja2 import TemplateError, meta

    environment = _environment()
    try:
        return set(meta.find_undeclared_variables(environment.parse(_GENERATION.sub("", found.text))))
    except TemplateError:
        return None


def try_template(found: FoundTemplate, arm: Arm, messages: Sequence[Message]) -> str:
    """Return a conversation as the template writes it, where its text is at hand; else "".

    Raises
    ------
    TemplateRefusal
        When the template raises an exception of its own. Other faults are for the engine's renderer to say.
    """
    if found.kind != "text":
        return ""
    day = {} if arm.chat_template_date is None else {CLOCK: clock_of(arm.chat_template_date)}
    turns = [message.as_dict() for message in messages]
    given = {**(found.tokens or {}), **day, **(arm.chat_template_kwargs or {})}
    try:
        # With the ending of a chat that is answered: a turn to continue is cut out of the same text.
        prompt = messages[-1].role != "assistant"
        return _compiled(found.text).render(messages=turns, add_generation_prompt=prompt, tools=None, **given)
    except TemplateRefusal:
        raise
    # A sandbox lets through whatever a template's operations raise; the engine's own renderer says it.
    except Exception:
        return ""


@cache
def _compiled(text: str) -> Template:
    return _environment().from_string(_GENERATION.sub("", text))


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = _tojson
    made.globals["raise_exception"] = _raise
    made.globals[CLOCK] = lambda form: datetime.now().strftime(form)
    return made


def _tojson(value: object, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise(message: object) -> NoReturn:
    raise TemplateRefusal(" ".join(str(message).split()))
