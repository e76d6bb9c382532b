"""Keys: made with the right mode, never replaced, read strictly."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tais.attest.keys import (
    Algorithm,
    choose_signer,
    default_signer,
    generate,
    load_public_key,
    load_signer,
    write_pair,
)
from tais.errors import UsageError


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_pair_is_read_back(algorithm: Algorithm, passphrase: str | None, tmp_path: Path) -> None:
    made = generate(algorithm)
    private, public = write_pair(tmp_path / "keys", made, passphrase)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert load_public_key(public).fingerprint == made.public.fingerprint
    loaded = load_signer(private, passphrase)
    assert loaded.public.fingerprint == made.public.fingerprint
    assert loaded.notice is None
    assert [path.name for path in (tmp_path / "keys").iterdir() if path.name.startswith(".")] == []


def test_openssl_reads_the_pair(tmp_path: Path) -> None:
    private, public = write_pair(tmp_path, generate())
    command = ["openssl", "pkey", "-in", str(private), "-pubout"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == public.read_bytes()


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    private, _ = write_pair(tmp_path, generate())
    before = private.read_bytes()
    with pytest.raises(UsageError, match="a key exists already"):
        write_pair(tmp_path, generate())
    assert private.read_bytes() == before


def test_a_secret_of_a_ci_may_be_the_text_itself(tmp_path: Path) -> None:
    private, public = write_pair(tmp_path, generate())
    signer, trusted = load_signer(private.read_text()), load_public_key(public.read_text())
    assert signer.public.fingerprint == trusted.fingerprint


def test_the_first_run_makes_a_key_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    said: list[str] = []
    first, second = default_signer(said.append), default_signer(said.append)
    assert first.public.fingerprint == second.public.fingerprint
    assert len(said) == 1
    assert str(tmp_path / "tais" / "tais.key") in said[0]
    assert "without a passphrase" in said[0]


def test_a_run_signs_with_the_named_key_else_the_users_own_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TAIS_KEY_PASSPHRASE", "secret")
    private, public = write_pair(tmp_path, generate(), "secret")
    said: list[str] = []
    assert choose_signer(str(private), True, said.append) is None
    assert not (tmp_path / "config").exists()
    named = choose_signer(str(private), False, said.append)
    assert named is not None
    assert named.public.fingerprint == load_public_key(public).fingerprint
    own = choose_signer("", False, said.append)
    assert own is not None
    assert own.public.fingerprint == load_public_key(tmp_path / "config/tais/tais.pub").fingerprint
    assert len(said) == 1
    assert "without a passphrase" not in said[0]


def test_a_key_that_others_may_read_is_mentioned(tmp_path: Path) -> None:
    private, _ = write_pair(tmp_path, generate())
    private.chmod(0o644)
    assert "chmod 600" in str(load_signer(private).notice)


def test_a_private_key_does_not_show_in_a_traceback() -> None:
    assert "private" not in repr(generate())


def bad_keys(folder: Path) -> dict[str, Path]:
    """Files that are no key to sign or verify with, by defect."""
    private, public = write_pair(folder / "good", generate())
    write_pair(folder / "locked", generate(), "secret")
    curve = ec.generate_private_key(ec.SECP384R1())
    long = rsa.generate_private_key(65537, 2048)
    spki = (pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    pkcs8 = (pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    block = public.read_bytes()
    texts = {
        "p384.pub": curve.public_key().public_bytes(*spki),
        "rsa.pub": long.public_key().public_bytes(*spki),
        "p384.key": curve.private_bytes(*pkcs8),
        "two.pub": block + block,
        "with_words.pub": b"my key\n" + block,
        "damaged.pub": block.replace(b"M", b"N", 1),
        "damaged.key": private.read_bytes().replace(b"\nM", b"\nN", 1),
        "empty.pub": b"",
        "large.pub": block + b" " * 20_000,
        "not_pem.pub": bytes(range(256)),
    }
    for name, data in texts.items():
        (folder / name).write_bytes(data)
    found = {name: folder / name for name in texts}
    return {**found, "missing.pub": folder / "missing.pub", "folder.pub": folder, "private.pub": private}


def test_other_keys_and_files_are_refused_in_one_line(tmp_path: Path) -> None:
    for name, path in bad_keys(tmp_path).items():
        with pytest.raises(UsageError) as caught:
            load_public_key(path) if name.endswith(".pub") else load_signer(path)
        assert "\n" not in str(caught.value), name


def test_a_locked_key_asks_for_its_passphrase(tmp_path: Path) -> None:
    private, _ = write_pair(tmp_path, generate(), "secret")
    with pytest.raises(UsageError, match="TAIS_KEY_PASSPHRASE"):
        load_signer(private)
    with pytest.raises(UsageError, match="passphrase is wrong"):
        load_signer(private, "other")


def test_a_public_key_does_not_sign(tmp_path: Path) -> None:
    _, public = write_pair(tmp_path, generate())
    with pytest.raises(UsageError, match="no private key but a public key"):
        load_signer(public)
