"""Nothing heavy is imported before the leak audit runs."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


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
