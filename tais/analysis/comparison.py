"""What a comparison of two runs says of itself: its claim with the reasons, and the rules of both runs."""

from __future__ import annotations

from collections.abc import Iterator

from tais.manifest.model import Role
from tais.rundir.compared import compared_runs
from tais.rundir.lock_model import Lock, LockedContrast
from tais.verdict.evidence import Finding

__all__ = ["comparison_findings"]


def comparison_findings(lock: Lock, contrast: LockedContrast) -> Iterator[Finding]:
    """Yield notes on the screened contrast of a comparison; nothing for any other."""
    compared = compared_runs(lock)
    if compared is None or contrast.role is not Role.screen:
        return
    if compared.not_lossless is not None:
        yield Finding("lossless_claim", _claim(compared.not_lossless), {"against": [*compared.not_lossless]})
    versions: dict[str, object] = {
        "reference": compared.reference.rules_version,
        "candidate": compared.candidate.rules_version,
        "comparison": lock.rules_version,
    }
    if len(set(versions.values())) > 1:
        message = (
            f"the reference's run was decided by version {versions['reference']} of the verdict rules, the "
            f"candidate's by version {versions['candidate']}, this comparison by version "
            f"{versions['comparison']}: their verdicts need not agree"
        )
        yield Finding("rules_versions_differ", message, versions)


def _claim(against: tuple[str, ...]) -> str:
    if not against:
        return (
            "lossless: the same target on the same engine and version, dtype, device kind, parallelism, "
            "attention and cache, and no rule that is known to be lossy"
        )
    return f"not claimed to be lossless: {'; '.join(against)}"
