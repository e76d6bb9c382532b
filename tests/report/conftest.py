"""Fixtures of the tests of pages."""

from __future__ import annotations

import pytest

from tais.report.figures import draw


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without figures, which take most of a page's time, for tests of what is not drawn."""
    monkeypatch.setattr(draw, "draw_plots", lambda report: [])
