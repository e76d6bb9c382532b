"""Requests to a server that may be slow, busy, broken or hostile: each is answered once, or the arm ends.

One connection per request, so that an answer can belong to no other request; a tag in each request's id, for
servers that repeat it; and an answer counts only when it is whole and well-formed. What fails is sent again,
and what was not read to its end is never used, so no sample is lost or doubled.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from tais.common.redaction import Redactor
from tais.common.text import words
from tais.engines.base import EngineRefusal, ServerFailure
from tais.manifest.engine_options import OpenaiOptions

__all__ = ["Client", "Malformed", "api_root"]

T = TypeVar("T")

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TAG = re.compile(r"tais-[0-9a-f]{20}")
# An answer with its log-probabilities takes some hundred bytes per token.
_MOST_BYTES = 256 << 20
# What a server tells of itself: models, version, configuration, counters.
_MOST_TOLD_BYTES = 16 << 20
_LONGEST_WAIT = 60.0
# A server that is not there before the first question was not started; one that goes away may come back.
_FIRST_CONTACT = 3.0
# A server that wants to be left alone for longer is not going to finish this run.
_LONGEST_PAUSE = 3600.0
_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Malformed(Exception):
    """An answer that is not what was asked for; worth another try."""


def api_root(base_url: str) -> str:
    """Return a server's address without the ``/v1`` that it may end in."""
    return re.sub(r"(/v1)?/*$", "", base_url)


class Client:
    """Sends requests until each has one good answer. All methods run in one event loop.

    Parameters
    ----------
    root
        Address without ``/v1``.
    key
        API key; appears in no message.
    options
        Retries, time-outs and limits.
    """

    def __init__(self, root: str, key: str | None, options: OpenaiOptions) -> None:
        self.root = root
        self.options = options
        self._redacted = Redactor(key)
        self._random = random.Random()
        self._pause_until = self._next_slot = 0.0
        self.http = httpx.AsyncClient(
            headers={"accept-encoding": "identity"} | ({"authorization": f"Bearer {key}"} if key else {}),
            timeout=httpx.Timeout(options.timeout_seconds, connect=min(30.0, options.timeout_seconds)),
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=None),
            # A proxy of the environment is for the world outside.
            trust_env=urlsplit(root).hostname not in _LOCAL,
        )

    async def post(self, path: str, body: dict[str, object], read: Callable[[object], T]) -> tuple[T, float]:
        """Send a request until its answer can be read.

        Parameters
        ----------
        path
            Below the server's root.
        body
            JSON.
        read
            Makes something of the answer, or raises :class:`Malformed`.

        Returns
        -------
        (T, float)
            What was read, and the seconds that this answer took.

        Raises
        ------
        EngineRefusal
            Where the server says that the request itself is wrong.
        ServerFailure
            Where it was sent as often as allowed.
        """

        async def once() -> tuple[T, float]:
            begun = time.monotonic()
            return read(await self._once(path, body)), time.monotonic() - begun

        return await self._tried(path, once)

    async def models(self) -> object:
        """Return ``/v1/models``; None where the server has no such list.

        Raises
        ------
        EngineRefusal, ServerFailure
            As of :meth:`post`.
        """

        async def once() -> object:
            answer, data = await self._get("/v1/models")
            if answer.status_code in (404, 405, 501):
                return None
            if answer.status_code != 200:
                self._refused(answer, data)
            try:
                return self._read(data)
            except (ValueError, RecursionError) as error:
                raise Malformed("its list of models is no JSON") from error

        return await self._tried("/v1/models", once, patience=_FIRST_CONTACT)

    async def told(self, path: str) -> object:
        """Return what a server may tell of itself (JSON or text); None where it does not."""
        try:
            answer, data = await self._get(path)
        except (httpx.HTTPError, TimeoutError, Malformed):
            return None
        if answer.status_code != 200:
            return None
        try:
            return self._read(data)
        except (ValueError, RecursionError):
            return self._redacted(data.decode(errors="replace"))

    def _read(self, data: bytes) -> object:
        """Return JSON without the key, which a server may repeat in what is then stored."""
        return self._redacted.tree(json.loads(data))

    async def _get(self, path: str) -> tuple[httpx.Response, bytes]:
        return await self._whole("GET", path, _MOST_TOLD_BYTES)

    async def _whole(self, method: str, path: str, most: int, **options: Any) -> tuple[httpx.Response, bytes]:
        """Return an answer and its bytes, which may be no more than `most`."""
        data = bytearray()
        # Over everything: a server may send a byte now and then for ever.
        async with (
            asyncio.timeout(self.options.timeout_seconds),
            self.http.stream(method, f"{self.root}{path}", **options) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                data += chunk
                if len(data) > most:
                    raise Malformed("an answer without end")
        return answer, bytes(data)

    async def _tried(self, path: str, once: Callable[[], Awaitable[T]], patience: float | None = None) -> T:
        """Try until it succeeds; where nobody listens no longer than `patience` seconds, if that is given."""
        problem, asked, begun = "", 0, time.monotonic()
        for attempt in range(self.options.retries + 1):
            if attempt:
                await self._back_off(attempt)
            await self._turn()
            asked += 1
            try:
                return await once()
            except (httpx.HTTPError, TimeoutError, Malformed) as error:
                problem = self._said(error)
                nobody = isinstance(error, httpx.ConnectError)
            if nobody and patience is not None and time.monotonic() - begun > patience:
                break
        tries = "once" if asked == 1 else f"{asked} times"
        raise ServerFailure(f"{self.root}{path} was asked {tries} and gave no usable answer: {problem}")

    async def _once(self, path: str, body: dict[str, object]) -> object:
        tag = f"tais-{secrets.token_hex(10)}"
        answer, data = await self._whole("POST", path, _MOST_BYTES, json=body, headers={"x-request-id": tag})
        if answer.status_code != 200:
            self._refused(answer, data)
        try:
            value = self._read(data)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"its answer is no JSON ({len(data)} bytes)") from error
        repeated = _TAG.findall(str(value.get("id"))) if isinstance(value, dict) else []
        if repeated and tag not in repeated:
            raise Malformed("its answer belongs to another request")
        return value

    def _refused(self, answer: httpx.Response, data: bytes) -> None:
        status = answer.status_code
        said = f"HTTP {status}{self._reason(data)}"
        if status in _AGAIN:
            wait = _retry_after(answer.headers.get("retry-after"))
            if wait > _LONGEST_PAUSE:
                raise ServerFailure(f"the server asks for a pause of {wait:.0f} s ({said})")
            # For all requests: one that is told to wait speaks for the others.
            self._pause_until = max(self._pause_until, time.monotonic() + wait)
            raise Malformed(said)
        if status in (401, 403):
            name = self.options.api_key_env
            raise EngineRefusal(f"the server wants another API key than {name} holds: {said}")
        raise EngineRefusal(f"the server refuses the request: {said}")

    def _reason(self, data: bytes) -> str:
        text = data[:2000].decode(errors="replace")
        try:
            found = json.loads(data)
            for name in ("error", "message", "detail"):
                found = found.get(name, found) if isinstance(found, dict) else found
            text = found if isinstance(found, str) else text
        except (ValueError, RecursionError):
            pass
        text = self._clean(text)
        return f": {text}" if text else ""

    def _said(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return f"no whole answer within {self.options.timeout_seconds:g} s"
        return self._clean(str(error)) or type(error).__name__

    def _clean(self, text: str) -> str:
        """Return a server's words on one line, short, without the key or a piece of it that it may repeat."""
        flat = words(self._redacted.message(text))
        return flat if len(flat) <= 300 else f"{flat[:297]}..."

    async def _back_off(self, attempt: int) -> None:
        longest = min(_LONGEST_WAIT, self.options.backoff_seconds * 2 ** (attempt - 1))
        await asyncio.sleep(longest * self._random.uniform(0.5, 1.0))

    async def _turn(self) -> None:
        """Wait until a request may be sent: no pause is asked for, and the rate allows it."""
        while (wait := self._pause_until - time.monotonic()) > 0:
            # A little later each, so that not all come back at once.
            await asyncio.sleep(wait + self._random.uniform(0, 0.1) * self.options.backoff_seconds)
        if self.options.requests_per_second is not None:
            slot = max(time.monotonic(), self._next_slot)
            self._next_slot = slot + 1 / self.options.requests_per_second
            await asyncio.sleep(slot - time.monotonic())


def _retry_after(value: str | None) -> float:
    """Return seconds to wait: the header holds a number or a date."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else 0.0
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        # The parser of dates lets a few of its own through.
        return 0.0
