"""Which parts of answers differ between arms, and which TAIS keeps without knowing what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tais.common.parts import unknown_parts
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import LockedContrast
from tais.rundir.samples import read_batches
from tais.verdict.evidence import Divergence, Finding

__all__ = ["part_findings"]


def part_findings(
    run: RunDir, contrast: LockedContrast, divergences: Sequence[Divergence]
) -> Iterator[Finding]:
    """Yield what a contrast says of the parts of its answers.

    Parameters
    ----------
    run, contrast
        Of the run.
    divergences
        Answers that differ, as far as they were read.
    """
    differing = Counter(name for divergence in divergences for name in divergence.differs)
    # That answers differ in what they say is what the identity says.
    if set(differing) - {"answer"}:
        said = ", ".join(f"{name} in {count:,}" for name, count in differing.most_common())
        message = f"of {len(divergences):,} answers that differ: {said}"
        yield Finding("parts_differ", message, {"answers": len(divergences), "parts": dict(differing)})
    for arm in contrast.sides:
        unknown = _unknown(run.arm(arm))
        if unknown:
            said = ", ".join(f"{name} in {count:,}" for name, count in unknown.most_common())
            message = (
                f"answers of {arm} have parts that no scorer knows ({said}): kept and compared, not scored"
            )
            yield Finding("unknown_parts", message, {"arm": arm, "parts": dict(unknown)})


def _unknown(folder: Path) -> Counter[str]:
    found = Counter[str]()
    for batch in read_batches(folder, ("parts",)):
        for rendered in batch.column("parts").drop_null().to_pylist():
            found.update(unknown_parts(rendered))
    return found
