"""Small evidence whose decisions are stored by the version of the rules that made them.

python -m tests.verdict.decided               # stores the decisions of a version that has none yet
python -m tests.verdict.decided --unreleased  # also where they changed: only before a version is released
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tais.manifest.rules_version import RULES_VERSION
from tais.verdict.evidence import (
    AuditCounts,
    AuditEvidence,
    BatteryAudit,
    Divergence,
    Finding,
    LookEvidence,
    PlantedTokens,
    ScreenEvidence,
    TreatmentEvidence,
)
from tais.verdict.report import ContrastReport, EndpointReport, Reason, Report
from tais.verdict.screen import decide
from tests.stats.made import CAUGHT, DRAFTED, QUIET, contrast, endpoint, exchange, outcomes, screen

STORED = Path(__file__).parents[1] / "assets" / "rules" / "decisions.json"

_PART = np.arange(200) < 20
_THIRDS = np.tile([0.0, 0.5, 1.0], 100)
_LOOKED = LookEvidence(
    "obrien_fleming",
    (60, 120, 180),
    early=True,
    at=np.repeat([1, 2, 3], 60),
    reference_only=(0,) * 3,
    candidate_only=(0,) * 3,
    endpoints=1,
)
_NONE = AuditCounts()
_AUDITED = AuditEvidence(
    "only", "float32", 1e-5, 1e-5, _NONE, AuditCounts(9000), (BatteryAudit("mine", 120, 0),),
    planted=PlantedTokens(110, 105),
)  # fmt: skip


def _alone(audit: AuditEvidence, **rules: Any) -> ScreenEvidence:
    return screen(
        contrast(evidence="teacher_forced", audit=audit), accept_evidence=("teacher_forced",), **rules
    )


def _shown_by(*exchanges: Any, controls: Any = ()) -> ScreenEvidence:
    return replace(screen(contrast(endpoint(300)), *controls, shown=False), exchanges=exchanges)


def evidence() -> Mapping[str, ScreenEvidence]:
    """Return the screens by name; each stands for one rule, or for where it ends."""
    worse = endpoint(300, 60, 5, 35)
    length = Divergence("mine", "mine-00001", 0, 3, "token", 5, None, None, None, ends="candidate")
    seldom = TreatmentEvidence("draft_model", "draft_model", 100, 500, 5, answers=300, answers_accepted=5)
    return {
        "no flips, 88 items": screen(contrast(endpoint(88))),
        "no flips, 87 items": screen(contrast(endpoint(87))),
        "the exact test asks for 99": screen(contrast(endpoint(98)), exact=True),
        "worse": screen(contrast(worse)),
        "better": screen(contrast(endpoint(300, 5, 60, 35))),
        "better, of which only worse counts": screen(
            contrast(endpoint(300, 5, 60, 35)), hypothesis="non_inferiority"
        ),
        "a ratio": screen(contrast(endpoint(570, 3, 2, 25)), margin_scale="risk_ratio", margin=0.5),
        "a margin of the battery": screen(contrast(endpoint(300, 4, 2, 94, margin=0.05))),
        "near the margin": screen(contrast(endpoint(500, 12, 8, 80))),
        "h beyond its cutoff": screen(contrast(endpoint(988, 0, 12, 0))),
        "calibrated, with a control": screen(contrast(endpoint(480, 3, 1, 116)), QUIET, CAUGHT),
        "noise as large as the cutoff": screen(
            contrast(endpoint(80, 1, 1, 18)), contrast(endpoint(60, 12, 12, 16), role="calibration")
        ),
        "one bad endpoint of many": screen(
            contrast(worse, *(endpoint(80, 3, 3, 14, battery=f"b{i}") for i in range(30)))
        ),
        "suspect among many": screen(
            contrast(endpoint(85, 11, 1, 3), *(endpoint(60, 9, 9, 22, battery=f"b{i}") for i in range(30)))
        ),
        "opposite strata": screen(
            contrast(endpoint(400, 25, 0, 75, stratum="refuse"), endpoint(400, 0, 25, 75, stratum="answer"))
        ),
        "repeats": screen(contrast(endpoint(120, 1, 1, 8, repeats=5))),
        "scores": screen(
            contrast(outcomes(_THIRDS, np.roll(_THIRDS, 1), kind="continuous", scorer="judge")), margin=0.06
        ),
        "scores that fall": screen(
            contrast(outcomes(_THIRDS, _THIRDS * 0.8, kind="continuous", scorer="judge"))
        ),
        "invalid": screen(contrast(endpoint(200, candidate_invalid=_PART))),
        "rows that nobody answered": screen(contrast(replace(endpoint(200), unanswered=12))),
        "rows without a score": screen(contrast(outcomes(np.ones(100), np.full(100, np.nan)))),
        "rows of one arm": screen(contrast(replace(endpoint(200), reference_only=12))),
        "no items": screen(contrast(endpoint(0))),
        "nothing shown": screen(contrast(endpoint(300)), shown=False),
        "a waiver": screen(contrast(endpoint(300)), shown=False, sensitivity={"waived": ["mine"]}),
        "an exchange that loses little": _shown_by(exchange(endpoint(300), 30, 170)),
        "shown by a control alone": _shown_by(controls=(CAUGHT,)),
        "a control whose answers are empty": _shown_by(
            controls=(
                contrast(endpoint(0, 300, candidate_invalid=np.ones(300, bool)), role="positive_control"),
            )
        ),
        "a control that is not caught": screen(
            contrast(endpoint(300)), contrast(endpoint(300), role="positive_control")
        ),
        "speculation": screen(contrast(endpoint(300), treatment=DRAFTED)),
        "speculation that accepts little": screen(contrast(endpoint(300), treatment=seldom)),
        "answers of another length": screen(
            contrast(endpoint(300), divergences=(length,), identical=299 / 300)
        ),
        "another text of equal tokens": screen(
            contrast(
                endpoint(300),
                divergences=(replace(length, ends=None, same_tokens=True),),
                identical=299 / 300,
            )
        ),
        "a sampled audit alone without a law": screen(
            contrast(evidence="teacher_forced", greedy=False), accept_evidence=("teacher_forced",)
        ),
        "evidence that the rules do not accept": screen(contrast(evidence="teacher_forced", audit=_AUDITED)),
        "a reference that refuses all": _shown_by(exchange(endpoint(300, stratum="refuse"), 0, 60)),
        "speculation that did not take place": screen(
            contrast(endpoint(300), treatment=replace(DRAFTED, resolved="none", drafts=0))
        ),
        "divergences without a cause": screen(contrast(endpoint(300), identical=0.9)),
        "a finding that blocks": screen(
            contrast(endpoint(300), findings=(Finding("prompt_drift", "drift", blocks_pass=True),))
        ),
        "looks": screen(
            contrast(outcomes(np.ones(180), np.ones(180), looks=_LOOKED, margin=0.06)), margin=0.06
        ),
        "an audit alone": _alone(_AUDITED),
        "an audit alone, of which too little is scored": _alone(
            replace(_AUDITED, batteries=(BatteryAudit("mine", 120, 0, unscored=3),))
        ),
        "an audit alone that sees nothing": _alone(replace(_AUDITED, planted=PlantedTokens(110, 90))),
        "nothing to screen": ScreenEvidence("made", screen().rules, ()),
    }


def decisions() -> dict[str, Any]:
    """Return what the rules at hand decide."""
    return {name: _decision(decide(one)) for name, one in evidence().items()}


def _decision(report: Report) -> list[Any]:
    return [report.verdict.value, _codes(report.reasons), *map(_contrast, report.contrasts)]


def _contrast(found: ContrastReport) -> list[Any]:
    return [found.verdict.value, _codes(found.reasons), *map(_endpoint, found.endpoints)]


def _endpoint(found: EndpointReport) -> list[Any]:
    tost = found.tost
    numbers = [found.adjusted_p, found.cohens_h, found.null_h_quantile]
    numbers += [] if tost is None else [tost.p, *tost.ci]
    return [
        found.verdict.value,
        _codes(found.reasons),
        *(x if x is None else float(f"{x:.6g}") for x in numbers),
    ]


def _codes(reasons: tuple[Reason, ...]) -> str:
    return " ".join(sorted({r.code for r in reasons if r.severity == "decides"}))


def stored() -> dict[str, Any]:
    """Return the stored decisions by version of the rules."""
    found: dict[str, Any] = json.loads(STORED.read_text()) if STORED.exists() else {}
    return found


def main() -> int:
    """Store the decisions of this version."""
    known, now = stored(), json.loads(json.dumps(decisions()))
    key = str(RULES_VERSION)
    if known.get(key, now) != now and "--unreleased" not in sys.argv[1:]:
        sys.stderr.write("these rules decide otherwise than stored: raise RULES_VERSION\n")
        return 1
    whole = {**known, key: now}
    lines = [
        f' "{version}": {{\n'
        + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in each.items())
        + "\n }"
        for version, each in whole.items()
    ]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
