"""A server that speaks OpenAI's API when it wants to, in a thread; its answers are a hash of the prompt."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FAULTS", "MODEL", "Hostile", "answer_to", "good", "hostile"]

MODEL = "served/model"
KEY = "sk-very-secret-0123456789"


def answer_to(prompt: str) -> tuple[list[int], str]:
    """The one right answer to a prompt: token ids and text."""
    digest = hashlib.sha256(prompt.encode()).digest()
    return list(digest[:5]), f"answer {digest.hex()[:12]}"


def good(body: dict[str, Any], tag: str) -> dict[str, Any]:
    prompt = body["messages"][-1]["content"] if "messages" in body else str(body["prompt"])
    ids, text = answer_to(prompt)
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "token_ids": ids}
    if "messages" in body:
        choice["message"] = {"role": "assistant", "content": text}
    else:
        choice |= {"text": text, "prompt_token_ids": body["prompt"]}
    usage = {"prompt_tokens": 3, "completion_tokens": len(ids)}
    return {"id": f"chatcmpl-{tag}", "model": body["model"], "choices": [choice], "usage": usage}


class Hostile(ThreadingHTTPServer):
    """The server; each POST goes to `behave`, with how often its prompt was asked before."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, behave: Callable[[Handler, dict[str, Any], int], None], owner: str = "vllm") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave = behave
        self.owner = owner
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.tokenized: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str | None] = set()
        self.lock = threading.Lock()
        self.under_way = self.most_under_way = 0

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Hostile
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.keys.add(self.headers.get("authorization"))
        if self.path == "/v1/models":
            self.send({"data": [{"id": MODEL, "owned_by": self.server.owner, "max_model_len": 64}]})
        elif self.path == "/version":
            self.send({"version": "0.0"})
        else:
            self.send({"error": {"message": "nothing here"}}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/tokenize":
            self.server.tokenized.append(body)
            self.send({"tokens": [1, 2, 3]})
            return
        key = json.dumps(body.get("messages", body.get("prompt")))
        server = self.server
        with server.lock:
            before = server.asked[key]
            server.asked[key] += 1
            server.bodies.append(body)
            server.times.append(time.monotonic())
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        try:
            server.behave(self, body, before)
        finally:
            with server.lock:
                server.under_way -= 1

    @property
    def tag(self) -> str:
        return str(self.headers["x-request-id"])

    def send(self, value: Any, status: int = 200, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def drop(self) -> None:
        """Hang up."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _half(handler: Handler, value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    handler.send_response(200)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.wfile.flush()
    handler.drop()


def _drip(handler: Handler, head: bytes) -> None:
    """Send a byte now and then, headers first, never to the end."""
    try:
        for byte in head + b"x" * 200:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.02)
    except OSError:
        pass
    handler.close_connection = True


def _cut(handler: Handler, value: dict[str, Any]) -> None:
    """Announce chunks, send one that is whole and half of the next."""
    data = json.dumps(value).encode()
    handler.send_response(200)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"8\r\n" + data[:8] + b"\r\n" + b"%x\r\n" % (len(data) - 8) + data[8:-5])
    handler.wfile.flush()
    handler.drop()


def _reset(handler: Handler) -> None:
    """Begin an answer, then break the connection off as a dying host does."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-")
    handler.wfile.flush()
    # No waiting for what is under way: the other side gets a reset.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def _say_nothing(handler: Handler) -> None:
    """Keep the connection and never answer; the client hangs up."""
    handler.connection.settimeout(60)
    with suppress(OSError):
        handler.connection.recv(1)
    handler.close_connection = True


def _edited(value: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return {**value, "choices": [{**value["choices"][0], **choice}]}


FAULTS: dict[str, Callable[[Handler, dict[str, Any]], None]] = {
    "drops_the_connection": lambda h, v: h.drop(),
    "is_busy": lambda h, v: h.send({"error": {"message": "slow down"}}, 429, retry_after="0.05"),
    "is_overloaded": lambda h, v: h.send(b"", 503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
    "is_behind_a_broken_gateway": lambda h, v: h.send(b"<html>Bad Gateway</html>", 502),
    "resets_the_connection": lambda h, v: _reset(h),
    "never_answers": lambda h, v: _say_nothing(h),
    "cuts_a_chunk": _cut,
    "writes_broken_utf8": lambda h, v: h.send(json.dumps(v).encode().replace(b"answer ", b"answer \xff")),
    "fails_inside": lambda h, v: h.send(b"<html>Internal Server Error</html>", 500),
    "writes_half_an_answer": _half,
    "closes_json_early": lambda h, v: h.send(json.dumps(v).encode()[:-9]),
    "answers_another_request": lambda h, v: h.send({**v, "id": "chatcmpl-tais-" + "0" * 20}),
    "lists_other_ids_than_it_counts": lambda h, v: h.send(_edited(v, token_ids=[7])),
    "has_ids_that_are_none": lambda h, v: h.send(_edited(v, token_ids=["a", -1])),
    "has_no_choice": lambda h, v: h.send({**v, "choices": []}),
    "has_two_choices": lambda h, v: h.send({**v, "choices": v["choices"] * 2}),
    "aborts": lambda h, v: h.send(_edited(v, finish_reason="abort")),
    "answers_null": lambda h, v: h.send(b"null"),
    "nests_without_end": lambda h, v: h.send(b"[" * 200_000),
    "drips_headers": lambda h, v: _drip(h, b"HTTP/1.1 200 OK\r\nx-a: "),
    "drips_a_body": lambda h, v: _drip(h, b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"),
}
"""What can go wrong with an answer: handler and right answer."""


@contextmanager
def hostile(
    fault: str | None = None, times: int = 1, owner: str = "vllm", delay: Callable[[str], float] | None = None
) -> Iterator[Hostile]:
    """A server that answers each prompt rightly after `times` faults, as late as `delay` says."""

    def behave(handler: Handler, body: dict[str, Any], before: int) -> None:
        value = good(body, handler.tag)
        if delay is not None:
            time.sleep(delay(json.dumps(body)))
        if fault is not None and before < times:
            FAULTS[fault](handler, value)
        else:
            handler.send(value)

    server = Hostile(behave, owner)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def number_in(text: str) -> int:
    """The number of an item in its prompt."""
    found = re.search(r"thing (\d+)", text)
    return int(found[1]) if found else 0
