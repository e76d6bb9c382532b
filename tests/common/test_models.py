"""Behaviour of the three pydantic bases."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from tais.common.models import Frozen, Open, Strict


class _Written(Strict):
    schema_: str = Field("v1", alias="schema")
    figure: float = 0.0


class _Stored(Frozen):
    schema_: str = Field("v1", alias="schema")


class _Growing(Open):
    figure: float = 0.0


@pytest.mark.parametrize(
    "keys", [{"figur": 1.0}, {"schema_": "v1"}, {"figure": float("nan")}, {"figure": float("inf")}]
)
def test_what_people_write_is_refused_where_it_is_unclear(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _Written.model_validate(keys)


def test_a_record_is_built_by_field_name_and_refuses_unknown_keys() -> None:
    assert _Stored(schema_="v2") == _Stored.model_validate({"schema": "v2"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        _Stored.model_validate({"schema": "v2", "more": 1})


def test_a_growing_record_keeps_the_keys_of_a_later_version() -> None:
    later = {"figure": 1.0, "added": {"deep": [1]}}
    assert _Growing.model_validate(later).model_dump() == later


def test_none_of_them_can_be_changed_or_holds_what_is_no_number() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        _Growing().figure = 2.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="finite number"):
        _Growing(figure=float("nan"))
