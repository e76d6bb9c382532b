"""What stands beside the verdict of a contrast whose tokens were scored."""

from __future__ import annotations

from pydantic import Field

from tais.verdict.details.parts import Interval
from tais.verdict.lenient import Lenient, Number

__all__ = [
    "AgainstControl",
    "Audit",
    "AuditedBattery",
    "DivergingToken",
    "DraftLeak",
    "DraftPull",
    "Drift",
    "DriftControl",
    "EValue",
    "LawTest",
    "OtherLaw",
    "Planted",
    "PlantedShare",
    "SampledTokens",
    "ScoredTokens",
    "TokenLaw",
    "Uniformity",
]


class ScoredTokens(Lenient):
    """Scored tokens of one arm."""

    tokens: int = 0
    ties: int | None = None
    misses: int | None = None
    beyond: int | None = None
    largest: Number | None = None
    rate: Number | None = None
    wilson: Interval | None = None


class DraftPull(Lenient):
    """Diverging tokens that are the draft's own choice, beside those that chance makes."""

    n: int | None = None
    hits: int | None = None
    wilson: Interval | None = None
    expected: Number | None = None
    p: Number | None = None
    pull: Number | None = None
    pull_ci: Interval | None = None


class AuditedBattery(Lenient):
    """Answers of one battery that hold a token outside the band."""

    battery: str | None = None
    items: int = 0
    """With a scored answer; without the reference's own answers: distinct prompts planned."""
    items_beyond: int = 0
    unscored: int = 0
    """Of those planned: not scored to their end."""
    planned_out: int = 0
    margin: Number | None = None
    bound: Number | None = None
    """Of the share that is beyond or unscored."""
    other_text: int = 0
    """Of those beyond: their text is not what their tokens say."""


class DivergingToken(Lenient):
    """One divergence, and why."""

    battery: str | None = None
    item_id: str | None = None
    repeat: int | None = None
    position: int | None = None
    cause: str | None = None
    token: int | None = None
    best_token: int | None = None
    margin: Number | None = None
    reference_margin: Number | None = None
    float32_margin: Number | None = None
    proposed: str | None = None
    draft_choice: bool | None = None
    draft_chance: Number | None = None


class Planted(Lenient):
    """Control answers with a planted token, and how many of those were flagged."""

    answers: int | None = None
    flagged: int | None = None
    choice: str | None = None
    """Whose: ``runner_up`` of the stack, or ``draft``."""


class PlantedShare(Lenient):
    """A share of sampled tokens drawn from the draft anew: trials, and those that would not have passed."""

    share: Number | None = None
    trials: int | None = None
    flagged: int | None = None


class DriftControl(Lenient):
    """An honest arm against which all misses of a candidate are held."""

    arm: str | None = None
    tokens: int | None = None
    misses: int | None = None
    covers: bool | None = None
    """Whether it computes in the shape in which the candidate does."""


class Drift(Lenient):
    """All misses of a complete audit together."""

    p: Number | None = None
    """That they are no more than the reference's own; adjusted over all tests of tokens."""
    ratio_bound: Number | None = None
    """Lower 95 % bound of their rate over that of the worst honest control."""
    honest_ratio: Number | None = None
    """What honest stacks of this dtype reach (99 %); None where it was not measured."""
    rows: int | None = None
    """Tokens of an answer that the candidate computes in one forward pass."""
    controls: tuple[DriftControl, ...] = ()


class Audit(Lenient):
    """What the reference stack says of the tokens of a candidate."""

    scope: str | None = None
    dtype: str | None = None
    band: Number | None = None
    rounding: Number | None = None
    control: ScoredTokens = ScoredTokens()
    candidate: ScoredTokens = ScoredTokens()
    causes: dict[str, int] = Field(default_factory=dict)
    downstream: int | None = None
    draft_pull: DraftPull | None = None
    batteries: tuple[AuditedBattery, ...] = ()
    attributions: tuple[DivergingToken, ...] = ()
    attributions_left_out: int | None = None
    prompts_differ: int | None = None
    planted: Planted | None = None
    drift: Drift | None = None
    unavailable: str | None = None


class LawTest(Lenient):
    """One test of sampled tokens against the target's law."""

    name: str | None = None
    n: int | None = None
    drift: Number | None = None
    z: Number | None = None
    p: Number | None = None


class DraftLeak(Lenient):
    """The share of tokens that the draft drew."""

    e: Number | None = None
    ci: Interval | None = None
    ci_clustered: Interval | None = None
    upper: Number | None = None
    p: Number | None = None
    signed: Number | None = None
    detectable: Number | None = None


class EValue(Lenient):
    """Evidence against the law, as a bet."""

    log_e: Number | None = None
    p: Number | None = None


class Uniformity(Lenient):
    """Whether the tokens' places in the law are spread evenly: two tests."""

    ks: Number | None = None
    ks_p: Number | None = None
    chi2: Number | None = None
    chi2_p: Number | None = None


class SampledTokens(Lenient):
    """Sampled tokens of one arm against the target's law."""

    tokens: int | None = None
    impossible: int | None = None
    samples: int | None = None
    prompts: int | None = None
    tests: tuple[LawTest, ...] = ()
    uniform: Uniformity | None = None
    leak: DraftLeak | None = None
    e_value: EValue | None = None


class AgainstControl(Lenient):
    """The candidate's tokens against the reference's own."""

    tests: tuple[LawTest, ...] = ()
    leak_excess: Number | None = None
    leak_excess_se: Number | None = None
    leak_excess_p: Number | None = None


class OtherLaw(Lenient):
    """Another law that explains sampled tokens better than the one asked for."""

    name: str | None = None
    fits: bool | None = None
    share: Number | None = None
    temperature: Number | None = None
    """As a multiple of the one asked for."""
    gain: Number | None = None
    p: Number | None = None
    tokens: int | None = None
    unlisted: Number | None = None
    """Share of all tokens that the target does not list; `expected` of the law asked for."""
    expected: Number | None = None
    explained: bool | None = None


class TokenLaw(Lenient):
    """Whether sampled tokens follow the target's law."""

    p: Number | None = None
    alpha: Number | None = None
    draft: str | None = None
    left_out: int | None = None
    candidate: SampledTokens = SampledTokens()
    control: SampledTokens | None = None
    against_control: AgainstControl | None = None
    planted: PlantedShare | None = None
    why: OtherLaw | None = None
