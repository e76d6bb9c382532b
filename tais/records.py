"""The plain records that travel the road, from a question to a stored answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "AnswerEnd",
    "Counters",
    "EndpointKey",
    "Message",
    "Request",
    "Sample",
    "SampleKey",
    "ScoreRequest",
    "TokenScores",
    "stratum_label",
]


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str

    def as_dict(self) -> dict[str, str]:
        """Return the mapping that chat templates take."""
        return {"role": self.role, "content": self.content}


class EndpointKey(NamedTuple):
    """What identifies an endpoint within a contrast."""

    battery: str
    stratum: str | None
    """The one expectation of its items, `refuse` or `answer`, where its scorer is split by it."""
    scorer: str

    @property
    def label(self) -> str:
        """The items, as people read it: see :func:`stratum_label`."""
        return stratum_label(self.battery, self.stratum)

    @property
    def name(self) -> str:
        """Items and scorer, as people read it."""
        return f"{self.label}/{self.scorer}"


def stratum_label(battery: str | None, stratum: str | None) -> str:
    """Return ``battery/stratum``, and the battery alone where it is not split."""
    return f"{battery}/{stratum}" if stratum else str(battery)


class SampleKey(NamedTuple):
    """What identifies a sample within an arm."""

    battery: str
    item_id: str
    repeat: int


@dataclass(frozen=True, slots=True)
class Request:
    """One item to answer once."""

    key: SampleKey
    messages: tuple[Message, ...]
    seed: int
    """Seed of this item and repeat; unused at temperature 0."""
    chat: bool = True
    """Whether the model's chat template is applied."""
    own: str | None = None
    """Sampling settings of its own, as JSON; None takes the run's as they are."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What an arm answered to one request."""

    key: SampleKey
    prompt_digest: str
    """sha256 of the prompt's token ids (of its UTF-8 bytes where an engine shows no ids)."""
    prompt_tokens: int | None
    token_ids: Sequence[int] | None
    """Ids of the answer, the end-of-sequence token included; None where an engine shows none."""
    text: str
    """What stands in the content; empty where a server gave none."""
    finish_reason: str
    top1_logprobs: Sequence[float] | None = None
    top2_logprobs: Sequence[float] | None = None
    """Log-probabilities of the best and second-best token per position, in nats; their gap is the margin."""
    top2_tokens: Sequence[int] | None = None
    """Best token other than the one given, per position."""
    step_drafted: Sequence[int] | None = None
    step_accepted: Sequence[int] | None = None
    """Draft tokens proposed and accepted per verification step; None where nothing is drafted or told."""
    seconds: float | None = None
    """Wall time from the request's admission to its last token."""
    parts: str | None = None
    """What was said outside the content, as :func:`tais.common.parts.render_parts` writes it."""
    asked: str | None = None
    """Of an imported answer: how what was asked fits the item (`fit`, see
    :data:`tais.engines.imported_matching.Fit`), and digests of its prompt, options and target; as JSON."""
    stop_reason: str | None = None
    """The stop string, or the id of the token, at which the answer ended, where an engine tells it."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Engine-wide speculation counters since the last reading."""

    drafts: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    accepted_per_position: tuple[int, ...] = field(default_factory=tuple)

    def __add__(self, other: Counters) -> Counters:
        """Return the sum of both."""
        return self._with(other, 1)

    def __sub__(self, other: Counters) -> Counters:
        """Return the growth since an earlier reading."""
        return self._with(other, -1)

    def _with(self, other: Counters, sign: int) -> Counters:
        pairs = zip_longest(self.accepted_per_position, other.accepted_per_position, fillvalue=0)
        return Counters(
            self.drafts + sign * other.drafts,
            self.draft_tokens + sign * other.draft_tokens,
            self.accepted_tokens + sign * other.accepted_tokens,
            tuple(mine + sign * theirs for mine, theirs in pairs),
        )


AnswerEnd = Literal["token", "stop", "limit", "appended", "unknown", "no_room", "other_text"]
"""How an answer that is scored whole ends. token: in an end token; stop: in a stop string; limit: at
max_tokens; appended: in none of them, so that an end token was put behind it and scored, too; unknown: in
none of them, and the stack names no end token; no_room: an answer of max_tokens to this prompt does not fit
into the context, so that none is judged; other_text: the text is not what the tokens say, or more stands
beside it, so that scores of the tokens say nothing of it."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Tokens of an answer to score, each given the prompt and the answer before it."""

    request: Request
    answer: Sequence[int]
    """Token ids of the answer, to the last one that is scored."""
    first: int
    """Index in the answer of the first token that is scored."""
    arm: str = ""
    """Whose answer it is."""
    end: AnswerEnd | None = None
    """How the answer ends, where that was looked at."""


@dataclass(frozen=True, slots=True)
class TokenScores:
    """What a model says of given tokens.

    A score is the raw logit where the scoring engine was started at temperature 0, else the
    log-probability (nats) at that temperature over the whole vocabulary.
    """

    request: ScoreRequest
    prompt_digest: str
    """Of the prompt as this engine renders it; see :class:`Sample`."""
    given: NDArray[np.float32]
    """Scores of the tokens given, shape (n,). Shorter than what was asked where the context is full."""
    top_tokens: NDArray[np.int32]
    """Best tokens by score, shape (n, k)."""
    top_scores: NDArray[np.float32]
    """Their scores in descending order, shape (n, k)."""
