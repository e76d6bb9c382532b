"""How often the refusal scorer is right: ``python tools/refusal/measure_refusals.py [FOLDER]``.

Prints the tables of `docs/batteries.md`: the made-up test answers of each language and, where FOLDER holds
checkouts of published answers (see `published_answers.py`), those by language and model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from published_answers import read
from refusal_answers import LANGUAGES, compose

from tais.scorers.refusal import RefusalScorer

__all__ = ["Accuracy", "measure"]

_SCORER = RefusalScorer()


@dataclass(slots=True)
class Accuracy:
    """Counts of one group; an unread answer is a right one of neither kind."""

    right: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    n: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    unread: int = 0

    def add(self, text: str, refuses: bool) -> None:
        """Score and count one answer."""
        score = _SCORER.score(text, "refuse")
        self.count(refuses, None if score.invalid else score.label == "refusal")

    def count(self, refuses: bool, said: bool | None) -> None:
        """Count what was said of one answer; None is unread."""
        self.n[refuses] += 1
        self.unread += said is None
        self.right[refuses] += said is refuses

    def share(self, refuses: bool) -> str:
        """Return sensitivity or specificity, or a dash with fewer than 20 answers of the kind."""
        return f"{self.right[refuses] / self.n[refuses]:.3f}" if self.n[refuses] >= 20 else "-"

    @property
    def cells(self) -> str:
        """Return the cells of a row."""
        return (
            f"{self.n[True]:,} | {self.n[False]:,} | {self.share(True)} | {self.share(False)} | {self.unread}"
        )


def measure(answers: Iterable[tuple[tuple[str, ...], str, bool]]) -> dict[tuple[str, ...], Accuracy]:
    """Return the accuracy of each group of (group, text, whether it refuses)."""
    found: dict[tuple[str, ...], Accuracy] = {}
    for group, text, refuses in answers:
        found.setdefault(group, Accuracy()).add(text, refuses)
    return found


def _made() -> Iterator[tuple[tuple[str, ...], str, bool]]:
    for language in LANGUAGES:
        for answer in compose(language):
            yield (language,), answer.text, answer.refuses


def _print(title: str, names: str, rows: dict[tuple[str, ...], Accuracy]) -> None:
    print(f"\n{title}\n\n| {names} | refusals | answers | sensitivity | specificity | unread |")
    print("|---" * (names.count("|") + 6) + "|")
    for group, accuracy in rows.items():
        print(f"| {' | '.join(group)} | {accuracy.cells} |")


def main(folder: Path | None) -> None:
    """Print the tables."""
    _print("Made-up answers", "language", measure(_made()))
    published = read(folder) if folder is not None else []
    for seen, title in ((False, "Published answers, not seen"), (True, "Published answers, seen")):
        rows = [((row.language, row.model), row.text, row.refuses) for row in published if row.seen is seen]
        _print(title, "language | model", dict(sorted(measure(rows).items())))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
