"""The core knows nothing of the verification algorithms, the decoders or the leak audit."""

from __future__ import annotations

import ast
from pathlib import Path

import tais

PACKAGE = Path(tais.__file__).parent
ABOVE = ("tais.verification", "tais.decoding", "tais.leak")
# Looked up by name when an arm or a command asks for it, never imported by the core.
MAY_IMPORT = {
    "cli/law.py",
    "cli/law_bench.py",
    "cli/law_selector.py",
    "cli/leak.py",
    "engines/reference.py",
    "engines/reference_answer.py",
}


def imported(file: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def test_the_core_never_imports_what_stands_above_it() -> None:
    for file in PACKAGE.rglob("*.py"):
        relative = file.relative_to(PACKAGE).as_posix()
        if relative in MAY_IMPORT or relative.split("/")[0] in ("verification", "decoding", "leak"):
            continue
        above = {name for name in imported(file) if name.startswith(ABOVE)}
        assert not above, f"{relative} imports {above}"


def test_the_exceptions_are_real() -> None:
    for relative in MAY_IMPORT:
        assert any(name.startswith(ABOVE) for name in imported(PACKAGE / relative)), relative
