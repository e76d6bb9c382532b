"""The sample report that is kept: authentic under the key beside it, and small."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tais.attest import load_public_key, verify_run
from tais.study.report import StudyReport
from tais.study.summary import read_run
from tais.verdict.report import Verdict
from tests.conftest import ROOT

SAMPLE = ROOT / "reports" / "sample"
STUDY = SAMPLE / "paper-mini"


def study() -> StudyReport:
    return StudyReport.model_validate_json((STUDY / "study.json").read_bytes())


def kept() -> Path:
    (run_dir,) = (SAMPLE / "mini-audit-only").iterdir()
    return run_dir


def test_the_run_is_authentic_under_the_key_beside_it() -> None:
    found = verify_run(kept(), [load_public_key(str(SAMPLE / "tais.pub"))])
    assert found.report.verdict is Verdict.passed


def test_the_study_names_this_run_and_reads_it_so() -> None:
    (entry,) = [run for run in study().runs if run.name == "mini-audit-only"]
    raw = (kept() / "report.json").read_bytes()
    assert entry.run == kept().name
    assert entry.report_sha256 == hashlib.sha256(raw).hexdigest()
    assert entry == read_run(entry.manifest, kept())


def test_every_manifest_ran_and_every_control_was_caught() -> None:
    told = study()
    assert told.verdict is Verdict.passed
    assert [run.name for run in told.runs] == ["mini-pair", "mini-dtypes", "mini-audit-only"]
    assert all(run.signed for run in told.runs)
    (controls,) = [row for row in told.rows if row.question == "The drafts without a target are seen"]
    assert controls.ours == "4 of 4 caught"


def test_the_page_of_the_study_says_what_the_sample_says() -> None:
    page = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    rows = {row.question: row.ours for row in study().rows}
    assert rows["The dtype alone, bfloat16 against float16"] == "96.15 % identical (500 of 520)"
    assert rows["1, 3, 5, 8 and 12 drafted tokens"] == "100.00 % identical (2,600 of 2,600)"
    assert rows["How many endpoints are equivalent within 3 points"] == "20 of 20 endpoints within the margin"
    for figure in ("96.15 % (500 of 520)", "2,600 of 2,600", "20 of 20 endpoints", "at most 2.28 %"):
        assert figure in page
    assert "at most 2.28 %" in rows["A target that is too large to run twice"]
    answers = sum(run.samples or 0 for run in study().runs)
    assert f"{answers:,} answers" in page


def test_it_is_small_and_holds_no_private_key() -> None:
    files = [file for file in SAMPLE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 3_000_000
    assert not [file for file in files if file.suffix == ".key"]
    assert json.loads((kept() / "report.json").read_text(encoding="utf-8"))["schema"] == "tais/report/v1"
