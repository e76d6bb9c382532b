"""Sigstore bundle v0.3 around a DSSE envelope: written in one form, and read in that form only.

A bundle is accepted when it is, byte for byte, what TAIS would write for its payload, key and signature;
so no byte of it can change unseen: no space, no unknown field, no other spelling of base64, no second
signature, and no second form of the same ECDSA signature. The token of a time authority is the one part that
the key does not sign: it is checked by :mod:`tais.attest.timestamp`, and the lock's stands in a bundle whose
digest the attestation names.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError as Unverified
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey  # type: ignore[attr-defined]

from tais.attest.keys import PublicKey, Signer
from tais.attest.timestamp import MAX_TOKEN, request_token
from tais.errors import Place, VerificationError

__all__ = [
    "MEDIA_TYPE",
    "PAYLOAD_TYPE",
    "Json",
    "Opened",
    "claimed_key",
    "json_object",
    "open_bundle",
    "seal",
    "strict_json",
]

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

Json = dict[str, Any]
"""Foreign JSON: what is read of it is checked where it is read."""

_MAX_BYTES = 64 << 20
# Order of the group of P-256 (FIPS 186-4, D.1.2.3): with (r, s) also (r, order - s) verifies.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle whose signature holds."""

    payload: bytes
    key: PublicKey
    signature: bytes
    token: bytes | None = None
    """Of a time authority, about the signature; nobody checked it yet."""


def seal(payload: bytes, signer: Signer, *, timed: bool = False) -> bytes:
    """Sign a payload and return the bytes of its bundle.

    Parameters
    ----------
    payload
        Statement.
    signer
        Private key, and the time authority to ask.
    timed
        Whether the signature gets a token where the signer names an authority.

    Raises
    ------
    TaisError
        When that authority gives no token.
    """
    signing = CryptoSigner(signer.private, _library_key(signer.public))
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    signature = _one_form(bytes.fromhex(envelope.sign(signing).signature), signer.public)
    token = request_token(signer.timestamp_url, signature) if timed and signer.timestamp_url else None
    return _render(payload, signature, signer.public.fingerprint, token)


def open_bundle(data: bytes, keys: Iterable[PublicKey], file: str) -> Opened:
    """Check a bundle's form and signature.

    Parameters
    ----------
    data
        Bytes as stored.
    keys
        Trusted keys; whatever the bundle says of its key is only used to choose among them.
    file
        Name for errors.

    Raises
    ------
    VerificationError
        When the form is another than the one that TAIS writes, the key is not trusted, or the signature
        does not hold.
    """
    payload, signature, key_id, token = _parse(data, file)
    if _render(payload, signature, key_id, token) != data:
        _refuse("the bundle is not written the way TAIS writes one: some byte was changed", file)
    trusted = {key.fingerprint: key for key in keys}
    if key_id not in trusted:
        known = ", ".join(name[:16] for name in sorted(trusted)) or "none"
        remedy = "If you trust its signer, ask them for their public key; never take it from the run"
        _refuse(f"signed by the key {key_id[:16]!r}, which is not trusted (trusted: {known})", file, remedy)
    key = trusted[key_id]
    if _one_form(signature, key) != signature:
        _refuse("the signature is not in the one form that is accepted", file)
    try:
        envelope = Envelope(payload, PAYLOAD_TYPE, {key_id: Signature(key_id, signature.hex())})
        envelope.verify([_library_key(key)], 1)
    except (Unverified, ValueError) as error:
        raise VerificationError(
            "the signature does not hold: payload, signature or key id was changed", place=Place(file)
        ) from error
    return Opened(payload, key, signature, token)


def claimed_key(data: bytes, file: str) -> str:
    """Return the fingerprint of the key that a bundle says it was signed with; nothing is checked.

    Raises
    ------
    VerificationError
        When it is no bundle.
    """
    return _parse(data, file)[2]


def strict_json(data: bytes, file: str) -> object:
    """Parse JSON in which each key stands once and every number is one.

    Raises
    ------
    VerificationError
        When it is something else.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        built = dict(pairs)
        if len(built) != len(pairs):
            raise ValueError("a key is given twice")
        return built

    def no_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number")

    try:
        found: object = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"not readable as JSON ({error})", place=Place(file)) from error
    return found


def json_object(data: bytes, run_dir: Path, name: str) -> Json:
    """Parse a file of a run directory that holds one JSON object.

    Raises
    ------
    VerificationError
        When it is something else.
    """
    value = strict_json(data, str(run_dir / name))
    if not isinstance(value, dict):
        raise VerificationError(f"{name} is not what TAIS writes", place=Place(str(run_dir)))
    return value


def _render(payload: bytes, signature: bytes, key_id: str, token: bytes | None) -> bytes:
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": key_id}],
    }
    material: Json = {"publicKey": {"hint": key_id}}
    if token is not None:
        stamps = [{"signedTimestamp": base64.b64encode(token).decode()}]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material,
        "dsseEnvelope": envelope,
    }
    return json.dumps(bundle, indent=2).encode() + b"\n"


def _parse(data: bytes, file: str) -> tuple[bytes, bytes, str, bytes | None]:
    if len(data) > _MAX_BYTES:
        _refuse(f"the bundle is larger than {_MAX_BYTES >> 20} MB", file)
    bundle = strict_json(data, file)
    try:
        envelope = (bundle if isinstance(bundle, dict) else {})["dsseEnvelope"]
        (only,) = envelope["signatures"]
        encoded, key_id = (envelope["payload"], only["sig"]), only["keyid"]
        payload, signature = (base64.b64decode(text, validate=True) for text in encoded)
        token = _token(bundle)
        if token is not None and len(token) > MAX_TOKEN:
            _refuse(f"the token of the time authority is larger than {MAX_TOKEN >> 10} KiB", file)
        return payload, signature, str(key_id), token
    except (LookupError, TypeError, AttributeError, ValueError, binascii.Error) as error:
        raise VerificationError(
            "this is no Sigstore bundle with one DSSE signature", place=Place(file)
        ) from error


def _token(bundle: Any) -> bytes | None:
    """Return the one token of a bundle; raises as any reading of foreign JSON where its form is another."""
    stamps = bundle.get("verificationMaterial", {}).get("timestampVerificationData")
    if stamps is None:
        return None
    (only,) = stamps["rfc3161Timestamps"]
    return base64.b64decode(only["signedTimestamp"], validate=True)


def _one_form(signature: bytes, key: PublicKey) -> bytes:
    """Return the DER form with the smaller s; Ed25519 signatures have one form only (RFC 8032, 5.1.7)."""
    if not isinstance(key.key, EllipticCurvePublicKey):
        return signature
    try:
        r, s = decode_dss_signature(signature)
        return encode_dss_signature(r, min(s, _ORDER - s))
    except ValueError:
        return b""


def _library_key(key: PublicKey) -> SSlibKey:
    return SSlibKey.from_crypto(key.key, keyid=key.fingerprint)


def _refuse(what: str, file: str, remedy: str | None = None) -> NoReturn:
    raise VerificationError(what, place=Place(file), remedy=remedy)
