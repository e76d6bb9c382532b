"""What docs/verification.md says is what the code does."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tais.lab.verification import VERIFIERS
from tests.conftest import ROOT, Tais

# Importing torch takes longer than a unit test may; `make lab` and CI run the file.
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")


def test_the_table_is_the_registry() -> None:
    table = PAGE.split("<!-- table: verifiers -->")[1].split("<!-- end: verifiers -->")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()[2:]]
    found = {name.strip("`"): (claim, drafts, source) for name, claim, drafts, _, source in rows}
    assert found == {
        name: (member.claim.value, ", ".join(member.kinds), f"arXiv {member.source}")
        for name, member in VERIFIERS.items()
    }


def test_the_verifier_that_is_printed_there_is_lossless(
    tais: Tais, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "printed_in_docs.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    done = tais("law", "--verifier", "printed_in_docs:verify", "--shape", "paths:2x2", "--laws", 1)
    assert done.returncode == 0, done.stderr


def test_the_shapes_that_are_drawn_there_are_shapes() -> None:
    from tais.lab.verification import parse_shape

    section = PAGE.split("### Shapes of a draft")[1].split("When and where")[0]
    for text in re.findall(r"(?:chain|paths|delayed|tree|distinct|topk):[0-9x,]*[0-9]", section):
        assert str(parse_shape(text)) == text


def test_the_keys_of_the_reference_engine_are_all_named() -> None:
    from tais.lab.reference.engine import _SPECULATION

    section = PAGE.split("## The reference engine")[1]
    for key in _SPECULATION:
        assert f"`{key}`" in section


def test_every_figure_is_shown_with_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "tables"))
    pictures = importlib.import_module("verification_figures").PICTURES

    shown = {path: " ".join(said.split()) for said, path in re.findall(r"!\[([^]]*)\]\(([^)]*)\)", PAGE)}
    assert shown == {f"figures/verification-{name}.svg": made.about for name, made in pictures.items()}
    for path in shown:
        drawn = (ROOT / "docs" / path).read_text(encoding="utf-8")
        assert shown[path] in " ".join(drawn.split())
        assert len(drawn) < 30_000
