"""A time authority on this machine: certificates of our own, and OpenSSL, which answers over HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Tsa", "serve"]

Answer = Callable[[bytes], tuple[int, bytes]]
"""From a request to a status and a body."""

_CONFIG = """\
[tsa]
default_tsa = here
[here]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
"""


class Tsa:
    """An authority with a root of its own.

    Parameters
    ----------
    folder
        Where its files go.
    days
        From when to when the certificate that signs tokens counts, in days from now.
    """

    def __init__(self, folder: Path, days: tuple[int, int] = (-1, 9)) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        root, own = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        ca = _certificate("root", root, root, (-90, 90), (x509.BasicConstraints(True, None), _usage(ca=True)))
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        tsa = _certificate("tsa", own, root, days, (usage, _usage(ca=False)))
        (folder / "tsa.pem").write_bytes(tsa.public_bytes(serialization.Encoding.PEM))
        (folder / "tsa.key").write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (folder / "tsa.cnf").write_text(_CONFIG)
        (folder / "serial").write_text("01\n")

    def answer(self, request: bytes) -> tuple[int, bytes]:
        """Return what OpenSSL answers to a request."""
        (self.folder / "query").write_bytes(request)
        command = "openssl ts -reply -config tsa.cnf -section here -queryfile query -out reply"
        subprocess.run(command.split(), cwd=self.folder, capture_output=True, check=True)
        return 200, (self.folder / "reply").read_bytes()


@contextmanager
def serve(answer: Answer) -> Iterator[str]:
    """Give the address of a server that answers every request in this way."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            status, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/tsr"
        finally:
            server.shutdown()
            thread.join()


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    issuer: EllipticCurvePrivateKey,
    days: tuple[int, int],
    extensions: tuple[x509.ExtensionType, ...],
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days[0]))
        .not_valid_after(now + timedelta(days[1]))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer, hashes.SHA256())
