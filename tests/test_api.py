"""The public Python API: which names there are, that each can be used, and that its examples are true."""

from __future__ import annotations

import doctest
import inspect
import shutil
import subprocess
import sys
from pathlib import Path
from typing import assert_type

import pytest

import tais
from tais.attest import VerifiedRun
from tais.attest.keys import generate, write_pair
from tais.frames import RunResult
from tais.gate.gate import GateResult
from tais.gate.policy import Policy
from tais.manifest.model import Manifest
from tais.runs.compare import Side
from tests.attest.runs import SIGNED, TRUSTED, trusted_key, write_screen

NAMES = [
    "EngineError",
    "Interrupted",
    "Lock",
    "Manifest",
    "ManifestError",
    "MissingData",
    "Report",
    "StoreError",
    "TaisError",
    "UsageError",
    "Verdict",
    "VerificationError",
    "analyse_run",
    "check_gate",
    "compare_runs",
    "decide",
    "list_runs",
    "load_manifest",
    "make_plan",
    "open_run",
    "run_screen",
    "verify_run",
]
FUNCTIONS = [name for name in NAMES if name.islower()]
RUN = "reports/small/RUN"

# Only what is directly under `tais` can take a name's place; the rest brings torch.
_USE_ALL = """
import importlib, inspect, pkgutil, sys
import tais
walk = {walk}
for module in walk(tais.__path__, "tais."):
    if module.name != "tais.__main__":
        importlib.import_module(module.name)
assert "tais.lab" in sys.modules
for name in tais.__all__:
    value = getattr(tais, name)
    assert not inspect.ismodule(value), name
    assert (inspect.isfunction if name.islower() else inspect.isclass)(value), name
print(len(tais.__all__))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a manifest, a finished and signed run of it, the key, and a policy; one stands in it."""
    write_screen(tmp_path)
    shutil.copytree(SIGNED, tmp_path / RUN)
    shutil.copyfile(TRUSTED, tmp_path / "tais.pub")
    # The stored run was decided by the first version of the verdict rules.
    rules = "schema: tais/policy/v1\nrules_version: 1\n"
    (tmp_path / "policy.yaml").write_text(rules + "batteries: {mine: {min_n: 100}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_are_these() -> None:
    assert tais.__all__ == NAMES
    assert {*NAMES, "__version__"} == set(dir(tais))


def test_all_errors_that_a_user_can_meet_are_there() -> None:
    family = {name: value for name in NAMES if isinstance(value := getattr(tais, name), type)}
    errors = {name for name, value in family.items() if issubclass(value, tais.TaisError)}
    module = inspect.getmembers(sys.modules["tais.errors"], inspect.isclass)
    assert errors == {name for name, value in module if issubclass(value, tais.TaisError)}


def test_a_name_that_is_not_there_is_said_so() -> None:
    with pytest.raises(AttributeError, match="module 'tais' has no attribute 'run_scren'"):
        _ = tais.run_scren  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "walk", ["pkgutil.iter_modules", pytest.param("pkgutil.walk_packages", marks=pytest.mark.slow)]
)
def test_no_room_takes_the_place_of_a_name(walk: str) -> None:
    assert python(_USE_ALL.format(walk=walk)) == f"{len(NAMES)}\n"


def test_importing_tais_imports_no_room() -> None:
    code = "import sys; before = set(sys.modules); import tais; print(*sorted(set(sys.modules) - before))"
    brought = python(code).split()
    own = {name for name in brought if name.split(".")[0] == "tais"}
    assert own == {"tais", "tais.common", "tais.common.version"}
    assert not {"numpy", "pandas", "pyarrow", "pydantic"} & set(brought)


def test_an_error_is_had_without_the_rest() -> None:
    assert python("import sys, tais; tais.StoreError; print('pydantic' in sys.modules)") == "False\n"


# docs/notebook.md runs a screen in `make unit`; its example here only in `make test`.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "run_screen" else ()) for n in FUNCTIONS]
)
def test_the_example_is_true(here: Path, name: str) -> None:
    function = getattr(tais, name)
    found = doctest.DocTestFinder(recurse=False).find(function, name, globs={"tais": tais})
    (example,) = [one for one in found if one.examples]
    said: list[str] = []
    result = doctest.DocTestRunner().run(example, out=said.append)
    assert result.failed == 0, "".join(said)


def test_types_are_those_that_a_checker_sees(here: Path) -> None:
    # mypy reads these lines in `make lint`.
    assert isinstance(assert_type(tais.load_manifest("small.yaml"), Manifest), tais.Manifest)
    assert isinstance(assert_type(tais.open_run(RUN), RunResult).report, tais.Report)
    assert isinstance(assert_type(tais.verify_run(RUN, "tais.pub"), VerifiedRun), VerifiedRun)
    assert isinstance(assert_type(tais.check_gate(RUN, keys="tais.pub"), GateResult), GateResult)


@pytest.mark.slow
def test_a_run_signed_by_a_key_file_verifies_and_is_continued(here: Path) -> None:
    private, public = write_pair(here / "keys", generate())
    private.chmod(0o644)
    with pytest.warns(UserWarning, match="can be read by others"):
        run = tais.run_screen("small.yaml", out="mine", signer=private, limit=20)
    assert tais.make_plan("small.yaml", limit=20).samples_per_arm == len(run.samples("target")) == 20
    verified = tais.verify_run(run.run_dir, [public], recompute=True)
    assert verified.recomputed
    assert verified.report.to_json() == run.report.to_json() == tais.analyse_run(run.run_dir).to_json()
    with pytest.raises(tais.VerificationError, match="which is not trusted"):
        tais.verify_run(run.run_dir, "tais.pub")
    cut_down = tais.check_gate(run.run_dir, keys=public, manifest="small.yaml").objections
    codes = {objection.code for objection in cut_down}
    assert "limited_run" in codes
    assert "manifest_differs" not in codes
    other = tais.check_gate(run.run_dir, keys=public, manifest="demo").objections
    assert "manifest_differs" in {objection.code for objection in other}
    # A finished run has nothing to continue.
    assert tais.run_screen("small.yaml", out="mine", resume=True, limit=20).run_dir == run.run_dir


def test_an_arm_of_a_comparison_is_a_side_or_a_pair(here: Path) -> None:
    one = tais.compare_runs(Side(Path(RUN), "target"), (RUN, "bad"), "compared", hypothesis="equivalence")
    assert one.report.verdict is tais.Verdict.failed
    assert one.run_dir.parent.parent == Path("compared")
    with pytest.raises(tais.UsageError, match="no arm named 'worse'"):
        tais.compare_runs((RUN, "target"), (RUN, "worse"))


def test_the_gate_takes_a_policy_or_its_file(here: Path) -> None:
    signed = tais.verify_run(RUN, trusted_key()).signed_at
    closed = tais.check_gate(RUN, Policy(max_flips=0, rules_version=1), keys=[trusted_key()], now=signed)
    assert [objection.code for objection in closed.objections] == ["flips_above_policy"]
    rules = "schema: tais/policy/v1\nrules_version: 1\n"
    (here / "policy.yaml").write_text(rules + "batteries: {mine: {min_n: 1000}}\n")
    small = tais.check_gate(RUN, here / "policy.yaml", keys=TRUSTED, now=signed)
    assert {objection.code for objection in small.objections} == {"n_below_policy"}
    with pytest.raises(tais.UsageError, match="no key is trusted"):
        tais.check_gate(RUN)


def test_other_rules_decide_otherwise() -> None:
    import numpy as np

    from tais.manifest.model import Role, Rules
    from tais.verdict.evidence import ContrastEvidence, EndpointEvidence, ScreenEvidence, TreatmentEvidence

    ids = np.array([f"q-{i}" for i in range(200)])
    right, none = np.ones(200), np.zeros(200, dtype=np.bool_)
    one_worse = right.copy()
    one_worse[:4] = 0
    endpoint = EndpointEvidence("mine", "refusal", "binary", ids, ids, right, one_worse, none, none)
    contrast = ContrastEvidence(
        "old", "new", Role.screen, False, (), (), TreatmentEvidence(None, None, None, None, None), (endpoint,)
    )
    evidence = ScreenEvidence("by hand", Rules(margin=0.1), (contrast,))
    wide = tais.decide(evidence).contrasts[0].endpoints[0]
    strict = tais.decide(evidence, Rules(margin=0.02)).contrasts[0].endpoints[0]
    assert wide.tost is not None
    assert strict.tost is not None
    assert (wide.tost.margin, strict.tost.margin) == (0.1, 0.02)
    assert wide.tost.equivalent
    assert not strict.tost.equivalent
