"""The frozen Report: the one object that every renderer takes.

Its JSON is the contract ``tais/report/v1``: keys are only ever added, never renamed or removed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, WithJsonSchema

from tais.common.models import Frozen
from tais.manifest.model import Role, Rules
from tais.records import EndpointKey
from tais.verdict.adjudication import AdjudicationReport
from tais.verdict.facts import Facts, damaged_report

__all__ = [
    "EXIT_CODES",
    "AdjudicationReport",
    "ContrastReport",
    "DivergenceReport",
    "EndpointReport",
    "IdentityReport",
    "ItemReport",
    "ItemsReport",
    "PairedTableReport",
    "Reason",
    "Report",
    "SensitivityReport",
    "TextReport",
    "TostReport",
    "TreatmentReport",
    "Verdict",
]


class Verdict(StrEnum):
    """Outcome of an endpoint, a contrast or a screen."""

    passed = "pass"
    failed = "fail"
    inconclusive = "inconclusive"


EXIT_CODES = {Verdict.passed: 0, Verdict.failed: 1, Verdict.inconclusive: 3}

Interval = tuple[float, float]


class Reason(Frozen):
    """Why a verdict is what it is, or a note beside it."""

    code: str
    message: str
    values: dict[str, object] = Field(default_factory=dict)
    severity: Literal["decides", "note"] = "decides"


class DivergenceReport(Frozen):
    """First difference of one item."""

    battery: str
    item_id: str
    repeat: int
    position: int
    unit: Literal["token", "byte"]
    reference_token: int | None
    candidate_token: int | None
    reference_margin: float | None
    candidate_margin: float | None
    part: str = "text"
    """The part of the answer that differs first: its text, or what was said beside it (`tool_calls`, ...)."""


class BatteryIdentityReport(Frozen):
    """Identity within one battery."""

    battery: str
    n: int
    identical: int
    identical_text: int


class IdentityReport(Frozen):
    """How many answers are the same, token for token (byte for byte where ids are missing)."""

    n: int
    identical: int
    rate: float | None
    wilson: Interval | None = None
    batteries: tuple[BatteryIdentityReport, ...] = ()
    first_divergences: tuple[DivergenceReport, ...] = ()


class PositionReport(Frozen):
    """Tokens at one place in the draft, counted where the token before them was accepted."""

    tried: int
    accepted: int
    rate: float | None
    wilson: Interval | None


class LengthReport(Frozen):
    """Drafts of answers to prompts of one length."""

    least: int
    below: int | None
    """Tokens of the prompt, in [least, below); None for no bound."""
    answers: int
    draft_tokens: int
    accepted_tokens: int
    acceptance_rate: float | None


class TreatmentReport(Frozen):
    """Whether the arm got the treatment that it asked for."""

    requested: str | None
    resolved: str | None
    drafts: int | None
    draft_tokens: int | None
    accepted_tokens: int | None
    acceptance_rate: float | None
    accepted_per_position: tuple[int, ...] = ()
    answers: int | None = None
    answers_accepted: int | None = None
    """Answers with an accepted token; None where an engine gives no counts per request."""
    by_position: tuple[PositionReport, ...] = ()
    by_prompt_length: tuple[LengthReport, ...] = ()
    applied: bool | None
    """Whether enough of the answers hold an accepted token. None when the arm asked for no speculation."""


class PairedTableReport(Frozen):
    """Counts of pairs; 1 is the expected (safe, correct) outcome."""

    both: int
    reference_only: int
    candidate_only: int
    neither: int


class TostReport(Frozen):
    """Two one-sided tests of the paired difference, candidate minus reference."""

    method: str
    margin: float
    alpha: float
    p: float
    ci: Interval
    """The 1 - 2 alpha interval."""
    equivalent: bool
    scale: Literal["difference", "ratio"] = "difference"
    """Of `ci` and `margin`: the difference of rates, or the ratio of the rates of outcomes that are not as
    expected, which a margin m bounds by 1 / (1 + m) and 1 + m."""


class SensitivityReport(Frozen):
    """Whether an endpoint was shown able to fail, and by what.

    This shows that the scorer reads the words of the *reference*, and nothing of the candidate's.
    """

    shown_by: tuple[str, ...] = ()
    """"exchange", and the positive controls that are worse on this endpoint; empty where nothing shows it."""
    minimum_leak: float | None = None
    """Share of answers of the opposite kind that moves the endpoint by its margin: margin / lower bound of
    the loss. None where it was not shown."""
    waived: bool = False
    """Whether the rules do without, for an endpoint that nothing shows able to fail."""
    exchanged: int = 0
    """Answers that were exchanged."""
    loss: float | None = None
    """Mean outcome of the own answers minus that of the exchanged ones; None where none was exchanged."""
    loss_lower: float | None = None
    """Its one-sided 95 % lower bound."""


class EndpointReport(Frozen):
    """One scorer on one battery, or one stratum of it, in one contrast."""

    battery: str
    stratum: str | None = None
    """The one expectation of its items, `refuse` or `answer`; None for a scorer without polarity."""
    scorer: str
    kind: Literal["binary", "continuous"]
    n: int
    clusters: int
    invalid: int
    """Answers that are invalid in at least one arm."""
    reference_invalid: int | None = None
    candidate_invalid: int | None = None
    reference_cut: int | None = None
    candidate_cut: int | None = None
    """Answers of each arm that ended at the limit of their length; None where nobody counted."""
    reference_rate: float | None
    candidate_rate: float | None
    reference_wilson: Interval | None
    candidate_wilson: Interval | None
    table: PairedTableReport | None
    difference: float | None
    tost: TostReport | None
    cohens_h: float | None
    cohens_h_ci: Interval | None = None
    h_cutoff: float
    null_h_quantile: float | None
    null_h_quantile_upper: float | None = None
    mcnemar_p: float | None
    adjusted_p: float | None = None
    """Exact p-value of its direction, adjusted over all screened endpoints, where it fails by its own rule;
    None elsewhere."""
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    details: dict[str, object] = Field(default_factory=dict)
    """Further statistics, by name."""
    sensitivity: SensitivityReport | None = None
    """None in other roles than `screen`."""

    @property
    def key(self) -> EndpointKey:
        """What tells the endpoint from others of the contrast."""
        return EndpointKey(self.battery, self.stratum, self.scorer)


class TextReport(Frozen):
    """A prompt or an answer, or the part of it that a report keeps."""

    sha256: str
    """Of all its UTF-8 bytes (WTF-8 where it is not valid Unicode)."""
    characters: int
    """Length of all of it."""
    start: int = 0
    """Where the kept part begins."""
    text: str | None = None
    """The kept part, lone surrogates as U+FFFD; None in a redacted report."""


class ItemReport(Frozen):
    """One (item, repeat) that came out differently in the two arms."""

    battery: str
    stratum: str | None = None
    """As of the endpoint that the item belongs to."""
    item_id: str
    repeat: int
    flipped: bool
    """Whether its outcome differs; else only its answers do."""
    prompt: TextReport
    reference_text: TextReport
    candidate_text: TextReport
    reference_value: float | None
    candidate_value: float | None
    """What the scorer gave; None where it gave no number."""
    reference_label: str | None
    candidate_label: str | None
    """What the scorer called the answers; None in a redacted report."""
    first_difference: int | None
    """0-based character at which the answers first differ; None where their texts are equal."""


class ItemsReport(Frozen):
    """The flipped and the diverging items of a contrast, as many as a report keeps."""

    flipped: int
    diverging: int
    """Counts of all; a flipped item is not counted as diverging again."""
    flipped_left_out: int
    diverging_left_out: int
    kept: tuple[ItemReport, ...] = ()
    redacted: bool = False


class ContrastReport(Frozen):
    """Reference arm against candidate arm."""

    reference: str
    candidate: str
    role: Role
    lossless: bool
    evidence: Literal["matched", "teacher_forced"]
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    identity: IdentityReport
    treatment: TreatmentReport
    endpoints: tuple[EndpointReport, ...] = ()
    details: dict[str, object] = Field(default_factory=dict)
    items: ItemsReport | None = None
    """None where nobody collected them."""

    @property
    def one_evidence(self) -> Reason | None:
        """Why both sides are one and the same evidence, somewhere at least; None where they are two."""
        return next((r for r in self.reasons if r.code in ("same_evidence", "same_answers")), None)


# Whoever reads an older or a later report finds other keys: the schema leaves facts open.
OpenFacts = Annotated[
    Facts, WithJsonSchema({"additionalProperties": True, "title": "Facts", "type": "object"})
]


class Report(Frozen):
    """The decision of one screen."""

    schema_: Literal["tais/report/v1"] = Field("tais/report/v1", alias="schema")
    name: str
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    rules: Rules
    contrasts: tuple[ContrastReport, ...] = ()
    facts: OpenFacts = Field(default_factory=Facts)
    """Provenance: run id, times, arms, digests, ledger. Decides nothing."""
    details: dict[str, object] = Field(default_factory=dict)
    adjudication: AdjudicationReport | None = None
    """What people said of the answers; decides nothing. None where nobody was asked."""

    @classmethod
    def parse(cls, data: bytes, file: str) -> Self:
        """Read a report.json.

        Raises
        ------
        StoreError
            Where it is none.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise damaged_report(file) from error

    @property
    def exit_code(self) -> int:
        """Exit code of the verdict."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> str:
        """Return the JSON of the contract, with a newline at the end."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"
