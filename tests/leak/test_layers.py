"""The leak audit is apart: the core does not know it, and nothing heavy is imported before it runs."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.conftest import ROOT

PACKAGE = ROOT / "tais"


def test_nothing_but_its_command_imports_the_leak_audit() -> None:
    importers = set()
    for path in PACKAGE.rglob("*.py"):
        if "leak" in path.relative_to(PACKAGE).parts[0:1]:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name == "tais.leak" or name.startswith("tais.leak.") for name in names):
                importers.add(path.relative_to(PACKAGE).as_posix())
    assert importers == {"cli/leak.py"}


def test_help_imports_no_torch() -> None:
    code = (
        "import sys; from tais.cli.main import run_command; run_command(['leak', '--help']); "
        "sys.exit(bool({'torch', 'transformers', 'vllm', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--permutation" in done.stdout


def test_without_torch_the_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from tais.cli.main import run_command; "
        "sys.exit(run_command(['leak', 'x', '--prompts', 'y']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "needs torch and transformers" in done.stderr
    assert "pip install" in done.stderr
