"""What a study asks: the manifests of a folder in their order, and the published figures beside them.

The folder may hold a file ``study.yaml``; without one the study is its manifests and no figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from tais.common.document import Document, suggest
from tais.common.models import Strict
from tais.errors import ManifestError, Place
from tais.manifest.checks import check_name
from tais.manifest.load import load_manifest
from tais.manifest.model import Manifest

__all__ = ["STUDY_FILE", "Question", "Selection", "Study", "StudyFile", "find_folder", "load_study"]

STUDY_FILE = "study.yaml"

Show = Literal["identity", "equivalence", "effect", "caught", "audit", "acceptance"]


class Selection(Strict):
    """Contrasts of one manifest."""

    manifest: str
    """Name of the file, without its ending."""
    reference: str
    candidate: str | tuple[str, ...]

    @property
    def candidates(self) -> tuple[str, ...]:
        """The candidates, also where there is one."""
        return (self.candidate,) if isinstance(self.candidate, str) else self.candidate


class Question(Strict):
    """One row of the combined report: a published figure and the contrasts that answer it here."""

    question: str = Field(min_length=1)
    published: str | None = None
    """The figure as published; None where there is none."""
    source: str | None = None
    """Where it stands."""
    show: Show
    contrasts: tuple[Selection, ...] = Field(min_length=1)
    remark: str | None = None


class StudyFile(Strict):
    """``study.yaml``."""

    name: str
    title: str = Field(min_length=1)
    source: str | None = None
    """What was published, and where."""
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """A folder of manifests, checked."""

    folder: Path
    definition: StudyFile
    manifests: dict[str, Path]
    """Files by name (without ending), in the order in which they run."""
    names: dict[str, str]
    """Names of the runs, by the same."""


def find_folder(name_or_path: str) -> Path:
    """Return the folder of a study: an existing one, else the one of this name that ships with TAIS."""
    from tais.common.shipped import share

    path = Path(name_or_path)
    if path.is_dir():
        return path
    shipped = share("manifests") / name_or_path.removeprefix("manifests/").strip("/")
    if name_or_path and ".." not in Path(name_or_path).parts and shipped.is_dir():
        return shipped
    known = [folder.name for folder in share("manifests").iterdir() if folder.is_dir()]
    remedy = suggest(name_or_path, known, "Studies that ship with TAIS")
    raise ManifestError("no such folder of manifests", place=Place(name_or_path), remedy=remedy)


def load_study(folder: Path) -> Study:
    """Read and check a folder of manifests; no data set is read and no engine starts.

    Raises
    ------
    ManifestError
        A manifest that cannot be used, two of one name, or a question about a contrast that there is not.
    """
    files = sorted(path for path in folder.glob("*.yaml") if path.name != STUDY_FILE)
    if not files:
        remedy = "Name a folder with manifests, *.yaml"
        raise ManifestError("no manifest stands here", place=Place(str(folder)), remedy=remedy)
    manifests = {path.stem: load_manifest(path) for path in files}
    seen: dict[str, str] = {}
    for stem, manifest in manifests.items():
        first = seen.setdefault(manifest.name, stem)
        if first != stem:
            what = f"the manifests {first} and {stem} have one name: {manifest.name!r}"
            remedy = "The name is the folder of the run: give each its own"
            raise ManifestError(what, place=Place(str(folder)), remedy=remedy)
    definition = _definition(folder, manifests)
    if definition.name in seen:
        what = f"the study and the manifest {seen[definition.name]} have one name: {definition.name!r}"
        raise ManifestError(what, place=Place(str(folder)), remedy="Name the study in study.yaml")
    names = {stem: manifest.name for stem, manifest in manifests.items()}
    return Study(folder, definition, {path.stem: path for path in files}, names)


def _definition(folder: Path, manifests: dict[str, Manifest]) -> StudyFile:
    from tais.common.validation import validate
    from tais.common.yaml12 import load

    path = folder / STUDY_FILE
    if not path.exists():
        name = folder.resolve().name
        return StudyFile(name=f"study-{name}", title=name)
    document = load(path)
    definition = validate(StudyFile, document.data, document)
    check_name(definition.name, document, ("name",))
    for index, question in enumerate(definition.questions):
        for number, selection in enumerate(question.contrasts):
            _check_selection(selection, manifests, document, ("questions", index, "contrasts", number))
    return definition


def _check_selection(
    selection: Selection, manifests: dict[str, Manifest], document: Document, at: tuple[str | int, ...]
) -> None:
    if selection.manifest not in manifests:
        place = document.place((*at, "manifest"))
        remedy = suggest(selection.manifest, manifests, "Manifests")
        raise ManifestError(
            f"no manifest {selection.manifest!r} beside this file", place=place, remedy=remedy
        )
    there = {(c.reference, c.candidate) for c in manifests[selection.manifest].contrasts}
    for candidate in selection.candidates:
        if (selection.reference, candidate) not in there:
            what = f"{selection.manifest} has no contrast of {candidate!r} against {selection.reference!r}"
            listed = [f"{c} against {r}" for r, c in sorted(there)]
            remedy = suggest(f"{candidate} against {selection.reference}", listed, "Contrasts")
            raise ManifestError(what, place=document.place((*at, "candidate")), remedy=remedy)
