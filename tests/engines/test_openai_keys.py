"""Keys of servers: which can be sent, where to, and that none is stored or shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tais.attest.keys import load_signer
from tais.engines.base import EngineRefusal
from tais.engines.openai.keys import may_send
from tais.errors import ManifestError, UsageError
from tais.executors.variables import named_by
from tests.conftest import Screen, Tais
from tests.engines.hostile import KEY, MODEL, good, hostile
from tests.engines.test_openai import arm, started
from tests.executors.jobs import made_job


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r\nX-Evil: 1", f" {KEY}", f"{KEY}\u00e9", f"{KEY}\x00"])
def test_what_no_key_holds_is_refused_unseen(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # An environment can hold no NUL.
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    with hostile() as server, pytest.raises(EngineRefusal) as raised, started(arm(server)):
        pass
    assert not server.keys
    assert KEY[:8] not in str(raised.value)
    assert "OPENAI_API_KEY" in str(raised.value)


@pytest.mark.parametrize("name", ["TAIS_SIGNING_KEY", "TAIS_KEY_PASSPHRASE", "tais_signing_key"])
def test_what_signs_cannot_be_named_as_the_key_of_a_server(name: str, tais: Tais, screen: Screen) -> None:
    server = {"base_url": "http://localhost:1", "api_key_env": name}
    screen.data["arms"]["target"] = {"engine": "openai", "model": "m", "engine_args": server}
    done = tais("run", screen.write(), TAIS_SIGNING_KEY=KEY, TAIS_KEY_PASSPHRASE=KEY)
    assert done.returncode == ManifestError.exit_code
    assert "holds no key of a server" in done.stderr
    assert KEY not in done.stderr


@pytest.mark.parametrize(
    ("name", "address", "told", "may"),
    [
        ("OPENAI_API_KEY", "https://api.openai.com/v1", None, True),
        ("OPENAI_API_KEY", "http://127.0.0.1:8000", None, True),
        ("OPENAI_API_KEY", "https://api.openai.com.evil.example", None, False),
        ("GITHUB_TOKEN", "https://evil.example", None, False),
        ("MINE", "https://llm.example", "MINE=llm.example", True),
        ("MINE", "https://LLM.example:8443/v1", "OTHER=a; MINE = b , llm.example", True),
        ("MINE", "https://evil.example", "MINE=llm.example", False),
        ("OTHER", "https://llm.example", "MINE=llm.example", False),
        # Where a policy is set it is the whole of it.
        ("OPENAI_API_KEY", "https://api.openai.com", "MINE=llm.example", False),
        ("OPENAI_API_KEY", "http://localhost:1", "", False),
    ],
)
def test_a_key_goes_to_its_host_alone(name: str, address: str, told: str | None, may: bool) -> None:
    own = {name: KEY} | ({} if told is None else {"TAIS_API_HOSTS": told})
    assert may_send(name, address, own) is may
    server = {"base_url": address, "api_key_env": name}
    asked = [made_job(engine="openai", model="m", engine_args=server).arm]
    if may:
        assert named_by(asked, own) == {name}
        return
    with pytest.raises(UsageError) as raised:
        named_by(asked, own)
    assert KEY not in str(raised.value)
    # Without a key nothing can be sent.
    assert named_by(asked, {}) == {name}


def test_a_key_that_a_server_repeats_is_stored_and_shown_nowhere(
    tais: Tais, screen: Screen, tmp_path: Path
) -> None:
    encoded = base64.b64encode(f"user:{KEY}".encode()).decode()

    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        if before == 0 and "thing 1" in json.dumps(body):
            handler.send({"error": {"message": f"{KEY} {encoded} {KEY[:14]}..."}}, 500)
            return
        answer = good(body, "x")
        answer["choices"][0]["message"] |= {"content": f"I can't. {KEY}", "refusal": encoded}
        answer["choices"][0].pop("token_ids")
        answer["usage"] = {}
        handler.send(answer)

    screen.items(3)
    with hostile() as server:
        server.behave = behave
        options = {"base_url": server.url, "backoff_seconds": 0.01, "token_ids": False, "logprobs": False}
        for name in ("target", "spec"):
            screen.data["arms"][name] = {"engine": "openai", "model": MODEL, "engine_args": options}
        screen.data["arms"] = {name: screen.data["arms"][name] for name in ("target", "spec")}
        screen.data["contrasts"] = screen.data["contrasts"][:1]
        done = tais("run", screen.write(), "--out", screen.out, "-v", OPENAI_API_KEY=KEY)
    assert done.returncode == 3, done.stderr
    assert server.keys == {f"Bearer {KEY}"}
    files = {path: path.read_bytes() for path in screen.out.rglob("*") if path.is_file()}
    said = {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()} | files
    for canary in (KEY, encoded[8:30], KEY.encode().hex()):
        assert [name for name, data in said.items() if canary.encode() in data] == []


def test_a_signing_key_without_its_frame_is_not_shown_as_a_file() -> None:
    body = base64.b64encode(bytes(range(48))).decode()
    for source in (body, f"{body}\n{body}", f"BEGIN {body} " + "x" * 300):
        with pytest.raises(UsageError) as raised:
            load_signer(source)
        assert body[:10] not in str(raised.value)
