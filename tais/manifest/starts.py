"""``starts: k`` of an arm: k fresh processes answer everything, as some faults are fixed when one starts.

Each start is an arm of its own, which differs from the first in nothing but its launch. So it has its own
answers, log, engine record and contrast, and everything that is done with arms is done with it: it is
resumed, placed, audited, stopped early, scored and signed like any other.

A fault that one launch in k has is diluted k-fold in an average over launches. Starts are therefore no
repeats of one arm: every start of a candidate is screened by itself against the first start of its
reference, and the worst counts. A reference's starts are set against each other as `calibration`, the A/A in
which nothing but the launch differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from tais.common.document import Document, Path_, show
from tais.common.models import Strict
from tais.common.validation import validate
from tais.errors import ManifestError

__all__ = ["KEY", "MARK", "MOST_STARTS", "with_starts"]

KEY = "starts"
MOST_STARTS = 64
"""Each is a whole arm: more is hours where minutes were meant."""

MARK = ".start"
"""Between the name of an arm and the number of a further start."""


class _Starts(Strict, strict=True):
    """The key as written."""

    starts: int = Field(1, ge=1, le=MOST_STARTS)


def with_starts(document: Document) -> Document:
    """Return a document in which every start is an arm.

    Parameters
    ----------
    document
        A manifest whose arms and contrasts are written out.

    Raises
    ------
    ManifestError
        A number that cannot be, an arm that TAIS does not start, names that clash, starts that no contrast
        uses.
    """
    counts = {name: _count(name, arm, document) for name, arm in document.data["arms"].items()}
    starts = {name: _names(name, count) for name, count in counts.items() if count > 1}
    arms, lines = _arms(document, starts)
    data = {**document.data, "arms": arms, KEY: {name: list(names) for name, names in starts.items()}}
    if starts:
        _check(starts, document)
        data["contrasts"] = _contrasts(document, starts, lines)
    return Document(data, lines, document.file)


def _count(name: str, arm: Mapping[str, Any], document: Document) -> int:
    at: Path_ = ("arms", name)
    written = {KEY: arm[KEY]} if KEY in arm else {}
    count = validate(_Starts, written, document, at).starts
    if count == 1:
        return 1
    place = document.place((*at, KEY))
    options = arm.get("engine_args")
    attached = arm.get("engine") == "openai" and "serve" not in (options if isinstance(options, dict) else {})
    if arm.get("engine") == "import" or attached:
        what = "a server that runs already is" if attached else "outputs that exist already are"
        raise ManifestError(f"{what} not started by TAIS", place=place, remedy="Leave starts out")
    return count


def _names(name: str, count: int) -> tuple[str, ...]:
    return (name, *(f"{name}{MARK}{number}" for number in range(2, count + 1)))


def _arms(
    document: Document, starts: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, Any], dict[Path_, int]]:
    """Return all arms, the further starts behind the first, and where their settings were written."""
    arms: dict[str, Any] = {}
    lines = dict(document.lines)
    for name, written in document.data["arms"].items():
        arm = {key: value for key, value in written.items() if key != KEY}
        arms[name] = arm
        for start in starts.get(name, ())[1:]:
            if start in document.data["arms"]:
                what, remedy = f"a start of {show(name)} would be called '{start}', as an arm is", "Rename it"
                raise ManifestError(what, place=document.place(("arms", start)), remedy=remedy)
            arms[start] = {**arm, "name": start, "start_of": name}
    own = {(path[1], path[2:]): line for path, line in lines.items() if len(path) > 1 and path[0] == "arms"}
    for (name, below), line in own.items():
        for start in starts.get(str(name), ())[1:]:
            lines["arms", start, *below] = line
    return arms, lines


def _check(starts: Mapping[str, tuple[str, ...]], document: Document) -> None:
    """Refuse starts that nothing would compare; a recording keeps them all the same."""
    if document.data.get("record"):
        return
    used = {c.get("candidate") for c in _written(document)} | set(_calibrated(document))
    for name in starts:
        if name not in used:
            what = f"no contrast uses the starts of {show(name)}"
            remedy = "Name it as a candidate, or as a reference that answers itself; else leave starts out"
            raise ManifestError(what, place=document.place(("arms", name, KEY)), remedy=remedy)


def _written(document: Document) -> list[dict[str, Any]]:
    """Return the contrasts, as far as they are mappings: what else they are is said when they are read."""
    written = document.data.get("contrasts")
    return [c for c in written if isinstance(c, dict)] if isinstance(written, list) else []


def _calibrated(document: Document) -> Iterator[str]:
    """Yield the references of screened contrasts that answer themselves."""
    for contrast in _written(document):
        if contrast.get("role", "screen") == "screen" and contrast.get("audit") != "only":
            yield str(contrast.get("reference"))


def _contrasts(
    document: Document, starts: Mapping[str, tuple[str, ...]], lines: dict[Path_, int]
) -> list[Any]:
    """Return the contrasts as written, then those of the further starts."""
    written = document.data.get("contrasts")
    if not isinstance(written, list):
        return written  # type: ignore[no-any-return]  # what it is instead is said when it is read
    found = list(written)
    given = {(c.get("reference"), c.get("candidate")) for c in _written(document)}
    for index, contrast in enumerate(written):
        if not isinstance(contrast, dict):
            continue
        for start in starts.get(str(contrast.get("candidate")), ())[1:]:
            _add(found, {**contrast, "candidate": start}, given, lines, lines.get(("contrasts", index)))
    for reference in dict.fromkeys(_calibrated(document)):
        for start in starts.get(reference, ())[1:]:
            aa = {"reference": reference, "candidate": start, "role": "calibration"}
            _add(found, aa, given, lines, lines.get(("arms", reference, KEY)))
    return found


def _add(
    found: list[Any],
    contrast: dict[str, Any],
    given: set[tuple[Any, Any]],
    lines: dict[Path_, int],
    line: int | None,
) -> None:
    pair = contrast["reference"], contrast["candidate"]
    if pair in given:
        return
    given.add(pair)
    if line is not None:
        lines["contrasts", len(found)] = line
    found.append(contrast)
