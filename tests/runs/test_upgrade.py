"""Upgrades through the commands: a baseline that is recorded once, later candidates, and the one-run form."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tais.attest import load_signer
from tais.attest.keys import generate, write_pair
from tais.manifest.rules_version import RULES_VERSION
from tais.rundir.engine_record import EngineRecord
from tais.rundir.lock import lock_digest
from tais.runs.compare import served_otherwise
from tests.attest.runs import resign
from tests.conftest import FAKE, ROOT, SPECULATION, Screen, Tais

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")


def line_of(stdout: str) -> tuple[str, Path]:
    verdict, run_dir = stdout.rstrip("\n").split("\n")[-1].split("\t")
    return verdict, Path(run_dir)


def loaded(run_dir: Path, name: str = "report.json") -> dict[str, Any]:
    value: dict[str, Any] = json.loads((run_dir / name).read_bytes())
    return value


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    write_pair(tmp_path / "keys", generate())
    return tmp_path / "keys"


class Flow:
    """Manifests of fake arms, and runs of them, all signed."""

    def __init__(self, screen: Screen, tais: Tais, keys: Path) -> None:
        self.screen, self.tais, self.keys = screen, tais, keys
        self.signed = ("--key", keys / "tais.key", "--out", screen.out)

    def run(self, name: str, arms: dict[str, Any], contrasts: list[dict[str, str]]) -> tuple[int, Path]:
        data = {**self.screen.data, "name": name, "record": True, "arms": arms, "contrasts": contrasts}
        path = self.screen.folder / f"{name}.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML().dump(data, file)
        done = self.tais("run", path, "-q", *self.signed, TAIS_UNSIGNED="")
        return done.returncode, line_of(done.stdout)[1]

    def baseline(self) -> tuple[int, Path]:
        """The reference, what it does against itself, and a leak that a screen must see."""
        arms = {
            "target": dict(FAKE),
            "again": {"extends": "target", "order": "shuffled"},
            "leaky": {**FAKE, "engine_args": {"leak": 0.5}},
        }
        contrasts = [
            {"reference": "target", "candidate": "again", "role": "calibration"},
            {"reference": "target", "candidate": "leaky", "role": "positive_control"},
        ]
        return self.run("baseline", arms, contrasts)

    def candidate(self, **engine_args: Any) -> tuple[int, Path]:
        return self.run("candidate", {"spec": {**FAKE, "engine_args": engine_args}}, [])

    def compare(self, base: Path, new: Path) -> tuple[int, Path]:
        done = self.tais(
            *("compare", base, new, "--reference", "target", "--candidate", "spec"),
            *("--trusted-key", self.keys / "tais.pub", *self.signed),
            TAIS_UNSIGNED="",
        )
        return done.returncode, line_of(done.stdout)[1]


@pytest.fixture
def flow(screen: Screen, tais: Tais, keys: Path) -> Flow:
    return Flow(screen, tais, keys)


def test_a_baseline_is_run_once_and_serves_every_candidate(flow: Flow) -> None:
    code, base = flow.baseline()
    assert code == 3
    assert "no_screen_contrast" in [reason["code"] for reason in loaded(base)["reasons"]]
    before = {path: path.stat().st_mtime_ns for path in base.rglob("*")}
    for leak, expected in ((0.0, 0), (0.5, 1)):
        code, new = flow.candidate(leak=leak)
        assert code == 3
        assert [path.name for path in (new / "arms").iterdir()] == ["spec"]
        code, made = flow.compare(base, new)
        assert code == expected
        report = loaded(made)
        assert [(c["role"], c["candidate"]) for c in report["contrasts"]] == [
            ("screen", "spec"),
            ("calibration", "again"),
            ("positive_control", "leaky"),
        ]
        trusted = ("--key", flow.keys / "tais.pub", "--recompute")
        assert "record" not in loaded(made, "manifest.lock.json")
        assert flow.tais("verify", made, *trusted).returncode == 0
        assert flow.tais("gate", made, *trusted).returncode == expected
        assert {path.name for path in made.iterdir()} >= {"report.html", "report.md", "junit.xml"}
    assert {path: path.stat().st_mtime_ns for path in base.rglob("*")} == before


def test_a_comparison_claims_what_one_manifest_would_and_says_why(flow: Flow) -> None:
    """A speculating candidate that answers as its target passes: nobody said that it is meant to be lossy."""
    _, base = flow.baseline()
    _, new = flow.run("candidate", {"spec": {**FAKE, "speculative_config": dict(SPECULATION)}}, [])
    code, made = flow.compare(base, new)
    screen = loaded(made)["contrasts"][0]
    assert screen["lossless"] is True
    assert [r["code"] for r in screen["reasons"] if r["severity"] == "decides"] == ["all_endpoints_pass"]
    [claim] = [r for r in screen["reasons"] if r["code"] == "lossless_claim"]
    assert claim["message"].startswith("lossless: the same target on the same engine and version")
    assert code == 0
    trusted = ("--key", flow.keys / "tais.pub", "--recompute")
    assert flow.tais("verify", made, *trusted).returncode == 0


def test_a_comparison_of_two_models_claims_nothing_and_names_the_difference(flow: Flow) -> None:
    _, base = flow.baseline()
    other = {**FAKE, "model": "fake/other", "speculative_config": dict(SPECULATION)}
    _, new = flow.run("candidate", {"spec": other}, [])
    done = flow.tais(
        *("compare", base, new, "--reference", "target", "--candidate", "spec"),
        *("--trusted-key", flow.keys / "tais.pub", *flow.signed),
    )
    assert "not claimed to be lossless: model differs" in done.stderr
    _, made = line_of(done.stdout)
    screen = loaded(made)["contrasts"][0]
    assert screen["lossless"] is False
    assert "lossy_treatment_not_shown" not in [r["code"] for r in screen["reasons"]]


def test_another_version_of_the_engine_or_another_device_drops_the_claim() -> None:
    """A new release of an engine may round otherwise, and what ran elsewhere did."""
    machine = {"hardware": {"cpu": "made", "gpus": [{"name": "H100"}]}, "libraries": {"vllm": "0.26.0"}}
    old = EngineRecord(environment=machine)
    new = EngineRecord(environment={"hardware": {"cpu": "made"}, "libraries": {"vllm": "0.27.0"}})
    assert [*served_otherwise("vllm", old, old)] == []
    assert [*served_otherwise("vllm", old, new)] == [
        "the version of vllm differs (0.26.0 and 0.27.0)",
        "the devices differ (H100 and CPU)",
    ]


def test_a_comparison_of_runs_under_unlike_rules_says_so(flow: Flow) -> None:
    _, base = flow.baseline()
    _, new = flow.candidate()
    lock = loaded(new, "manifest.lock.json")
    del lock["rules_version"]
    (new / "manifest.lock.json").write_text(json.dumps(lock))
    report = loaded(new)
    report["facts"]["lock"]["sha256"] = lock_digest(new)
    (new / "report.json").write_text(json.dumps(report))
    resign(new, load_signer(flow.keys / "tais.key"))
    done = flow.tais(
        *("compare", base, new, "--reference", "target", "--candidate", "spec"),
        *("--trusted-key", flow.keys / "tais.pub", *flow.signed),
    )
    assert (
        f"decided by version {RULES_VERSION} of the verdict rules, the candidate's by version 1"
        in done.stderr
    )
    _, made = line_of(done.stdout)
    assert loaded(made, "manifest.lock.json")["rules_version"] == RULES_VERSION
    reasons = loaded(made)["contrasts"][0]["reasons"]
    assert [r["severity"] for r in reasons if r["code"] == "rules_versions_differ"] == ["note"]


def test_a_recording_verifies_and_never_opens_the_gate(flow: Flow) -> None:
    _, new = flow.candidate()
    trusted = ("--key", flow.keys / "tais.pub")
    assert flow.tais("verify", new, *trusted, "--recompute").returncode == 0
    done = flow.tais("gate", new, *trusted)
    assert (done.returncode, "the run screens nothing" in done.stderr) == (1, True)
    for format in ("terminal", "html", "md", "junit", "json"):
        assert flow.tais("report", new, "--format", format).returncode == 0


def test_a_recorded_arm_that_lost_its_samples_does_not_verify(flow: Flow) -> None:
    import shutil

    from tais.attest import load_signer
    from tais.errors import VerificationError
    from tests.attest.runs import resign

    _, new = flow.candidate()
    shutil.rmtree(new / "arms" / "spec")
    with pytest.raises(VerificationError, match="'spec' has no samples"):
        resign(new, load_signer(flow.keys / "tais.key"))


def test_a_recording_resumes(flow: Flow) -> None:
    _, new = flow.candidate()
    done = flow.tais(
        *("run", flow.screen.folder / "candidate.yaml", "-q", "--resume", *flow.signed), TAIS_UNSIGNED=""
    )
    assert line_of(done.stdout) == ("inconclusive", new)


def test_a_recording_may_screen_too_and_runs_every_arm(screen: Screen, tais: Tais) -> None:
    screen.data["record"] = True
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec"}]
    screen.write()
    tais("run", screen.path, "--out", screen.out, "-q")
    run_dir = screen.run_dirs()[-1]
    assert {path.name for path in (run_dir / "arms").iterdir()} == {"target", "again", "spec", "leaky"}
    assert loaded(run_dir)["contrasts"][0]["candidate"] == "spec"


def test_a_plan_of_a_recording_says_what_it_is_for(screen: Screen, tais: Tais) -> None:
    screen.data["record"] = True
    screen.data["contrasts"] = []
    screen.write()
    done = tais("plan", screen.path)
    assert done.returncode == 0
    assert "records 4 arms for tais compare and screens nothing" in done.stdout
    assert "no calibration contrast" not in done.stdout


def test_the_manifests_of_the_page_are_recordings_that_compare(
    screen: Screen, tais: Tais, tmp_path: Path
) -> None:
    """The two manifests of docs/gate.md, on the fake engine and with the test's own battery."""
    texts = re.findall(r"^```yaml\n(name: .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    runs = []
    for text in texts:
        data = YAML(typ="safe").load(text)
        for arm in data["arms"].values():
            if "engine" in arm:
                arm |= {"engine": "fake", "model": "none"}
            if "model" in arm and "engine" not in arm:
                arm |= {"model": "other", "engine_args": {"leak": 0.5}}
            arm.pop("revision", None)
            arm.pop("dtype", None)
            if "engine_args" in arm:
                arm["engine_args"].pop("max_num_seqs", None)
        data["batteries"] = screen.data["batteries"]
        path = tmp_path / f"{data['name']}.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML().dump(data, file)
        runs.append(line_of(tais("run", path, "--out", screen.out, "-q").stdout)[1])
    (command,) = re.findall(r"^tais (compare BASE NEW .*?)(?: +#.*)?$", PAGE, re.MULTILINE)
    words = command.replace("BASE", str(runs[0])).replace("NEW", str(runs[1])).split()
    done = tais(*words, "--unsigned", "--out", tmp_path / "compared")
    assert (done.returncode, line_of(done.stdout)[0]) == (0, "pass")
    assert len(loaded(line_of(done.stdout)[1])["contrasts"]) == 3


# --- the one-run form


def test_the_upgrade_that_ships_screens_for_the_worse_with_both_supports(tais: Tais) -> None:
    done = tais("plan", "upgrade")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    data = YAML(typ="safe").load((ROOT / "manifests" / "upgrade.yaml").read_text())
    assert data["rules"]["hypothesis"] == "non_inferiority"
    assert {c.get("role", "screen") for c in data["contrasts"]} == {
        "screen",
        "calibration",
        "positive_control",
    }


@pytest.mark.parametrize(
    ("refuses", "verdict", "equivalence"),
    [(0.95, "pass", "fail"), (0.8, "pass", "pass"), (0.4, "fail", "fail")],
)
def test_one_run_tells_of_equivalence_beside_non_inferiority(
    refuses: float, verdict: str, equivalence: str, screen: Screen, tais: Tais
) -> None:
    """A stack that refuses more is not worse, and not equivalent either."""
    screen.data["arms"]["spec"] = {**FAKE, "engine_args": {"refuse": refuses}}
    screen.data["contrasts"][0]["lossless"] = False
    screen.data["rules"] = {"hypothesis": "non_inferiority"}
    screen.write()
    done = tais("run", screen.path, "--out", screen.out, "-q")
    assert line_of(done.stdout)[0] == verdict
    (told,) = [r for r in screen.report()["reasons"] if r["code"] == "under_equivalence"]
    assert (told["severity"], told["values"]["verdict"]) == ("note", equivalence)


def test_equivalence_is_not_told_of_twice(screen: Screen, tais: Tais) -> None:
    tais("run", screen.path, "--out", screen.out, "-q")
    assert "under_equivalence" not in [r["code"] for r in screen.report()["reasons"]]
