"""Whether two arms are two: decided by where their answers come from.

Two real stacks may give equal answers; that is what lossless means. One set of answers under two names
is no comparison, however it came about: the same arm of the same run twice, one cache entry, parts copied
from one arm to another, one set of outputs imported twice.

Of imported outputs only the content is known. Packing, order, layout and split into files are no part of
it, and neither is what a log says of its own run: harnesses cache answers, and write them into a new log. So
two imports that agree in all answers to a battery are two only where the manifest says that two stacks
produced them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import JsonValue

from tais.common.files import sha256_file
from tais.manifest.model import Role
from tais.rundir.compared import compared_runs
from tais.rundir.engine_record import read_engine
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock, LockedContrast
from tais.rundir.origin import origin_of, same_source
from tais.rundir.samples import part_files, part_id, read_batches
from tais.rundir.sources import sources_of
from tais.verdict.evidence import Finding, IdentityCounts

__all__ = ["OneEvidence", "one_evidence", "provenance_findings", "recorded_again"]

_KEY = ("battery", "item_id", "repeat")
# So many answers with the same times to the microsecond: two engines do not manage that.
_LEAST_TIMES = 8
_MOST_TIMES = 8192


@dataclass(frozen=True, slots=True)
class OneEvidence:
    """What of a contrast is one and the same evidence on both sides."""

    batteries: frozenset[str] = frozenset()
    """Batteries that nothing is compared on: both sides are one there."""
    why: str = ""
    copied: bool = False
    """Whether a cache brought the answers of one side to the other."""
    told_apart: tuple[str, ...] = ()
    """Batteries that would be, did the manifest not say that two stacks produced the files."""


def one_evidence(
    run: RunDir, lock: Lock, contrast: LockedContrast, identity: Sequence[IdentityCounts]
) -> OneEvidence:
    """Return the batteries of a contrast whose answers are one and the same evidence on both sides.

    Parameters
    ----------
    run, lock
        The run directory, and its lock.
    contrast
        One of its contrasts.
    identity
        How many of its answers are identical, by battery.
    """
    everything = frozenset(battery.name for battery in lock.batteries)
    folders = [run.arm(arm) for arm in contrast.sides]
    if same_source(*(origin_of(folder) for folder in folders)):
        why = "both arms are copies of the same answers, which agree whatever the stacks do"
        return OneEvidence(everything, why, copied=True)
    why = _same_samples(lock, contrast, *folders)
    if why:
        return OneEvidence(everything, why)
    return _same_outputs(run, lock, contrast, identity)


def recorded_again(lock: Lock, contrast: LockedContrast) -> list[str]:
    """Return the imported arms that are the reference's own stack, where an imported candidate may be one."""
    if contrast.role is not Role.screen or lock.arms[contrast.candidate].engine != "import":
        return []
    found = (
        arm
        for other in lock.contrasts
        if other.role is Role.calibration and contrast.reference in other.sides
        for arm in other.sides
        if arm not in contrast.sides and lock.arms[arm].engine == "import"
    )
    return list(dict.fromkeys(found))


def provenance_findings(
    run: RunDir, lock: Lock, contrast: LockedContrast, one: OneEvidence
) -> Iterator[Finding]:
    """Say which arms ran elsewhere, and where both sides are one and the same.

    Parameters
    ----------
    run, lock, contrast
        As for :func:`one_evidence`.
    one
        What it returned.
    """
    if contrast.role is Role.screen and (unverified := [s.run for s in sources_of(lock) if not s.verified]):
        named = ", ".join(dict.fromkeys(unverified))
        yield Finding("sources_unverified", f"not signed, or not verified: {named}", {"runs": unverified})
    for arm in contrast.sides:
        origin = origin_of(run.arm(arm))
        if origin is not None:
            where = f"{origin['run']} of {origin['date']} on {origin['machine']}"
            yield Finding(
                "reused_arm", f"{arm} came from the cache: it ran in run {where}", {"arm": arm, **origin}
            )
    if one.copied:
        yield Finding("same_answers", one.why, blocks_pass=True)
    elif one.batteries:
        batteries = sorted(one.batteries)
        message = f"both sides are one and the same evidence on {', '.join(batteries)}: {one.why}"
        yield Finding("same_evidence", message, {"why": one.why, "batteries": batteries}, blocks_pass=True)
    elif one.told_apart:
        yield _unverified(lock, contrast, one.told_apart)


def _same_samples(lock: Lock, contrast: LockedContrast, reference: Path, candidate: Path) -> str:
    """Return why the stored samples of both sides are one, empty where they are two."""
    compared = compared_runs(lock)
    if compared is not None and contrast.role is Role.screen:
        cited = [(side.run, side.arm) for side in (compared.reference, compared.candidate)]
        if cited[0] == cited[1]:
            return f"the arm {cited[0][1]} of the run {cited[0][0]}"
    shared = _shared_part(reference, candidate)
    if shared:
        return f"they share the part {shared}"
    if lock.arms[contrast.candidate].engine != "import" and _equal_times(reference, candidate):
        return "every answer of both took the same time"
    return ""


def _same_outputs(
    run: RunDir, lock: Lock, contrast: LockedContrast, identity: Sequence[IdentityCounts]
) -> OneEvidence:
    """Return what of imported outputs is one: the batteries in which they agree in all that both hold.

    An engine that answers in this run cannot be what a file was made of that the lock holds already; an arm
    of another run, or from the cache, can.
    """
    imported = [arm for arm in contrast.sides if lock.arms[arm].engine == "import"]
    elsewhere = compared_runs(lock) is not None and contrast.role is Role.screen
    elsewhere |= any(origin_of(run.arm(arm)) is not None for arm in contrast.sides)
    if len(imported) < (1 if elsewhere else 2):
        return OneEvidence()
    equal = [x.battery for x in identity if x.n and x.identical == x.n]
    shared = _shared_file(run, lock, contrast) if len(imported) == len(contrast.sides) else ""
    if shared and not equal:
        # The file holds a part of some battery, and nothing stored says of which.
        equal = [x.battery for x in identity if x.identical]
    told = [lock.arms[arm].produced_by for arm in imported]
    if not equal:
        return OneEvidence()
    if None not in told and (len(told) == 1 or told[0] != told[1]):
        return OneEvidence(told_apart=tuple(sorted(equal)))
    what = f"both list the file {shared}" if shared else "the imported answers are equal"
    why = (
        f"{what}, and nothing says that two stacks produced them. Where two did, give each imported arm its "
        "own produced_by: {tool, time, host}"
    )
    return OneEvidence(frozenset(equal), why)


def _shared_file(run: RunDir, lock: Lock, contrast: LockedContrast) -> str:
    """Return the name of a file that both arms read in the same way, empty for none."""
    arms = [lock.arms[arm] for arm in contrast.sides]
    if len({repr((arm.format, arm.columns, arm.only)) for arm in arms}) > 1:
        # One table may hold the answers of several stacks.
        return ""
    theirs, ours = (_files_read(run.arm(arm)) for arm in contrast.sides)
    return next((name for digest, name in ours.items() if digest in theirs), "")


def _files_read(folder: Path) -> dict[JsonValue, str]:
    """Return the files that an import arm read, by digest; what it passed over holds no answer."""
    found = read_engine(folder).resolved.get("files")
    files = [file for file in found if isinstance(file, dict)] if isinstance(found, list) else []
    return {file.get("sha256"): str(file.get("file")) for file in files}


def _unverified(lock: Lock, contrast: LockedContrast, batteries: Sequence[str]) -> Finding:
    told = [lock.arms[arm].produced_by for arm in contrast.sides]
    said = " and ".join(f"{one.tool} at {one.time} on {one.host}" for one in told if one is not None)
    message = (
        f"all imported answers to {', '.join(batteries)} are equal; that {said} produced them is the "
        "manifest's word, unverified"
    )
    return Finding("produced_by_unverified", message, {"batteries": list(batteries)})


def _shared_part(reference: Path, candidate: Path) -> str:
    """Return the name of a part of the candidate that is a copy of one of the reference, empty for none."""
    theirs = {_identity(path) for path in part_files(reference)} - {None}
    return next((path.name for path in part_files(candidate) if _identity(path) in theirs), "")


def _identity(part: Path) -> str | None:
    """Return what only a copy of a part shares: its id, else its bytes, where these tell times."""
    found = part_id(part)
    if found is not None:
        return found
    times = {
        time.as_py() for batch in read_batches(part.parent, ("seconds",)) for time in batch.column("seconds")
    }
    # Older parts have no id. Without times, the parts of two stacks that agree are equal byte for byte.
    return sha256_file(part) if len(times) > 1 else None


def _equal_times(reference: Path, candidate: Path) -> bool:
    first, second = _times(reference), _times(candidate)
    both = [(first[key], second[key]) for key in first.keys() & second.keys()]
    return (
        len(both) >= _LEAST_TIMES
        and len({time for time, _ in both}) >= _LEAST_TIMES // 2
        and all(left == right for left, right in both)
    )


def _times(arm_dir: Path) -> dict[tuple[object, ...], float]:
    rows = (
        row
        for batch in read_batches(arm_dir, (*_KEY, "seconds"))
        for row in zip(*(batch.column(name).to_pylist() for name in (*_KEY, "seconds")), strict=True)
    )
    return {row[:-1]: row[-1] for row in islice(rows, _MOST_TIMES) if row[-1] is not None}
