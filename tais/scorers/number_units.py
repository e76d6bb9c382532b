"""A number with its unit, and when two such numbers are the same."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Number", "same_number"]


class Number(NamedTuple):
    """A number with what stands behind it."""

    value: Fraction | int
    percent: bool = False
    behind: str = ""
    """Its currency, or the text that follows it."""

    @property
    def unit(self) -> str | None:
        """One of the units below; others are words like any."""
        behind = self.behind
        if behind in _UNITS or not behind:
            return behind or None
        word = _UNIT.match(behind)
        return word[1] if word and word[1] in _UNITS else None

    def __str__(self) -> str:
        """Return what tells it from others."""
        return f"{self.value}{'%' if self.percent else ''}"


# Dimension, and factor to its first unit.
_UNITS = {
    name: (dimension, Fraction(factor))
    for dimension, rows in {
        "length": "mm millimeters:1/1000 cm centimeter centimeters centimetres:1/100 "
        "m meter meters metre metres:1 "
        "km kilometer kilometers kilometre kilometres:1000 ft foot feet:0.3048 mi mile miles:1609.344",
        "mass": "mg:1/1000 g gram grams:1 kg kilogram kilograms:1000 lb lbs pound pounds:453.59237",
        "time": "ms milliseconds:1/1000 s sec second seconds:1 min minute minutes:60 "
        "h hr hrs hour hours:3600 "
        "day days:86400 week weeks:604800",
        "volume": "ml mL milliliters:1/1000 l L liter liters litre litres:1",
        "dollar": "cent cents ¢:1/100 $ dollar dollars USD:1",
        "euro": "€ euro euros EUR:1",
        "pound sterling": "£ GBP:1",
    }.items()
    for names, factor in (row.rsplit(":", 1) for row in re.findall(r"[^:]+:\S+", rows))
    for name in names.split()
}
_UNIT = re.compile(r"\s{0,3}([A-Za-z]{1,12}|[$€£¢])(?![A-Za-z/^²³\d])")


def same_number(given: Number, expected: Number) -> bool:
    """Return whether two numbers are equal, units and percent signs considered where both have them.

    Where one alone has a percent sign, 50 % is 50 and 0.5: whether the sign belongs to the answer or to the
    question is not known. Where both have units of one kind they are converted; of two kinds they differ.
    """
    if given.percent != expected.percent:
        signed, plain = (given, expected) if given.percent else (expected, given)
        return plain.value == signed.value or plain.value * 100 == signed.value
    wanted = expected.unit
    unit = None if wanted is None else given.unit
    if wanted is None or unit is None:
        return given.value == expected.value
    (kind, factor), (other, scale) = _UNITS[unit], _UNITS[wanted]
    return kind == other and given.value * factor == expected.value * scale
