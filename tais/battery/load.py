"""Batteries: a YAML definition becomes items with stable ids, expectations and a digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tais.battery.chats import SYSTEM_NAMES
from tais.battery.definition import Battery, Filter, Melt
from tais.battery.hub import data_roots, joined, read_hub
from tais.battery.item import BadRow, Item, ItemMaker, canonical_item
from tais.battery.rows import Reading, Rows, read_rows
from tais.battery.strata import limited, repeated_words, shared_clusters, strata_of
from tais.common.document import dotted
from tais.common.template import MissingColumn, as_text, check_template, lookup
from tais.errors import ManifestError, MissingData, Place
from tais.manifest.model import BatteryRef
from tais.manifest.outputs import LOG_FORMATS
from tais.manifest.reserved import is_probe
from tais.records import Message
from tais.scorers import ScorerBase, find_scorer, scorer_label, scorer_spec
from tais.scorers.base import BadExpect

if TYPE_CHECKING:
    from tais.common.yaml12 import Document

__all__ = ["Battery", "Item", "LoadedBattery", "Message", "file_of", "load_battery", "load_definition"]


@dataclass(frozen=True, slots=True)
class LoadedBattery:
    """A battery with its items, ready to be asked."""

    name: str
    definition: Battery
    items: tuple[Item, ...]
    scorer: ScorerBase
    digest: str
    """sha256 (hex) over the scorer's specification and every item asked, in order."""
    content_digest: str
    """sha256 (hex) over the items before `limit`, without the scorer: what ``expected.digest`` pins."""
    margin: float | None
    """The battery's own equivalence margin, the manifest's before the file's; None takes the rules'."""
    origin: str
    """Where the rows came from."""
    notes: tuple[str, ...] = ()
    """What a reader of the report should know: licence, rows left out, pins that are missing."""
    second_scorers: tuple[ScorerBase, ...] = ()
    """They look at the same answers and decide nothing."""

    @property
    def strata(self) -> dict[str | None, tuple[Item, ...]]:
        """Items by expectation where the scorer is split by it, else all under None."""
        return strata_of(self.items, self.scorer)


_DATA = (".jsonl", ".csv", ".tsv", ".xlsx", ".parquet")


def load_definition(path: Path) -> tuple[Battery, Document]:
    """Read and validate a battery file.

    Returns
    -------
    Battery, Document
        The definition, and the document that knows the line of each key.

    Raises
    ------
    ManifestError
        Broken YAML, unknown key, wrong type or contradiction; with file and line.
    """
    from tais.common.validation import validate
    from tais.common.yaml12 import load

    if path.suffix.lower() in _DATA:
        raise ManifestError(
            "this is a file of items, and no battery",
            place=Place(str(path)),
            remedy="A battery is a YAML file whose source.path names it, with columns and a scorer "
            "(docs/batteries.md)",
        )
    document = load(path)
    battery = validate(Battery, document.data, document)
    templates = (
        ("template", battery.template),
        ("system", battery.system),
        ("choices", _option_line(battery)),
    )
    for key, template in templates:
        try:
            check_template(template or "")
        except ValueError as error:
            place = Place(str(path), document.line((key,)), key)
            raise ManifestError(str(error), place=place, remedy="Mend the template") from error
    return battery, document


def load_battery(ref: BatteryRef, manifest_dir: Path, data_dir: Path | None = None) -> LoadedBattery:
    """Load a battery with all its items.

    Parameters
    ----------
    ref
        How the manifest names it.
    manifest_dir
        Folder that a relative `ref.path` is relative to.
    data_dir
        Folder with local copies of data sets, before those of ``TAIS_DATA``.

    Raises
    ------
    ManifestError
        Unknown battery, missing file or column, no items, duplicate ids, an expectation that the scorer
        cannot use, an empty prompt, or content other than the pinned; with file and line.
    """
    path = file_of(ref, manifest_dir)
    battery, document = load_definition(path)
    loader = _Loader(path, battery, document)
    loader.take_scorers(ref, manifest_dir)
    rows, origin = loader.rows(data_roots(data_dir))
    found = len(rows.values)
    rows = _melted(_renamed(rows, battery.rename), battery.melt)
    loader.notes.extend(rows.notes)
    items = loader.items(rows)
    loader.notes.extend(_rendered_notes(items))
    loader.notes.extend(_system_notes(battery, rows))
    content_digest = _digest({}, items)
    loader.check_expected(found, len(items), content_digest)
    asked = limited(items, ref.limit, loader.scorer)
    if ref.limit is not None and ref.limit > len(items):
        loader.notes.append(f"limit {ref.limit} asks for more than the {len(items)} items there are")
    if (repeated := repeated_words(asked)) is not None:
        loader.notes.append(repeated)
    if prefilled := sum(item.messages[-1].role == "assistant" for item in asked):
        loader.notes.append(
            f"{prefilled} chats end in an assistant turn, which the model continues (prefill); "
            "last_assistant_turn: drop leaves it out"
        )
    header = {"scorer": scorer_spec(loader.scorer), "chat": battery.chat}
    return LoadedBattery(
        name=ref.name,
        definition=battery,
        # The digests are of the items as the source has them.
        items=shared_clusters(asked),
        scorer=loader.scorer,
        digest=_digest(header, asked),
        content_digest=content_digest,
        margin=battery.margin if ref.margin is None else ref.margin,
        origin=origin,
        notes=(*_licence_notes(battery), *loader.notes),
        second_scorers=loader.second,
    )


def file_of(ref: BatteryRef, manifest_dir: Path) -> Path:
    """Return the file that defines a battery, as a manifest in `manifest_dir` names it."""
    if ref.path is None:
        from tais.common.shipped import find_battery_file

        return find_battery_file(ref.name)
    path = manifest_dir / ref.path
    if not path.is_file():
        place = Place(str(path), key=f"battery {ref.name!r}")
        raise ManifestError("no such battery file", place=place, remedy="Paths are relative to the manifest")
    return path


def _option_line(battery: Battery) -> str | None:
    return battery.choices.line if battery.choices else None


def _digest(header: dict[str, Any], items: tuple[Item, ...]) -> str:
    first = json.dumps({"schema": "tais/battery/v1", **header}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(first.encode() + b"\n")
    for item in items:
        digest.update(canonical_item(item))
    return digest.hexdigest()


def _rendered_notes(items: tuple[Item, ...]) -> Iterator[str]:
    if rendered := sum(item.rendered for item in items):
        yield (
            f"{rendered} prompts went through a chat template before they were logged: they are asked as "
            "they stand, without a template or a token of the beginning put before them"
        )


def _system_notes(battery: Battery, rows: Rows) -> Iterator[str]:
    """Say where rows have a system prompt that the battery does not ask."""
    for name in SYSTEM_NAMES if battery.system is None else ():
        held = sum(isinstance(cell := row.get(name), str) and bool(cell.strip()) for row in rows.values)
        if held and name not in battery.column_names:
            remedy = f'system: "{{{{ {name} }}}}" asks it'
            yield f"{held} rows have text in column {name}, which is not asked; {remedy}"


def _licence_notes(battery: Battery) -> Iterator[str]:
    if battery.access == "gated":
        yield f"gated data under {battery.license}: do not pass items on"
    elif battery.access == "restricted":
        yield f"licence {battery.license}: no commercial use"
    if battery.source.hub is not None and not battery.pinned:
        yield "not pinned: revision or digest is empty (`tais battery pin` fills them)"


class _Loader:
    """One battery file on its way to items: every error gets its place here."""

    def __init__(self, path: Path, battery: Battery, document: Document) -> None:
        self.path = path
        self.battery = battery
        self.document = document
        self.scorer: ScorerBase = find_scorer(battery.scorer, self.place("scorer"), path.parent)
        self.second: tuple[ScorerBase, ...] = ()
        self.notes: list[str] = []

    def take_scorers(self, ref: BatteryRef, folder: Path) -> None:
        """Take the scorers that the manifest names, its own before the battery's."""
        where = Place(key=f"battery {ref.name!r}")
        if ref.scorer is not None:
            self.scorer = find_scorer(ref.scorer, where, folder)
        self.second = tuple(find_scorer(spec, where, folder) for spec in ref.second_scorers)
        labels = [scorer_label(scorer) for scorer in (self.scorer, *self.second)]
        for label in labels:
            if labels.count(label) > 1:
                remedy = "The scorers of one battery differ in name or judge"
                raise ManifestError(f"the scorer {label!r} is given twice", place=where, remedy=remedy)

    def place(self, *keys: str | int) -> Place:
        return Place(str(self.path), self.document.line(keys), ".".join(map(str, keys)))

    def rows(self, roots: tuple[Path, ...]) -> tuple[Rows, str]:
        source = self.battery.source
        how = Reading(source.records, source.header, source.delimiter, self.battery.column_names)
        if source.hub is not None:
            return read_hub(source, roots, self.place("source", "hub"), how)
        name = source.path or ""
        for folder in (self.path.parent, *roots):
            # A folder holds the logs of a group of tasks.
            is_group = source.format in LOG_FORMATS and (folder / name).is_dir()
            if (folder / name).is_file() or is_group:
                return read_rows(folder / name, source.format, how), str(folder / name)
            several = "*" in name and not Path(name).is_absolute()
            if files := sorted(file for file in folder.glob(name) if file.is_file()) if several else []:
                return joined(files, source, how), str(folder / name)
        tried = ", ".join(str(folder / name) for folder in (self.path.parent, *roots))
        remedy = f"Looked for {tried}; TAIS_DATA may name another folder"
        raise MissingData(f"no file {name!r}", place=self.place("source", "path"), remedy=remedy)

    def items(self, rows: Rows) -> tuple[Item, ...]:
        kept = self._filtered(rows)
        try:
            maker = ItemMaker(self.battery, rows.columns)
        except BadRow as error:
            self._bad_definition(error)
        made = [(index, self._made(maker, rows, index)) for index in kept]
        made = self._distinct(rows, made)
        if self.battery.draw is not None:
            made = self._drawn(rows, made)
        if not made:
            remedy = "Check filters and source" if rows.values else "Check the source"
            raise ManifestError("the battery has no items", place=self.place("filters"), remedy=remedy)
        return tuple(item for _, item in made)

    def check_expected(self, rows: int, items: int, digest: str) -> None:
        expected = self.battery.expected
        found = {"rows": rows, "items": items, "digest": digest}
        for key, value in found.items():
            wanted = getattr(expected, key)
            if wanted is not None and wanted != value:
                what = f"the source has {key} {value}, pinned is {wanted}"
                remedy = "Another version of the source? `tais battery pin` accepts it"
                raise ManifestError(what, place=self.place("expected", key), remedy=remedy)

    def _bad_definition(self, error: BadRow) -> NoReturn:
        keys = tuple((error.key or "columns").split("."))
        raise ManifestError(str(error), place=self.place(*keys), remedy=error.remedy) from error

    def _made(self, maker: ItemMaker, rows: Rows, index: int) -> Item:
        scorer = self.scorer
        try:
            item = maker.make(rows.values[index])
            for scorer in (self.scorer, *self.second):
                scorer.check_expect(item.expect)
        except BadRow as error:
            place = rows.place(index, error.key)
            raise ManifestError(str(error), place=place, remedy=error.remedy) from error
        except ValueError as error:
            path = ("expect", *error.path) if isinstance(error, BadExpect) else ()
            # Said once for all items, it stands in the battery file.
            said_here = path and self.battery.expect is not None
            place = self.place(*path) if said_here else rows.place(index, dotted(path) or None)
            remedy = f"Scorer {scorer.name!r} of battery {self.battery.name!r}"
            raise ManifestError(str(error), place=place, remedy=remedy) from error
        return item

    def _filtered(self, rows: Rows) -> list[int]:
        kept = []
        there = set(rows.columns)
        conditions = [c for c in self.battery.filters if not c.if_present or c.column in there]
        for index, row in enumerate(rows.values):
            try:
                if all(_keeps(condition, row) for condition in conditions):
                    self._assert(rows, index)
                    kept.append(index)
            except MissingColumn as error:
                remedy = f"Columns there: {', '.join(rows.columns)}"
                what = f"no column {error.column!r}"
                raise ManifestError(what, place=rows.place(index, "filters"), remedy=remedy) from error
        return kept

    def _assert(self, rows: Rows, index: int) -> None:
        for rule in self.battery.asserts:
            if re.search(rule.never_matches, as_text(lookup(rows.values[index], rule.column))):
                place = rows.place(index, rule.column)
                what = f"the value matches {rule.never_matches!r}"
                raise ManifestError(what, place=place, remedy=rule.reason)

    def _distinct(self, rows: Rows, made: list[tuple[int, Item]]) -> list[tuple[int, Item]]:
        first: dict[str, int] = {}
        for index, item in made:
            if is_probe(item.id):
                what = f"the id {item.id!r} is reserved for questions of TAIS's own"
                raise ManifestError(what, place=rows.place(index), remedy="Rename the item")
            if item.id in first:
                if self.battery.duplicates == "drop":
                    continue
                other = rows.place(first[item.id])
                remedy = "Ids must differ; without an id column, say duplicates: drop"
                what = f"id {item.id!r} stands already at {other}"
                raise ManifestError(what, place=rows.place(index), remedy=remedy)
            first[item.id] = index
        kept = set(first.values())
        if len(kept) < len(made):
            self.notes.append(f"{len(made) - len(kept)} rows with the id of an earlier one left out")
        return [(index, item) for index, item in made if index in kept]

    def _drawn(self, rows: Rows, made: list[tuple[int, Item]]) -> list[tuple[int, Item]]:
        draw = self.battery.draw
        assert draw is not None, "called only where the battery draws"
        strata: dict[str, list[tuple[bytes, int]]] = {}
        for index, item in made:
            try:
                stratum = as_text(lookup(rows.values[index], draw.per)) if draw.per else ""
            except MissingColumn as error:
                remedy = f"Columns there: {', '.join(rows.columns)}"
                what = f"no column {error.column!r}"
                raise ManifestError(what, place=self.place("draw", "per"), remedy=remedy) from error
            rank = hashlib.sha256(f"{draw.seed}\0{item.id}".encode("utf-8", "surrogatepass")).digest()
            strata.setdefault(stratum, []).append((rank, index))
        kept: set[int] = set()
        for stratum, members in strata.items():
            if len(members) < draw.n:
                self.notes.append(
                    f"draw asks for {draw.n} of {stratum or 'the battery'}, {len(members)} there are"
                )
            kept.update(index for _, index in sorted(members)[: draw.n])
        return [(index, item) for index, item in made if index in kept]


def _renamed(rows: Rows, names: dict[str, str]) -> Rows:
    if not names:
        return rows
    values = tuple({names.get(key, key): value for key, value in row.items()} for row in rows.values)
    return replace(rows, values=values)


def _melted(rows: Rows, melt: Melt | None) -> Rows:
    """Return one row for each of the columns that stand side by side; those without a text give none."""
    if melt is None:
        return rows
    made = [
        (number, {**row, melt.name: column, melt.value: row[column]})
        for number, row in zip(rows.numbers, rows.values, strict=True)
        for column in melt.columns
        if as_text(row.get(column)).strip()
    ]
    return replace(rows, numbers=tuple(n for n, _ in made), values=tuple(row for _, row in made))


def _keeps(condition: Filter, row: dict[str, Any]) -> bool:
    value = lookup(row, condition.column)
    text = as_text(value)
    said = condition.model_fields_set
    checks = (
        "equals" not in said or value == condition.equals,
        condition.one_of is None or value in condition.one_of,
        condition.none_of is None or value not in condition.none_of,
        condition.matches is None or re.search(condition.matches, text) is not None,
        condition.empty is None or (text.strip() == "") == condition.empty,
    )
    return all(checks)
