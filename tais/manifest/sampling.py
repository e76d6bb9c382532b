"""How tokens are drawn: the settings of a run, those of an item alone, and which engine knows which."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Protocol, Self

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from tais.common.document import Document
from tais.common.models import Strict
from tais.common.validation import validate
from tais.errors import ManifestError

__all__ = [
    "LATER_SETTINGS",
    "NEUTRAL",
    "OPENAI_FIELDS",
    "SEES_ALL",
    "OfAnItem",
    "Sampling",
    "Unknown",
    "law_not_known",
    "of_an_item",
    "said_settings",
    "unknown_setting",
    "with_own",
]

Text = Annotated[str, StringConstraints(min_length=1)]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]


def _token_key(text: str) -> str:
    if not re.fullmatch("0|[1-9][0-9]{0,8}", text):
        raise ValueError(f"{text!r} is no token id")
    return text


# Keys of YAML and JSON are texts. vLLM clamps what lies beyond 100, which is refused here.
Bias = dict[Annotated[str, AfterValidator(_token_key)], Annotated[float, Field(ge=-100, le=100)]]


class Sampling(Strict):
    """How tokens are drawn; equal in all arms. Names and ranges are those of vLLM's SamplingParams."""

    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(256, gt=0)
    # Engines keep the seed in 64 bits.
    seed: int = Field(42, ge=0, lt=2**63)
    n: int = Field(1, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    stop: tuple[Text, ...] = ()
    min_p: float = Field(0.0, ge=0, le=1)
    """Tokens less likely than this share of the likeliest are cut, before top-k and top-p."""
    min_tokens: int = Field(0, ge=0)
    """No end token, stop token or stop string ends an answer before."""
    repetition_penalty: float = Field(1.0, gt=0)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    logit_bias: Bias = Field(default_factory=dict)
    """By token id, which a YAML file writes in quotes."""
    bad_words: tuple[Text, ...] = ()
    ignore_eos: bool = False
    stop_token_ids: tuple[TokenId, ...] = ()
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool | None = None
    """None leaves them out, but where they mark parts of an answer."""

    @model_validator(mode="after")
    def _least_below_most(self) -> Self:
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens is {self.min_tokens} and max_tokens {self.max_tokens}")
        return self

    @property
    def changed(self) -> tuple[str, ...]:
        """The later settings that do something here."""
        return tuple(key for key in _LATER if getattr(self, key) != getattr(NEUTRAL, key))

    @property
    def shaping(self) -> tuple[str, ...]:
        """Those of them that change the scores of tokens."""
        return tuple(key for key in self.changed if key in _SHAPING)

    def unshaped(self) -> Sampling:
        """Return the same without what changes scores."""
        return self.model_copy(update={key: getattr(NEUTRAL, key) for key in _SHAPING})

    @property
    def bias(self) -> dict[int, float]:
        """What is added to the score of a token, by its id."""
        return {int(token): value for token, value in self.logit_bias.items()}


# Keys of a later version than the first locks.
_LATER = (
    "min_p",
    "min_tokens",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "bad_words",
    "ignore_eos",
    "stop_token_ids",
    "include_stop_str_in_output",
    "skip_special_tokens",
)
LATER_SETTINGS = frozenset(_LATER)
"""The settings that came after temperature, top-k, top-p and stop strings."""
_SHAPING = frozenset(
    {"min_tokens", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "bad_words"}
)
NEUTRAL = Sampling()
"""The settings of a run that says nothing."""
_OF_THE_RUN = ("temperature", "seed", "n", "top_p", "top_k", "min_p")

OPENAI_FIELDS = frozenset({"presence_penalty", "frequency_penalty", "logit_bias"})
"""What OpenAI's API itself has of the later settings."""


def said_settings(sampling: Sampling) -> dict[str, JsonValue]:
    """Return the settings as a lock holds them: later keys only where they do something."""
    idle = set(_LATER) - set(sampling.changed)
    found: dict[str, JsonValue] = sampling.model_dump(mode="json", exclude=idle)
    return found


SEES_ALL = ("transformers", "reference")
"""Engines that see the scores of all tokens where they score given ones."""


class OfAnItem(NamedTuple):
    """What an item's own settings come to."""

    text: str | None
    """As JSON; None where there are none."""
    wrong: str | None = None


def of_an_item(value: object) -> OfAnItem:
    """Read the settings that a row of a battery has of its own.

    What decides the law of sampled tokens (temperature, top-k, ...) is one for the run: its tests pool items.
    """
    if value in (None, "", {}):
        return OfAnItem(None)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return OfAnItem(None, "the settings of a row are a mapping, or JSON of one")
    if not isinstance(value, dict):
        return OfAnItem(None, "the settings of a row are a mapping, or JSON of one")
    # A table has one column for each key, empty where a row says nothing.
    cells = {str(key): entry for key, entry in value.items() if entry is not None}
    given: dict[str, JsonValue] = json.loads(json.dumps(cells, default=str))
    fixed = next((key for key in _OF_THE_RUN if key in given), None)
    if fixed is not None:
        return OfAnItem(None, f"{fixed} is one for the whole run")
    try:
        # Alone: whether it fits the run's own is seen where both are known.
        validate(Sampling, {"max_tokens": 2**31, **given}, Document(given, {}))
    except ManifestError as error:
        return OfAnItem(None, str(error))
    return OfAnItem(json.dumps(given, sort_keys=True) if given else None)


def with_own(sampling: Sampling, own: str | None) -> Sampling:
    """Return the settings of a request: the run's, and over them those of its item.

    Raises
    ------
    ValidationError
        Where the two do not go together.
    """
    if own is None:
        return sampling
    return Sampling.model_validate({**sampling.model_dump(), **json.loads(own)})


class Unknown(NamedTuple):
    """A setting that an arm's engine does not know."""

    key: str
    what: str
    remedy: str


class Sampler(Protocol):
    """What of an arm says which settings it can follow."""

    @property
    def name(self) -> str:
        """As messages call it."""

    @property
    def engine(self) -> str:
        """Name of its engine."""

    @property
    def engine_args(self) -> Mapping[str, Any]:
        """What goes to the engine as it stands."""

    @property
    def speculative_config(self) -> Mapping[str, Any] | None:
        """How it speculates; None where it does not."""


def unknown_setting(arm: Sampler, sampling: Sampling) -> Unknown | None:
    """Return the first setting that an arm's engine cannot follow, as far as that is known beforehand."""
    speculates = arm.speculative_config is not None
    name = f"engine {arm.engine} of arm '{arm.name}'"
    for key in sampling.changed:
        if arm.engine == "reference" and (key in _SHAPING or key == "min_p"):
            return Unknown(key, f"{name} does not know {key}", "Run the arm on vllm or transformers")
        vllm = arm.engine == "vllm" or (arm.engine == "openai" and "serve" in arm.engine_args)
        if vllm and speculates and key in ("min_p", "logit_bias"):
            # vLLM 0.32 (sampling_params.py) refuses the request itself.
            what = f"{name} does not know {key} where it speculates"
            return Unknown(key, what, f"Leave {key} out, or compare arms that do not speculate")
        if arm.engine == "transformers" and speculates and key == "min_p" and sampling.top_p < 1:
            # Its assisted generation cuts by top-p first, all others by min-p.
            what = f"{name} does not know min_p beside top_p where it speculates"
            return Unknown(key, what, "Leave one of the two out")
        if arm.engine == "openai" and key in (arm.engine_args.get("extra_body") or {}):
            what = f"{key} stands in sampling and in extra_body of arm '{arm.name}'"
            return Unknown(key, what, "Leave it out of extra_body")
    return None


def law_not_known(engine: str, sampling: Sampling) -> str | None:
    """Return the setting under which a stack that scores given tokens cannot tell what it would have said.

    transformers sees the scores of all tokens. Others list the best, which is enough for the greedy choice
    where settings only lower scores, and never for a law of sampled tokens.
    """
    if engine in SEES_ALL:
        return None
    if sampling.temperature > 0:
        return next(iter(sampling.shaping), None)
    raising = {
        "repetition_penalty": sampling.repetition_penalty < 1,
        "presence_penalty": sampling.presence_penalty < 0,
        "frequency_penalty": sampling.frequency_penalty < 0,
        "logit_bias": any(value > 0 for value in sampling.logit_bias.values()),
    }
    return next((key for key, raises in raising.items() if raises), None)
