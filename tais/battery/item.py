"""From rows to items: ids, prompts, expectations, clusters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tais.battery.chats import as_chat, to_message
from tais.battery.choices import Options, lettered
from tais.battery.definition import Battery, Names
from tais.battery.rows import RENDERED
from tais.common.template import MissingColumn, as_text, is_template, lookup, render
from tais.manifest.sampling import of_an_item
from tais.records import Message

__all__ = ["BadRow", "Item", "ItemMaker", "canonical_item", "item_values"]


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt with a stable id and what its answer should be."""

    id: str
    prompt: str | tuple[Message, ...]
    """Exactly as in the source: never normalised or stripped. A chat where there is more than one turn."""
    expect: Any
    """What the scorer compares with; a JSON value."""
    cluster: str
    """Items with equal labels are not independent. Where the battery names none, the item's own id, or that
    of the first item with the same prompt."""
    group: str | None = None
    """Label for a breakdown; decides nothing."""
    clustered: bool = False
    """Whether the battery named the cluster."""
    rendered: bool = False
    """Whether the prompt went through a chat template already: it is asked as it stands."""
    sampling: str | None = None
    """Sampling settings of its own, as JSON."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt as a chat."""
        return (Message("user", self.prompt),) if isinstance(self.prompt, str) else self.prompt


class BadRow(ValueError):
    """A row that cannot become an item; the loader knows where it stands."""

    def __init__(self, what: str, remedy: str, key: str | None = None) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.key = key


class ItemMaker:
    """Makes items out of rows, as a battery defines them.

    Parameters
    ----------
    battery
        The definition.
    columns
        The columns that the source has.

    Raises
    ------
    BadRow
        The definition names a column that the source does not have.
    """

    def __init__(self, battery: Battery, columns: tuple[str, ...]) -> None:
        self._battery = battery
        self._columns = columns
        named = battery.columns
        self._id = self._resolve(named.id, "columns.id")
        self._prompt = self._resolve(named.prompt, "columns.prompt")
        self._expect = self._resolve(named.expect, "columns.expect")
        self._cluster = self._resolve(named.cluster, "columns.cluster")
        self._group = self._resolve(named.group, "columns.group")
        self._sampling = self._resolve(named.sampling, "columns.sampling")

    def make(self, row: Mapping[str, object]) -> Item:
        """Return the item of one row.

        Raises
        ------
        BadRow
            Empty prompt or id, missing column, or an expectation that cannot be built.
        """
        try:
            return self._make(row)
        except MissingColumn as error:
            raise self._missing(error.column) from error

    def _make(self, row: Mapping[str, object]) -> Item:
        options: Options | None = None
        source_order = row
        if self._battery.choices:
            source_order = dict(row) | {"choices": lettered(self._battery.choices, row, None).text}
        item_id = self._item_id(row, source_order)
        if self._battery.choices:
            options = lettered(self._battery.choices, row, item_id)
            row = dict(row) | {"choices": options.text}
        prompt = self._chat(self._prompt_of(row), self._system(row))
        cluster = self._label(self._cluster, row)
        item = Item(
            id=item_id,
            prompt=prompt,
            expect=self._expectation(row, options),
            cluster=cluster or item_id,
            group=self._label(self._group, row),
            clustered=cluster is not None,
            rendered=isinstance(prompt, str) and row.get(RENDERED) is True,
            sampling=self._own_sampling(row),
        )
        self._check_characters(item)
        return item

    def _own_sampling(self, row: Mapping[str, object]) -> str | None:
        if self._sampling is None:
            return None
        try:
            found = of_an_item(lookup(row, self._sampling))
        except MissingColumn:
            # Of lines of JSON, only those that have settings of their own say so.
            return None
        if found.wrong is not None:
            raise BadRow(
                f"sampling: {found.wrong}", "Correct the row, or leave its cell empty", self._sampling
            )
        return found.text

    def _check_characters(self, item: Item) -> None:
        """Refuse half a surrogate pair in what names and sorts an item: no file of a run can hold it as text.

        A prompt is kept as it is, whatever it holds.
        """
        columns = self._battery.columns
        for what, names in (
            ("id", columns.id),
            ("cluster", columns.cluster),
            ("group", columns.group),
            ("expect", columns.expect),
        ):
            try:
                json.dumps(getattr(item, what), ensure_ascii=False, default=str).encode()
            except UnicodeEncodeError as error:
                remedy = "A character was cut in two: mend the row"
                key = names if isinstance(names, str) else what
                raise BadRow(f"half of a surrogate pair in the {what}", remedy, key) from error

    def _resolve(self, names: Names | None, key: str) -> str | None:
        # The first name that the source has; a template is checked when a row is rendered.
        if names is None:
            return None
        for name in (names,) if isinstance(names, str) else names:
            if is_template(name) or name in self._columns or name.partition(".")[0] in self._columns:
                return name
        wanted = names if isinstance(names, str) else "' or '".join(names)
        raise self._missing(wanted, key)

    def _missing(self, column: str, key: str | None = None) -> BadRow:
        there = ", ".join(self._columns) or "none"
        return BadRow(f"no column {column!r}", f"Columns there: {there}", key)

    def _item_id(self, row: Mapping[str, object], source_order: Mapping[str, object]) -> str:
        if self._id is not None:
            return self._text(self._id, row, "id")
        # Content decides, so that an id survives a reordering of the source.
        asked = self._prompt_of(source_order)
        if is_template(self._battery.system or ""):
            # Rows may differ in nothing else.
            asked = [self._system(source_order), asked]
        prompt = json.dumps(asked, sort_keys=True)
        return hashlib.sha256(prompt.encode()).hexdigest()[:16]

    def _text(self, name: str, row: Mapping[str, object], what: str) -> str:
        value = render(name, row) if is_template(name) else as_text(lookup(row, name))
        if not value.strip():
            raise BadRow(f"empty {what}", f"Fill column {name!r}", name)
        return value

    def _label(self, name: str | None, row: Mapping[str, object]) -> str | None:
        if name is None:
            return None
        return (render(name, row) if is_template(name) else as_text(lookup(row, name))) or None

    def _prompt_of(self, row: Mapping[str, object]) -> Any:
        if self._battery.template is not None:
            return render(self._battery.template, row)
        assert self._prompt is not None, "the definition has either a template or a prompt column"
        if is_template(self._prompt):
            return render(self._prompt, row)
        try:
            value = as_chat(lookup(row, self._prompt))
        except ValueError as error:
            raise BadRow(str(error), "Write the column as JSON", self._prompt) from error
        if value is not None and not isinstance(value, (str, list)):
            what = f"a prompt is text or a list of messages, not {type(value).__name__}"
            raise BadRow(what, "Mend the row", self._prompt)
        return value or ""

    def _system(self, row: Mapping[str, object]) -> str | None:
        """Return the system prompt of a row; None where there is none."""
        system = self._battery.system
        if system is None or not is_template(system):
            return system
        made = render(system, row)
        return made if made.strip() else None

    def _turns(self, prompt: list[Any]) -> tuple[Message, ...]:
        try:
            turns = tuple(map(to_message, prompt))
        except ValueError as error:
            raise BadRow(str(error), "Mend or filter the row", self._prompt) from error
        if self._battery.last_assistant_turn == "drop" and turns[-1].role == "assistant":
            turns = turns[:-1]
        if not turns:
            raise BadRow("a chat without a turn to answer", "Mend or filter the row", self._prompt)
        return turns

    def _chat(self, prompt: Any, system: str | None) -> str | tuple[Message, ...]:
        battery = self._battery
        if isinstance(prompt, str):
            # A file that was cut by a crash may be filled with NUL.
            if not prompt.strip("\0").strip():
                raise BadRow("empty prompt", "Fill it or filter the row", self._prompt)
            if system is None and not battery.few_shot:
                return prompt
            turns: tuple[Message, ...] = (Message("user", prompt),)
        else:
            turns = self._turns(prompt)
        for shot in reversed(battery.few_shot):
            turns = (Message("user", shot.prompt), Message("assistant", shot.answer), *turns)
        if system is not None:
            if any(turn.role == "system" for turn in turns):
                raise BadRow("the row has a system prompt and so has the battery", "Keep one of them")
            turns = (Message("system", system), *turns)
        return turns

    def _expectation(self, row: Mapping[str, object], options: Options | None) -> Any:
        battery = self._battery
        expect = battery.expect
        if options is not None:
            letters = options.letters[0] if len(options.letters) == 1 else list(options.letters)
            expect = {"letter": letters, "options": dict(options.options)}
        elif self._expect is not None:
            expect = render(self._expect, row) if is_template(self._expect) else lookup(row, self._expect)
            if battery.expect_map is not None:
                expect = self._mapped(expect, battery.expect_map)
        if battery.expect_fields is not None:
            fields = {key: lookup(row, name) for key, name in battery.expect_fields.items()}
            expect = (expect if isinstance(expect, dict) else {}) | fields
        return expect

    def _mapped(self, value: Any, table: Mapping[str, object]) -> Any:
        for key in _keys(value):
            if key in table:
                return table[key]
        raise BadRow(f"expect_map has no entry for {value!r}", f"Known: {', '.join(table)}", self._expect)


def _keys(value: object) -> tuple[str, ...]:
    """Return how a mapping may write a value: as text, and as JSON does."""
    if isinstance(value, bool) or (isinstance(value, str) and value in ("True", "False", "TRUE", "FALSE")):
        return str(value), str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(value), str(int(value))
    return (as_text(value),) if value is not None else ("", "null")


def canonical_item(item: Item) -> bytes:
    """Return an item as one line of canonical JSON, over which battery digests are taken.

    ASCII with escapes, so that lone surrogates, which JSON sources can hold, have bytes too.
    """
    value = {"id": item.id, "prompt": _plain(item), "expect": item.expect, "cluster": item.cluster}
    # Only where there are any, so that the digests of other batteries stay as they were.
    value |= {} if item.sampling is None else {"sampling": item.sampling}
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode() + b"\n"


def item_values(item: Item, redact: bool = False) -> dict[str, Any]:
    """Return an item as JSON values; redacted, without anything that the source's texts say."""
    digest = hashlib.sha256(canonical_item(item)).hexdigest()
    if redact:
        return {"id": item.id, "sha256": digest, "characters": len(json.dumps(_plain(item)))}
    return {
        "id": item.id,
        "prompt": _plain(item),
        "expect": item.expect,
        "cluster": item.cluster,
        "group": item.group,
        **({} if item.sampling is None else {"sampling": json.loads(item.sampling)}),
        "sha256": digest,
    }


def _plain(item: Item) -> str | list[dict[str, str]]:
    return item.prompt if isinstance(item.prompt, str) else [m.as_dict() for m in item.prompt]
