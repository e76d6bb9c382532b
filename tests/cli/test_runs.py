"""Runs are found again: by folder, by ``latest``, in a list, in a browser, on one page over many."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tais.report.html.overview import Overview, OverviewRun, Point, Series, render_overview
from tais.verdict.report import Verdict
from tests.attest.runs import SIGNED, TRUSTED
from tests.conftest import Tais
from tests.report.browser import Browser, find_chromium
from tests.report.factory import HOSTILE


@pytest.fixture
def reports(tmp_path: Path, small_run: Path) -> Path:
    """Three runs of which the newest is not finished; the second newest is signed."""
    folder = tmp_path / "reports"
    shutil.copytree(small_run, folder / "small" / "20260101T000000000000Z")
    shutil.copytree(SIGNED, folder / "small" / "20260102T000000000000Z")
    unfinished = shutil.copytree(small_run, folder / "other" / "20260103T000000000000Z")
    for made in ("report.json", "report.html"):
        (unfinished / made).unlink()
    return folder


def test_every_command_that_takes_a_run_takes_a_folder_or_latest(tais: Tais, reports: Path) -> None:
    newest = reports / "small" / "20260102T000000000000Z"
    trusted = ("--trusted-key", TRUSTED)
    lines = [
        *(("report", named, "--format", "junit") for named in ("latest", reports, reports / "small")),
        *((command, named, *trusted) for command in ("verify", "gate") for named in ("latest", reports)),
        ("policy", "strict", "--from", "latest", *trusted),
        ("compare", "latest", "latest", "--reference", "target", "--candidate", "target", "--out", "made"),
        ("audit", "latest", "--manifest", "none.yaml", "--reference", "target"),
        ("adjudicate", "export", "latest", "--out", "flips.csv"),
        ("adjudicate", "import", "latest", "flips.csv"),
        ("open", "latest"),
    ]
    said = {" ".join(map(str, line[:3])): tais(*line).stderr for line in lines}
    shown = {str(newest), str(newest.relative_to(reports.parent))}
    assert [line for line, words in said.items() if not any(f"run: {n}\n" in words for n in shown)] == []


def test_what_is_no_run_says_so(tais: Tais, reports: Path) -> None:
    done = tais("report", reports / "other")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "other: no finished run below this folder, 1 unfinished. Finish one with tais run --resume"
        in done.stderr
    )
    # What lacks its lock is a damaged run and no folder of runs, whatever lies in it.
    damaged = reports / "small" / "20260101T000000000000Z"
    (damaged / "manifest.lock.json").unlink()
    shutil.copytree(SIGNED, damaged / "arms" / "nested")
    done = tais("verify", damaged, "--trusted-key", TRUSTED)
    assert done.returncode == 5
    shutil.rmtree(reports)
    done = tais("report", "latest")
    assert done.returncode == 2
    assert "reports: no run here" in done.stderr


def test_runs_are_listed_for_machines(tais: Tais, reports: Path) -> None:
    done = tais("runs")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert sorted(row[2] for row in rows) == ["pass", "pass", "this run is not finished"]
    assert {row[1] for row in rows} == {"small"}
    assert {row[4] for row in rows} == {"unsigned", _fingerprint()}
    assert all((reports.parent / row[5]).is_dir() for row in rows)
    assert tais("runs", "nowhere").returncode == 2


def _fingerprint() -> str:
    from tais.attest import load_public_key

    return load_public_key(str(TRUSTED)).fingerprint[:16]


def test_open_names_the_page_and_opens_it(
    tais: Tais, reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = reports / "small" / "20260101T000000000000Z"
    done = tais("open", run, "--print")
    assert (done.returncode, done.stdout) == (0, f"{run / 'report.html'}\n")
    asked: list[str] = []
    monkeypatch.setattr("webbrowser.open", asked.append)
    assert tais("open", run).stdout == done.stdout
    assert asked == [(run / "report.html").as_uri()]
    assert tais("open", SIGNED).returncode == 2


def test_one_page_shows_many_runs(tais: Tais, reports: Path) -> None:
    done = tais("view")
    assert done.returncode == 0, done.stderr
    page = (reports / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(\w+/[^"]*)"', page)
    # The signed run keeps no page.
    assert len(links) == 1
    assert (reports / links[0]).is_file()
    # The signed run is older than strata, so its endpoint is another.
    assert page.count("small: candidate against target, mine / refusal: 1 run<") == 1
    assert "<svg" not in page
    assert "this run is not finished" in page
    shutil.copytree(reports / links[0].split("/report")[0], reports / "small" / "again")
    assert tais("view", "--out", "page.html").returncode == 0
    page = (reports.parent / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert ": 2 runs" in page
    assert all((reports.parent / link).is_file() for link in re.findall(r'href="(r[^"]*)"', page))
    # The signed run has no room for another file.
    assert tais("view", SIGNED).returncode == 2
    for inside in (SIGNED, SIGNED / "arms"):
        assert tais("view", reports, "--out", inside / "index.html").returncode == 2


def test_a_report_that_was_tampered_with_stops_no_list(tais: Tais, reports: Path) -> None:
    signed = reports / "small" / "20260102T000000000000Z"
    report = signed / "report.json"
    told = json.loads(report.read_text(encoding="utf-8"))
    # A time without a zone cannot be put in order with others.
    told["facts"]["run"]["started"] = "2026-01-02T00:00:00"
    report.write_text(json.dumps(told), encoding="utf-8")
    (signed / "attestation.sigstore.json").write_text("{}", encoding="utf-8")
    done = tais("runs")
    assert done.returncode == 0, done.stderr
    found = {line.split("\t")[5]: line.split("\t") for line in done.stdout.splitlines()}
    assert found[str(signed.relative_to(reports.parent))][2:5:2] == ["its report is damaged", "signed"]
    assert tais("view").returncode == 0
    assert "<td>signed</td>" in (reports / "index.html").read_text(encoding="utf-8")


def _hostile() -> Overview:
    runs = [
        OverviewRun(text, text, None, Verdict.failed, 1, text, None, f"{text}/report.html")
        for text in HOSTILE.values()
    ]
    point = Point("run", None, Verdict.failed, 100, 0.5, (0.4, 0.6), 0.9, None)
    series = [Series(text, text, text, text, (point, point)) for text in HOSTILE.values()]
    return Overview(HOSTILE["script"], tuple(runs), tuple(series))


def test_a_page_over_hostile_runs_is_plain_text() -> None:
    page = render_overview(_hostile())
    assert not {"<script", "<img", "\u202e", "\x1b"} & {
        page[i : i + n] for i in range(len(page)) for n in (1, 4, 7)
    }
    assert not [line for line in page.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    assert not re.search(r'href="(?:javascript|https?):', page)


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on the PATH")
def test_the_page_over_many_runs_fits_in_a_browser(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(render_overview(_hostile()), encoding="utf-8")
    executable = find_chromium()
    assert executable is not None
    with Browser(executable) as browser:
        for width in (1280, 390):
            browser.open(path, width=width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate("typeof window.hacked") == "undefined"
        assert browser.complaints == []
        if folder := os.environ.get("TAIS_SCREENSHOTS"):
            browser.screenshot(Path(folder) / "overview.png")
