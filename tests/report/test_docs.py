"""What docs/report.md says about the library is run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tais.analysis.changed_items import Limits
from tais.report.render import FILES, render
from tests.report.factory import report

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def test_the_example_writes_a_redacted_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.json").write_text(report().to_json(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code, "report.md", "exec"), {})
    page = (tmp_path / "public.html").read_text(encoding="utf-8")
    assert "m-1" in page
    assert "pick a lock" not in page


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    limits = Limits()
    said = f"at most {limits.flipped} flipped and {limits.diverging} diverging"
    assert said in PAGE
    assert f"{limits.flipped_elsewhere} and {limits.diverging_elsewhere} of every other" in PAGE
    assert f"{limits.items:,} in all" in PAGE
    assert f"{limits.characters:,} characters" in PAGE


def test_every_format_is_in_the_table_and_renders() -> None:
    for format in (*FILES, "json"):
        assert f"`{format}`" in PAGE
        assert render(report(), format)
    with pytest.raises(ValueError, match="no format"):
        render(report(), "pdf")
