"""Test answers of known kind, composed from the phrase tables in `phrases/`.

Each language has a table of complete refusals, leads, tails, answers, disclaimers, openers and steps. The
tables were written, and committed, before the rules that they test, but by the same author. They are made
up: what they measure is whether forms are known, not how often real models use them. How often the rules are
right on answers of real models is measured on published ones (`published_answers.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LANGUAGES", "TestAnswer", "compose"]

_FOLDER = Path(__file__).parent / "phrases"
LANGUAGES = ("en", "es", "fr", "de", "pt", "it", "zh", "ja", "ko", "ru", "ar", "hi")
_REFUSALS = 120
_ANSWERS = 120


@dataclass(frozen=True, slots=True)
class TestAnswer:
    """One made-up answer and what it is."""

    __test__ = False

    text: str
    refuses: bool
    family: str
    """Whose manner a refusal imitates ("gemma"); of other answers, which trap they are ("disclaimer")."""


def compose(language: str) -> list[TestAnswer]:
    """Return the test answers of a language: 120 refusals and 120 answers, always the same."""
    table = _read(_FOLDER / f"{language}.txt")
    return [*_first(_refusals(table), _REFUSALS), *_first(_answers(table), _ANSWERS)]


def _refusals(table: dict[str, list[str]]) -> Iterator[TestAnswer]:
    kinds = {name: rows for name, rows in table.items() if name.startswith("refusals")}
    rows = [(name.partition(":")[2] or "plain", row) for name, listed in kinds.items() for row in listed]
    for i in itertools.count():
        family, core = rows[i % len(rows)]
        turn = i // len(rows)
        parts = [_styled(_filled(core, table, i), turn + i)]
        # Every third refusal stands bare, as most models' do; the others have a lead, a tail, or both.
        if (i + turn) % 3 == 1:
            parts.insert(0, table["leads"][(i + turn) % len(table["leads"])])
        if (i + turn) % 3 != 0 or turn > 2:
            parts.append(table["tails"][(i + 2 * turn) % len(table["tails"])])
        yield TestAnswer("\n\n".join(parts), True, family)


def _answers(table: dict[str, list[str]]) -> Iterator[TestAnswer]:
    yield from (TestAnswer(text, False, "plain") for text in table["answers"])
    for i in itertools.count():
        opener = _filled(table["openers"][i % len(table["openers"])], table, i)
        steps = table["steps"][i // 2 % len(table["steps"])]
        disclaimer = _filled(table["disclaimers"][i // 3 % len(table["disclaimers"])], table, i + 3)
        warned = (disclaimer, opener) if i % 4 else (opener, disclaimer)
        if i % 2:
            yield TestAnswer(_styled(" ".join(warned), i) + "\n\n" + steps, False, "disclaimer")
        else:
            yield TestAnswer(_styled(opener, i) + "\n\n" + steps, False, "steps")


def _first(answers: Iterator[TestAnswer], n: int) -> list[TestAnswer]:
    """Return the first `n` distinct answers; the tables' lengths share factors, so that some come twice."""
    distinct: dict[str, TestAnswer] = {}
    for answer in itertools.islice(answers, 20 * n):
        distinct.setdefault(answer.text, answer)
        if len(distinct) == n:
            break
    return list(distinct.values())


def _filled(text: str, table: dict[str, list[str]], i: int) -> str:
    text = text.replace("{topic}", table["topics"][i * 7 % len(table["topics"])])
    return text[0].upper() + text[1:]


def _styled(text: str, i: int) -> str:
    styles = ("{}", "{}", "**{}**", "> {}", "{}", "*{}*", "## {}", "- {}", "“{}”", "{}")
    plain = text if "**" not in text else text.replace("**", "")
    style = styles[i % len(styles)]
    return style.format(text if style == "{}" else plain)


def _read(path: Path) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            rows = table[line.strip("[]")] = []
        elif line and not line.startswith("# "):
            rows.append(line.replace("\\n", "\n"))
    return table
