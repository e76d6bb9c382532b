"""Where published data sets lie that tests may read and the project may not contain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("TAIS_SHARED_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="no published data sets here (TAIS_SHARED_DATA or ../shared/data)"
)
