"""What a battery file says: source, columns, template, filters, sampling, scorer, licence, pins."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from tais.common.models import Strict
from tais.common.template import template_names

__all__ = [
    "Assertion",
    "Battery",
    "Choices",
    "Columns",
    "Draw",
    "Expected",
    "Filter",
    "Melt",
    "Shot",
    "Source",
    "battery_schema",
]


def _check_pattern(pattern: str | None) -> str | None:
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]
Names = str | tuple[str, ...]
"""A column, or several of which the first that the source has is taken."""
Literal_ = str | int | float | bool | None


class Source(Strict):
    """Where the rows are: a file, or a data set on the Hugging Face hub."""

    path: str | None = Field(
        None, description="File, or several by *, relative to this battery file or to TAIS_DATA."
    )
    format: (
        Literal[
            "csv",
            "harmbench",
            "helm",
            "inspect",
            "jailbreakbench",
            "json",
            "jsonl",
            "lm_eval",
            "parquet",
            "promptfoo",
            "tsv",
            "txt",
            "xlsx",
            "yaml",
        ]
        | None
    ) = Field(None, description="Taken from the file's ending when left out.")
    records: str | None = Field(
        None, description="Key that holds the rows in a JSON or YAML file; sheet of an xlsx file."
    )
    header: bool | tuple[str, ...] | None = Field(
        None,
        description="Of a table: whether its first line names the columns, or the names where none does.",
    )
    delimiter: str | None = Field(None, description="Of a csv file, where it is not told by the header.")
    hub: str | None = Field(None, description="Data set on the hub: org/name.")
    revision: str | None = Field(None, description="Commit of the hub data set; empty means not pinned.")
    config: Names | None = Field(None, description="Configuration of the hub data set, or several to join.")
    split: str | None = Field(None, description="Split of the hub data set.")
    local: tuple[str, ...] = Field(
        (), description="Files of the same data set that are looked for under TAIS_DATA; may hold * and ?."
    )

    @property
    def configs(self) -> tuple[str | None, ...]:
        """The configurations to read; a single None where the data set has no such thing."""
        return self.config if isinstance(self.config, tuple) else (self.config,)

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '\r\n"'):
            raise ValueError(f"a delimiter is one character, not {value!r}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if (self.path is None) == (self.hub is None):
            raise ValueError("a source needs either a path or a hub data set")
        if self.hub is not None and self.hub.count("/") > 1:
            raise ValueError(f"hub is 'org/name' or 'name', not {self.hub!r}")
        if self.path is not None and (self.revision or self.config or self.split):
            raise ValueError("revision, config and split belong to a hub data set, not to a path")
        for name in self.local:
            if name.startswith("/") or ".." in name.split("/"):
                raise ValueError(f"local files lie under TAIS_DATA: {name!r} must be a relative path")
        return self


class Columns(Strict):
    """Which column plays which part. A value with ``{{ }}`` is a template over the columns."""

    id: Names | None = Field(None, description="Left out: a digest of the prompt.")
    prompt: Names | None = Field(
        None, description="Text, or a list of messages; left out where a template is."
    )
    expect: Names | None = None
    cluster: Names | None = Field(None, description="Items that share a label are not independent.")
    group: Names | None = Field(None, description="Label for a breakdown; decides nothing.")
    sampling: str | None = Field(
        None, description="Sampling settings of the row itself: a mapping, or JSON of one; see the manifest."
    )


class Melt(Strict):
    """Columns that stand side by side, one prompt each: every one gives a row of its own."""

    columns: tuple[str, ...] = Field(min_length=1)
    name: str = Field("variable", description="New column with the name of the one that was taken.")
    value: str = Field("prompt", description="New column with what stood in it.")


class Filter(Strict):
    """Keep the rows whose column fulfils every condition given."""

    column: str
    equals: Literal_ = None
    one_of: tuple[Literal_, ...] | None = None
    none_of: tuple[Literal_, ...] | None = None
    matches: Pattern | None = Field(None, description="Regular expression, searched.")
    empty: bool | None = None
    if_present: bool = Field(False, description="Ignore the filter where the source has no such column.")


class Assertion(Strict):
    """A property that every row must have, and what it means when one has not."""

    column: str
    never_matches: Pattern = Field(description="Regular expression, searched.")
    reason: str


class Draw(Strict):
    """A sample of the rows that depends on the seed and on item ids only, never on row order."""

    n: int = Field(gt=0)
    seed: int = 42
    per: str | None = Field(None, description="Draw n for each value of this column.")


class Shot(Strict):
    """One worked example, put before the prompt."""

    prompt: str
    answer: str


class Choices(Strict):
    """How lettered options are made out of columns. The template shows them as ``{{ choices }}``."""

    columns: tuple[str, ...] = Field((), description="One option per column.")
    column: str | None = Field(None, description="Column with the list of options, perhaps dotted.")
    correct: str | None = Field(None, description="Column with the right answer.")
    incorrect: str | None = Field(None, description="Column with the wrong answers.")
    separator: str = Field("; ", description="Splits a text of wrong answers.")
    limit: int | None = Field(None, gt=1, le=10, description="At most so many options.")
    answer: str | None = Field(
        None, description="Column with the right option, or a list of them: see `answer_is`."
    )
    answer_is: Literal["index", "letter", "label", "text"] = "index"
    labels: str | None = Field(None, description="Column with the source's own labels of the options.")
    shuffle: bool = Field(False, description="Order the options by item id instead of by source.")
    seed: int = 42
    line: str = Field("{{ letter }}) {{ option }}", description="Template of one option.")

    @model_validator(mode="after")
    def _one_way(self) -> Choices:
        ways = [bool(self.columns), self.column is not None, self.correct is not None]
        if sum(ways) != 1:
            raise ValueError("choices need one of columns, column, or correct with incorrect")
        if (self.correct is None) != (self.incorrect is None):
            raise ValueError("correct and incorrect go together")
        if (self.correct is None) == (self.answer is None):
            raise ValueError("choices from columns need `answer`; correct and incorrect need none")
        return self


class Expected(Strict):
    """What the source held when the battery was pinned. Empty means not pinned."""

    rows: int | None = Field(None, gt=0, description="Rows in the source, before any filter.")
    items: int | None = Field(None, gt=0, description="Items after filters and draw.")
    digest: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="Content digest of all items.")


class Battery(Strict):
    """A battery as its file defines it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    source: Source
    rename: dict[str, str] = Field(
        {}, description="Columns of one edition of the source to the names used here, where they occur."
    )
    melt: Melt | None = None
    columns: Columns = Columns()
    template: str | None = Field(
        None, description="Prompt from columns: {{ name }}, {{# name }}..{{/ name }}."
    )
    expect: Any = Field(None, description="One expectation for all items.")
    expect_map: dict[str, Any] | None = Field(
        None, description="From the expect column to an expectation; truth values and numbers as in JSON."
    )
    expect_fields: dict[str, str] | None = Field(
        None, description="Expectation as a mapping; each value is a column, perhaps dotted."
    )
    choices: Choices | None = None
    filters: tuple[Filter, ...] = ()
    asserts: tuple[Assertion, ...] = ()
    duplicates: Literal["refuse", "drop"] = Field("refuse", description="Items with equal ids.")
    draw: Draw | None = None
    system: str | None = Field(
        None, description="System prompt; with {{ }} a template over the columns, empty where that is."
    )
    last_assistant_turn: Literal["continue", "drop"] = Field(
        "continue",
        description="Of a chat that ends so: the model continues the turn, or it is left out.",
    )
    few_shot: tuple[Shot, ...] = ()
    chat: bool | None = Field(None, description="False: never through a chat template.")
    scorer: str | dict[str, Any]
    margin: float | None = Field(None, gt=0, lt=1)
    license: str
    citation: str | None = None
    description: str | None = None
    access: Literal["open", "gated", "restricted"] = Field(
        "open", description="gated: the source asks for a token; restricted: no commercial use."
    )
    expected: Expected = Expected()

    @property
    def column_names(self) -> frozenset[str]:
        """Columns of the source that the battery names; of a dotted name, its first part, too."""
        own = self.columns
        parts = (own.id, own.prompt, own.expect, own.cluster, own.group, own.sampling)
        names = [name for part in parts for name in ((part,) if isinstance(part, str) else part or ())]
        names += [
            *self.rename,
            *(self.melt.columns if self.melt is not None else ()),
            *(self.expect_fields or {}).values(),
        ]
        names += [*(rule.column for rule in self.filters), *(rule.column for rule in self.asserts)]
        names += [name for text in (self.template, self.system) for name in template_names(text or "")]
        names += [self.draw.per] if self.draw is not None and self.draw.per else []
        if self.choices is not None:
            made = self.choices
            single = (made.column, made.correct, made.incorrect, made.answer, made.labels)
            names += [*made.columns, *filter(None, single)]
        plain = {found for name in names for found in (template_names(name) if "{{" in name else (name,))}
        return frozenset({*plain, *(name.partition(".")[0] for name in plain)})

    @property
    def pinned(self) -> bool:
        """Whether content and source are fixed: a digest, and a revision where the source is the hub."""
        return self.expected.digest is not None and (self.source.hub is None or bool(self.source.revision))

    @model_validator(mode="after")
    def _one_prompt_one_expectation(self) -> Battery:
        if (self.columns.prompt is None) == (self.template is None):
            raise ValueError("a battery needs either columns.prompt or a template")
        ways = ("expect" in self.model_fields_set, self.columns.expect is not None, self.choices is not None)
        if sum(ways) > 1:
            raise ValueError("the expectation comes from one of expect, columns.expect and choices")
        if self.expect_map is not None and self.columns.expect is None:
            raise ValueError("expect_map needs columns.expect")
        return self


def battery_schema() -> dict[str, Any]:
    """Return the JSON Schema of a battery file, for editors."""
    schema = Battery.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "TAIS battery"
    return schema
