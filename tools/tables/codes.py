"""Makes docs/codes.md from the tables of reason codes and of the gate's objections.

python tools/tables/codes.py          # writes it
python tools/tables/codes.py --check  # says whether it is up to date
"""

from __future__ import annotations

import sys
from pathlib import Path

from tais.gate.codes import OBJECTIONS, ObjectionCode
from tais.verdict.codes import CODES, Code

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"
_HEAD = """\
# Reason codes

Every reason and note of a report has a code. The list is closed: a policy ([gate.md](gate.md)) that
names another one is refused with the nearest that there is. `tools/tables/codes.py` makes this page from
the table that TAIS itself reads.

**Effect** is the most that a code does: *fails*; *blocks* a pass (the verdict is inconclusive at best);
*points* to a reason below it; explains a pass (*passes*); or is a *note* and decides nothing. Where a
contrast does not claim to be lossless, or is no screen, a code may be a note.

**Allowed**: *yes* may stand in `allowed_reasons` and then lets an inconclusive verdict through; *never*
is refused there, and `allow_inconclusive` does not cover it; for all others the key has no effect.
`refused_reasons` takes every code of these three tables. What the gate itself says stands in the
[last one](#of-the-gate).
"""
_GATE = """\
## Of the gate

What `tais gate` holds against a verified run. **Shuts** says whether it does so whatever the policy says
(*always*), because of the key named beside it (*policy*), or not at all (*warning*). `verdict_inconclusive`
alone gives exit code 3; all others give 1.

| code | shuts | policy key | means | what to do |
|---|---|---|---|---|
"""
_TITLES = {"endpoint": "Of an endpoint", "contrast": "Of a contrast", "screen": "Of the screen"}


def page() -> str:
    """Return the page."""
    gate = _GATE + "".join(_objection(name, code) for name, code in sorted(OBJECTIONS.items()))
    return "\n".join([_HEAD, *(_section(level, title) for level, title in _TITLES.items()), gate])


def _section(level: str, title: str) -> str:
    rows = [_row(name, code) for name, code in sorted(CODES.items()) if code.level == level]
    head = "| code | effect | allowed | means | what to do |\n|---|---|---|---|---|"
    return "\n".join([f"## {title}\n", head, *rows, ""])


def _row(name: str, code: Code) -> str:
    allowed = "never" if code.never_allowed else "yes" if code.allowable else ""
    return f"| `{name}` | {code.says} | {allowed} | {code.meaning} | {code.remedy} |"


def _objection(name: str, code: ObjectionCode) -> str:
    keys = ", ".join(f"`{key}`" for key in code.key.split(", ") if key)
    return f"| `{name}` | {code.shuts} | {keys} | {code.meaning} | {code.remedy} |\n"


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
