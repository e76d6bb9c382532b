"""``tais study``: a folder of manifests, run in order, resumed after a kill, told in one report."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NoReturn

import pytest
from ruamel.yaml import YAML

from tais.battery.definition import Source
from tais.errors import ManifestError, MissingData, Place
from tais.manifest.load import find_manifest, load_manifest
from tais.manifest.model import Role
from tais.study.definition import find_folder, load_study
from tais.study.html import render_study_html
from tais.study.markdown import render_study_markdown, study_lines
from tais.study.report import StudyContrast, StudyReport, StudyRow, StudyRun
from tais.study.summary import exit_code_of
from tais.verdict.report import Verdict
from tests.conftest import FAKE, ROOT, SPECULATION, Screen, Tais, environment, finish, hear_interrupts
from tests.report.factory import HOSTILE

pytestmark = pytest.mark.slow

PAPER = sorted((ROOT / "manifests" / "paper").glob("[0-9]*.yaml"))
MINI = sorted((ROOT / "manifests" / "paper-mini").glob("[0-9]*.yaml"))


class Folder:
    """Two manifests of fakes over one battery, and a study file."""

    def __init__(self, path: Path, screen: Screen) -> None:
        self.path = path / "study"
        self.path.mkdir()
        self.out = path / "out"
        self.study: dict[str, Any] = {
            "name": "both",
            "title": "Two pairs",
            "source": "somewhere, 2026",
            "questions": [
                {
                    "question": "Strict verification",
                    "published": "90.66 %",
                    "source": "section 4",
                    "show": "identity",
                    "contrasts": [
                        {"manifest": stem, "reference": "target", "candidate": "spec"}
                        for stem in ("1-a", "2-b")
                    ],
                },
                {
                    "question": "Controls",
                    "show": "caught",
                    "contrasts": [{"manifest": "1-a", "reference": "target", "candidate": "leaky"}],
                },
            ],
        }
        self.arms: dict[str, dict[str, Any]] = {
            stem: {
                "target": dict(FAKE),
                "again": {"extends": "target", "order": "shuffled"},
                "spec": {"extends": "target", "speculative_config": dict(SPECULATION)},
                "leaky": {**FAKE, "engine_args": {"leak": 0.5}},
            }
            for stem in ("1-a", "2-b")
        }
        self.battery = str(screen.folder / "mine.yaml")
        self.write()

    def write(self) -> None:
        contrasts = [
            {"reference": "target", "candidate": "spec"},
            {"reference": "target", "candidate": "again", "role": "calibration"},
            {"reference": "target", "candidate": "leaky", "role": "positive_control"},
        ]
        for stem, arms in self.arms.items():
            data = {
                "name": f"fake-{stem}",
                "arms": arms,
                "contrasts": contrasts,
                "batteries": [{"name": "mine", "path": self.battery}],
                "sampling": {"max_tokens": 80},
            }
            with (self.path / f"{stem}.yaml").open("w", encoding="utf-8") as file:
                YAML().dump(data, file)
        with (self.path / "study.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(self.study, file)

    def run_dirs(self, stem: str) -> list[Path]:
        return sorted(path.parent for path in self.out.glob(f"fake-{stem}/*/manifest.lock.json"))

    def report(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.out / "both" / "study.json").read_text(encoding="utf-8"))
        return loaded


@pytest.fixture
def folder(tmp_path: Path, screen: Screen) -> Folder:
    return Folder(tmp_path, screen)


def run(tais: Tais, folder: Folder, *arguments: object, code: int = 0, **variables: str) -> str:
    done = tais("study", folder.path, "--out", folder.out, *arguments, **variables)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_study_is_its_signed_runs_and_one_report_of_them(
    tais: Tais, folder: Folder, tmp_path: Path
) -> None:
    tais("keygen", "--out", tmp_path / "keys")
    out = run(tais, folder, "--key", tmp_path / "keys" / "tais.key", TAIS_UNSIGNED="")
    assert out.splitlines()[-1] == f"pass\t{folder.out / 'both'}"
    report = folder.report()
    assert (report["schema"], report["verdict"], report["exit_code"]) == ("tais/study/v1", "pass", 0)
    assert [row["ours"] for row in report["rows"]] == ["100.00 % identical (240 of 240)", "1 of 1 caught"]
    assert [row["verdict"] for row in report["rows"]] == ["pass", "pass"]
    assert report["rows"][0]["published"] == "90.66 %"
    for stem, entry in zip(("1-a", "2-b"), report["runs"], strict=True):
        (run_dir,) = folder.run_dirs(stem)
        assert entry["run"] == run_dir.name
        own = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
        assert entry["verdict"] == own["verdict"]
        for ours, theirs in zip(entry["contrasts"], own["contrasts"], strict=True):
            assert ours["identical"] == theirs["identity"]["identical"]
            assert ours["largest_difference"] == theirs["endpoints"][0]["difference"]
            assert ours["largest_h"] == abs(theirs["endpoints"][0]["cohens_h"])
    page = (folder.out / "both" / "study.html").read_text(encoding="utf-8")
    assert "90.66 % (section 4)" in page
    assert 'role="img" aria-label="Identical answers. spec against target: 120 of 120, pass;' in page
    assert f'href="../fake-1-a/{folder.run_dirs("1-a")[0].name}/report.html"' in page
    words = (folder.out / "both" / "study.md").read_text(encoding="utf-8")
    line = "| Strict verification | 90.66 % (section 4) | 100.00 % identical (240 of 240) | ✅ pass |"
    assert line in words
    assert all(entry["signed"] for entry in report["runs"])
    checked = tais(
        "verify", folder.run_dirs("2-b")[0], "--key", tmp_path / "keys" / "tais.pub", "--recompute"
    )
    assert checked.returncode == 0, checked.stderr
    # Told again without an arm, byte for byte.
    before = {file.name: file.read_bytes() for file in (folder.out / "both").iterdir()}
    run(tais, folder, "--resume", "--key", tmp_path / "keys" / "tais.key", TAIS_UNSIGNED="")
    assert {file.name: file.read_bytes() for file in (folder.out / "both").iterdir()} == before
    assert len(folder.run_dirs("1-a")) == len(folder.run_dirs("2-b")) == 1


def test_a_run_that_fails_leaves_the_others_alone_and_a_fail_is_the_worst(tais: Tais, folder: Folder) -> None:
    folder.arms["1-a"]["spec"]["engine_args"] = {"refuse_start": "no room <b>today</b>"}
    folder.arms["2-b"]["spec"]["engine_args"] = {"leak": 0.4}
    folder.write()
    run(tais, folder, code=1)
    report = folder.report()
    assert (report["verdict"], report["exit_code"]) == (None, 1)
    assert "no room <b>today</b>" in report["runs"][0]["error"]
    assert report["runs"][0]["exit_code"] == 4
    assert report["runs"][1]["verdict"] == "fail"
    assert report["rows"][0]["verdict"] is None
    assert "<b>today" not in (folder.out / "both" / "study.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_manifests_with_the_same_target_share_its_arm_through_a_cache(
    tais: Tais, folder: Folder, tmp_path: Path
) -> None:
    run(tais, folder, "--cache", tmp_path / "cache")
    (first,), (second,) = (folder.run_dirs(stem) for stem in ("1-a", "2-b"))
    origins = {p.parent.name: json.loads(p.read_text())["run"] for p in second.glob("arms/*/origin.json")}
    # All but the candidate of the calibration, which always runs.
    assert origins == dict.fromkeys(("target", "spec", "leaky"), first.name)
    assert not list(first.glob("arms/*/origin.json"))


@pytest.mark.slow
def test_a_study_goes_on_after_a_kill(tais: Tais, folder: Folder) -> None:
    slow = folder.arms["2-b"]["again"]
    slow["engine_args"] = {"delay": 0.15}
    folder.write()
    process = subprocess.Popen(
        [sys.executable, "-m", "tais", "study", str(folder.path), "--out", str(folder.out), "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=hear_interrupts,
    )
    deadline = time.monotonic() + 120
    while not list(folder.out.glob("fake-2-b/*/arms/again/engine.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    code, err = finish(process, signal.SIGINT)
    assert code == 130, err
    assert "Continue with --resume" in err
    half = folder.report()
    assert half["verdict"] is None
    assert [entry["run"] is None for entry in half["runs"]] == [False, True]
    assert half["rows"][0]["ours"] == "100.00 % identical (120 of 120) (1 of 2 contrasts not run)"
    first = folder.run_dirs("1-a")[0] / "report.json"
    written = first.stat().st_mtime_ns
    # Another limit is another run, which nothing can resume.
    run(tais, folder, "--resume", "--limit", 120, code=2)
    run(tais, folder, "--resume")
    assert first.stat().st_mtime_ns == written
    assert len(folder.run_dirs("2-b")) == 1
    assert folder.report()["verdict"] == "pass"


def some(code: int | None) -> StudyRun:
    return StudyRun(manifest="m", name="m", run=None, verdict=None, exit_code=code)


@pytest.mark.parametrize(
    ("codes", "worst"),
    [([0, 0], 0), ([0, 3], 3), ([3, 4], 4), ([4, 1, 3], 1), ([0, None], 4), ([1, 130], 130)],
)
def test_exit_codes(codes: list[int | None], worst: int) -> None:
    assert exit_code_of([some(code) for code in codes]) == worst


def test_the_plan_of_a_study_starts_nothing(tais: Tais, folder: Folder) -> None:
    out = run(tais, folder, "--plan")
    assert out.splitlines()[-1] == "2 manifests, 8 arms, 960 answers in all"
    assert not folder.out.exists()


class Tags(HTMLParser):
    """Every tag with each of its attributes, and one entry for the tag itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, "", ""), *((tag, name, value or "") for name, value in attrs)]


def hostile(text: str) -> StudyReport:
    contrast = StudyContrast(
        reference=text,
        candidate=text,
        role=Role.screen,
        lossless=True,
        evidence="matched",
        verdict=Verdict.passed,
        n=3,
        identical=2,
        identical_wilson=(0.2, 0.9),
        endpoints=1,
        equivalent=1,
        passed=1,
        largest_difference=0.01,
        largest_difference_of=text,
        largest_h=0.02,
        draft_tokens=None,
        accepted_tokens=None,
    )
    told = StudyRun(
        manifest=text, name=text, run=text, verdict=Verdict.passed, exit_code=0, contrasts=(contrast,)
    )
    failed = StudyRun(manifest=text, name=text, run=None, verdict=None, error=text, exit_code=4)
    row = StudyRow(
        question=text, published=text, source=text, remark=text, ours=text, verdict=None, contrasts=(text,)
    )
    return StudyReport(
        name=text,
        title=text,
        source=text,
        verdict=None,
        exit_code=4,
        tais=text,
        rows=(row,),
        runs=(told, failed),
    )


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_stay_texts(kind: str) -> None:
    report = hostile(HOSTILE[kind].encode("utf-8", "replace").decode())
    page = render_study_html(report)
    tags = Tags()
    tags.feed(page)
    assert not {"script", "img", "iframe", "object", "form", "base"} & {tag for tag, _, _ in tags.found}
    assert not [name for _, name, _ in tags.found if name.startswith("on") or name in ("style", "src")]
    links = [value for _, name, value in tags.found if name == "href"]
    assert all(value.startswith(("#", "../")) for value in links)
    policy = next(
        value for tag, name, value in tags.found if tag == "meta" and value.startswith("default-src")
    )
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert not re.search(r"^\s*::|##\[", page, re.MULTILINE)
    words = render_study_markdown(report)
    assert "<script" not in words
    assert "](" not in words
    assert not re.search(r"^\s*::|##\[", words, re.MULTILINE)


def test_lines_for_the_terminal_name_every_row_and_run() -> None:
    lines = list(study_lines(hostile("x")))
    assert lines == ["x: published x; ours x; not decided", "x: pass", "x: x"]


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_every_manifest_of_the_paper_can_be_planned_without_data_or_network(
    tais: Tais, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = tais("plan", path)
    assert done.returncode == 0, done.stderr
    assert "of 953 samples" in done.stdout
    assert "not here: source.path" in done.stdout
    assert "not looked up:" in done.stdout


def test_a_data_set_of_the_hub_that_does_not_answer_is_named(
    tais: Tais, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(source: Source, roots: object, place: Place, *_: object) -> NoReturn:
        raise MissingData(f"cannot load {source.hub!r} from the hub: no network", place=place)

    monkeypatch.setattr("tais.battery.load.read_hub", unreachable)
    done = tais("plan", "sweep-gpu")
    assert done.returncode == 0, done.stderr
    assert "cannot load 'walledai/AdvBench' from the hub: no network" in " ".join(done.stdout.split())


@pytest.mark.parametrize("path", MINI, ids=lambda path: path.stem)
def test_every_manifest_of_the_mini_study_can_be_planned(tais: Tais, path: Path) -> None:
    done = tais("plan", path)
    assert done.returncode == 0, done.stderr
    assert "not here" not in done.stdout


def test_a_manifest_of_a_study_is_found_by_name_from_anywhere(tmp_path: Path) -> None:
    assert find_manifest(f"paper/{PAPER[0].stem}") == PAPER[0]
    for name in ("paper/../demo", "/paper/x", "paper/nothing"):
        with pytest.raises(ManifestError, match="no such manifest"):
            find_manifest(name)


def test_a_run_still_needs_its_data(tais: Tais) -> None:
    done = tais("run", PAPER[0])
    assert done.returncode == 2
    assert "no file 'paper_batteries/advbench_refusal.yaml'" in done.stderr


def test_the_paper_is_covered_axis_by_axis() -> None:
    pairs = [load_manifest(path) for path in PAPER[:3]]
    for manifest in pairs:
        tokens = {
            arm.speculative_config["num_speculative_tokens"]
            for name, arm in manifest.arms.items()
            if name.startswith("spec_n") and arm.speculative_config
        }
        assert tokens == {1, 3, 5, 8, 12}
        assert {arm.dtype for arm in manifest.arms.values()} == {"float16", "bfloat16"}
        assert {arm.engine_args.get("seed") for arm in manifest.arms.values()} == {None, 123, 456}
        for contrast in manifest.contrasts:
            if contrast.role is Role.calibration:
                assert manifest.is_lossless(contrast)
    assert {
        (m.arms["target"].model, (m.arms["spec_n5"].speculative_config or {})["model"]) for m in pairs
    } == {
        ("unsloth/Llama-3.2-3B-Instruct", "unsloth/Llama-3.2-1B-Instruct"),
        ("Qwen/Qwen2.5-3B-Instruct", "Qwen/Qwen2.5-1.5B-Instruct"),
        ("Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"),
    }
    large = load_manifest(PAPER[4])
    assert [contrast.audit for contrast in large.contrasts] == ["only"]


@pytest.mark.parametrize("name", ["paper", "paper-mini", "manifests/paper"])
def test_studies_that_ship_are_found_by_name(name: str) -> None:
    study = load_study(find_folder(name))
    assert study.definition.questions


def broken() -> Iterator[tuple[dict[str, Any], str]]:
    question = {"question": "q", "show": "identity"}
    one = {"manifest": "1-a", "reference": "target", "candidate": "spec"}
    yield {"questions": [{**question, "contrasts": [{**one, "manifest": "1-b"}]}]}, "no manifest '1-b' beside"
    yield (
        {"questions": [{**question, "contrasts": [{**one, "candidate": "speck"}]}]},
        ("1-a has no contrast of 'speck' against 'target'. Did you mean 'spec against target'?"),
    )
    yield (
        {"questions": [{**question, "show": "size", "contrasts": [one]}]},
        "must be 'identity', 'equivalence'",
    )
    yield {"questions": [{**question, "contrasts": []}]}, "needs at least 1 entries, not 0"
    yield {"name": "fake-1-a"}, "the study and the manifest 1-a have one name"
    yield {"name": "../x"}, "cannot be a name"
    yield {"titel": "x"}, "unknown key 'titel'. Did you mean 'title'?"


@pytest.mark.parametrize(("change", "message"), list(broken()))
def test_a_study_that_cannot_be_is_refused_before_anything_runs(
    tais: Tais, folder: Folder, change: dict[str, Any], message: str
) -> None:
    folder.study |= change
    folder.write()
    done = tais("study", folder.path, "--out", folder.out)
    assert done.returncode == 2
    assert message in done.stderr
    assert not folder.out.exists()


def test_two_manifests_of_one_name_and_empty_folders_are_refused(tmp_path: Path, folder: Folder) -> None:
    (folder.path / "3-c.yaml").write_text((folder.path / "1-a.yaml").read_text())
    with pytest.raises(ManifestError, match="the manifests 1-a and 3-c have one name"):
        load_study(folder.path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="no manifest stands here"):
        load_study(tmp_path / "empty")
    with pytest.raises(ManifestError, match="Did you mean 'paper'"):
        find_folder("papper")


def test_a_folder_without_a_study_file_is_a_study_too(folder: Folder) -> None:
    (folder.path / "study.yaml").unlink()
    study = load_study(folder.path)
    assert (study.definition.name, study.definition.questions) == ("study-study", ())
