"""Trusted time: asked of an authority on this machine, and every false word of one refused."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tais.attest import Authority, Signer, load_authority, sign_lock, verify_run
from tais.attest.bundle import open_bundle
from tais.attest.keys import generate, write_pair
from tais.attest.timestamp import token_time
from tais.errors import TaisError, UsageError, VerificationError
from tais.gate.gate import gate_run
from tais.gate.policy import Policy, load_policy
from tais.rundir.layout import LOCK_BUNDLE, RUN_BUNDLE, TEST_BUNDLE
from tests.attest.runs import copy_run, resign, write_screen
from tests.attest.tsa import Answer, Tsa, serve
from tests.conftest import ROOT, Tais

pytest.importorskip("rfc3161_client", reason="rfc3161-client is not installed: pip install '.[timestamp]'")
pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="there is no openssl to ask for the time"
)


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Tsa:
    return Tsa(tmp_path_factory.mktemp("tsa") / "own")


@pytest.fixture(scope="module")
def authority(tsa: Tsa) -> Authority:
    return load_authority(tsa.ca)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return generate()


@pytest.fixture(scope="module")
def timed(tsa: Tsa, signer: Signer, small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose lock and attestation have a token."""
    run_dir = copy_run(tmp_path_factory.mktemp("timed"), small_run)
    with serve(tsa.answer) as url:
        resign(run_dir, replace(signer, timestamp_url=url))
    return run_dir


@pytest.fixture
def run_dir(timed: Path, tmp_path: Path) -> Path:
    return copy_run(tmp_path, timed)


def token_of(bundle: Path) -> bytes:
    material = json.loads(bundle.read_bytes())["verificationMaterial"]
    (only,) = material["timestampVerificationData"]["rfc3161Timestamps"]
    return base64.b64decode(only["signedTimestamp"])


def put(bundle: Path, token: bytes | None) -> None:
    """Put another token into a bundle, in the one form in which TAIS writes it; None takes it out."""
    whole = json.loads(bundle.read_bytes())
    material = whole["verificationMaterial"]
    material.pop("timestampVerificationData", None)
    if token is not None:
        stamps = [{"signedTimestamp": base64.b64encode(token).decode()}]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    bundle.write_text(json.dumps(whole, indent=2) + "\n")


def test_lock_and_run_have_the_time_of_an_authority(
    run_dir: Path, signer: Signer, authority: Authority
) -> None:
    run = verify_run(run_dir, [signer.public], authority=authority)
    vouched = run.trusted_time()
    assert vouched.lock <= vouched.run
    assert abs(vouched.run - run.signed_at) < timedelta(minutes=5)
    assert [token_of(run_dir / name)[:1] for name in (LOCK_BUNDLE, RUN_BUNDLE)] == [b"0", b"0"]
    assert "timestamp" not in (run_dir / TEST_BUNDLE).read_text()
    # Whoever names no authority is told of the tokens and not of times.
    untold = verify_run(run_dir, [signer.public])
    assert (untold.tokens, untold.time) == (2, None)


def test_the_page_says_how_openssl_checks_a_token(run_dir: Path, tsa: Tsa, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "verify.md").read_text()
    found = re.search(r"```sh\n(for bundle in manifest.lock attestation; do\n.*?)```", page, re.DOTALL)
    assert found is not None
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def by_hand() -> int:
        environment = {"PATH": "/usr/bin:/bin", "TMP": str(scratch), "TSA_CA": str(tsa.ca)}
        command = ["bash", "-c", found[1]]
        return subprocess.run(
            command, cwd=run_dir, env=environment, capture_output=True, check=False
        ).returncode

    assert by_hand() == 0
    put(run_dir / RUN_BUNDLE, token_of(run_dir / LOCK_BUNDLE))
    assert by_hand() != 0


def test_a_tampered_token_is_refused(run_dir: Path, signer: Signer, authority: Authority) -> None:
    opened = open_bundle((run_dir / RUN_BUNDLE).read_bytes(), [signer.public], "")
    assert opened.token is not None
    said = token_time(opened.token, opened.signature, authority, "")
    unseen = 0
    for position in range(len(opened.token)):
        changed = bytearray(opened.token)
        changed[position] ^= 0x01
        try:
            vouched = token_time(bytes(changed), opened.signature, authority, "")
        except VerificationError:
            continue
        # Where ASN.1 leaves bits free, a change may pass, and then changes nothing of what is said.
        assert vouched == said
        unseen += 1
    assert unseen < 0.02 * len(opened.token)
    middle = len(opened.token) // 2
    put(run_dir / RUN_BUNDLE, opened.token[:middle] + b"\0" + opened.token[middle + 1 :])
    with pytest.raises(VerificationError):
        verify_run(run_dir, [signer.public], authority=authority)


@pytest.mark.parametrize(
    "token", [b"", b"0", b"\x30\x03\x02\x01\x00", b"x" * 400, b"\x30\x84\xff\xff\xff\xff"]
)
def test_what_is_no_token_is_refused_in_one_line(
    token: bytes, run_dir: Path, signer: Signer, authority: Authority
) -> None:
    put(run_dir / RUN_BUNDLE, token)
    with pytest.raises(VerificationError) as caught:
        verify_run(run_dir, [signer.public], authority=authority)
    assert "\n" not in str(caught.value)


def test_an_endless_token_is_refused_whoever_is_trusted(run_dir: Path, signer: Signer) -> None:
    put(run_dir / RUN_BUNDLE, b"0" * (65 << 10))
    with pytest.raises(VerificationError, match="larger than 64 KiB"):
        verify_run(run_dir, [signer.public])


@pytest.mark.parametrize("other", [None, b"\x30\x03\x02\x01\x00"])
def test_the_token_of_a_lock_cannot_be_taken_or_changed(
    other: bytes | None, run_dir: Path, signer: Signer
) -> None:
    put(run_dir / LOCK_BUNDLE, other)
    with pytest.raises(VerificationError, match="lockBundle differ"):
        verify_run(run_dir, [signer.public])


def test_a_token_about_something_else_is_refused(run_dir: Path, signer: Signer, authority: Authority) -> None:
    put(run_dir / RUN_BUNDLE, token_of(run_dir / LOCK_BUNDLE))
    with pytest.raises(VerificationError, match="about something else"):
        verify_run(run_dir, [signer.public], authority=authority)


@pytest.mark.parametrize(("kind", "days"), [("untrusted", (-1, 9)), ("expired", (-9, -1)), ("early", (1, 9))])
def test_a_token_of_no_trusted_authority_is_refused(
    kind: str, days: tuple[int, int], run_dir: Path, signer: Signer, authority: Authority, tmp_path: Path
) -> None:
    other = Tsa(tmp_path / "other", days)
    with serve(other.answer) as url:
        resign(run_dir, replace(signer, timestamp_url=url))
    # Whoever trusts that one accepts what it said in its days, and nobody else does.
    trusted = authority if kind == "untrusted" else load_authority(other.ca)
    with pytest.raises(VerificationError, match="not the word of an authority that is trusted"):
        verify_run(run_dir, [signer.public], authority=trusted)
    if kind == "untrusted":
        verify_run(run_dir, [signer.public], authority=load_authority(other.ca)).trusted_time()


def test_a_run_without_tokens_is_refused_where_an_authority_is_named(
    tais: Tais, run_dir: Path, signer: Signer, tsa: Tsa, tmp_path: Path
) -> None:
    write_pair(tmp_path / "keys", signer)
    command = ("verify", run_dir, "--trusted-key", tmp_path / "keys" / "tais.pub", "--timestamp-ca", tsa.ca)
    done = tais(*command)
    assert done.returncode == 0, done.stderr
    assert "by the time authority: lock signed by 20" in done.stderr
    assert "not checked: name it with --timestamp-ca" in tais(*command[:4]).stderr
    put(run_dir / RUN_BUNDLE, None)
    done = tais(*command)
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert "no time authority vouches" in done.stderr
    # Its absence is no sign of tampering where nobody asks for it.
    assert tais(*command[:4]).returncode == 0


def gate_codes(run_dir: Path, signer: Signer, **policy: object) -> list[str]:
    asked = Policy.model_validate({"engines": ["import"], **policy})
    result = gate_run(run_dir, asked, [signer.public], now=datetime.now(UTC))
    return [objection.code for objection in result.objections if objection.level == "error"]


def test_a_gate_can_ask_for_trusted_time(run_dir: Path, signer: Signer, tsa: Tsa) -> None:
    asked = {"require_timestamp": True, "timestamp_ca": str(tsa.ca)}
    assert gate_codes(run_dir, signer, **asked) == []
    put(run_dir / RUN_BUNDLE, None)
    assert gate_codes(run_dir, signer, **asked) == ["timestamp_missing"]
    assert gate_codes(run_dir, signer) == []


def test_a_signer_who_sets_the_clock_back_is_seen(run_dir: Path, signer: Signer, tsa: Tsa) -> None:
    past = datetime.now(UTC) - timedelta(days=20)
    with serve(tsa.answer) as url:
        resign(run_dir, replace(signer, timestamp_url=url), past)
    asked = {"require_timestamp": True, "timestamp_ca": str(tsa.ca)}
    assert gate_codes(run_dir, signer, **asked) == ["timestamp_differs"] * 2
    # A key that is past its days signs nothing more, whatever date is written.
    key = {
        "pem": signer.public.to_pem().decode(),
        "valid_until": (past + timedelta(days=5)).date().isoformat(),
    }
    assert gate_codes(run_dir, signer, trusted_keys=[key]) == []
    with pytest.raises(VerificationError, match="was trusted until"):
        gate_codes(run_dir, signer, trusted_keys=[key], **asked)


def test_a_policy_that_asks_for_time_must_say_whose(tmp_path: Path, tsa: Tsa) -> None:
    (tmp_path / "policy.yaml").write_text("require_timestamp: true\n")
    with pytest.raises(TaisError, match="needs timestamp_ca"):
        load_policy(tmp_path / "policy.yaml")
    (tmp_path / "policy.yaml").write_text("require_timestamp: true\ntimestamp_ca: ca.pem\n")
    named = load_policy(tmp_path / "policy.yaml").timestamp_ca
    assert named == str(tmp_path / "ca.pem")
    with pytest.raises(UsageError, match="cannot be read"):
        load_authority(named)
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(UsageError, match="no file of PEM certificates"):
        load_authority(named)
    assert load_authority(tsa.ca.read_text()).certificates == load_authority(tsa.ca).certificates


def replayed(tsa: Tsa) -> Iterator[bytes]:
    """An answer to an earlier request, which was about the same."""
    (tsa.folder / "data").write_bytes(b"earlier")
    command = "openssl ts -query -data data -sha256 -cert -out query"
    subprocess.run(command.split(), cwd=tsa.folder, capture_output=True, check=True)
    yield tsa.answer((tsa.folder / "query").read_bytes())[1]


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (500, b"", "HTTP 500"),
        (200, b"", "no token"),
        (200, b"<html>", "no token"),
        # A PKIStatusInfo of 2: rejected.
        (200, b"\x30\x05\x30\x03\x02\x01\x02", "no token"),
        (200, b"0" * (70 << 10), "larger than 64 KiB"),
        (200, None, "to another request"),
    ],
)
def test_a_lock_is_not_signed_on_a_false_answer(
    status: int, body: bytes | None, says: str, tsa: Tsa, signer: Signer, small_run: Path, tmp_path: Path
) -> None:
    given = next(replayed(tsa)) if body is None else body
    run_dir = copy_run(tmp_path, small_run)
    shutil.rmtree(run_dir / "arms")
    with serve(lambda request: (status, given)) as url, pytest.raises(TaisError, match=says) as caught:
        sign_lock(run_dir, replace(signer, timestamp_url=url))
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    assert not (run_dir / LOCK_BUNDLE).exists()


@pytest.mark.parametrize(
    "url",
    [
        "timestamp.example.org",
        "file:///etc/passwd",
        "ftp://x/",
        "http://",
        "https://u:secret@x/",
        "http://x/ y",
    ],
)
def test_an_address_that_is_none_is_refused_before_a_run(url: str, tais: Tais, tmp_path: Path) -> None:
    write_screen(tmp_path)
    done = tais("run", "small.yaml", "--timestamp-url", url, TAIS_UNSIGNED="", XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("tais: error") == 1
    assert "secret" not in done.stderr
    assert not (tmp_path / "reports").exists()


@pytest.mark.slow
def test_a_run_whose_authority_fails_at_the_end_is_signed_by_resume(
    tais: Tais, tsa: Tsa, tmp_path: Path
) -> None:
    write_screen(tmp_path)
    signer = generate()
    private, public = write_pair(tmp_path / "keys", signer)
    asked = 0

    def second_fails(request: bytes) -> tuple[int, bytes]:
        nonlocal asked
        asked += 1
        return (503, b"") if asked == 2 else tsa.answer(request)

    answer: Answer = second_fails
    with ExitStack() as stack:
        url = stack.enter_context(serve(answer))
        command = ("run", "small.yaml", "--signing-key", private, "--timestamp-url", url)
        done = tais(*command, TAIS_UNSIGNED="")
        assert (done.returncode, asked) == (4, 2), done.stderr
        assert "tais run --resume" in done.stderr
        (run_dir,) = (tmp_path / "reports" / "small").glob("2*")
        assert not (run_dir / RUN_BUNDLE).exists()
        done = tais(*command, "--resume", TAIS_UNSIGNED="")
        assert done.returncode == 0, done.stderr
    done = tais("verify", run_dir, "--trusted-key", public, "--timestamp-ca", tsa.ca)
    assert done.returncode == 0, done.stderr
    opened = open_bundle((run_dir / RUN_BUNDLE).read_bytes(), [signer.public], "")
    assert opened.token is not None
