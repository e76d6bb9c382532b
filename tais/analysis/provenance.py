"""Whether two arms are two: decided by where their answers come from, never by what they say.

Two real stacks may give equal answers; that is what lossless means. One set of answers under two names
is no comparison, however it came about: the same arm of the same run twice, one file imported twice, one
cache entry, parts copied from one arm to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tais.common.files import sha256_file
from tais.manifest.model import Role
from tais.rundir.compared import compared_runs
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock, LockedContrast, LockedFile
from tais.rundir.origin import origin_of, same_source
from tais.rundir.samples import part_files, part_id, read_batches
from tais.rundir.sources import sources_of
from tais.verdict.evidence import Finding

__all__ = ["provenance_findings"]

_KEY = ("battery", "item_id", "repeat")
# So many answers with the same times to the microsecond: two engines do not manage that.
_LEAST_TIMES = 8
_MOST_TIMES = 8192


def provenance_findings(run: RunDir, lock: Lock, contrast: LockedContrast) -> Iterator[Finding]:
    """Say which arms ran elsewhere, and that both sides are one and the same.

    Parameters
    ----------
    run
        The run directory.
    lock
        Its lock.
    contrast
        One of its contrasts.
    """
    if contrast.role is Role.screen and (unverified := [s.run for s in sources_of(lock) if not s.verified]):
        named = ", ".join(dict.fromkeys(unverified))
        yield Finding("sources_unverified", f"not signed, or not verified: {named}", {"runs": unverified})
    sides = {arm: origin_of(run.arm(arm)) for arm in contrast.sides}
    for arm, origin in sides.items():
        if origin is not None:
            where = f"{origin['run']} of {origin['date']} on {origin['machine']}"
            yield Finding(
                "reused_arm", f"{arm} came from the cache: it ran in run {where}", {"arm": arm, **origin}
            )
    if same_source(*(sides[arm] for arm in contrast.sides)):
        message = "both arms are copies of the same answers, which agree whatever the stacks do"
        yield Finding("same_answers", message, blocks_pass=True)
    why = _same_evidence(run, lock, contrast)
    if why:
        # A calibration on a copy shows no noise; it is said there, and stops what is screened.
        screened = contrast.role is Role.screen
        message = f"both sides are one and the same evidence: {why}"
        yield Finding("same_evidence", message, {"why": why}, blocks_pass=screened)
    elif _equal_files(lock, contrast):
        yield Finding("produced_by_unverified", _said_of_origin(lock, contrast))


def _same_evidence(run: RunDir, lock: Lock, contrast: LockedContrast) -> str:
    """Return why both sides are one, empty where they are two."""
    compared = compared_runs(lock)
    if compared is not None and contrast.role is Role.screen:
        cited = [(side.run, side.arm) for side in (compared.reference, compared.candidate)]
        if cited[0] == cited[1]:
            return f"the arm {cited[0][1]} of the run {cited[0][0]}"
    if _equal_files(lock, contrast) and not _told_apart(lock, contrast):
        return (
            "two imported files of equal bytes, and nothing says that two stacks produced them (produced_by)"
        )
    folders = [run.arm(arm) for arm in contrast.sides]
    shared = _shared_part(*folders)
    if shared:
        return f"they share the part {shared}"
    if lock.arms[contrast.candidate].engine != "import" and _equal_times(*folders):
        return "every answer of both took the same time"
    return ""


def _equal_files(lock: Lock, contrast: LockedContrast) -> bool:
    digests = [_digests(lock.arms[arm].path) for arm in contrast.sides]
    return digests[0] == digests[1] != []


def _digests(path: LockedFile | tuple[LockedFile, ...] | None) -> list[str]:
    files = path if isinstance(path, tuple) else () if path is None else (path,)
    return sorted(file.sha256 for file in files)


def _told_apart(lock: Lock, contrast: LockedContrast) -> bool:
    told = [lock.arms[arm].produced_by for arm in contrast.sides]
    return None not in told and told[0] != told[1]


def _said_of_origin(lock: Lock, contrast: LockedContrast) -> str:
    told = [lock.arms[arm].produced_by for arm in contrast.sides]
    said = " and ".join(f"{one.tool} at {one.time} on {one.host}" for one in told if one is not None)
    return f"two imported files of equal bytes; that {said} produced them is the manifest's word, unverified"


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
