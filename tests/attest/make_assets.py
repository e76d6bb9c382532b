"""Makes the signed run in tests/assets/runs/signed, and what is wrong with copies of it, by defect.

    python -m tests.attest.make_assets

The private key is thrown away: what is stored can be verified, and never signed again.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tais.analysis.analyse import analyse
from tais.attest import Signer
from tais.attest.keys import generate
from tais.report.renderer import with_renderer
from tais.rundir.layout import LOCK_BUNDLE, RUN_BUNDLE, TEST_BUNDLE, RunDir
from tais.rundir.lock import read_lock
from tais.verdict.facts import facts_of
from tests.attest.runs import ASSETS, SIGNED, TRUSTED, make_run, resign

# In the past on any machine: the gate refuses a run from the future.
_NOONS = [datetime(2026, 1, day, 12, tzinfo=UTC) for day in (5, 6)]
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def main() -> None:
    """Write all assets anew."""
    signer, stranger = generate(), generate()
    with tempfile.TemporaryDirectory() as folder:
        made = [make_run(Path(folder) / name) for name in ("one", "other")]
        one, other = (anonymise(run_dir, noon) for run_dir, noon in zip(made, _NOONS, strict=True))
        for run_dir, noon in zip((one, other), _NOONS, strict=True):
            resign(run_dir, signer, noon)
        for name in ("runs", "bundles"):
            shutil.rmtree(ASSETS / name, ignore_errors=True)
            (ASSETS / name).mkdir()
        shutil.copytree(one, SIGNED)
        TRUSTED.parent.mkdir(exist_ok=True)
        TRUSTED.write_bytes(signer.public.to_pem())
        _runs(one, other)
        _bundles(one, other, stranger)


def anonymise(run_dir: Path, noon: datetime) -> Path:
    """Take the maker's machine and day out of a run, decide again, and return its new directory."""
    for path in run_dir.glob("arms/*/engine.json"):
        engine = json.loads(path.read_bytes())
        path.write_text(json.dumps({**engine, "environment": {}}))
    # Made from the report as it was; what is tested here is not how it looks.
    for name in ("report.html", "report.md", "junit.xml"):
        (run_dir / name).unlink(missing_ok=True)
    run = facts_of((run_dir / "report.json").read_bytes(), "report.json").run
    moved = run_dir.rename(run_dir.with_name(f"{noon:%Y%m%dT%H%M%S%fZ}"))
    day = noon.isoformat(timespec="seconds")
    assert run.ledger is not None
    ledger = run.ledger.model_copy(update={"attempts": ()})
    run = run.model_copy(update={"id": moved.name, "started": day, "ended": day, "ledger": ledger})
    made = RunDir(moved)
    decided = with_renderer(analyse(made, read_lock(moved), run, made.scores))
    (moved / "report.json").write_text(decided.to_json())
    return moved


def _runs(one: Path, other: Path) -> None:
    """Write the files in which a defect differs from the signed run."""
    part = "arms/candidate/part-00000.parquet"

    def put(defect: str, name: str, data: bytes | str) -> None:
        path = ASSETS / "runs" / defect / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def swap(name: str, before: str, now: str) -> str:
        text = (one / name).read_text()
        assert before in text, (name, before)
        return text.replace(before, now, 1)

    put("sample_text_edited_after_signing", part, _edited_sample(one / part))
    put("part_missing_after_signing", "removed.txt", part)
    put("file_added_after_signing", "arms/candidate/part-00001.parquet", (one / part).read_bytes())
    put("hidden_file", ".cache", "x")
    put("arms_swapped", part, (one / "arms/target/part-00000.parquet").read_bytes())
    put("arms_swapped", "arms/target/part-00000.parquet", (one / part).read_bytes())
    put("verdict_edited", "report.json", swap("report.json", '"verdict": "pass"', '"verdict": "fail"'))
    put("rule_edited_in_report", "report.json", swap("report.json", '"margin": 0.06', '"margin": 0.6'))
    put(
        "rule_edited_in_lock",
        "manifest.lock.json",
        swap("manifest.lock.json", '"margin": 0.06', '"margin": 0.6'),
    )
    put("score_edited", "scores.parquet", _edited_scores(one / "scores.parquet"))
    put("items_of_another_run", "items.parquet", (one / "items.parquet").read_bytes() + b"\0")
    for name in (LOCK_BUNDLE, RUN_BUNDLE, TEST_BUNDLE):
        put(f"{name.split('.')[0]}_bundle_of_another_run", name, (other / name).read_bytes())
        put(f"{name.split('.')[0]}_bundle_missing", "removed.txt", name)
    put("lock_and_bundle_of_another_run", LOCK_BUNDLE, (other / LOCK_BUNDLE).read_bytes())
    put("lock_and_bundle_of_another_run", "manifest.lock.json", (other / "manifest.lock.json").read_bytes())
    put("bundles_changed_places", RUN_BUNDLE, (one / TEST_BUNDLE).read_bytes())
    put("bundles_changed_places", TEST_BUNDLE, (one / RUN_BUNDLE).read_bytes())
    put("report_of_another_run", "report.json", (other / "report.json").read_bytes())
    put("report_empty", "report.json", "")


def _bundles(one: Path, other: Path, stranger: Signer) -> None:
    """Write bundles that must not be taken for the attestation of the signed run."""
    data = (one / RUN_BUNDLE).read_bytes()
    for defect, made in _broken(data):
        (ASSETS / "bundles" / f"{defect}.json").write_bytes(made)
    resign(other, stranger)
    (ASSETS / "bundles" / "signed_by_a_stranger.json").write_bytes((other / RUN_BUNDLE).read_bytes())


def _broken(data: bytes) -> Iterator[tuple[str, bytes]]:
    def edit(change: Callable[[dict[str, Any]], object]) -> bytes:
        bundle = json.loads(data)
        change(bundle)
        return json.dumps(bundle, indent=2).encode() + b"\n"

    def envelope(**values: Any) -> bytes:
        return edit(lambda bundle: bundle["dsseEnvelope"].update(values))

    (only,) = json.loads(data)["dsseEnvelope"]["signatures"]
    payload = json.loads(data)["dsseEnvelope"]["payload"]
    r, s = decode_dss_signature(base64.b64decode(only["sig"]))
    high = base64.b64encode(encode_dss_signature(r, _ORDER - s)).decode()
    # The same number r with a leading zero byte too many, which a lenient reader of DER takes.
    raw = base64.b64decode(only["sig"])
    padded = b"\x30" + bytes([raw[1] + 1]) + b"\x02" + bytes([raw[3] + 1]) + b"\0" + raw[4:]
    stretched = base64.b64encode(padded).decode()
    yield "signature_high_s", envelope(signatures=[{**only, "sig": high}])
    yield "signature_der_padded", envelope(signatures=[{**only, "sig": stretched}])
    yield "signature_empty", envelope(signatures=[{**only, "sig": ""}])
    yield "no_signature", envelope(signatures=[])
    yield "two_signatures", envelope(signatures=[only, only])
    yield "signature_with_unknown_field", envelope(signatures=[{**only, "cert": ""}])
    yield "key_id_missing", envelope(signatures=[{"sig": only["sig"]}])
    yield "key_id_of_another_key", envelope(signatures=[{**only, "keyid": "0" * 64}])
    yield "key_id_in_capitals", envelope(signatures=[{**only, "keyid": only["keyid"].upper()}])
    yield "payload_type_changed", envelope(payloadType="application/json")
    yield "payload_edited", envelope(payload=base64.b64encode(_worse(payload)).decode())
    yield "payload_with_line_break", envelope(payload=payload[:76] + "\n" + payload[76:])
    yield "payload_url_safe", envelope(payload=payload.rstrip("=") + "-_")
    yield "payload_null", envelope(payload=None)
    yield "envelope_with_unknown_field", envelope(extra=1)
    yield "bundle_with_unknown_field", edit(lambda b: b.update(extra=1))
    yield "bundle_with_certificate", edit(lambda b: b["verificationMaterial"].update(certificate={}))
    yield "media_type_changed", edit(lambda b: b.update(mediaType=b["mediaType"].replace("v0.3", "v0.2")))
    yield "hint_of_another_key", edit(lambda b: b["verificationMaterial"]["publicKey"].update(hint="0" * 64))
    yield "hint_missing", edit(lambda b: b["verificationMaterial"]["publicKey"].clear())
    yield "compact_json", json.dumps(json.loads(data)).encode()
    yield "keys_in_another_order", json.dumps(dict(reversed(json.loads(data).items())), indent=2).encode()
    yield "key_twice", data.replace(b'  "mediaType"', b'  "mediaType": "",\n  "mediaType"', 1)
    yield "escaped_character", data.replace(b'"keyid"', b'"key\\u0069d"')
    yield "bytes_after_the_end", data + b"\n"
    yield "byte_order_mark", b"\xef\xbb\xbf" + data
    yield "not_utf8", data.replace(b"mediaType", b"media\xffype")
    yield "not_a_number", data.replace(b'"mediaType":', b'"x": NaN, "mediaType":', 1)
    yield "nested_too_deep", b"[" * 100_000
    yield "list_instead_of_bundle", b"[]\n"
    yield "empty", b""


def _worse(payload: str) -> bytes:
    return base64.b64decode(payload).replace(b'"verdict":"pass"', b'"verdict":"fail"', 1)


def _edited_sample(path: Path) -> bytes:
    table = pq.read_table(path)
    texts = table.column("text").to_pylist()
    texts[5] = texts[5].replace("I", "l", 1)
    column = table.schema.get_field_index("text")
    table = table.set_column(column, table.schema.field("text"), pa.array(texts))
    return _parquet(table)


def _edited_scores(path: Path) -> bytes:
    table = pq.read_table(path)
    values = table.column("value").to_pylist()
    values[0] = 1 - values[0]
    column = table.schema.get_field_index("value")
    return _parquet(table.set_column(column, table.schema.field("value"), pa.array(values)))


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


if __name__ == "__main__":
    main()
