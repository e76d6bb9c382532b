"""What is known of a server beside OpenAI's API, by the owner that its list of models names.

Read in the source of vLLM 0.32 and of llama.cpp (October 2026), and tried with both on a CPU: what a request
leaves out comes from the server's own defaults (llama.cpp: ``min_p`` 0.05 and ``top_k`` 40), llama.cpp names
the id of each token in its log-probabilities, and both count drafts at ``/metrics``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tais.manifest.sampling import LATER_SETTINGS, OPENAI_FIELDS
from tais.records import Counters

__all__ = ["LLAMA_CPP", "OTHER", "VLLM", "Dialect", "dialect_of", "longest", "read_counters"]

_COUNTER = re.compile(
    r"^(?:vllm|llamacpp):spec_decode_(\w+?)_total(?:\{([^}]*)\})?\s+(\S+)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one kind of server adds to the API, and what it must be told."""

    known: bool = False
    """Whether it tells token ids and log-probabilities, and takes ``top_k``."""
    neutral: Mapping[str, float] = field(default_factory=dict)
    """What a server would choose itself, said as the in-process engines have it."""
    takes: frozenset[str] = OPENAI_FIELDS
    """Later sampling settings that it follows under their own names."""
    asks_ids: Mapping[str, bool] = field(default_factory=dict)
    """What a request says to see token ids."""
    continues: Mapping[str, bool] | None = None
    """What a request says to have a last assistant turn continued; None where a server cannot."""
    repeats_prefill: bool = False
    """Whether a chat's answer begins with the turn that it continues."""


VLLM = Dialect(
    known=True,
    takes=LATER_SETTINGS,
    neutral={"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_p": 0.0},
    asks_ids={"return_token_ids": True, "return_tokens_as_token_ids": True},
    continues={"add_generation_prompt": False, "continue_final_message": True},
)
LLAMA_CPP = Dialect(
    known=True,
    # Its penalties look at the last 64 tokens of prompt and answer alone.
    takes=frozenset({"min_p", "ignore_eos"}),
    neutral={"repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_p": 0.0},
    # It continues one unasked, and says it again before what it adds.
    continues={},
    repeats_prefill=True,
)
OTHER = Dialect(asks_ids=VLLM.asks_ids)


def dialect_of(model: Mapping[str, object]) -> Dialect:
    """Return the dialect of the server that lists this model."""
    return {"vllm": VLLM, "llamacpp": LLAMA_CPP}.get(str(model.get("owned_by")), OTHER)


def longest(model: Mapping[str, object]) -> int | None:
    """Return the most tokens of prompt and answer together, where the list of models tells."""
    meta = model.get("meta")
    told = model.get("max_model_len", meta.get("n_ctx") if isinstance(meta, dict) else None)
    return told if isinstance(told, int) and told > 0 else None


# More than any server counts in its life; a float is exact so far.
_MOST_COUNTED = 2.0**50


def read_counters(text: str) -> Counters | None:
    """Read the totals of drafts in ``/metrics``; None where there are none."""
    totals: dict[str, float] = {}
    positions: dict[int, float] = {}
    for name, labels, value in _COUNTER.findall(text):
        position = re.search(r'position="(\d{1,4})"', labels)
        try:
            number = float(value)
        except ValueError:
            return None
        if not 0 <= number <= _MOST_COUNTED:
            # A server can say anything; what is no count says nothing of drafts.
            return None
        if position is not None:
            positions[int(position[1])] = positions.get(int(position[1]), 0) + number
        else:
            totals[name] = totals.get(name, 0) + number
    if not totals:
        return None
    return Counters(
        int(totals.get("num_drafts", 0)),
        int(totals.get("num_draft_tokens", 0)),
        int(totals.get("num_accepted_tokens", 0)),
        tuple(int(positions[index]) for index in sorted(positions)),
    )
