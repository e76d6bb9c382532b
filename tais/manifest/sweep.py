"""``sweep:`` of a manifest: axes of settings expand to arms and contrasts.

A setting that both sides have (an argument of the engine, a dtype) is varied in both, so that every
candidate meets a target arm that is served alike. One of speculation is varied in the candidate alone:
candidates that differ in nothing else share their target arm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from pydantic import Field

from tais.common.differences import same_json
from tais.common.document import Document, Path_, show, suggest
from tais.common.models import Strict
from tais.common.validation import validate
from tais.errors import ManifestError
from tais.manifest.expanded_sweep import Swept, SweptAxis, SweptCell
from tais.manifest.model import OF_THE_MODEL, Arm
from tais.manifest.pairwise import MOST_COMBINATIONS, Row, full, pairwise
from tais.manifest.sweep_labels import Label, arm_name, labels_of, short_name

__all__ = ["MOST_CELLS", "Sweep", "expanded"]

MOST_CELLS = 200
"""Contrasts of one sweep. Each is an arm: more is hours where days were not meant."""

_CANDIDATE = "candidate"
_SPECULATION = "speculative_config"
_MAPPINGS = ("engine_args", _SPECULATION)
# Where an arm runs changes no answer, and a fault is no setting of a server.
_ARM_KEYS = tuple(key for key in Arm.model_fields if key not in ("name", "resources", "fault", "start_of"))


class Sweep(Strict):
    """The key as written."""

    reference: str
    """Arm whose settings every target arm starts from."""
    candidate: str | tuple[str, ...]
    """Arm that every candidate starts from; several are one more axis."""
    axes: dict[str, list[Any] | dict[str, Any]] = Field(min_length=1)
    """Dotted key of an arm, and its values: a list, or a mapping from labels to values."""
    cover: Literal["pairwise", "full"] = "pairwise"
    without: tuple[dict[str, Any], ...] = ()
    """Combinations to leave out: labels or values by axis."""
    lossless: bool | None = None
    audit: bool | Literal["only"] | None = None
    calibrate: bool = False
    """Whether target arms that differ in nothing but how they are served are set against each other."""


@dataclass(frozen=True, slots=True)
class _Axis:
    key: str
    name: str
    labels: tuple[Label, ...]

    @property
    def of_target(self) -> bool:
        """Whether the target has this setting too."""
        return self.key != _CANDIDATE and self.key.split(".")[0] != _SPECULATION

    def find(self, value: Any) -> int | None:
        """Return the index of a value, named by itself or by its label."""
        for index, label in enumerate(self.labels):
            if value == label.text or same_json(value, label.value):
                return index
        return None


def expanded(document: Document) -> Document:
    """Return a document without its sweep's shorthand: arms and contrasts written out.

    Parameters
    ----------
    document
        A manifest whose arms are resolved (`extends` gone).

    Raises
    ------
    ManifestError
        Unknown arm or key, a value given twice, too many combinations, names that clash; with line and key.
    """
    if document.data.get("sweep") is None:
        return document
    sweep = validate(Sweep, document.data["sweep"], document, ("sweep",))
    candidates = _check_arms(sweep, document)
    axes = _axes(sweep, candidates, document)
    rows = _rows(sweep, axes, document)
    return _Writer(document, sweep, candidates, axes).write(rows)


def _check_arms(sweep: Sweep, document: Document) -> tuple[str, ...]:
    arms = document.data["arms"]
    candidates = (sweep.candidate,) if isinstance(sweep.candidate, str) else sweep.candidate
    for key, name in (("reference", sweep.reference), *((_CANDIDATE, c) for c in candidates)):
        if name not in arms:
            place = document.place(("sweep", key))
            raise ManifestError(f"no arm named {show(name)}", place=place, remedy=suggest(name, arms, "Arms"))
    place = document.place(("sweep", _CANDIDATE))
    if not candidates:
        raise ManifestError("names no arm", place=place, remedy="Name at least one")
    if sweep.reference in candidates or len(set(candidates)) < len(candidates):
        what = "an arm is named twice, or is the reference too"
        raise ManifestError(what, place=place, remedy="Write a second arm that extends the first")
    for name in (sweep.reference, *candidates):
        if arms[name].get("engine") == "import":
            what = f"the arm '{name}' is outputs that exist already, which no setting can vary"
            raise ManifestError(what, place=place, remedy="Name an arm that runs an engine")
    return candidates


def _axes(sweep: Sweep, candidates: tuple[str, ...], document: Document) -> tuple[_Axis, ...]:
    found = []
    if len(candidates) > 1:
        found.append(_Axis(_CANDIDATE, "", tuple(Label(name, "", name) for name in candidates)))
    names = [short_name(key) for key in sweep.axes]
    for key, values in sweep.axes.items():
        at: Path_ = ("sweep", "axes", key)
        _check_key(key, sweep, candidates, document)
        # Two keys may end alike; then the whole key tells them apart.
        name = short_name(key) if names.count(short_name(key)) == 1 else key.replace("_", "-")
        found.append(_Axis(key, name, labels_of(values, name, document, at)))
    return tuple(found)


def _check_key(key: str, sweep: Sweep, candidates: tuple[str, ...], document: Document) -> None:
    parts, place = key.split("."), document.place(("sweep", "axes", key))
    if parts[0] not in _ARM_KEYS:
        remedy = f"Keys of an arm: {', '.join(_ARM_KEYS)}; an engine's own is written engine_args.{key}"
        raise ManifestError(f"an arm has no key {show(parts[0])}", place=place, remedy=remedy)
    if not all(parts) or (len(parts) > 1 and parts[0] not in _MAPPINGS):
        what = f"{show(key)} leads nowhere: {parts[0]} holds no keys"
        raise ManifestError(what, place=place, remedy=f"Write {parts[0]} alone")
    for other in sweep.axes:
        if other != key and f"{other}.".startswith(f"{key}."):
            what = f"{show(other)} is a part of {show(key)}, and both are varied"
            raise ManifestError(what, place=place, remedy="Vary the parts, or the whole with labels")
    if len(parts) > 1 and parts[0] == _SPECULATION:
        for name in candidates:
            if not document.data["arms"][name].get(_SPECULATION):
                what = f"the arm '{name}' does not speculate"
                raise ManifestError(what, place=place, remedy="Give it a speculative_config")


def _rows(sweep: Sweep, axes: tuple[_Axis, ...], document: Document) -> list[Row]:
    sizes = [len(axis.labels) for axis in axes]
    place = document.place(("sweep", "axes"))
    if prod(sizes) > MOST_COMBINATIONS:
        what = f"{prod(sizes):,} combinations are more than the {MOST_COMBINATIONS:,} that are looked at"
        raise ManifestError(what, place=place, remedy="Take fewer axes or values")
    banned = [_banned(index, sweep, axes, document) for index in range(len(sweep.without))]

    def allowed(row: Row) -> bool:
        return not any(all(row[axis] == value for axis, value in ban.items()) for ban in banned)

    only = allowed if banned else None
    if sweep.cover == "full":
        rows = full(sizes, only)
    else:
        rows = pairwise(sizes, only, [i for i, axis in enumerate(axes) if axis.of_target])
    if not rows:
        remedy = "Leave fewer combinations out"
        raise ManifestError(
            "no combination is left", place=document.place(("sweep", "without")), remedy=remedy
        )
    if len(rows) > MOST_CELLS:
        remedy = "Take fewer axes or values" + (", or cover: pairwise" if sweep.cover == "full" else "")
        raise ManifestError(f"{len(rows)} contrasts are more than {MOST_CELLS}", place=place, remedy=remedy)
    return rows


def _banned(index: int, sweep: Sweep, axes: tuple[_Axis, ...], document: Document) -> dict[int, int]:
    at: Path_ = ("sweep", "without", index)
    keys = {axis.key: number for number, axis in enumerate(axes)}
    ban: dict[int, int] = {}
    for key, value in sweep.without[index].items():
        place = document.place((*at, key))
        if key not in keys:
            raise ManifestError(f"{show(key)} is no axis", place=place, remedy=suggest(key, keys, "Axes"))
        found = axes[keys[key]].find(value)
        if found is None:
            labels = [label.text for label in axes[keys[key]].labels]
            what, remedy = f"the axis has no value {show(value)}", f"Values: {', '.join(labels)}"
            raise ManifestError(what, place=place, remedy=remedy)
        ban[keys[key]] = found
    if not ban:
        raise ManifestError("names no axis", place=document.place(at), remedy="Name at least one")
    return ban


class _Writer:
    """Writes arms and contrasts into a document."""

    def __init__(
        self, document: Document, sweep: Sweep, candidates: tuple[str, ...], axes: tuple[_Axis, ...]
    ) -> None:
        self.document, self.sweep, self.candidates, self.axes = document, sweep, candidates, axes
        self.arms = dict(document.data["arms"])
        self.lines = dict(document.lines)
        self.made: dict[str, str] = {}

    def write(self, rows: Sequence[Row]) -> Document:
        cells = []
        for row in rows:
            labels = [axis.labels[index] for axis, index in zip(self.axes, row, strict=True)]
            base = self.candidates[row[0] if len(self.candidates) > 1 else 0]
            target = self._arm(self.sweep.reference, labels, target=True)
            candidate = self._arm(base, labels, target=False)
            texts = tuple(label.text for label in labels)
            cells.append(SweptCell(reference=target, candidate=candidate, values=texts))
        swept = Swept(
            cover=self.sweep.cover,
            combinations=prod(len(axis.labels) for axis in self.axes),
            axes=tuple(
                SweptAxis(key=a.key, name=a.name or a.key, values=tuple(x.text for x in a.labels))
                for a in self.axes
            ),
            cells=tuple(cells),
        )
        data = {
            **self.document.data,
            "arms": self.arms,
            "contrasts": self._contrasts(cells),
            "sweep": swept.model_dump(mode="json"),
        }
        return Document(data, self.lines, self.document.file)

    def _arm(self, base: str, labels: Sequence[Label], *, target: bool) -> str:
        """Return the name of the arm that has these values, written now where there is none yet."""
        settings, path = deepcopy(self.arms[base]), ("sweep", "axes")
        applied = []
        for axis, label in zip(self.axes, labels, strict=True):
            if axis.key != _CANDIDATE and (axis.of_target or not target):
                if axis.key == "model" and settings.get("model") != label.value:
                    # As in an arm that extends another: these belong to one set of weights.
                    settings = {key: value for key, value in settings.items() if key not in OF_THE_MODEL}
                _put(settings, axis.key.split("."), label.value)
                applied.append((axis, label))
        # An arm that says no other than the written one is the written one.
        if same_json({**settings, "name": ""}, {**self.arms[base], "name": ""}):
            return base
        name = arm_name(base, [label for _, label in applied], self.document.place(path))
        content = json.dumps({**settings, "name": ""}, sort_keys=True)
        if self.made.setdefault(name, content) != content or (name in self.arms and name not in self.made):
            what = f"two arms would be called '{name}'"
            remedy = "Give values labels: axes: {KEY: {LABEL: VALUE}}"
            raise ManifestError(what, place=self.document.place(path), remedy=remedy)
        if name not in self.arms:
            self.arms[name] = {**settings, "name": name}
            self.lines.update(self._lines(name, base, applied))
        return name

    def _lines(
        self, name: str, base: str, applied: Sequence[tuple[_Axis, Label]]
    ) -> Iterator[tuple[Path_, int]]:
        """Yield where the settings of an expanded arm were written."""
        for path, line in list(self.lines.items()):
            if path[:2] == ("arms", base):
                yield ("arms", name, *path[2:]), line
        yield ("arms", name), self.document.line(("sweep",)) or 1
        for axis, _ in applied:
            line = self.document.line(("sweep", "axes", axis.key)) or 1
            yield ("arms", name, *axis.key.split(".")), line

    def _contrasts(self, cells: Sequence[SweptCell]) -> list[Any]:
        written = self.document.data.get("contrasts") or []
        if not isinstance(written, list):
            return written  # type: ignore[no-any-return]  # what it is instead is said when it is read
        said = {"lossless": self.sweep.lossless, "audit": self.sweep.audit}
        known = {key: value for key, value in said.items() if value is not None}
        new = [{"reference": cell.reference, "candidate": cell.candidate, **known} for cell in cells]
        pairs = {
            (entry.get("reference"), entry.get("candidate")) for entry in written if isinstance(entry, dict)
        }
        calibration = [
            {"reference": first, "candidate": other, "role": "calibration"}
            for first, other in (self._alike(cells) if self.sweep.calibrate else ())
            if (first, other) not in pairs
        ]
        for index in range(len(written), len(written) + len(new) + len(calibration)):
            self.lines[("contrasts", index)] = self.document.line(("sweep",)) or 1
        return [*written, *new, *calibration]

    def _alike(self, cells: Sequence[SweptCell]) -> Iterator[tuple[str, str]]:
        """Yield pairs of target arms with the same weights and dtype: an A/A that costs no arm."""
        first: dict[str, str] = {}
        for name in dict.fromkeys(cell.reference for cell in cells):
            arm = self.arms[name]
            loaded = [arm.get(key) for key in ("engine", "model", "revision", "dtype", "system_prompt")]
            loaded += [arm.get(key) for key in ("chat_template", "chat_template_kwargs")]
            loaded += [arm.get("engine_args", {}).get(key) for key in ("quantization", "hf_overrides")]
            before = first.setdefault(json.dumps(loaded, sort_keys=True), name)
            if before != name:
                yield before, name


def _put(settings: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    """Set a value deep inside; None deletes, as it does in an arm that extends another."""
    for part in parts[:-1]:
        below = settings.get(part)
        settings[part] = dict(below) if isinstance(below, dict) else {}
        settings = settings[part]
    if value is None:
        settings.pop(parts[-1], None)
    else:
        settings[parts[-1]] = deepcopy(value)
