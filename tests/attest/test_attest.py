"""Signing: what is written, when it is refused, and that strangers can check it with their own tools."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tais.attest import Signer, sign_lock, sign_run, statement, verify_run
from tais.attest.keys import Algorithm, generate
from tais.common.files import sha256_file
from tais.errors import UsageError, VerificationError
from tais.rundir.layout import LOCK_BUNDLE, RUN_BUNDLE, TEST_BUNDLE
from tais.rundir.lock import read_lock
from tests.attest.runs import SIGNED, TRUSTED, copy_run, overlay, resign

BUNDLES = (LOCK_BUNDLE, RUN_BUNDLE, TEST_BUNDLE)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(scope="module", params=list(Algorithm), ids=str)
def signer(request: pytest.FixtureRequest) -> Signer:
    return generate(request.param)


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    """A finished run without a bundle."""
    run_dir = copy_run(tmp_path)
    for name in BUNDLES:
        (run_dir / name).unlink()
    return run_dir


@pytest.fixture
def planned(unsigned: Path) -> Path:
    """A run before its first token."""
    shutil.rmtree(unsigned / "arms")
    for name in ("report.json", "scores.parquet"):
        (unsigned / name).unlink()
    (unsigned / "arms").mkdir()
    return unsigned


def payload(path: Path) -> dict[str, Any]:
    bundle = json.loads(path.read_bytes())
    said: dict[str, Any] = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return said


def pae(path: Path) -> tuple[bytes, bytes]:
    """Return what DSSE v1 signs, and the signature; written from the specification, with none of our code."""
    envelope = json.loads(path.read_bytes())["dsseEnvelope"]
    kind, body = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    return b"DSSEv1 " + b" ".join((str(len(kind)).encode(), kind, str(len(body)).encode(), body)), signature


# --- strangers


@pytest.mark.parametrize("name", BUNDLES)
def test_openssl_alone_verifies_a_stored_bundle(name: str, tmp_path: Path) -> None:
    signed, signature = pae(SIGNED / name)
    (tmp_path / "pae").write_bytes(signed)
    (tmp_path / "sig").write_bytes(signature)
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        str(TRUSTED),
        "-signature",
        str(tmp_path / "sig"),
        str(tmp_path / "pae"),
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "Verified OK\n"
    (tmp_path / "pae").write_bytes(signed + b" ")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_openssl_verifies_an_ed25519_signature(tmp_path: Path, unsigned: Path) -> None:
    signer = generate(Algorithm.ed25519)
    resign(unsigned, signer)
    signed, signature = pae(unsigned / RUN_BUNDLE)
    for name, data in (("pae", signed), ("sig", signature), ("pub", signer.public.to_pem())):
        (tmp_path / name).write_bytes(data)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        "pub",
        "-sigfile",
        "sig",
        "-in",
        "pae",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Verified Successfully" in done.stdout


@pytest.mark.parametrize("name", BUNDLES)
def test_cryptography_alone_verifies_a_bundle(name: str, unsigned: Path, signer: Signer) -> None:
    resign(unsigned, signer)
    signed, signature = pae(unsigned / name)
    key = load_pem_public_key(signer.public.to_pem())
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    else:
        assert isinstance(key, ed25519.Ed25519PublicKey)
        key.verify(signature, signed)


def test_sha256sum_finds_every_subject() -> None:
    subjects = payload(SIGNED / RUN_BUNDLE)["subject"]
    lines = "".join(f"{s['digest']['sha256']}  {s['name']}\n" for s in subjects)
    done = subprocess.run(
        ["sha256sum", "-c", "--strict"], cwd=SIGNED, input=lines, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout


def test_a_bundle_has_the_form_that_sigstore_v03_gives_it() -> None:
    bundle = json.loads((SIGNED / RUN_BUNDLE).read_bytes())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert bundle["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(TRUSTED), "-outform", "DER"], capture_output=True, check=True
    ).stdout
    assert bundle["verificationMaterial"] == {"publicKey": {"hint": hashlib.sha256(der).hexdigest()}}


# --- what is said


def test_the_subjects_are_all_files_but_the_bundles() -> None:
    files = {path.relative_to(SIGNED).as_posix() for path in SIGNED.rglob("*") if path.is_file()}
    for name in (RUN_BUNDLE, TEST_BUNDLE):
        assert {s["name"] for s in payload(SIGNED / name)["subject"]} == files - set(BUNDLES)


def test_the_lock_and_the_items_are_signed_before_anything_else(planned: Path) -> None:
    signer = generate()
    said = payload(sign_lock(planned, signer, NOON))
    assert {s["name"] for s in said["subject"]} == {"manifest.lock.json", "items.parquet"}
    assert said["predicate"] == {"run": planned.name, "signedAt": "2026-05-04T12:00:00+00:00"}


def test_the_predicate_holds_the_verdict_in_full() -> None:
    said = payload(SIGNED / RUN_BUNDLE)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    predicate = said["predicate"]
    assert predicate["verdict"] == "pass"
    assert predicate["lock"]["digest"]["sha256"] == sha256_file(SIGNED / "manifest.lock.json")
    assert predicate["lockBundle"]["digest"]["sha256"] == sha256_file(SIGNED / LOCK_BUNDLE)
    assert predicate["rules"]["margin"] == 0.06
    endpoint = predicate["contrasts"][0]["endpoints"][0]
    assert (endpoint["battery"], endpoint["n"], endpoint["tost"]["equivalent"]) == ("mine", 120, True)


def test_the_test_result_is_of_the_vetted_type() -> None:
    said = payload(SIGNED / TEST_BUNDLE)
    assert said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    predicate = said["predicate"]
    assert predicate["result"] == "PASSED"
    assert predicate["configuration"][0]["name"] == "manifest.lock.json"
    assert "positive_control: bad against target" in predicate["passedTests"]
    assert predicate["failedTests"] == predicate["warnedTests"] == []


def test_strata_of_a_battery_are_told_apart_in_what_is_signed(unsigned: Path) -> None:
    """Items to refuse that failed must not stand under the name of items to answer that passed."""
    path = unsigned / "report.json"
    report = json.loads(path.read_bytes())
    (endpoint,) = report["contrasts"][0]["endpoints"]
    shown = {"shown_by": ["exchange"], "minimum_leak": 0.04}
    report["contrasts"][0]["endpoints"] = [
        {**endpoint, "stratum": "answer", "sensitivity": shown, "verdict": "pass"},
        {**endpoint, "stratum": "refuse", "sensitivity": shown, "adjusted_p": 0.001, "verdict": "fail"},
    ]
    files, lock = dict.fromkeys(("report.json", "manifest.lock.json"), "0" * 64), read_lock(unsigned)
    tests = statement.test_statement(files, lock, report).predicate
    screen = "screen: candidate against target"
    assert f"{screen}: mine/answer/refusal" in tests["passedTests"]
    assert tests["failedTests"] == [f"{screen}: mine/refuse/refusal"]
    told = statement.run_statement(files, lock, report, "0" * 64, NOON).predicate["contrasts"][0]["endpoints"]
    assert [(e["stratum"], e["sensitivity"], e.get("adjusted_p")) for e in told] == [
        ("answer", shown, None),
        ("refuse", shown, 0.001),
    ]


def test_weights_of_the_candidate_are_subjects(unsigned: Path) -> None:
    commit, digest = "1" * 40, "2" * 64
    draft = {"folder": "draft", "files": {"model.safetensors": digest}}

    def edit(lock: dict[str, Any]) -> None:
        lock["arms"]["candidate"] |= {"model": "org/name", "revision": commit}
        lock["arms"]["candidate"]["speculative_config"] = {"method": "draft_model", "model": draft}

    signer = generate()
    edit_lock(unsigned, edit)
    resign(unsigned, signer)
    subjects = {s["name"]: s for s in payload(unsigned / RUN_BUNDLE)["subject"]}
    assert subjects["weights:candidate/model"]["digest"] == {"gitCommit": commit}
    assert subjects["weights:candidate/model"]["uri"] == f"pkg:huggingface/org/name@{commit}"
    assert subjects["weights:candidate/draft/model.safetensors"]["digest"] == {"sha256": digest}
    verify_run(unsigned, [signer.public])


def edit_lock(run_dir: Path, edit: Any) -> None:
    """Change the lock, and the report's mention of it, as a signer could."""
    path, report_path = run_dir / "manifest.lock.json", run_dir / "report.json"
    lock, report = json.loads(path.read_bytes()), json.loads(report_path.read_bytes())
    edit(lock)
    path.write_text(json.dumps(lock))
    report["facts"]["lock"]["sha256"] = sha256_file(path)
    report_path.write_text(json.dumps(report))


# --- when


def test_a_resumed_run_keeps_the_bundle_of_its_lock(unsigned: Path, signer: Signer) -> None:
    resign(unsigned, signer)
    before = (unsigned / LOCK_BUNDLE).read_bytes()
    assert sign_lock(unsigned, signer).read_bytes() == before


def test_a_signed_run_is_left_as_it_is(unsigned: Path, signer: Signer) -> None:
    resign(unsigned, signer)
    before = [(unsigned / name).read_bytes() for name in BUNDLES]
    sign_run(unsigned, signer)
    assert before == [(unsigned / name).read_bytes() for name in BUNDLES]


def test_signing_that_was_killed_between_its_bundles_is_taken_up_again(
    unsigned: Path, signer: Signer
) -> None:
    resign(unsigned, signer)
    (unsigned / RUN_BUNDLE).unlink()
    (unsigned / f".{RUN_BUNDLE}.4242.tmp").write_bytes(b"{")
    sign_run(unsigned, signer)
    verify_run(unsigned, [signer.public])


def test_a_lock_is_not_signed_after_the_first_sample(unsigned: Path, signer: Signer) -> None:
    with pytest.raises(UsageError, match="before the first token or never"):
        sign_lock(unsigned, signer)


def test_a_run_without_a_signed_lock_is_not_signed(unsigned: Path, signer: Signer) -> None:
    with pytest.raises(VerificationError, match="is missing"):
        sign_run(unsigned, signer)
    assert not (unsigned / RUN_BUNDLE).exists()


def test_another_key_does_not_continue_a_run(planned: Path, signer: Signer) -> None:
    sign_lock(planned, generate())
    for step in (sign_lock, sign_run):
        with pytest.raises(UsageError, match="another key signed this lock"):
            step(planned, signer)


@pytest.mark.parametrize("name", ["manifest.lock.json", "items.parquet"])
def test_a_lock_edited_since_it_was_signed_stops_a_resumed_run(
    name: str, planned: Path, signer: Signer
) -> None:
    sign_lock(planned, signer)
    (planned / name).write_bytes((planned / name).read_bytes() + b" ")
    with pytest.raises(VerificationError, match=f"{name} is not what was signed"):
        sign_lock(planned, signer)


@pytest.mark.parametrize("defect", ["rule_edited_in_report", "report_of_another_run", "report_empty"])
def test_a_report_that_is_not_of_this_run_is_not_signed(defect: str, unsigned: Path, signer: Signer) -> None:
    resign(unsigned, signer)
    overlay(unsigned, SIGNED.parent / defect)
    for name in (RUN_BUNDLE, TEST_BUNDLE):
        (unsigned / name).unlink()
    with pytest.raises(VerificationError):
        sign_run(unsigned, signer)


def test_a_link_is_not_signed(unsigned: Path, signer: Signer) -> None:
    resign(unsigned, signer)
    for name in (RUN_BUNDLE, TEST_BUNDLE):
        (unsigned / name).unlink()
    (unsigned / "logs" / "more.log").symlink_to("/etc/hostname")
    with pytest.raises(VerificationError, match="link or special file"):
        sign_run(unsigned, signer)
