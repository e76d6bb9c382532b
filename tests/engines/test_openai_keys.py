"""Keys of servers: which can be sent, where to, and that none is stored or shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq
import pytest

from tais.attest.keys import generate, load_signer, write_pair
from tais.engines.base import EngineRefusal, ServerFailure
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


CANARY = "sk-c%n/ry+Q7'\\\"=42 and more"
PASSPHRASE = "p%ss/phr+se'\\\"=17 and more"


def forms(secret: str) -> dict[str, str]:
    """What a secret looks like where somebody repeats it in full."""
    data = secret.encode()
    return {
        "plain": secret,
        "repr": repr(secret)[1:-1],
        "json": json.dumps(secret)[1:-1],
        "url": quote(secret, safe=""),
        "form": quote_plus(secret),
        "hex": data.hex(),
        "reversed": secret[::-1],
        **{f"base64_{n}": base64.b64encode(b"x" * n + data + b"y").decode() for n in range(3)},
    }


def searched_for(secret: str) -> list[str]:
    """What must be nowhere; of base64 a piece of the middle, for its ends are shared with what is around."""
    return [text[4:-6] if name.startswith("base64") else text for name, text in forms(secret).items()]


@pytest.mark.slow
def test_no_form_of_any_secret_is_in_any_file_or_line(tais: Tais, screen: Screen, tmp_path: Path) -> None:
    """Canaries in every secret of a signed run, repeated by a server in answers, refusals and errors."""
    said = forms(CANARY)
    write_pair(tmp_path / "keys", generate(), PASSPHRASE)
    pem = (tmp_path / "keys" / "tais.key").read_text()

    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        text = json.dumps(body)
        if before == 0 and "thing 1" in text:
            # In part, too, as servers do that mean well.
            pieces = f"{CANARY[:14]}... ...{CANARY[-14:]} {base64.b64encode(CANARY.encode()).decode()[4:20]}"
            handler.send({"error": {"message": " ".join([*said.values(), pieces])}}, 500)
            return
        if "thing 2" in text:
            handler.send({"error": {"message": " ".join(said.values())}}, 400)
            return
        answer = good(body, "x")
        answer["model"] = f"{MODEL}-{CANARY}"
        answer["choices"][0]["message"] |= {"content": " ".join(said.values()), "refusal": said["url"]}
        answer["choices"][0] |= {"finish_reason": CANARY}
        answer["choices"][0].pop("token_ids")
        answer["usage"] = {}
        handler.send(answer)

    outputs: dict[str, str] = {}
    secrets = {"OPENAI_API_KEY": CANARY, "TAIS_SIGNING_KEY": pem, "TAIS_KEY_PASSPHRASE": PASSPHRASE}
    for items in (2, 3):
        # Of three, the last is refused and stops the arm with the server's words.
        screen.items(items)
        with hostile() as server:
            server.behave = behave
            options = {"base_url": server.url, "backoff_seconds": 0.01, "token_ids": False, "logprobs": False}
            arms = {"engine": "openai", "model": MODEL, "engine_args": options}
            screen.data["arms"] = {"target": arms, "spec": arms}
            screen.data["contrasts"] = screen.data["contrasts"][:1]
            done = tais("run", screen.write(), "--out", screen.out, "-v", TAIS_UNSIGNED="", **secrets)
        assert done.returncode == (3 if items == 2 else 4), done.stderr
        assert server.keys == {f"Bearer {CANARY}"}
        outputs |= {f"stdout {items}": done.stdout, f"stderr {items}": done.stderr}
    files = {str(path): path.read_bytes() for path in screen.out.rglob("*") if path.is_file()}
    assert any(name.endswith("attestation.sigstore.json") for name in files)
    # Parquet may pack a text so that no search finds it.
    for path in screen.out.rglob("*.parquet"):
        outputs[f"{path} unpacked"] = json.dumps(pq.read_table(path).to_pylist(), default=str)
        outputs[f"{path} as it is"] = "\n".join(map(str, pq.read_table(path).to_pylist()))
    searched = files | {name: text.encode() for name, text in outputs.items()}
    body = "".join(pem.splitlines()[1:-1])
    canaries = [
        *searched_for(CANARY),
        *searched_for(PASSPHRASE),
        *(body[i : i + 40] for i in range(0, 160, 40)),
    ]
    found = [(name, one) for name, data in searched.items() for one in canaries if one.encode() in data]
    assert found == []
    for piece in (CANARY[:14], CANARY[-14:]):
        assert piece not in outputs["stderr 2"] + outputs["stderr 3"]


@pytest.mark.parametrize("path", ["/v1/models", "/version"])
def test_what_a_server_tells_of_itself_is_bounded(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tais.engines.openai.http._MOST_TOLD_BYTES", 10_000)
    sent: list[int] = []

    def endless(handler: Any) -> None:
        if handler.path != path:
            handler.send({"data": [{"id": MODEL}]})
            return
        handler.send_response(200)
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(b" " * 10_000)
            sent.append(10_000)

    monkeypatch.setattr("tests.engines.hostile.Handler.do_GET", endless)
    # A hundred megabytes, and nobody who reads them to the end.
    with hostile() as server:
        server.behave = lambda handler, body, before: handler.send(good(body, handler.tag))
        if path == "/v1/models":
            with pytest.raises(ServerFailure, match="an answer without end"), started(arm(server, retries=0)):
                pass
        else:
            with started(arm(server, retries=0)):
                pass
    assert 0 < sum(sent) < 50_000_000
