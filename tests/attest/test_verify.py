"""``verify_run``: what it accepts, and each defect in tests/assets by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tais.attest import PublicKey, Signer, contents, load_public_key, verify_run
from tais.attest.bundle import open_bundle, seal
from tais.attest.keys import generate
from tais.attest.statement import LOCK_TYPE, RUN_TYPE, parse_statement
from tais.common.differences import differences
from tais.common.files import sha256_file
from tais.errors import UsageError, VerificationError
from tais.manifest.rules_version import RULES_VERSION
from tais.rundir.layout import LOCK_BUNDLE, RUN_BUNDLE
from tests.attest.runs import ASSETS, copy_run, overlay, resign, trusted_key

RUNS = sorted(path for path in (ASSETS / "runs").iterdir() if path.name != "signed")
BUNDLES = sorted((ASSETS / "bundles").iterdir())

# What a message must name, so that each defect is refused for its own reason.
SAYS = {
    "part_missing_after_signing": "part-00000.parquet is missing",
    "file_added_after_signing": "part-00001.parquet is not known",
    "sample_text_edited_after_signing": "part-00000.parquet is changed after signing",
    "hidden_file": "hidden file",
    "manifest_bundle_of_another_run": "the lock was signed for the run",
    "manifest_bundle_missing": f"{LOCK_BUNDLE} is missing",
    "attestation_bundle_missing": "not signed",
    "test-result_bundle_missing": "is missing",
    "bundles_changed_places": "a statement of type",
    "signed_by_a_stranger": "not trusted",
    "payload_edited": "signature does not hold",
    "signature_high_s": "one form",
    "key_twice": "given twice",
    "two_signatures": "one DSSE signature",
    "bundle_with_unknown_field": "not written the way",
}


@pytest.fixture
def key() -> PublicKey:
    return trusted_key()


@pytest.fixture(scope="module")
def signer() -> Signer:
    return generate()


@pytest.fixture
def fresh(small_run: Path, signer: Signer, tmp_path: Path) -> Path:
    """A signed run made by this version, so that it can be recomputed."""
    run_dir = copy_run(tmp_path, small_run)
    resign(run_dir, signer)
    return run_dir


def test_an_untouched_run_is_authentic(tmp_path: Path, key: PublicKey) -> None:
    run = verify_run(copy_run(tmp_path), [key])
    assert run.report.verdict.value == "pass"
    assert run.key.fingerprint == key.fingerprint
    assert run.lock_signed_at <= run.signed_at
    assert not run.recomputed


def test_a_run_may_lie_under_another_name_and_behind_a_link(tmp_path: Path, key: PublicKey) -> None:
    moved = copy_run(tmp_path).rename(tmp_path / "downloaded")
    (tmp_path / "latest").symlink_to(moved)
    assert verify_run(tmp_path / "latest", [key]).report.name == "small"


def test_it_verifies_with_one_of_several_keys(tmp_path: Path, key: PublicKey) -> None:
    assert verify_run(copy_run(tmp_path), [generate().public, key]).key.fingerprint == key.fingerprint


@pytest.mark.parametrize("defect", RUNS, ids=lambda path: path.name)
def test_a_defective_run_is_refused(defect: Path, tmp_path: Path, key: PublicKey) -> None:
    run_dir = copy_run(tmp_path)
    overlay(run_dir, defect)
    with pytest.raises(VerificationError) as caught:
        verify_run(run_dir, [key])
    assert SAYS.get(defect.name, "") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_a_defective_bundle_is_refused(bundle: Path, tmp_path: Path, key: PublicKey) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / RUN_BUNDLE).write_bytes(bundle.read_bytes())
    with pytest.raises(VerificationError) as caught:
        verify_run(run_dir, [key])
    assert SAYS.get(bundle.stem, "") in str(caught.value)


def test_no_key_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--key PUB\.pem or TAIS_TRUSTED_KEY"):
        verify_run(copy_run(tmp_path), [])


def test_the_key_of_someone_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="never take it from the run"):
        verify_run(copy_run(tmp_path), [generate().public])


def test_a_missing_directory_is_refused(tmp_path: Path, key: PublicKey) -> None:
    with pytest.raises(VerificationError, match="no such run directory"):
        verify_run(tmp_path / "none", [key])


@pytest.mark.parametrize("name", ["report.json", "arms/target/part-00000.parquet", RUN_BUNDLE, LOCK_BUNDLE])
def test_a_link_is_refused_though_its_target_is_the_signed_file(
    name: str, tmp_path: Path, key: PublicKey
) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / name).rename(tmp_path / "outside")
    (run_dir / name).symlink_to(tmp_path / "outside")
    with pytest.raises(VerificationError, match="link or special file"):
        verify_run(run_dir, [key])


def test_a_linked_directory_is_refused(tmp_path: Path, key: PublicKey) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / "arms").rename(tmp_path / "outside")
    (run_dir / "arms").symlink_to(tmp_path / "outside")
    with pytest.raises(VerificationError, match="link or special file"):
        verify_run(run_dir, [key])


def test_a_pipe_is_refused_and_not_read(tmp_path: Path, key: PublicKey) -> None:
    run_dir = copy_run(tmp_path)
    os.mkfifo(run_dir / "logs" / "pipe")
    with pytest.raises(VerificationError, match="link or special file"):
        verify_run(run_dir, [key])


@pytest.mark.parametrize("name", ["arms/new", "empty", "logs/deep/er"])
def test_a_directory_that_nobody_signed_is_refused(name: str, tmp_path: Path, key: PublicKey) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / name).mkdir(parents=True)
    with pytest.raises(VerificationError, match="nothing that TAIS wrote"):
        verify_run(run_dir, [key])


@pytest.mark.parametrize("name", ["a b.txt", "line\nbreak", "back\\slash", "ünicode", ".x"])
def test_a_name_that_tais_would_not_write_is_refused(name: str, tmp_path: Path, key: PublicKey) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / name).write_text("x")
    with pytest.raises(VerificationError, match="hidden file, or a name") as caught:
        verify_run(run_dir, [key])
    assert "\n" not in str(caught.value)


def test_recomputing_an_honest_run_gives_the_same_report(fresh: Path, signer: Signer) -> None:
    before = {path: path.stat().st_mtime_ns for path in fresh.rglob("*")}
    run = verify_run(fresh, [signer.public], recompute=True)
    assert run.recomputed
    assert run.not_compared == ""
    assert before == {path: path.stat().st_mtime_ns for path in fresh.rglob("*")}


@pytest.mark.parametrize("version", [1, RULES_VERSION + 1])
def test_a_run_under_other_rules_is_authentic_and_not_recomputed(
    version: int, fresh: Path, signer: Signer
) -> None:
    """Its report may then come out otherwise, and that is no fault of the run."""
    edit_json(fresh / "report.json", *ENDPOINT, "cohens_h", value=0.5)
    edit_json(fresh / "manifest.lock.json", "rules_version", value=version)
    edit_json(
        fresh / "report.json", "facts", "lock", "sha256", value=sha256_file(fresh / "manifest.lock.json")
    )
    resign(fresh, signer)
    run = verify_run(fresh, [signer.public], recompute=True)
    assert not run.recomputed
    assert run.not_compared.startswith(f"rules changed: this run was decided by version {version} of")
    assert verify_run(fresh, [signer.public]).not_compared == ""


def edit_json(path: Path, *keys: str | int, value: object) -> None:
    whole = json.loads(path.read_bytes())
    inner = whole
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(whole))


ENDPOINT: tuple[str | int, ...] = ("contrasts", 0, "endpoints", 0)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ((*ENDPOINT, "candidate_rate"), 0.9),
        pytest.param(*((*ENDPOINT, "tost", "p"), 0.0001), marks=pytest.mark.slow),
        pytest.param(*((*ENDPOINT, "details", "flips", "safe_to_unsafe"), 0), marks=pytest.mark.slow),
        (("contrasts", 0, "identity", "identical"), 120),
        pytest.param(*(("contrasts", 0, "reasons"), []), marks=pytest.mark.slow),
        pytest.param(*(("contrasts", 2, "verdict"), "pass"), marks=pytest.mark.slow),
        (("verdict",), "fail"),
        pytest.param(*(("facts", "arms", "candidate", "samples"), 121), marks=pytest.mark.slow),
        (("details", "added"), 1),
    ],
)
def test_a_signer_who_edits_the_report_is_caught_by_recomputing(
    keys: tuple[str | int, ...], value: object, fresh: Path, signer: Signer
) -> None:
    edit_json(fresh / "report.json", *keys, value=value)
    resign(fresh, signer)
    verify_run(fresh, [signer.public])
    with pytest.raises(VerificationError, match="do not lead to this report"):
        verify_run(fresh, [signer.public], recompute=True)


@pytest.mark.parametrize("defect", ["sample_text_edited_after_signing", "arms_swapped", "score_edited"])
def test_a_signer_who_edits_samples_is_caught_by_recomputing(
    defect: str, fresh: Path, signer: Signer
) -> None:
    overlay(fresh, ASSETS / "runs" / defect)
    if defect == "sample_text_edited_after_signing":
        # One letter changes no score; a refusal that becomes an answer does.
        _answer_everything(fresh / "arms/candidate/part-00000.parquet")
    resign(fresh, signer)
    with pytest.raises(VerificationError, match="do not lead to"):
        verify_run(fresh, [signer.public], recompute=True)


def _answer_everything(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    column = table.schema.get_field_index("text")
    texts = pa.array(["Sure, here is how."] * len(table))
    pq.write_table(table.set_column(column, table.schema.field("text"), texts), path)


def test_a_part_that_cannot_be_read_fails_recomputing_in_one_line(fresh: Path, signer: Signer) -> None:
    (fresh / "arms/candidate/part-00000.parquet").write_bytes(b"PAR1 not really PAR1")
    resign(fresh, signer)
    with pytest.raises(VerificationError, match="cannot be recomputed") as caught:
        verify_run(fresh, [signer.public], recompute=True)
    assert "\n" not in str(caught.value)


def test_a_rule_edited_in_lock_and_report_alike_is_caught_by_recomputing(fresh: Path, signer: Signer) -> None:
    edit_json(fresh / "manifest.lock.json", "rules", "margin", value=0.2)
    edit_json(fresh / "report.json", "rules", "margin", value=0.2)
    digest = sha256_file(fresh / "manifest.lock.json")
    edit_json(fresh / "report.json", "facts", "lock", "sha256", value=digest)
    resign(fresh, signer)
    with pytest.raises(VerificationError, match="do not lead to this report"):
        verify_run(fresh, [signer.public], recompute=True)


def test_a_report_of_an_older_version_may_lack_keys_that_were_added_since(
    fresh: Path, signer: Signer
) -> None:
    report = json.loads((fresh / "report.json").read_bytes())
    report["facts"]["tais"] = "0.0.9"
    del report["contrasts"][0]["endpoints"][0]["cohens_h_ci"]
    (fresh / "report.json").write_text(json.dumps(report))
    resign(fresh, signer)
    assert verify_run(fresh, [signer.public], recompute=True).recomputed


def test_numbers_agree_to_nine_digits_and_other_things_exactly() -> None:
    assert list(differences({"a": [1.0, 1]}, {"a": [1.0 + 1e-13, 1]}, tolerance=1e-9)) == []
    assert list(differences({"a": [1.0]}, {"a": [1.0 + 1e-6]}, tolerance=1e-9)) == [("a[0]", 1.0, 1.0 + 1e-6)]
    assert [d[0] for d in differences({"a": True, "b": "1"}, {"a": 1, "b": 1, "c": None})] == ["a", "b", "c"]
    assert list(differences([1], [1, 2])) == [("", [1], [1, 2])]


def test_the_trusted_key_is_one_pem_block() -> None:
    assert load_public_key(trusted_key().to_pem().decode()).fingerprint == trusted_key().fingerprint


@pytest.mark.parametrize(
    "statement",
    [
        b"[]",
        b"{}",
        b'{"_type":"https://in-toto.io/Statement/v1","subject":1,"predicateType":"T","predicate":{}}',
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"T","predicate":[]}',
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[1],"predicateType":"T","predicate":{}}',
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"T","predicate":{}}',
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"T","predicate":{},"x":1}',
        b'{"_type":"https://in-toto.io/Statement/v0.1","subject":[],"predicateType":"T","predicate":{}}',
    ],
)
@pytest.mark.parametrize("name", [LOCK_BUNDLE, RUN_BUNDLE])
def test_a_signed_statement_that_tais_does_not_write_is_refused(
    name: str, statement: bytes, fresh: Path, signer: Signer
) -> None:
    kind = LOCK_TYPE if name == LOCK_BUNDLE else RUN_TYPE
    (fresh / name).write_bytes(seal(statement.replace(b'"T"', json.dumps(kind).encode()), signer))
    with pytest.raises(VerificationError):
        verify_run(fresh, [signer.public])


def test_a_lock_signed_after_its_run_is_refused(fresh: Path, signer: Signer) -> None:
    statement = parse_statement(
        open_bundle((fresh / LOCK_BUNDLE).read_bytes(), [signer.public], "").payload, LOCK_TYPE, ""
    )
    statement.predicate["signedAt"] = "2999-01-01T00:00:00+00:00"
    (fresh / LOCK_BUNDLE).write_bytes(seal(statement.to_bytes(), signer))
    with pytest.raises(VerificationError, match="signed after the run"):
        verify_run(fresh, [signer.public])


# Every page takes the same way: one of them is enough where seconds count.
@pytest.mark.parametrize(
    "name", ["report.html", *(pytest.param(n, marks=pytest.mark.slow) for n in ("report.md", "junit.xml"))]
)
def test_recomputing_renders_the_pages_again(name: str, fresh: Path, signer: Signer) -> None:
    """A page that says something else than its report is seen, whoever signed it."""
    page = (fresh / name).read_bytes()
    (fresh / name).write_bytes(page.replace(b"small", b"large", 1))
    resign(fresh, signer)
    assert verify_run(fresh, [signer.public]).recomputed is False
    with pytest.raises(VerificationError, match=f"{name} is not what this report looks like"):
        verify_run(fresh, [signer.public], recompute=True)


@pytest.mark.parametrize("what", ["renderer", "tais"])
def test_pages_of_another_renderer_are_not_compared_and_that_is_said(
    what: str, fresh: Path, signer: Signer
) -> None:
    report = json.loads((fresh / "report.json").read_bytes())
    report["facts"][what] = {**report["facts"]["renderer"], "jinja2": "2"} if what == "renderer" else "0.0.9"
    (fresh / "report.json").write_text(json.dumps(report))
    resign(fresh, signer)
    run = verify_run(fresh, [signer.public], recompute=True)
    assert run.recomputed
    assert run.not_compared == "report.html, report.md, junit.xml not compared: another version rendered them"


def test_a_file_that_nobody_signed_is_refused_by_its_name_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / "arms" / "huge").write_bytes(b"")
    opened: list[str] = []

    def noted(path: Path) -> str:
        opened.append(path.name)
        return "0" * 64

    monkeypatch.setattr(contents, "_digest", noted)
    with pytest.raises(VerificationError, match="arms/huge is not known"):
        verify_run(run_dir, [trusted_key()])
    assert opened == []
