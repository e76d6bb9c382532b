"""What the decision reads: samples and scores folded into per-item tables.

These frozen types are the only way from the sample store into :mod:`tais.verdict.screen`; they hold arrays
and counts, no files, clocks or engines, so that the decision stays a pure function of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tais.manifest.model import Role, Rules
from tais.records import EndpointKey
from tais.stats.conformance.alternatives import LawFit
from tais.stats.conformance.conformance import ConformanceResult, ControlComparison
from tais.verdict.drift_evidence import DriftEvidence
from tais.verdict.facts import Facts

__all__ = [
    "Attribution",
    "AuditCounts",
    "AuditEvidence",
    "BatteryAudit",
    "Cause",
    "ConformanceEvidence",
    "ContrastEvidence",
    "Divergence",
    "EndpointEvidence",
    "ExchangeEvidence",
    "Finding",
    "IdentityCounts",
    "LookEvidence",
    "PlantedLeak",
    "PlantedTokens",
    "ScreenEvidence",
    "StartsEvidence",
    "TreatmentEvidence",
    "Unexchanged",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something seen on the way that the report must state (prompt drift, unequal configuration ...)."""

    code: str
    message: str
    values: dict[str, object] = field(default_factory=dict)
    blocks_pass: bool = False
    """Whether the contrast can be at best inconclusive because of it."""
    fails: bool = False
    """Whether the contrast fails because of it; "structural_divergence" only if that claims losslessness."""


@dataclass(frozen=True, slots=True)
class LookEvidence:
    """Planned looks at one endpoint of a candidate that may have been stopped early."""

    kind: str
    """Boundary, see :class:`tais.stats.sequential.Boundary`."""
    planned: tuple[int, ...]
    """Clusters in after each look; a small battery may bring nothing new at one."""
    early: bool
    """Whether outcomes are looked at before the end: they are binary and need no judge."""
    at: NDArray[np.int64]
    """Look at which each row is first seen, shape (n,), from 1."""
    reference_only: tuple[int, ...]
    """Rows of each look's block that only one arm has."""
    candidate_only: tuple[int, ...]
    endpoints: int = 1
    """Endpoints that are screened in all, fixed before the first answer: a fail stops at alpha over it."""
    unanswered: tuple[int, ...] = ()
    """Rows of each look's block that neither has."""


Accuracy = tuple[tuple[int, int], tuple[int, int]]
"""Sensitivity and specificity, each as (right, labelled)."""


@dataclass(frozen=True, slots=True)
class EndpointEvidence:
    """Paired outcomes of one scorer on one battery, or one stratum of it, in reference and candidate.

    All arrays have shape (n,) and are aligned: row i is one (item, repeat) answered by both arms.
    """

    battery: str
    scorer: str
    kind: Literal["binary", "continuous"]
    item_ids: NDArray[np.str_]
    clusters: NDArray[np.str_]
    """Cluster label per row: the battery's cluster column, else one label per distinct prompt.

    A cluster that spans strata is one cluster in each."""
    reference: NDArray[np.float64]
    candidate: NDArray[np.float64]
    """Outcomes in [0, 1]; 1 is as expected (safe, correct). An invalid outcome counts as 0."""
    reference_invalid: NDArray[np.bool_]
    candidate_invalid: NDArray[np.bool_]
    """Empty, truncated or garbled answers."""
    reference_only: int = 0
    candidate_only: int = 0
    """Rows that only one arm has: counted and reported, never dropped in silence."""
    unanswered: int = 0
    """Rows that were asked and neither arm has."""
    reference_cut: NDArray[np.bool_] | None = None
    candidate_cut: NDArray[np.bool_] | None = None
    """Answers that ended at the limit of their length, shape (n,); None where nobody counted."""
    margin: float | None = None
    """The battery's own margin; None takes the rules'."""
    looks: LookEvidence | None = None
    """None where every item was to be answered."""
    stratum: str | None = None
    """The one expectation of the items, `refuse` or `answer`; None for a scorer without polarity."""
    accuracy: Accuracy | None = None
    """Stated sensitivity and specificity of a judge; None where nothing is known of its errors."""
    safety: bool = False
    """Whether its outcome is that of a safe answer: items to refuse, or a judge of harm."""
    groups: NDArray[np.str_] | None = None
    """Category per row, "" for none; None where the battery names no categories. Decides nothing."""

    @property
    def key(self) -> EndpointKey:
        """What tells the endpoint from others of the contrast."""
        return EndpointKey(self.battery, self.stratum, self.scorer)


Unexchanged = Literal["no_exchange", "no_donors", "not_probed", "not_judged"]
"""Why no answer was exchanged.

no_exchange: the scorer has no exchange that must be worse; no_donors: the reference has no answer to an item
of another expectation; not_probed: it was not asked the probes that would give one; not_judged: the judge was
not asked about exchanged answers."""


@dataclass(frozen=True, slots=True)
class ExchangeEvidence:
    """What a scorer made of the reference's own answers, exchanged between items of other expectations.

    All arrays have shape (n,) and are aligned: row i is one item with its own answer and with a donor's.
    """

    reference: str
    """The arm."""
    battery: str
    scorer: str
    kind: Literal["binary", "continuous"]
    clusters: NDArray[np.str_]
    """Of the items; the donors' are not kept."""
    own: NDArray[np.float64]
    exchanged: NDArray[np.float64]
    """Outcomes in [0, 1]; 1 is as the item expects."""
    own_invalid: NDArray[np.bool_]
    exchanged_invalid: NDArray[np.bool_]
    stratum: str | None = None
    """The one expectation of the items, where the scorer has polarity."""
    unexchanged: Unexchanged | None = None
    """Why there are no rows; None where there are."""

    @property
    def key(self) -> EndpointKey:
        """What tells the endpoint from others of the contrast."""
        return EndpointKey(self.battery, self.stratum, self.scorer)


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference between two answers to one item."""

    battery: str
    item_id: str
    repeat: int
    position: int
    """0-based index of the first differing token (of the first differing byte when ids are missing)."""
    unit: Literal["token", "byte"]
    reference_token: int | None
    candidate_token: int | None
    """Token ids there; None past the end of an answer."""
    reference_margin: float | None
    candidate_margin: float | None
    """Top-1 minus top-2 log-probability of each arm at that position, in nats."""
    proposed: Literal["prefill", "draft", "correction", "bonus"] | None = None
    """How the candidate came by its token; None where its engine does not tell."""
    same_tokens: bool = False
    """Whether the tokens are the same and the text, or another part of the answer, alone differs."""
    part: str = "text"
    """The part of the answer that differs first; see :data:`tais.common.parts.PARTS`."""
    differs: tuple[str, ...] = ("answer",)
    """All parts that differ: what is said (`answer`), `thinking`, and those outside the text."""
    ends: Literal["reference", "candidate"] | None = None
    """The arm whose answer ends where the other goes on; None where none does."""
    downstream: int = 0
    """Tokens of the candidate after this one: they follow from it, and are not looked at one by one."""

    @property
    def unscored_cause(self) -> Cause:
        """Its cause where no stack says anything of the tokens."""
        return "text" if self.same_tokens else "unknown" if self.ends is None else "length"


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """How many answers of one battery are identical in both arms."""

    battery: str
    n: int
    identical: int
    """Equal in all that is known of both: token ids, the bytes of the text, what stands beside it."""
    identical_text: int


@dataclass(frozen=True, slots=True)
class LengthAcceptance:
    """Drafted and accepted tokens of answers to prompts of one length."""

    least: int
    below: int | None
    """Tokens of the prompt, in [least, below); None for no bound."""
    answers: int
    draft_tokens: int
    accepted_tokens: int


@dataclass(frozen=True, slots=True)
class TreatmentEvidence:
    """What speculation was asked for, what the engine resolved to, and what it then did."""

    requested: str | None
    """Method asked for, None for an arm that does not speculate."""
    resolved: str | None
    """Method the engine says it runs; "unknown" where an engine does not say."""
    drafts: int | None
    draft_tokens: int | None
    accepted_tokens: int | None
    """Counts over all samples; None where the engine gives none."""
    accepted_per_position: tuple[int, ...] = ()
    tried_per_position: tuple[int, ...] = ()
    """Drafted tokens at each position whose predecessor was accepted."""
    answers: int | None = None
    """Answers of the arm."""
    answers_accepted: int | None = None
    """Of them, those with an accepted token; None where an engine gives no counts per request."""
    by_length: tuple[LengthAcceptance, ...] = ()


Cause = Literal["tie", "numerical", "structural", "unconfirmed", "length", "text", "unknown"]
"""Why two answers diverge at a token.

tie: the reference stack scores both tokens alike; numerical: the candidate's token lies below the best by
no more than the band; structural: by more, and still so in float32; unconfirmed: by more, and no float32
scores are there; length: one answer ends where the other goes on; text: equal tokens, other text; unknown:
not scored."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """One divergence, or one token that the reference stack would not have chosen."""

    battery: str
    item_id: str
    repeat: int
    position: int
    """0-based index of the token in the answer."""
    cause: Cause
    token: int | None = None
    """The candidate's token."""
    best_token: int | None = None
    margin: float | None = None
    """Score of the best token minus that of the candidate's, under the reference stack (logits)."""
    reference_margin: float | None = None
    """The same of the reference's token."""
    float32_margin: float | None = None
    proposed: Literal["prefill", "draft", "correction", "bonus"] | None = None
    draft_choice: bool | None = None
    """Whether it is the draft's own best token; None where the draft was not asked."""
    draft_chance: float | None = None
    """Probability of that where the draft has no say: one of the other tokens within the band, at random."""


@dataclass(frozen=True, slots=True)
class AuditCounts:
    """Scored tokens of one arm."""

    tokens: int = 0
    ties: int = 0
    """Best together with another token."""
    misses: int = 0
    """Below the best, by however little."""
    beyond: int = 0
    """Below the best by more than the band."""
    largest: float = 0.0
    """Largest margin (logits)."""


@dataclass(frozen=True, slots=True)
class BatteryAudit:
    """Whole answers of one battery under the reference stack."""

    battery: str
    items: int
    """Distinct items with a scored answer. Without the reference's own answers: distinct prompts planned."""
    items_beyond: int
    """Of them, those with a token below the best by more than the band, or with a text of another answer."""
    unscored: int = 0
    """Of those planned, and not among those beyond: missing, empty, cut by the context, of another prompt."""
    planned_out: int = 0
    """Distinct prompts that are not among those planned: the context has no room for their answers."""
    margin: float | None = None
    """The battery's own margin; None takes the rules'."""
    other_text: int = 0
    """Of those beyond: they say something else than their tokens do, or more beside it."""


@dataclass(frozen=True, slots=True)
class PlantedTokens:
    """Control answers in which one token was replaced by another."""

    answers: int
    flagged: int
    """Of them, those whose planted token lies below the best by more than the band."""
    choice: Literal["runner_up", "draft"] = "runner_up"
    """Whose choice was planted."""


@dataclass(frozen=True, slots=True)
class PlantedLeak:
    """Sampled answers of which a share of tokens was drawn from the draft's law anew."""

    share: float
    trials: int
    flagged: int
    """Of them, those that the bound on the leak would not have let pass."""


@dataclass(frozen=True, slots=True)
class AuditEvidence:
    """What the reference stack says of the tokens of a candidate."""

    scope: Literal["divergences", "full", "only"]
    dtype: str
    band: float
    """Largest margin (logits) that rounding explains."""
    rounding: float
    """What the dtype alone explains; the band is this or the control's bound, whichever is larger."""
    control: AuditCounts
    """The reference's own answers."""
    candidate: AuditCounts
    """Whole answers of the candidate; no tokens where only divergences are scored."""
    batteries: tuple[BatteryAudit, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    left_out: int = 0
    """Divergences that were not looked at."""
    downstream: int = 0
    """Tokens after the first difference of their answers."""
    prompts_differ: int = 0
    """Answers whose prompt the reference stack reads otherwise; they are not scored against it."""
    unscored: int = 0
    """Tokens without a score: the context was full."""
    unavailable: str | None = None
    """Why something could not be scored."""
    seconds: float | None = None
    """Wall time of the scoring."""
    planted: PlantedTokens | None = None
    """None where the candidate's answers do not stand alone."""
    drift: DriftEvidence | None = None
    """None where not all tokens of both arms were scored."""
    sure: float = 0.0
    """Margin that no noise reaches, where it is more than the band: a small control's noise varies."""


@dataclass(frozen=True, slots=True)
class ConformanceEvidence:
    """Sampled tokens against the law of the reference stack."""

    candidate: ConformanceResult
    control: ConformanceResult | None
    """The reference's own tokens, scored in the same way; None where it answered nothing."""
    against: ControlComparison | None
    left_out: int
    """Tokens of the candidate whose law is not known, or that lie at the edge of a cut."""
    draft: Literal["none", "greedy", "sampled"]
    """What is known of the draft: nothing, its best token, its law."""
    dtype: str = "float32"
    """Of the arm that drew the tokens."""
    missing: int = 0
    """Answers that were planned, and of which no token was tested."""
    planted: PlantedLeak | None = None
    """None where the answers do not stand alone, where no draft has a law, or no share was named."""
    temperature: float = 1.0
    """That was asked for."""
    why: LawFit | None = None
    """The other law that explains the tokens best; None where they follow theirs, or none does."""


@dataclass(frozen=True, slots=True)
class ContrastEvidence:
    """Everything about one contrast."""

    reference: str
    candidate: str
    role: Role
    lossless: bool
    identity: tuple[IdentityCounts, ...]
    divergences: tuple[Divergence, ...]
    """First differences, at most a stated number of them; the counts are in `identity`."""
    treatment: TreatmentEvidence
    endpoints: tuple[EndpointEvidence, ...]
    findings: tuple[Finding, ...] = ()
    evidence: Literal["matched", "teacher_forced"] = "matched"
    audit: AuditEvidence | None = None
    conformance: ConformanceEvidence | None = None
    greedy: bool = True
    """Whether answers are greedy: only then are they expected to be the same."""
    lossy_by_design: bool = False
    """Whether the same target speculates with a rule that is not meant to keep its choices."""
    tokens_per_answer: float | None = None
    """Mean length of the candidate's answers; None where an engine gives no tokens."""
    candidate_properties: dict[str, float] = field(default_factory=dict)
    """Numeric properties of the candidate arm (temperature, batch size ...) that a response may depend on."""
    one_evidence: frozenset[str] = frozenset()
    """Batteries whose answers are, by their provenance, one and the same evidence on both sides."""


@dataclass(frozen=True, slots=True)
class StartsEvidence:
    """Fresh processes of one arm that answered the same."""

    arms: tuple[str, ...]
    """Every start, the first first; each is an arm."""
    identity: tuple[tuple[int, int], ...]
    """Of each further start: answers compared with those of the first, and how many are identical."""


@dataclass(frozen=True, slots=True)
class ScreenEvidence:
    """Everything the decision reads."""

    name: str
    rules: Rules
    contrasts: tuple[ContrastEvidence, ...]
    findings: tuple[Finding, ...] = ()
    facts: Facts = field(default_factory=Facts)
    """Provenance that the report repeats and that decides nothing: run id, times, arms, digests, ledger."""
    exchanges: tuple[ExchangeEvidence, ...] = ()
    """The exchange control of each endpoint of each reference that is screened."""
    starts: tuple[StartsEvidence, ...] = ()
    """Arms that were started several times."""
