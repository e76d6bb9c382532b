"""What docs/ say about signature, gate and CI is run here."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tais.attest import verify_run
from tais.gate.gate import judge
from tais.gate.policy import Policy, load_policy
from tais.manifest.rules_version import RULES_VERSION
from tests.attest.runs import ASSETS, TRUSTED, copy_run, overlay, trusted_key

ROOT = Path(__file__).resolve().parents[2]
DEFECTS = [
    "sample_text_edited_after_signing",
    "part_missing_after_signing",
    "file_added_after_signing",
    "hidden_file",
    "arms_swapped",
    "verdict_edited",
    "attestation_bundle_missing",
    "attestation_bundle_of_another_run",
]


def block(page: str, language: str, index: int = 0) -> str:
    text = (ROOT / "docs" / page).read_text()
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found[index]


def by_hand(run_dir: Path, scratch: Path) -> int:
    scratch.mkdir()
    environment = {"TRUSTED": str(TRUSTED), "TMP": str(scratch), "PATH": "/usr/bin:/bin"}
    command = ["bash", "-c", block("verify.md", "sh")]
    return subprocess.run(command, cwd=run_dir, env=environment, capture_output=True, check=False).returncode


def test_a_run_verifies_by_hand_with_openssl(tmp_path: Path) -> None:
    assert by_hand(copy_run(tmp_path), tmp_path / "scratch") == 0


@pytest.mark.parametrize("defect", DEFECTS)
def test_tampering_shows_by_hand_too(defect: str, tmp_path: Path) -> None:
    run_dir = copy_run(tmp_path)
    overlay(run_dir, ASSETS / "runs" / defect)
    assert by_hand(run_dir, tmp_path / "scratch") != 0


def test_the_policy_of_the_page_is_one_that_the_gate_takes(tmp_path: Path) -> None:
    (tmp_path / "tais.pub").write_bytes(TRUSTED.read_bytes())
    (tmp_path / "policy.yaml").write_text(block("gate.md", "yaml"))
    rules = load_policy(tmp_path / "policy.yaml")
    assert rules.rules_version == RULES_VERSION
    run = verify_run(copy_run(tmp_path), [trusted_key()])
    ended = datetime.fromisoformat(str(run.report.facts.run.ended))
    # The stored run was decided when the verdict rules had no version, and endpoints no stratum that this
    # policy could name; nothing else is held against it.
    found = judge(run, rules, ended + timedelta(days=1))
    assert [o.code for o in found] == ["rules_version", "battery_missing"]
    assert "mine/refuse" in found[1].message


def test_the_page_names_every_key_of_a_policy() -> None:
    named = set(re.findall(r"^([a-z_]+):", block("gate.md", "yaml"), re.MULTILINE))
    assert named == {field.alias or name for name, field in Policy.model_fields.items()}


def plain(text: str) -> Any:
    return YAML(typ="safe").load(text)


def test_the_workflow_uses_inputs_that_the_action_has() -> None:
    workflow = plain(block("ci.md", "yaml"))
    action = plain((ROOT / "action.yml").read_text())
    (ours,) = [s for s in workflow["jobs"]["screen"]["steps"] if s["uses"].startswith("your-org/tais@")]
    assert set(ours["with"]) <= set(action["inputs"])
    for step in workflow["jobs"]["screen"]["steps"]:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])


def test_the_outputs_of_the_action_are_those_that_the_page_names() -> None:
    action = plain((ROOT / "action.yml").read_text())
    page = (ROOT / "docs" / "ci.md").read_text()
    assert all(f"`{name}`" in page for name in action["outputs"])


def test_the_gitlab_job_stops_on_a_run_without_a_verdict(tmp_path: Path) -> None:
    lines = plain(block("ci.md", "yaml", 1))["screen"]["script"]
    screen = [line for line in lines if line.startswith(("code=0", "case"))]
    for code, expected in ((0, 0), (1, 0), (3, 0), (4, 4), (2, 2)):
        script = "\n".join([f"tais() {{ return {code}; }}", "set -eo pipefail", *screen])
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, check=False)
        assert done.returncode == expected


def test_every_attack_of_the_threat_model_has_a_test() -> None:
    table = [
        line for line in (ROOT / "docs" / "threat-model.md").read_text().splitlines() if line[:2] == "| "
    ][1:]
    named = [re.findall(r"`(test_\w+)`", line.rpartition(" | ")[2]) for line in table]
    assert len(named) > 17
    assert all(named), [line for line, names in zip(table, named, strict=True) if not names]
    source = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)", source, re.MULTILINE))
    assert {name for names in named for name in names} <= defined


@pytest.mark.parametrize("name", ["other.sigstore.json", "arms/target/attestation.sigstore.json"])
def test_a_bundle_too_many_shows_by_hand_too(name: str, tmp_path: Path) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / name).write_text("{}")
    assert by_hand(run_dir, tmp_path / "scratch") != 0
