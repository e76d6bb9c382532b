"""The ``engine_args`` that TAIS itself reads. Light: a manifest is checked without any engine."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from tais.common.document import Path_, show, suggest
from tais.common.models import Strict
from tais.manifest.model import Arm

__all__ = [
    "MEMORY_ARGUMENTS",
    "OpenaiOptions",
    "TransformersOptions",
    "Wrong",
    "read_options",
    "vllm_arguments",
    "wrong_option",
]

MEMORY_ARGUMENTS = ("kv_cache_memory_bytes", "gpu_memory_utilization", "num_gpu_blocks_override")
"""Arguments of vLLM, each of which decides how much memory its KV cache gets."""


class TransformersOptions(Strict, strict=True):
    """``engine_args`` of ``engine: transformers``."""

    batch_size: int = Field(16, gt=0)
    """Prompts at once; an arm that speculates takes them one by one."""
    device: str | None = Field(None, min_length=1)
    """Such as ``cpu`` or ``cuda:1``; None takes the first GPU where there is one."""
    attn_implementation: str | None = Field(None, min_length=1)
    max_model_len: int | None = Field(None, gt=1)
    """Tokens of prompt and answer together; None takes what the model was made for."""
    threads: int | None = Field(None, gt=0)
    """Threads of the processor that compute; None leaves them to torch."""


class OpenaiOptions(Strict, strict=True):
    """``engine_args`` of ``engine: openai``."""

    base_url: str | None = None
    """Of the server, with or without ``/v1``."""
    serve: dict[str, Any] | None = None
    """Arguments of a vLLM server that is started for this arm, in the place of ``base_url``."""
    serve_timeout_seconds: float = Field(900.0, gt=0)
    endpoint: Literal["chat", "completions"] = "chat"
    api_key_env: str = Field("OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key; never one of TAIS's own, which hold what signs."""
    concurrency: int = Field(8, gt=0, le=1024)
    requests_per_second: float | None = Field(None, gt=0)
    retries: int = Field(8, ge=0)
    """How often one request is sent again."""
    backoff_seconds: float = Field(0.5, gt=0)
    """Wait before the first retry; each further one waits twice as long, to a minute."""
    timeout_seconds: float = Field(600.0, gt=0)
    """For one answer, from its first byte sent to its last byte read."""
    token_ids: bool | None = None
    """Whether to ask for token ids; None asks vLLM."""
    logprobs: bool | None = None
    """Whether to ask for the two best log-probabilities; None asks vLLM."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    score_with: Literal["prompt_logprobs", "echo"] | None = None
    """How prompt tokens are scored; None takes what the server is known for."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Goes into the body of every request."""

    @field_validator("api_key_env")
    @classmethod
    def _not_of_tais(cls, name: str) -> str:
        if name.upper().startswith("TAIS_"):
            raise ValueError("a TAIS_ variable holds no key of a server, and what signs is sent nowhere")
        return name


_OF: dict[str, type[Strict]] = {"transformers": TransformersOptions, "openai": OpenaiOptions}
# What a request says by itself.
_RESERVED = {
    "model", "messages", "prompt", "n", "stream", "max_tokens", "max_completion_tokens", "temperature",
    "top_p", "top_k", "seed", "stop", "logprobs", "top_logprobs", "echo", "prompt_logprobs",
    "return_token_ids", "return_tokens_as_token_ids", "add_generation_prompt", "continue_final_message",
    "chat_template", "chat_template_kwargs",
}  # fmt: skip
# What a server gets from the arm itself or from TAIS.
_SERVED = {"model", "revision", "tokenizer", "dtype", "speculative_config", "host", "port", "api_key", "uds"}
_FLAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Wrong(NamedTuple):
    """An option that cannot be."""

    path: Path_
    """Where, below the arm."""
    what: str
    remedy: str


def read_options(arm: Arm) -> Any:
    """Return the options of an arm.

    Raises
    ------
    ValidationError
        Where :func:`wrong_option` says what is wrong.
    """
    return _OF[arm.engine].model_validate(arm.engine_args)


def vllm_arguments(arm: Arm) -> dict[str, Any] | None:
    """Return what a vLLM that TAIS starts is given, names with underscores; None where it starts none."""
    given = arm.engine_args if arm.engine == "vllm" else None
    if arm.engine == "openai":
        given = arm.engine_args.get("serve")
    return {str(key).replace("-", "_"): value for key, value in given.items()} if given is not None else None


def wrong_option(arm: Arm) -> Wrong | None:
    """Return the first thing that is wrong with the options of an arm; None also for other engines."""
    model = _OF.get(arm.engine)
    if model is None:
        return None
    try:
        options = model.model_validate(arm.engine_args)
    except ValidationError as error:
        return _wrong(error, model)
    return _wrong_server(arm, options) if isinstance(options, OpenaiOptions) else None


def _wrong(error: ValidationError, model: type[Strict]) -> Wrong:
    first = error.errors()[0]
    name = str(first["loc"][0])
    path = ("engine_args", *first["loc"])
    if first["type"] == "extra_forbidden":
        if "key" in name.lower():
            what = "an API key stands in the environment, never in a manifest"
            return Wrong(path, what, "Set OPENAI_API_KEY, or name another variable with api_key_env")
        return Wrong(path, f"no option named {show(name)}", suggest(name, model.model_fields, "Options"))
    reason = str(first["msg"])
    return Wrong(path, f"{reason[0].lower()}{reason[1:]}, not {show(first['input'])}", "Correct it")


def _wrong_server(arm: Arm, options: OpenaiOptions) -> Wrong | None:
    at: Path_ = ("engine_args",)
    if (options.base_url is None) == (options.serve is None):
        what = "an openai arm needs the address of its server" if options.serve is None else "two servers"
        return Wrong(at, what, "Write base_url: http://host:port, or serve: {} to have one started")
    reserved = sorted(_RESERVED & options.extra_body.keys())
    if reserved:
        what = f"{reserved[0]} is said by TAIS itself"
        of_the_arm = reserved[0].startswith("chat_template")
        remedy = "Write it on the arm" if of_the_arm else "Leave it out; sampling stands in the manifest"
        return Wrong((*at, "extra_body", reserved[0]), what, remedy)
    if options.serve is not None:
        return _wrong_serve(options.serve)
    return _wrong_url(options.base_url or "") or _wrong_attached(arm)


def _wrong_serve(serve: dict[str, Any]) -> Wrong | None:
    for name in serve:
        path: Path_ = ("engine_args", "serve", name)
        if not _FLAG.fullmatch(name):
            return Wrong(
                path, f"{show(name)} is no argument of a server", "Write it as in `vllm serve --help`"
            )
        plain = name.replace("-", "_")
        if plain == "trust_remote_code" and serve[name]:
            what = "trust_remote_code runs code from a model repository, which TAIS does not do"
            return Wrong(path, what, "Leave it out")
        if plain in _SERVED:
            return Wrong(
                path, f"{name} is not an argument of serve", "It stands on the arm, or TAIS chooses it"
            )
    return None


def _wrong_url(url: str) -> Wrong | None:
    path: Path_ = ("engine_args", "base_url")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        return Wrong(path, f"no address: {error}", "Write http://host:port")
    if parts.scheme not in ("http", "https") or not host:
        return Wrong(path, f"{show(url)} is no http address", "Write http://host:port")
    if parts.username or parts.password:
        what = "the address holds a password, which the lock would keep"
        return Wrong(path, what, "Leave it out; a key stands in the environment")
    if parts.query or parts.fragment:
        return Wrong(path, "an address of a server has no query", "Write http://host:port")
    return None


def _wrong_attached(arm: Arm) -> Wrong | None:
    """What a server that runs already has decided itself."""
    for key in ("revision", "dtype"):
        if getattr(arm, key) is not None:
            what = f"the server at base_url has its own {key}"
            return Wrong((key,), what, "Leave it out, or let TAIS start the server: engine_args: {serve: {}}")
    rendered_here = arm.tokenizer is not None and arm.engine_args.get("endpoint") == "completions"
    for key, own in (("chat_template", "chat template"), ("chat_template_date", "clock")):
        if getattr(arm, key) is not None and not rendered_here:
            what = f"the server at base_url has its own {own}"
            return Wrong((key,), what, "Give a tokenizer and endpoint: completions")
    return None
