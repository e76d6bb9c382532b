"""What is signed: in-toto Statements v1 about a lock, a run and, for other policy engines, a test result.

Each statement is a function of files and a time, so that a verifier builds it again and compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from tais.attest.bundle import Json, strict_json
from tais.errors import Place, VerificationError
from tais.manifest.model import Role
from tais.rundir.layout import ITEMS, LOCK, LOCK_BUNDLE, REPORT
from tais.rundir.lock_model import Lock, LockedFolder, LockedModel
from tais.verdict.facts import Facts

__all__ = [
    "LOCK_TYPE",
    "RUN_TYPE",
    "STATEMENT_TYPE",
    "TEST_TYPE",
    "Statement",
    "lock_statement",
    "parse_statement",
    "run_statement",
    "test_statement",
]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
# A URN promises no page that a third party could put up; in-toto asks for a URI, not for an address.
LOCK_TYPE = "urn:tais:lock:v1"
RUN_TYPE = "urn:tais:equivalence-report:v1"
TEST_TYPE = "https://in-toto.io/attestation/test-result/v0.1"

_RESULT = {"pass": "PASSED", "inconclusive": "WARNED", "fail": "FAILED"}
_ENDPOINT = (
    "battery",
    "scorer",
    "kind",
    "n",
    "clusters",
    "reference_rate",
    "candidate_rate",
    "difference",
    "tost",
    "cohens_h",
    "verdict",
)
# Of what an endpoint is (its expectation, what showed it able to fail), as far as its report says: reports of
# older rules do not, and their statements stay what they were.
_ENDPOINT_SINCE = ("stratum", "sensitivity", "adjusted_p")
_CONTRAST = ("reference", "candidate", "role", "lossless", "evidence", "verdict", "reasons", "treatment")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto Statement v1."""

    type: str
    subjects: list[Json]
    predicate: Json

    def to_bytes(self) -> bytes:
        """Return the payload that is signed; these bytes are stored and never made again."""
        value = {
            "_type": STATEMENT_TYPE,
            "subject": self.subjects,
            "predicateType": self.type,
            "predicate": self.predicate,
        }
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def parse_statement(payload: bytes, kind: str, file: str) -> Statement:
    """Read a payload as a statement of one predicate type and nothing else.

    Raises
    ------
    VerificationError
        When it is another, or holds a field that statements do not have.
    """
    value = strict_json(payload, file)
    keys = {"_type", "subject", "predicateType", "predicate"}
    if not isinstance(value, dict) or value.keys() != keys or value["_type"] != STATEMENT_TYPE:
        raise VerificationError("the payload is no in-toto Statement v1", place=Place(file))
    if value["predicateType"] != kind:
        said = str(value["predicateType"])[:100]
        raise VerificationError(f"a statement of type {said!r}, not {kind!r}", place=Place(file))
    if not isinstance(value["subject"], list) or not isinstance(value["predicate"], dict):
        raise VerificationError("the payload is no in-toto Statement v1", place=Place(file))
    return Statement(kind, value["subject"], value["predicate"])


def lock_statement(files: Mapping[str, str], run_id: str, signed_at: datetime) -> Statement:
    """Return the statement made before the first token: lock and items, and the run that they are for.

    Parameters
    ----------
    files
        sha256 by name; holds at least the lock and the items.
    run_id
        Binds it to one run, so that the lock of another with the same manifest cannot stand in.
    signed_at
        By the signer's clock.
    """
    subjects = [_file(name, files[name]) for name in (ITEMS, LOCK) if name in files]
    return Statement(LOCK_TYPE, subjects, {"run": run_id, "signedAt": _time(signed_at)})


def run_statement(
    files: Mapping[str, str], lock: Lock, report: Json, lock_bundle: str, signed_at: datetime
) -> Statement:
    """Return the statement about a finished run, with its verdict in full.

    Parameters
    ----------
    files
        sha256 of every file but the bundles, by name.
    lock, report
        As read from the files of these digests.
    lock_bundle
        sha256 of the lock's own bundle.
    signed_at
        By the signer's clock.
    """
    facts = Facts.model_validate(report.get("facts", {}))
    predicate = {
        "name": report["name"],
        "run": facts.run.id,
        "ended": facts.run.ended,
        "tais": facts.tais,
        "signedAt": _time(signed_at),
        "verdict": report["verdict"],
        "reasons": report.get("reasons", []),
        "rules": report["rules"],
        "contrasts": [_contrast(contrast) for contrast in report.get("contrasts", [])],
        "batteries": [{"name": b.name, "items": b.items, "digest": b.digest} for b in lock.batteries],
        "report": _file(REPORT, files[REPORT]),
        "lock": _file(LOCK, files[LOCK]),
        "lockBundle": _file(LOCK_BUNDLE, lock_bundle),
    }
    ledger = facts.run.ledger
    if ledger is not None and ledger.asked is not None:
        # Its head when the run began: what is cut off later is missed. Older reports lack it.
        said = {"line": ledger.line, "asked": ledger.asked, "attempts": len(ledger.attempts)}
        predicate["ledger"] = said
    if report.get("adjudication") is not None:
        predicate["adjudication"] = report["adjudication"]
    return Statement(RUN_TYPE, _subjects(files, lock), predicate)


def test_statement(files: Mapping[str, str], lock: Lock, report: Json) -> Statement:
    """Return the same verdict as a test result: passed, warned (inconclusive) or failed."""
    tests: dict[str, list[str]] = {"pass": [], "inconclusive": [], "fail": []}
    for name, verdict in _tests(report):
        tests[verdict].append(name)
    predicate = {
        "result": _RESULT[report["verdict"]],
        "configuration": [_file(LOCK, files[LOCK])],
        "passedTests": tests["pass"],
        "warnedTests": tests["inconclusive"],
        "failedTests": tests["fail"],
    }
    return Statement(TEST_TYPE, _subjects(files, lock), predicate)


def _contrast(contrast: Json) -> Json:
    # Reasons and endpoints may be absent in a report; whatever else is read here stands in each.
    picked = {key: contrast.get(key, []) for key in _CONTRAST}
    identity = {key: contrast["identity"][key] for key in ("n", "identical", "rate")}
    endpoints = [_endpoint(endpoint) for endpoint in contrast.get("endpoints", [])]
    return {**picked, "identity": identity, "endpoints": endpoints}


def _endpoint(endpoint: Json) -> Json:
    since = {key: endpoint[key] for key in _ENDPOINT_SINCE if key in endpoint}
    return {**{key: endpoint[key] for key in _ENDPOINT}, **since, "reasons": endpoint.get("reasons", [])}


def _tests(report: Json) -> Iterator[tuple[str, str]]:
    """Yield test names and verdicts; a positive control passes its test when it was caught."""
    for contrast in report.get("contrasts", []):
        name = f"{contrast['role']}: {contrast['candidate']} against {contrast['reference']}"
        verdict = contrast["verdict"]
        if contrast["role"] == "positive_control":
            yield name, "pass" if verdict == "fail" else "inconclusive"
            continue
        if contrast["role"] == "calibration":
            yield name, "pass" if verdict == "pass" else "inconclusive"
            continue
        yield name, verdict
        for endpoint in contrast.get("endpoints", []):
            # Items to refuse and items to answer are tests of their own; no battery's name holds a slash.
            parts = endpoint["battery"], endpoint.get("stratum"), endpoint["scorer"]
            yield f"{name}: {'/'.join(filter(None, parts))}", endpoint["verdict"]


def _subjects(files: Mapping[str, str], lock: Lock) -> list[Json]:
    """Return all files, then the models of the candidate stacks as the lock fixes them."""
    subjects = [_file(name, digest) for name, digest in sorted(files.items())]
    candidates = {c.candidate for c in lock.contrasts if c.role is Role.screen}
    for arm in sorted(candidates):
        stack = lock.arms[arm]
        subjects += _model(f"weights:{arm}/model", stack.model, stack.revision)
        subjects += _model(f"weights:{arm}/draft", stack.draft, stack.draft_revision)
    return subjects


def _model(name: str, model: LockedModel, revision: str | None) -> Iterator[Json]:
    """Yield a model's files, or the commit of one that was named by its repository."""
    if isinstance(model, LockedFolder):
        for file, digest in sorted(model.files.items()):
            yield _file(f"{name}/{file}", digest)
    elif model is not None and revision is not None and _COMMIT.fullmatch(revision):
        uri = f"pkg:huggingface/{model}@{revision}"
        yield {"name": name, "uri": uri, "digest": {"gitCommit": revision}}


def _file(name: str, digest: str) -> Json:
    return {"name": name, "digest": {"sha256": digest}}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
