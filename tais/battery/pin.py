"""Pins: fill revision, counts and content digest into a battery file, keeping its comments."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tais.battery.load import load_battery, load_definition
from tais.common.files import atomic_path
from tais.common.install import pip_install
from tais.common.text import first_line
from tais.errors import ManifestError, Place
from tais.manifest.model import BatteryRef

__all__ = ["Pin", "look_up_revision", "pinned_text", "write_pinned"]


@dataclass(frozen=True, slots=True)
class Pin:
    """What a pin fixes."""

    items: int
    digest: str
    revision: str | None


def look_up_revision(hub: str) -> str:
    """Return the commit that a hub data set has now.

    Raises
    ------
    ManifestError
        No network, no such data set, or no `huggingface_hub`.
    """
    place = Place(key=hub)
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        what = "looking up a revision needs the package 'huggingface_hub'"
        raise ManifestError(what, place=place, remedy=f"{pip_install('hub')}, or give --revision") from error
    try:
        sha = HfApi().dataset_info(hub).sha
    # The client raises errors of requests, httpx and its own; each means that there is no revision.
    except Exception as error:
        reason = first_line(error).rstrip(".")
        remedy = "Check the network, or give --revision"
        raise ManifestError(f"cannot look up the revision: {reason}", place=place, remedy=remedy) from error
    if not sha:
        raise ManifestError("the hub gives no revision", place=place, remedy="Give --revision")
    return str(sha)


def write_pinned(file: Path, out: Path, data_dir: Path | None, revision: str | None) -> Pin:
    """Write a copy of a battery file with its pins filled in.

    Parameters
    ----------
    file
        The definition. Earlier pins do not bind: they are what is being renewed.
    out
        Where the copy goes. A relative ``source.path`` must be reachable from there too.
    data_dir
        Folder with local copies of data sets.
    revision
        Commit of a hub data set; looked up when None.

    Raises
    ------
    ManifestError
        As loading the battery does; or no revision is known for a hub data set.
    """
    definition, _ = load_definition(file)
    if definition.source.hub is None:
        if revision is not None:
            remedy = "Leave --revision out"
            raise ManifestError("a battery of a file has no revision", place=Place(str(file)), remedy=remedy)
    else:
        revision = check_revision(revision or look_up_revision(definition.source.hub))
    text = pinned_text(file.read_text(encoding="utf-8"), Pin(0, "", revision))
    # Loaded as it will be: at the pinned revision, from where the copy lies.
    candidate = out.with_name(f".{out.stem}.unpinned.yaml")
    write_text(candidate, text)
    try:
        loaded = load_battery(
            BatteryRef(name=definition.name, path=str(candidate.resolve())), Path(), data_dir
        )
    finally:
        candidate.unlink(missing_ok=True)
    pin = Pin(len(loaded.items), loaded.content_digest, revision)
    write_text(out, pinned_text(text, pin))
    return pin


def pinned_text(text: str, pin: Pin) -> str:
    """Return a battery file's text with its pins filled in.

    Parameters
    ----------
    text
        The file as it is; comments and the order of keys stay.
    pin
        A revision of None leaves that key alone; no items and no digest remove theirs.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 110
    data: Any = yaml.load(text)
    if pin.revision is not None:
        data["source"]["revision"] = pin.revision
    expected = data.setdefault("expected", {})
    for key, value in (("items", pin.items), ("digest", pin.digest)):
        if value:
            expected[key] = value
        else:
            expected.pop(key, None)
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def check_revision(revision: str) -> str:
    """Return a revision that is a commit.

    Raises
    ------
    ManifestError
        For a branch or a tag: both move.
    """
    if not re.fullmatch("[0-9a-f]{40}", revision):
        what = f"{revision!r} is no commit"
        raise ManifestError(what, remedy="A pin needs the 40 hex digits of a commit; branches and tags move")
    return revision


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"cannot write: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(path)), remedy="Check permissions and space") from error
