"""The base of what a report says beside its verdict: it stays as it is written, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import (
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    StrictFloat,
    StrictInt,
    ValidationError,
    model_serializer,
    model_validator,
)

from tais.common.models import Open

__all__ = ["Lenient", "Number"]

Number = StrictInt | StrictFloat
"""Written again as it was read: 5 does not become 5.0."""


class Lenient(Open):
    """What another version of TAIS, or somebody else, may have written.

    Keys that are not known are kept, in their order. A value that does not fit its field reads as the field's
    default, and is written again as it was. A key that was not set is not written.
    """

    # A figure without a value (an odds ratio of nothing) is written as null.
    model_config = ConfigDict(allow_inf_nan=True)

    _order: tuple[str, ...] = PrivateAttr(default=())
    _misfits: dict[str, object] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, Mapping):
            return handler(data)
        misfits: dict[str, object] = {}
        try:
            made = handler(data)
        except ValidationError as error:
            keys = {one["loc"][0] for one in error.errors(include_url=False, include_input=False)}
            misfits = {key: value for key, value in data.items() if key in keys}
            made = handler({key: value for key, value in data.items() if key not in keys})
        made._order, made._misfits = tuple(data), misfits
        return made

    @model_serializer(mode="wrap")
    def _write(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = handler(self) | self._misfits
        known = self.model_fields_set | self._misfits.keys()
        known &= values.keys()
        return {key: values[key] for key in dict.fromkeys([*self._order, *values]) if key in known}

    def __eq__(self, other: object) -> bool:
        """Return whether both say the same, in whatever order."""
        return type(other) is type(self) and other.model_dump() == self.model_dump()

    __hash__ = Open.__hash__
