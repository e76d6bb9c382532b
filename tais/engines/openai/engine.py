"""object server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, TGI and others, by their address.

Facts about vLLM 0.32 that this file rests on, read in its source and tried on a CPU: ``return_token_ids``
gives the ids of prompt and answer; what a request leaves out comes from the model's own generation settings,
which the in-process engine does not apply; ``top_logprobs`` counts the token given, wherever it ranks.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from tais.common.files import canonical_json
from tais.common.install import pip_install
from tais.common.rendered import is_rendered
from tais.engines.base import EngineRefusal
from tais.engines.openai.answers import Answer, read_answer, read_ids
from tais.engines.openai.dialect import VLLM, dialect_of, longest, read_counters
from tais.engines.openai.keys import check_key
from tais.engines.prompts import Renderer, is_prefill, prompt_digest
from tais.engines.resolved import plain_mapping, to_plain
from tais.manifest.engine_options import OpenaiOptions, read_options, wrong_option
from tais.manifest.model import Arm
from tais.manifest.sampling import OPENAI_FIELDS, Sampling, said_settings, with_own
from tais.records import Counters, Request, Sample

if TYPE_CHECKING:
    from tais.engines.openai.http import Client
    from tais.engines.openai.server import Server

__all__ = ["OpenaiEngine"]

Item = TypeVar("Item")
T = TypeVar("T")

_NOT_INSTALLED = f"httpx is not installed. Install it with: {pip_install('openai')}"
# The token given comes first, and the best two may both be others.
_TOP = 3
# Between two looks at whether the run wants to hear of this arm.
_PATIENCE_SECONDS = 0.2


class OpenaiEngine:
    """A client of one server, which may be this arm's own."""

    server: Server | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def start(self, arm: Arm) -> dict[str, object]:
        """Reach the server, or start one; see :class:`tais.engines.base.Engine`."""
        return self.connect(arm, {})

    def connect(self, arm: Arm, served: Mapping[str, object]) -> dict[str, object]:
        """Start as :meth:`start` does, with more arguments for a server of the arm's own."""
        if importlib.util.find_spec("httpx") is None:
            raise EngineRefusal(_NOT_INSTALLED)
        wrong = wrong_option(arm)
        if wrong is not None:
            raise EngineRefusal(f"{wrong.what}. {wrong.remedy}")
        from tais.engines.openai.http import Client, api_root

        self.arm = arm
        self.options: OpenaiOptions = read_options(arm)
        root = api_root(self.options.base_url or "")
        variable = self.options.api_key_env
        key = check_key(os.environ.get(variable, ""), variable) or None
        try:
            if self.options.serve is not None:
                from tais.engines.openai.server import Server

                self.server = Server(arm, self.options, served)
                self.server.wait()
                root, key = self.server.root, self.server.key
            self.loop = asyncio.new_event_loop()
            self.client: Client = Client(root, key, self.options)
            return self._look_around()
        except BaseException:  # an interruption too must not leave a server behind
            self.close()
            raise

    def _run(self, work: Coroutine[object, object, T]) -> T:
        assert self.loop is not None
        return self.loop.run_until_complete(work)

    def _look_around(self) -> dict[str, object]:
        """Find out what the server is, and return what it tells of itself."""
        models = _models(self._run(self.client.models()))
        names = [str(model.get("id")) for model in models]
        if names and self.arm.model not in names:
            raise EngineRefusal(
                f"the server knows no model {self.arm.model!r}; it knows {', '.join(names[:10])}"
            )
        own = next((model for model in models if model.get("id") == self.arm.model), {})
        self.dialect = dialect_of(own)
        self.is_vllm = self.dialect is VLLM
        told = self._run(self.client.told("/version"))
        info = self._run(self.client.told("/server_info?config_format=json")) if self.is_vllm else None
        config = info.get("vllm_config") if isinstance(info, dict) else None
        config = config if isinstance(config, dict) else {}
        self.limit = longest(own)
        known, asked = self.dialect.known, self.options
        self.wants_ids = known if asked.token_ids is None else asked.token_ids
        self.wants_logprobs = known if asked.logprobs is None else asked.logprobs
        self._prepare_prompts()
        self._answering: str | None = None
        self._totals: Counters | None = None
        self.counters()
        return {
            # Where a server does not tell, nobody knows; an arm's wish is no answer.
            "speculative_config": "unknown",
            **plain_mapping(config),
            "server": {
                "models": models,
                "version": told.get("version") if isinstance(told, dict) else None,
                "tells_its_configuration": bool(config),
            },
            "client": {"endpoint": self.options.endpoint, "token_ids": self.wants_ids},
            **({} if self.renderer is None else {"prompts": self.renderer.resolved()}),
        }

    def _prepare_prompts(self) -> None:
        """Find out how prompts become token ids: by a tokenizer here, by the server, or not at all."""
        self._known: dict[tuple[object, ...], list[int] | None] = {}
        self.renderer: Renderer | None = None
        if self.arm.tokenizer is not None:
            from tais.engines.tokenizer import read_tokenizer

            self.renderer = Renderer(read_tokenizer(self.arm), self.arm)

    async def prompt_ids(self, request: Request) -> list[int] | None:
        """Return a prompt's token ids; None where neither side tells them."""
        if self.renderer is not None:
            return self.renderer(request)
        key = request.messages, request.chat
        if key not in self._known:
            self._known[key] = await self._tokenized(request) if self.is_vllm else None
        return self._known[key]

    async def _tokenized(self, request: Request) -> list[int]:
        from tais.engines.openai.http import Malformed

        def read(value: object) -> list[int]:
            ids = read_ids(value.get("tokens")) if isinstance(value, dict) else None
            if not ids:
                raise Malformed("it gives no tokens of a prompt")
            return ids

        text = _plain(request)
        # A prompt that went through a template has its token of the beginning.
        bare = {"prompt": text, "add_special_tokens": not is_rendered(text)}
        asked = self._conversation(request) if request.chat else bare
        ids, _ = await self.client.post("/tokenize", {"model": self.arm.model, **asked}, read)
        return ids

    def _conversation(self, request: Request) -> dict[str, object]:
        """Return what a request says of its conversation, and of the template that writes it."""
        asked: dict[str, object] = {"messages": _turns(request)}
        if self.arm.chat_template_kwargs:
            asked["chat_template_kwargs"] = self.arm.chat_template_kwargs
        if is_prefill(request.messages):
            asked |= self.dialect.continues or {}
        return asked

    def _check_prefill(self, request: Request) -> None:
        chat = request.chat and self.options.endpoint == "chat"
        if chat and is_prefill(request.messages) and self.dialect.continues is None:
            raise EngineRefusal(
                f"item {request.key.item_id!r} of battery {request.key.battery!r} ends in an assistant turn, "
                "and this server is not known to continue one (vLLM and llama.cpp are). Give the arm a "
                "tokenizer and endpoint: completions, or say last_assistant_turn: drop in the battery"
            )

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Refuse what the endpoint cannot take, and a prompt that leaves no room for an answer."""
        self._check_settings(requests, sampling)
        for request in requests:
            self._check_prefill(request)
            if not request.chat and self.options.endpoint == "chat":
                raise EngineRefusal(
                    f"battery {request.key.battery!r} asks without a chat template, which the chat endpoint "
                    "always applies. Say endpoint: completions"
                )
        for request, ids in filter(None, self.drive(requests, self._sized)):
            if ids is None:
                if request.chat and self.options.endpoint == "completions":
                    raise EngineRefusal(
                        "the completions endpoint applies no chat template and this server has no /tokenize. "
                        "Name the model's tokenizer on the arm, or say endpoint: chat"
                    )
            elif self.limit is not None and len(ids) >= self.limit:
                raise EngineRefusal(
                    f"item {request.key.item_id!r} of battery {request.key.battery!r} has {len(ids)} tokens, "
                    f"the server takes {self.limit}, prompt and answer together"
                )

    def _check_settings(self, requests: Sequence[Request], sampling: Sampling) -> None:
        for own in dict.fromkeys(request.own for request in requests):
            for key in with_own(sampling, own).changed:
                if key not in self.dialect.takes:
                    raise EngineRefusal(
                        f"this server is not known to take {key}: beside OpenAI's own settings "
                        f"({', '.join(sorted(OPENAI_FIELDS))}) only vLLM is. Leave it out"
                    )

    async def _sized(self, request: Request) -> tuple[Request, list[int] | None]:
        return request, await self.prompt_ids(request)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Keep as many requests under way as the arm says, and yield samples as they finish."""

        async def answer(request: Request) -> Sample:
            return await self._answer(request, sampling)

        yield from self.drive(requests, answer, idle=True)

    def drive(
        self,
        items: Iterable[Item],
        work: Callable[[Item], Coroutine[object, object, T]],
        *,
        idle: bool = False,
    ) -> Iterator[T | None]:
        """Do work on items, some at once; yield results as they come, each once, and None while idle."""
        assert self.loop is not None
        waiting, running, exhausted = iter(items), set[asyncio.Task[T]](), False
        try:
            while running or not exhausted:
                while not exhausted and len(running) < self.options.concurrency:
                    item = next(waiting, None)
                    if item is None:
                        exhausted = True
                        break
                    running.add(self.loop.create_task(work(item)))
                done: set[asyncio.Task[T]] = set()
                if running:
                    done, _ = self._run(_some(running))
                # What succeeded comes before what failed beside it.
                for task in sorted(done, key=_failed):
                    running.discard(task)
                    yield task.result()
                if idle and not done:
                    yield None
        finally:
            for task in running:
                task.cancel()
            if running and not self.loop.is_running():
                self._run(_settled(running))

    async def _answer(self, request: Request, sampling: Sampling) -> Sample:
        chat = self.options.endpoint == "chat"
        ids = await self.prompt_ids(request)
        body = self._body(request, ids, sampling)
        path = "/v1/chat/completions" if chat else "/v1/completions"
        answer, seconds = await self.client.post(path, body, lambda value: _checked(value, body, chat=chat))
        self._same_model(answer)
        return self._sample(request, answer, ids, seconds)

    def _body(self, request: Request, ids: Sequence[int] | None, sampling: Sampling) -> dict[str, object]:
        sampling = with_own(sampling, request.own)
        room = sampling.max_tokens
        if ids is not None and self.limit is not None:
            # A server refuses what in-process engines cut short.
            room = min(room, self.limit - len(ids))
        body: dict[str, object] = {
            "model": self.arm.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self.options.max_tokens_name: room,
        }
        if self.options.endpoint == "chat":
            body |= self._conversation(request)
        else:
            body["prompt"] = list(ids) if ids is not None else _plain(request)
        if sampling.top_k or self.dialect.known:
            body["top_k"] = sampling.top_k
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.temperature > 0:
            body["seed"] = request.seed
        body |= self.dialect.neutral
        body |= {key: value for key, value in said_settings(sampling).items() if key in sampling.changed}
        if self.wants_ids:
            body |= self.dialect.asks_ids
        if self.wants_logprobs:
            chat = self.options.endpoint == "chat"
            body |= {"logprobs": True, "top_logprobs": _TOP} if chat else {"logprobs": _TOP}
        return {**body, **self.options.extra_body}

    def _same_model(self, answer: Answer) -> None:
        """Raise EngineRefusal when the server puts another model in the place of the one it began with."""
        if answer.model is None:
            return
        if self._answering is None:
            self._answering = answer.model
        if answer.model != self._answering:
            raise EngineRefusal(
                f"the server answered with model {self._answering!r} and now with {answer.model!r}: "
                "these answers are not one arm's"
            )

    def _sample(self, request: Request, answer: Answer, ids: Sequence[int] | None, seconds: float) -> Sample:
        # What the server read, where it tells; else what it was given.
        prompt = answer.prompt_ids if answer.prompt_ids is not None else ids
        digest = prompt_digest(prompt) if prompt is not None else _text_digest(request)
        chat = self.options.endpoint == "chat"
        repeated = chat and self.dialect.repeats_prefill and is_prefill(request.messages)
        return Sample(
            key=request.key,
            prompt_digest=digest,
            prompt_tokens=answer.prompt_tokens
            if answer.prompt_tokens is not None or prompt is None
            else len(prompt),
            token_ids=answer.token_ids,
            text=answer.text.removeprefix(request.messages[-1].content) if repeated else answer.text,
            finish_reason=answer.reason,
            top1_logprobs=answer.top1,
            top2_logprobs=answer.top2,
            top2_tokens=answer.other,
            step_drafted=answer.drafted,
            step_accepted=answer.accepted,
            seconds=seconds,
            parts=answer.parts,
            stop_reason=answer.stop_reason,
        )

    def counters(self) -> Counters | None:
        """Return the growth of the server's ``spec_decode_*`` since the last call.

        A server counts the drafts of all its clients.
        """
        text = self._run(self.client.told("/metrics")) if self.dialect.known else None
        now = read_counters(text) if isinstance(text, str) else None
        before, self._totals = self._totals, now
        if now is None or before is None:
            return None
        return now - before

    def close(self) -> None:
        """Stop the arm's own server, if it has one."""
        if self.loop is not None and not self.loop.is_closed():
            if hasattr(self, "client"):
                self._run(self.client.http.aclose())
            self.loop.close()
        if self.server is not None:
            self.server.stop()


def _checked(value: object, body: Mapping[str, object], *, chat: bool) -> Answer:
    """Read an answer; one to other tokens than were sent belongs to another request."""
    from tais.engines.openai.http import Malformed

    answer = read_answer(value, chat=chat)
    sent = body.get("prompt")
    if isinstance(sent, list) and answer.prompt_ids not in (None, sent):
        raise Malformed("it answered other tokens than it was given")
    return answer


async def _some(running: set[asyncio.Task[T]]) -> tuple[set[asyncio.Task[T]], set[asyncio.Task[T]]]:
    return await asyncio.wait(running, timeout=_PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)


async def _settled(tasks: set[asyncio.Task[T]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def _failed(task: asyncio.Task[object]) -> bool:
    return task.cancelled() or task.exception() is not None


def _models(told: object) -> list[dict[str, object]]:
    """Return what a server says of its models, without times and ids of one process."""
    listed = told.get("data") if isinstance(told, dict) else None
    kept = ("id", "owned_by", "root", "parent", "max_model_len")
    return [
        {key: to_plain(model[key]) for key in kept if key in model}
        for model in (listed if isinstance(listed, list) else [])
        if isinstance(model, dict)
    ]


def _turns(request: Request) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in request.messages]


def _plain(request: Request) -> str:
    return "\n\n".join(message.content for message in request.messages)


def _text_digest(request: Request) -> str:
    """Return the digest of a prompt of which no side shows token ids."""
    shown = canonical_json(_turns(request)) if request.chat else _plain(request).encode()
    return hashlib.sha256(shown).hexdigest()
