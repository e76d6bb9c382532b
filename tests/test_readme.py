"""What README and tour have a new user type is typed here, as it is printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tais.cli.main import COMMANDS
from tests.conftest import ROOT, Tais

README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
FAKE_DEMO = """\
name: demo
arms:
  target: {engine: fake, model: none}
  again: {extends: target, order: shuffled}
  draft_model:
    extends: target
    speculative_config: {method: draft_model, model: ../models/demo/draft, num_speculative_tokens: 4}
  leaky: {extends: target, engine_args: {leak: 0.9}}
contrasts:
  - {reference: target, candidate: draft_model}
  - {reference: target, candidate: again, role: calibration}
  - {reference: target, candidate: leaky, role: positive_control}
batteries: [demo_refuse]
"""
PAST_GIT = 'git() { cp "$SAVED" manifests/demo.yaml; }\n'


def section(title: str) -> str:
    return re.split(r"^#{2,3} ", TOUR.split(f"## {title}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str) -> list[str]:
    found: list[str] = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


def with_codes(script: str) -> str:
    """Return a script that goes on where a command fails, and says each exit code that a comment promises."""
    said = re.sub(
        r"^(tais .*?) +# .*?exit code (\d).*$",
        r'\1 || code=$?; echo "\2 ${code:-0}"; code=',
        script,
        flags=re.MULTILINE,
    )
    assert said.count("${code:-0}") == script.count("exit code")
    return said


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return what a new user has cloned, as far as the walk touches it."""
    for name in ("draft", "adversarial"):
        (tmp_path / "models" / "demo" / name).mkdir(parents=True)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "demo.yaml").write_text(FAKE_DEMO)
    return tmp_path


def walk(folder: Path) -> list[str]:
    """Run the demo, then everything that the section prints; return the lines on standard output."""
    shutil.copy(folder / "manifests" / "demo.yaml", folder / "saved.yaml")
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, words in (("tais", "-m tais"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("TAIS_", "XDG_"))}
    environment = keep | {"HOME": str(folder), "PYTHONPATH": str(ROOT), "SAVED": str(folder / "saved.yaml")}
    script = "\n".join(
        [
            PAST_GIT,
            ".venv/bin/tais run manifests/demo.yaml -q > first",
            *map(with_codes, blocks(section("See it catch something"))),
        ]
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "changed after signing" in done.stderr
    assert "manifest_differs: arms.draft_model.speculative_config.model" in done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_walk_goes_as_the_tour_says(checkout: Path) -> None:
    lines = walk(checkout)
    codes = [line.split() for line in lines if re.fullmatch(r"\d \d", line)]
    assert len(codes) == 4
    assert [promised for promised, _ in codes] == [got for _, got in codes] == ["0", "0", "5", "1"]
    assert lines.count("Verified OK") == 3
    assert lines[-1] == "verified"


@pytest.mark.engine
@pytest.mark.slow
def test_the_walk_goes_so_on_the_real_demo(tmp_path: Path) -> None:
    for name in ("manifests", "models", "batteries"):
        shutil.copytree(ROOT / name, tmp_path / name)
    lines = walk(tmp_path)
    codes = [line.split() for line in lines if re.fullmatch(r"\d \d", line)]
    assert [promised for promised, _ in codes] == [got for _, got in codes] == ["0", "0", "5", "1"]
    assert lines[-1] == "verified"


def test_the_lines_for_openssl_are_those_of_the_page() -> None:
    page, *_ = blocks((ROOT / "docs" / "verify.md").read_text(encoding="utf-8"))
    assert page in section("See it catch something")
    cosign = re.findall(r"^    cosign .*\n.*$", TOUR, re.MULTILINE)
    assert cosign[0] in (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")


def own_manifest() -> str:
    """The manifest that the README prints for a change of one's own."""
    found = re.findall(r"^```yaml\n(name: .*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_readme_is_short_and_its_commands_exist() -> None:
    assert len(README.splitlines()) <= 120
    assert "Not tried" in README
    names = {entry.name for entry in COMMANDS}
    for text in (README, TOUR):
        typed = [
            line.split()[1] for block in blocks(text) for line in block.splitlines() if line[:5] == "tais "
        ]
        assert len(typed) >= 4
        assert set(typed) <= names


def test_links_of_the_readme_and_the_tour_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "tour.md"):
        links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
        assert links
        for path, anchor in links:
            target = page.parent / path if path else page
            assert target.exists(), (page.name, path)
            heads = (
                re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
            )
            known = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert not anchor or anchor in known, (page.name, path, anchor)


def test_the_change_of_the_readme_runs_as_printed(tais: Tais, tmp_path: Path) -> None:
    """Without an engine: planned as it stands, and run with fake arms in the place of vLLM's."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "my.yaml").write_text(own_manifest())
    planned = tais("plan", "my.yaml", "--json")
    assert planned.returncode == 0, planned.stderr
    assert [c["role"] for c in json.loads(planned.stdout)["contrasts"]] == [
        "screen",
        "calibration",
        "positive_control",
    ]
    text = own_manifest().replace("engine: vllm", "engine: fake").replace("{max_num_seqs: 7}", "{}")
    text = text.replace("model: models/demo/adversarial", "engine_args: {leak: 0.9}").replace(
        ", demo_answer", ""
    )
    (tmp_path / "my.yaml").write_text(text)
    done = tais("run", "my.yaml")
    assert done.returncode == 0, done.stderr
    assert "PASS  mine" in done.stderr
    shown = tais("report", "latest", "-v")
    assert shown.returncode == 0
    assert "speculation:" in shown.stdout
    assert tais("runs").stdout.count("\n") == 1


@pytest.mark.engine
@pytest.mark.slow
def test_the_change_of_the_readme_passes_on_the_real_engine(tais: Tais, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "my.yaml").write_text(own_manifest())
    done = tais("run", "my.yaml")
    assert done.returncode == 0, done.stderr
    assert "caught  bad against target" in done.stderr
