"""Which files a run of the tests reads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_ignore_collect

UNIT = "not engine and not nightly and not slow"


@pytest.mark.parametrize(
    ("text", "expression", "ignored"),
    [
        ("pytestmark = pytest.mark.slow\n", UNIT, True),
        ("pytestmark = [\n    pytest.mark.engine,\n    pytest.mark.filterwarnings('x'),\n]\n", UNIT, True),
        ("pytestmark = pytest.mark.slow\n", "not engine", None),
        ("pytestmark = pytest.mark.slow\n", "", None),
        ("pytestmark = pytest.mark.slow\n", "slow", None),
        # Not simple enough to be sure: the file is read, and pytest decides.
        ("pytestmark = pytest.mark.slow\n", "engine or not slow", None),
        ("pytestmark = pytest.mark.filterwarnings('x')\n", UNIT, None),
        ("@pytest.mark.slow\ndef test_one() -> None: ...\n", UNIT, None),
    ],
)
def test_a_file_of_which_nothing_would_run_is_not_read(
    tmp_path: Path, text: str, expression: str, ignored: bool | None
) -> None:
    path = tmp_path / "test_made.py"
    path.write_text(text)
    config: Any = SimpleNamespace(option=SimpleNamespace(markexpr=expression))
    assert pytest_ignore_collect(path, config) is ignored
