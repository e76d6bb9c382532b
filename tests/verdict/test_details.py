"""Details of a report: one model for each key that TAIS writes, read wherever they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tais.verdict.details import DETAILS, detail, listed, written, written_list
from tais.verdict.details.contrast import PooledBatteries, ShownSensitivity
from tais.verdict.details.endpoint import Flips, Null
from tais.verdict.lenient import Lenient
from tests.report.factory import endpoint

ROOT = Path(__file__).parents[2]
STORED = [
    ROOT / "tests" / "assets" / "runs" / "signed" / "report.json",
    *sorted((ROOT / "reports" / "sample").rglob("report.json")),
]


def stored_details(report: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Every detail of a report with its place in the table."""
    yield from ((f"report.{key}", value) for key, value in report["details"].items())
    for contrast in report["contrasts"]:
        yield from ((f"contrast.{key}", value) for key, value in contrast["details"].items())
        for one in contrast["endpoints"]:
            yield from ((f"endpoint.{key}", value) for key, value in one["details"].items())


def unknown(value: object) -> list[object]:
    """What a model did not know, or could not read, at any depth."""
    if isinstance(value, list | tuple):
        return [x for inner in value for x in unknown(inner)]
    if not isinstance(value, BaseModel):
        return []
    own = [*(value.__pydantic_extra__ or ()), *(value._misfits if isinstance(value, Lenient) else ())]
    return [*own, *(x for name in type(value).model_fields for x in unknown(getattr(value, name)))]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_the_table_knows_every_key_that_is_written(path: Path) -> None:
    found = list(stored_details(json.loads(path.read_bytes())))
    assert found
    for place, value in found:
        model = DETAILS[place]
        if not issubclass(model, BaseModel):
            assert value is None or isinstance(value, model)
            continue
        for entry in value if isinstance(value, list) else [value]:
            read = model.model_validate(entry)
            assert unknown(read) == [], place
            assert read.model_dump(mode="json") == entry, place


def test_each_model_stands_for_one_key() -> None:
    models = [model for model in DETAILS.values() if model is not float]
    assert len(models) == len(set(models))


@pytest.mark.parametrize("foreign", [None, 7, "x", [], [None]])
def test_a_detail_that_is_none_reads_as_absent(foreign: object) -> None:
    one = endpoint(details={"flips": foreign, "sensitivity": foreign})
    assert detail(one, Flips) is None
    assert listed(one, ShownSensitivity) == ()


def test_a_field_that_does_not_fit_leaves_the_others() -> None:
    one = endpoint(
        details={"flips": {"safe_to_unsafe": 3, "safe_to_unsafe_items": [1], "unsafe_to_safe": "x"}}
    )
    assert detail(one, Flips) == Flips.model_validate(one.details["flips"])
    found = detail(one, Flips)
    assert found is not None
    assert (found.safe_to_unsafe, found.safe_to_unsafe_items, found.unsafe_to_safe) == (3, (), None)


def test_an_entry_that_is_none_leaves_the_others() -> None:
    one = endpoint(details={"sensitivity": [7, {"not_pass": 0.1}, {}]})
    assert [shown.not_pass for shown in listed(one, ShownSensitivity)] == [0.1, None]


def test_what_is_written_is_read_again() -> None:
    null = Null(discordance=0.01, h_quantiles={"0.5": 0.02}, usable_from_n=None)
    one = endpoint(details=written(null))
    assert one.details == {"null": {"discordance": 0.01, "h_quantiles": {"0.5": 0.02}, "usable_from_n": None}}
    assert detail(one, Null) == null


def test_an_odds_ratio_without_a_value_is_written_as_null() -> None:
    one = endpoint(details=written_list([PooledBatteries(odds_ratio=float("inf"))]))
    assert json.loads(one.model_dump_json())["details"] == {"pooled": [{"odds_ratio": None}]}


def test_an_empty_list_is_not_written() -> None:
    assert written_list([]) == {}
