"""One place knows the names of a run directory's files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tais.rundir import layout
from tais.rundir.layout import BUNDLES, ENGINE, RunDir
from tests.attest.runs import SIGNED
from tests.conftest import ROOT

TAIS = ROOT / "tais"
FILES = {
    layout.LOCK, layout.ITEMS, layout.REPORT, layout.SCORES, layout.SECOND_SCORES, layout.ENGINE,
    layout.ADJUDICATION, layout.UPGRADE, layout.LEDGER, *BUNDLES,
}  # fmt: skip
FOLDERS = {layout.ARMS, layout.LOGS, layout.JUDGES, layout.AUDITS}


def spelt(path: Path) -> Iterator[str]:
    """Yield the names that a module spells: files anywhere, folders where a path is put together."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        named, names = (node.right, FOLDERS) if isinstance(node, ast.BinOp) and joined else (node, FILES)
        if isinstance(named, ast.Constant) and named.value in names:
            yield f"{path.relative_to(TAIS)}:{named.lineno} {named.value}"


def test_no_other_module_spells_a_name() -> None:
    here = Path(layout.__file__)
    assert set(spelt(here)), "the test sees names where they are"
    assert [found for path in sorted(TAIS.rglob("*.py")) if path != here for found in spelt(path)] == []


def test_a_run_directory_is_where_its_files_are() -> None:
    run = RunDir(SIGNED)
    assert run.id == SIGNED.name
    for path in (run.lock, run.items, run.report, run.scores, *run.bundles.values()):
        assert path.is_file(), path
    assert set(run.bundles) == BUNDLES
    assert run.engine("target") == run.arm("target") / ENGINE == SIGNED / "arms" / "target" / "engine.json"
    assert run.ledger == SIGNED.parent / "ledger.jsonl"
    assert run.audit("target") == SIGNED / "audits" / "target" / "own"
    assert run.judge("grader") == SIGNED / "judges" / "grader"
    assert run.log("target draft-spec") == SIGNED / "logs" / "target-draft-spec.log"


def test_a_new_run_directory_has_its_folders(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "made" / "x")
    run.make()
    assert sorted(path.name for path in run.root.iterdir()) == ["arms", "logs"]
