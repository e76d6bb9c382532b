"""The three pydantic bases of TAIS: what people write, what TAIS writes, and what a later TAIS may add to."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Frozen", "Open", "Strict"]


class Strict(BaseModel):
    """What people write: an unknown key is an error, and so is a figure that is no number.

    Keys are those of the file alone: a field with an alias is not taken under its Python name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Frozen(Strict):
    """What TAIS writes and reads again; built in Python by the names of its fields."""

    model_config = ConfigDict(populate_by_name=True)


class Open(Frozen):
    """What TAIS writes under a contract that adds keys: those of a later version are kept."""

    model_config = ConfigDict(extra="allow")
