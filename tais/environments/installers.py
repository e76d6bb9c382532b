"""Calls of the installers, uv and pip, by the user's own settings of where packages come from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tais.common.text import words
from tais.errors import EngineError

__all__ = ["pips_own", "run_installer"]

_TAIL = 400


def pips_own() -> Iterator[str]:
    """Yield where pip would look for packages, as options of uv; nothing where uv has settings of its own."""
    if any(
        name.startswith(("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX", "UV_FIND_LINKS"))
        for name in os.environ
    ):
        return
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    wanted = {
        "index-url": "--index-url",
        "extra-index-url": "--extra-index-url",
        "find-links": "--find-links",
    }
    several = False
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        option = wanted.get(key.rpartition(".")[2])
        if option is None or key.startswith(":env:.config"):
            continue
        for each in value.strip("'\"").replace("\\n", " ").split():
            if each.startswith("file:") and not Path(each.removeprefix("file://")).exists():
                continue
            several = True
            yield from (option, each)
    if several:
        # pip takes the best of all places, and so does uv when it is told to.
        yield from ("--index-strategy", "unsafe-best-match")


def run_installer(command: list[str], folder: Path, variables: Mapping[str, str]) -> None:
    """Run an installer in a folder of TAIS: a uv.toml where the user stands may name another index.

    Parameters
    ----------
    command
        The installer and its arguments.
    folder
        Where it runs.
    variables
        Its environment; it runs code of packages.

    Raises
    ------
    EngineError
        When it cannot be called or fails, with the beginning of what it said.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=dict(variables),
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
        )
    except ValueError as error:
        raise EngineError(f"{Path(command[0]).name} cannot be called: {error}") from error
    if done.returncode:
        said = words(done.stderr or done.stdout)
        what = f"{Path(command[0]).name} ended with status {done.returncode}: {said[:_TAIL]}"
        raise EngineError(what, remedy="Name packages that its index has, and see its own settings")
