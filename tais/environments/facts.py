"""What an interpreter holds: version, packages, and a digest over the records of all that is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from tais.common.models import Frozen
from tais.errors import ManifestError, Place

__all__ = ["NEEDED", "EnvironmentFacts", "look_at"]

_LEAST = (3, 11)
NEEDED = ("pydantic", "numpy", "psutil", "pyarrow")
"""What TAIS's worker imports beside the engine."""

_SECONDS = 120
# Runs on the other interpreter, whose packages are all that it sees: standard library alone.
_LOOK = """
import hashlib, importlib.metadata, importlib.util, json, platform, re, sys
named, wanted = json.loads(sys.argv[1]), json.loads(sys.argv[2])
found, records = {}, []
for each in importlib.metadata.distributions():
    name = re.sub(r"[-_.]+", "-", each.metadata["Name"] or "").lower()
    record = each.read_text("RECORD") or each.read_text("installed-files.txt") or ""
    records.append([name, each.version, hashlib.sha256(record.encode()).hexdigest()])
    found.setdefault(name, each.version)
print(json.dumps({
    "python": platform.python_version(),
    "packages": {name: found[name] for name in named if name in found},
    "digest": hashlib.sha256(json.dumps(sorted(records)).encode()).hexdigest(),
    "missing": [name for name in wanted if importlib.util.find_spec(name) is None],
}))
"""


# What it says is printed and locked: one short word each, whatever answers there.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+!-]{1,100}$")]


class EnvironmentFacts(Frozen):
    """What one interpreter holds."""

    python: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}[A-Za-z0-9.+-]{0,40}$")]
    """Version."""
    packages: dict[Word, Word]
    """Versions of what decides an arm's answers, by name."""
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """sha256 (hex) over name, version and record of every distribution."""
    missing: tuple[Word, ...] = ()
    """What TAIS's worker needs and does not find."""


def look_at(python: Path, packages: tuple[str, ...], place: Place) -> EnvironmentFacts:
    """Ask an interpreter what it holds.

    Parameters
    ----------
    python
        The interpreter.
    packages
        Names whose versions are wanted.
    place
        Where it is named, for errors.

    Raises
    ------
    ManifestError
        When it does not start, is too old, or lacks what a worker needs.

    Notes
    -----
    A record lists the sha256 of each installed file, so the digest changes with every file that an installer
    wrote; a file that somebody edited afterwards keeps its record, and is not seen.
    """
    command = [str(python), "-I", "-c", _LOOK, json.dumps(packages), json.dumps(NEEDED)]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, env=kept, check=True, cwd="/")
        found = EnvironmentFacts.model_validate_json(done.stdout)
    except (OSError, subprocess.SubprocessError, ValidationError) as error:
        why = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
        remedy = "Name a Python of 3.11 or newer"
        raise ManifestError(
            f"{python} is no interpreter that answers ({why})", place=place, remedy=remedy
        ) from error
    version = tuple(int(part) for part in found.python.split(".")[:2] if part.isdigit())
    if version < _LEAST:
        what = f"{python} is Python {found.python}, and TAIS's worker needs {_LEAST[0]}.{_LEAST[1]} or newer"
        raise ManifestError(what, place=place, remedy="Name another interpreter")
    if found.missing:
        what = f"{python} lacks {', '.join(found.missing)}, which TAIS's worker imports"
        raise ManifestError(what, place=place, remedy=f"{python} -m pip install {' '.join(found.missing)}")
    return found
