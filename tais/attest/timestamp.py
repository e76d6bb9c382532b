"""Trusted time (RFC 3161): an authority says when a signature was there, so that a signer's clock need not.

A token stands where the Sigstore bundle has a place for it and is about the signature, as Sigstore's own are.
`rfc3161-client` asks and checks; it comes with ``tais[timestamp]`` and is imported where a token is at hand.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from cryptography.x509 import Certificate, load_pem_x509_certificates

from tais.common.install import pip_install
from tais.errors import Place, TaisError, UsageError, VerificationError

__all__ = [
    "MAX_TOKEN",
    "Authority",
    "check_address",
    "load_authority",
    "request_token",
    "token_time",
]

MAX_TOKEN = 64 << 10
"""Bytes of an answer; one with a chain of RSA certificates has about 6,000."""
_MAX_CERTIFICATES = 256 << 10
_SECONDS = 30.0
_SHA256 = "2.16.840.1.101.3.4.2.1"


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates whose word on time is taken."""

    certificates: tuple[Certificate, ...] = field(repr=False)
    """Roots, and where its tokens leave them out, what lies between a root and the signer of tokens."""
    source: str = ""


def load_authority(source: str | Path) -> Authority:
    """Read the certificates of a time authority: a PEM file, or its text.

    Raises
    ------
    UsageError
        When it cannot be read or holds no certificate.
    """
    text = str(source)
    name = "the certificates given as text" if text.lstrip().startswith("-----BEGIN ") else text
    try:
        if name != text:
            data = text.encode()
        else:
            with Path(source).open("rb") as file:
                data = file.read(_MAX_CERTIFICATES + 1)
        if len(data) > _MAX_CERTIFICATES:
            raise ValueError("too large")
        return Authority(tuple(load_pem_x509_certificates(data)), name)
    except (OSError, ValueError) as error:
        read = isinstance(error, ValueError)
        why = "this is no file of PEM certificates" if read else f"it cannot be read ({_flat(error)})"
        remedy = "Name the root certificate of the time authority, as its operator publishes it"
        raise UsageError(why, place=Place(name), remedy=remedy) from error


def check_address(url: str) -> str:
    """Return the address of a time authority.

    Raises
    ------
    UsageError
        When it is none, holds a password, or tokens cannot be asked for and checked here.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        remedy = "Give an address such as https://timestamp.example.org, without a password"
        raise UsageError("this is no address of a time authority", remedy=remedy)
    _library()
    return url


def request_token(url: str, signature: bytes) -> bytes:
    """Ask an authority for a token about a signature.

    Parameters
    ----------
    url
        As :func:`check_address` returns it.
    signature
        What is to have been there at that time.

    Returns
    -------
    bytes
        The authority's answer (TimeStampResp, DER). It is about this signature and this request; whether
        the authority can be trusted is for those who verify.

    Raises
    ------
    TaisError
        When there is no usable answer.
    """
    library = _library()
    host = urlsplit(url).netloc
    asked = (
        library.TimestampRequestBuilder().data(signature).hash_algorithm(library.HashAlgorithm.SHA256).build()
    )
    sent = urllib.request.Request(
        url,
        data=asked.as_bytes(),
        headers={"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"},
    )
    try:
        with urllib.request.urlopen(sent, timeout=_SECONDS) as answer:
            token: bytes = answer.read(MAX_TOKEN + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise _no_token(host, f"it answers HTTP {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        why = _flat(getattr(error, "reason", None) or error)
        raise _no_token(host, f"it cannot be asked ({why})") from error
    if len(token) > MAX_TOKEN:
        raise _no_token(host, f"its answer is larger than {MAX_TOKEN >> 10} KiB")
    read = _parse(token)
    if read is None or read.status != 0:
        raise _no_token(host, "its answer is no token")
    if read.tst_info.nonce != asked.nonce or not _is_about(read, signature):
        raise _no_token(host, "its answer is to another request")
    return token


def token_time(token: bytes, signature: bytes, authority: Authority, file: str) -> datetime:
    """Check a token and return its time.

    Parameters
    ----------
    token
        As the bundle holds it.
    signature
        What it must be about.
    authority
        Whose word is taken.
    file
        Bundle, for errors.

    Raises
    ------
    VerificationError
        When the token is damaged, is about another signature, or is not of this authority; also when one
        of the certificates did not count at that time.
    """
    library = _library()
    read = _parse(token)
    if read is None:
        raise VerificationError("the token of the time authority is damaged", place=Place(file))
    if not _is_about(read, signature):
        raise VerificationError("the token of the time authority is about something else", place=Place(file))
    verifier = library.VerifierBuilder(roots=list(authority.certificates)).build()
    try:
        verifier.verify_message(read, signature)
    except (library.VerificationError, ValueError) as error:
        what = f"the time is not the word of an authority that is trusted ({_flat(error)})"
        remedy = f"Its certificates must be in {authority.source}, and must have counted at that time"
        raise VerificationError(what, place=Place(file), remedy=remedy) from error
    moment: datetime = read.tst_info.gen_time
    return moment.astimezone(UTC)


def _is_about(read: Any, signature: bytes) -> bool:
    imprint = read.tst_info.message_imprint
    # One digest, so that a token has one meaning: TAIS asks for no other.
    known = imprint.hash_algorithm.dotted_string == _SHA256
    return bool(known and imprint.message == hashlib.sha256(signature).digest())


def _parse(token: bytes) -> Any:
    try:
        read = _library().decode_timestamp_response(token)
        # Of a refusal there is no more than this; of a token all parts are read once, whatever they hold.
        if read.status == 0:
            _ = (read.tst_info.gen_time, read.tst_info.nonce, read.tst_info.message_imprint.message)
    except ValueError:
        return None
    return read


def _library() -> ModuleType:
    try:
        import rfc3161_client
    except ImportError as error:
        what, remedy = "trusted time needs rfc3161-client", f"Install it: {pip_install('timestamp')}"
        raise UsageError(what, remedy=remedy) from error
    library: ModuleType = rfc3161_client
    return library


def _no_token(host: str, why: str) -> TaisError:
    remedy = "When it answers again, tais run --resume goes on from here"
    return TaisError(f"the time authority {host} gave no token: {why}", remedy=remedy)


def _flat(error: object) -> str:
    return " ".join(str(error).split())[:200]
