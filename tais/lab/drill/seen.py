"""What each check saw of one arm of a drill."""

from __future__ import annotations

from dataclasses import dataclass

from tais.lab.drill.acceptance import ALPHA, Paired, acceptance_p
from tais.lab.drill.faults import Check
from tais.lab.drill.needed import needed_for_any, needed_for_endpoint, needed_for_treatment
from tais.manifest.model import Rules
from tais.verdict.evidence import ContrastEvidence
from tais.verdict.report import ContrastReport, Verdict

__all__ = ["Seen", "look"]

# Tokens or texts that are not the target's; ties and rounding are.
_NOT_THE_TARGETS = ("structural", "length", "text")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one check says of one arm."""

    check: Check
    caught: bool
    flagged: int | None
    """Answers in which it sees something; None where it looks at all of them together."""
    n: int
    """Answers that it looked at; 0 where it could not look."""
    needed: int | None = None
    """Answers at which it would still have caught the fault; None where it did not catch it."""
    p: float | None = None


def look(
    evidence: ContrastEvidence, report: ContrastReport, rules: Rules, pairs: Paired | None
) -> tuple[Seen, ...]:
    """Return what every check saw.

    Parameters
    ----------
    evidence, report
        One contrast, as folded from the samples and as decided.
    rules
        Of the run.
    pairs
        Its drafts beside those of its twin; None where no sound arm speculates in the same way.
    """
    return (
        _identity(evidence),
        _audit(evidence),
        _endpoint(evidence, report, rules),
        _prompt(evidence),
        _treatment(pairs),
    )


def _any(check: Check, flagged: int, n: int) -> Seen:
    return Seen(check, flagged > 0, flagged, n, needed_for_any(flagged, n))


def _identity(evidence: ContrastEvidence) -> Seen:
    n = sum(counts.n for counts in evidence.identity)
    return _any("identity", len({(d.battery, d.item_id, d.repeat) for d in evidence.divergences}), n)


def _audit(evidence: ContrastEvidence) -> Seen:
    if evidence.audit is None:
        return Seen("audit", False, 0, 0)
    found = {
        (a.battery, a.item_id, a.repeat) for a in evidence.audit.attributions if a.cause in _NOT_THE_TARGETS
    }
    return _any("audit", len(found), sum(counts.n for counts in evidence.identity))


def _endpoint(evidence: ContrastEvidence, report: ContrastReport, rules: Rules) -> Seen:
    failed = {e.key for e in report.endpoints if e.verdict is Verdict.failed}
    n = max((len(e.reference) for e in evidence.endpoints), default=0)
    needed = [needed_for_endpoint(e, rules) for e in evidence.endpoints if e.key in failed]
    return Seen("endpoint", bool(failed), None, n, min((k for k in needed if k is not None), default=None))


def _prompt(evidence: ContrastEvidence) -> Seen:
    n = sum(counts.n for counts in evidence.identity)
    drifted = sum(int(str(f.values["items"])) for f in evidence.findings if f.code == "prompt_drift")
    return _any("prompt", drifted, n)


def _treatment(pairs: Paired | None) -> Seen:
    if pairs is None:
        return Seen("treatment", False, None, 0)
    p = acceptance_p(pairs)
    caught = p < ALPHA
    return Seen("treatment", caught, None, len(pairs), needed_for_treatment(pairs) if caught else None, p)
