"""Keys: ECDSA P-256 or Ed25519, as PEM files; private ones in PKCS #8, perhaps behind a passphrase.

P-256 is the default because cosign cannot verify with a plain Ed25519 key: it loads one as Ed25519ph.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tais.attest.timestamp import check_address
from tais.common.files import store_error, write_atomic
from tais.errors import Place, UsageError

__all__ = [
    "PRIVATE_NAME",
    "PUBLIC_NAME",
    "Algorithm",
    "PublicKey",
    "Signer",
    "choose_signer",
    "default_key_path",
    "default_signer",
    "generate",
    "load_public_key",
    "load_signer",
    "write_pair",
]

PRIVATE_NAME, PUBLIC_NAME = "tais.key", "tais.pub"

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[\sA-Za-z0-9+/=]+-----END \1-----")
_MAX_BYTES = 16 << 10


class Algorithm(StrEnum):
    """How a key signs."""

    ecdsa_p256 = "ecdsa-p256"
    ed25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    key: EllipticCurvePublicKey | Ed25519PublicKey = field(repr=False)
    fingerprint: str
    """sha256 (hex) of the DER of its SubjectPublicKeyInfo: the key id and hint of a bundle."""
    source: str = ""
    """Where it was read from."""

    @classmethod
    def of(cls, key: object, source: str = "") -> PublicKey:
        """Wrap a key of `cryptography`.

        Raises
        ------
        UsageError
            When it is neither P-256 nor Ed25519.
        """
        known = isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey)
        if not known or (isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1)):
            raise _refused("this key is neither ECDSA P-256 nor Ed25519", source)
        assert isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey)
        der = key.public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
        return cls(key, hashlib.sha256(der).hexdigest(), source)

    def to_pem(self) -> bytes:
        """Return the key as a PEM block."""
        return self.key.public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that signs."""

    private: EllipticCurvePrivateKey | Ed25519PrivateKey = field(repr=False)
    public: PublicKey
    timestamp_url: str | None = None
    """Time authority (RFC 3161) that vouches for when lock and run were signed; None asks nobody."""
    notice: str | None = None
    """Something that its owner should know, such as that others may read the file."""


def generate(algorithm: Algorithm = Algorithm.ecdsa_p256) -> Signer:
    """Make a new key."""
    if algorithm is Algorithm.ed25519:
        private: EllipticCurvePrivateKey | Ed25519PrivateKey = Ed25519PrivateKey.generate()
    else:
        private = generate_private_key(SECP256R1())
    return Signer(private, PublicKey.of(private.public_key()))


def write_pair(folder: Path, signer: Signer, passphrase: str | None = None) -> tuple[Path, Path]:
    """Write ``tais.key`` (mode 0600) and ``tais.pub``; a private key that exists is never replaced.

    Raises
    ------
    UsageError
        When there is a key already.
    StoreError
        When the folder cannot be written.
    """
    private, public = folder / PRIVATE_NAME, folder / PUBLIC_NAME
    cipher = pem.BestAvailableEncryption(passphrase.encode()) if passphrase else pem.NoEncryption()
    data = signer.private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, cipher)
    temporary = folder / f".{PRIVATE_NAME}.{os.getpid()}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(temporary, data, mode=0o600)
        # A link, unlike a rename, fails where another process made a key in the meantime.
        os.link(temporary, private)
    except FileExistsError as error:
        remedy = "Keep it: what it signed is verified with its public half. Or choose another folder"
        raise UsageError("a key exists already", place=Place(str(private)), remedy=remedy) from error
    except OSError as error:
        raise store_error(error, private) from error
    finally:
        temporary.unlink(missing_ok=True)
    write_atomic(public, signer.public.to_pem())
    return private, public


def load_signer(source: str | Path, passphrase: str | None = None) -> Signer:
    """Read a private key.

    Parameters
    ----------
    source
        A PEM file, or the PEM text itself, as a CI secret holds it.
    passphrase
        Needed for an encrypted key.

    Raises
    ------
    UsageError
        When it cannot be read, is no private key, or the passphrase is wrong or missing.
    """
    data, name = _read(source)
    kind = _kind(data, name)
    if not kind.endswith("PRIVATE KEY"):
        raise _refused(f"this is no private key but a {kind.lower()}", name, "Name the private key")
    encrypted = kind == "ENCRYPTED PRIVATE KEY"
    if encrypted and not passphrase:
        raise _refused("this key is encrypted", name, "Set TAIS_KEY_PASSPHRASE")
    try:
        key = pem.load_pem_private_key(data, passphrase.encode() if encrypted and passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "the passphrase is wrong, or the key is damaged" if encrypted else "this key is damaged"
        raise _refused(why, name) from error
    public = PublicKey.of(key.public_key(), name)
    assert isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey)
    return Signer(key, public, notice=_exposed(source))


def load_public_key(source: str | Path) -> PublicKey:
    """Read a trusted public key: a PEM file with nothing but that key, or its text.

    Raises
    ------
    UsageError
        When it cannot be read or is something else.
    """
    data, name = _read(source)
    kind = _kind(data, name)
    if kind != "PUBLIC KEY":
        what = "a private key, which verifies nothing" if kind.endswith("PRIVATE KEY") else kind.lower()
        raise _refused(f"this is no public key but {what}", name, f"Name its public half, {PUBLIC_NAME}")
    try:
        return PublicKey.of(pem.load_pem_public_key(data), name)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused("this public key is damaged", name) from error


def default_key_path() -> Path:
    """Return where the user's own private key lies: ``$XDG_CONFIG_HOME/tais``, else ``~/.config/tais``."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "tais" / PRIVATE_NAME


def default_signer(notify: Callable[[str], None], passphrase: str | None = None) -> Signer:
    """Return the user's own key; on the first call it is made, and `notify` is told where.

    It lies at :func:`default_key_path`.
    """
    private = default_key_path()
    folder = private.parent
    if not private.exists():
        signer = generate()
        try:
            write_pair(folder, signer, passphrase)
        except UsageError:
            # Another first run was faster: its key is the one.
            return load_signer(private, passphrase)
        guarded = "" if passphrase else ", without a passphrase"
        notify(
            f"made your signing key {private}{guarded}; hand out {folder / PUBLIC_NAME} "
            f"(sha256 {signer.public.fingerprint[:16]}) to those who verify"
        )
    return load_signer(private, passphrase)


def choose_signer(
    key: str | None, unsigned: bool, notify: Callable[[str], None], timestamp_url: str | None = None
) -> Signer | None:
    """Return what a run signs with: the key that was named, else the user's own; None for ``--unsigned``.

    Parameters
    ----------
    key
        Path or PEM text, as ``--signing-key`` or ``TAIS_SIGNING_KEY`` give it. Empty means not named.
    unsigned
        Whether the user asked for no signature.
    notify
        Told of a key that was made, or that others may read.
    timestamp_url
        Time authority to ask, as ``--timestamp-url`` or ``TAIS_TIMESTAMP_URL`` give it. Empty means none.

    Raises
    ------
    UsageError
        When the key cannot be used, or the address is none.
    """
    if unsigned:
        return None
    passphrase = os.environ.get("TAIS_KEY_PASSPHRASE") or None
    signer = load_signer(key, passphrase) if key else default_signer(notify, passphrase)
    if signer.notice:
        notify(signer.notice)
    return replace(signer, timestamp_url=check_address(timestamp_url)) if timestamp_url else signer


def _read(source: str | Path) -> tuple[bytes, str]:
    if isinstance(source, str) and source.lstrip().startswith("-----BEGIN "):
        return source.encode(), "the key given as text"
    path = Path(source)
    if isinstance(source, str) and _looks_like_a_key(source):
        what = "this is text, and neither a PEM block nor the name of a file"
        raise _refused(what, "the key given as text", "Give the whole PEM block, or its file")
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such file"
        raise _refused(f"this key cannot be read: {why.lower()}", str(path)) from error
    return data, str(path)


def _looks_like_a_key(source: str) -> bool:
    """Return whether a text may be a key without its frame, which an error must not show as a file's name."""
    return "\n" in source or len(source) > 255 or re.fullmatch(r"[A-Za-z0-9+/=_-]{40,}", source) is not None


def _kind(data: bytes, name: str) -> str:
    """Return the label of the one PEM block that `data` is."""
    found = _BLOCK.fullmatch(data.strip()) if len(data) <= _MAX_BYTES else None
    if found is None:
        raise _refused("this is not one PEM block and nothing else", name, "tais keygen makes a key pair")
    return found[1].decode()


def _exposed(source: str | Path) -> str | None:
    if isinstance(source, str) and source.lstrip().startswith("-----BEGIN "):
        return None
    path = Path(source)
    # Keys that a CI mounts are often readable to a group: said, not refused.
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return f"{path} can be read by others: chmod 600 {path}"
    return None


def _refused(what: str, source: str, remedy: str = "") -> UsageError:
    remedy = remedy or "tais keygen makes a key that can be used"
    return UsageError(what, place=Place(source) if source else None, remedy=remedy)
