"""The marks that model families, and programs that print their answers, put around thinking and answer.

One table for marks that open and close, one for headings and sentences that do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

__all__ = [
    "ANNOUNCED",
    "ANSWERS_OF",
    "CLOSERS",
    "CLOSES_ALONE",
    "CLOSING",
    "ENDS",
    "MARKS",
    "OPENS",
    "PART_TOKENS",
    "TAG",
    "TOKEN_WRAPPERS",
    "UNWRAPPED",
    "WEAK",
    "WRAPPERS",
    "Announced",
    "Marks",
    "closes",
]


class Marks(NamedTuple):
    """How one family marks its thinking."""

    opens: str
    closes: str
    models: str
    source: str


MARKS = (
    Marks("<think>", "</think>", "DeepSeek-R1, Qwen3, GLM-4.5, Kimi K2, MiniMax-M2", "vLLM deepseek_r1"),
    Marks("<thinking>", "</thinking>", "models told to think in tags", "Anthropic prompting guide"),
    Marks("<thought>", "</thought>", "EXAONE Deep, Marco-o1 (<Thought>)", "their chat templates"),
    Marks("<reasoning>", "</reasoning>", "models tuned to <reasoning> and <answer>", "TRL, GRPO examples"),
    Marks("<reason>", "</reason>", "models told to think in tags", "Open WebUI, DEFAULT_REASONING_TAGS"),
    Marks("<scratchpad>", "</scratchpad>", "models told to think in tags", "Anthropic prompting guide"),
    Marks("<antThinking>", "</antThinking>", "Claude.ai", "its published system prompts"),
    Marks("[THINK]", "[/THINK]", "Magistral, Mistral Medium", "mistral-common, tokens of v13"),
    Marks("<|channel>", "<channel|>", "Gemma 4", "Gemma 4 prompt formatting; vLLM gemma4_utils"),
    Marks("<unused94>", "<unused95>", "MedGemma 1.5", "its model card"),
    Marks("<seed:think>", "</seed:think>", "Seed-OSS", "vLLM seed_oss"),
    Marks("<mm:think>", "</mm:think>", "MiniMax-M3", "vLLM minimax_m3"),
    Marks("<longcat_think>", "</longcat_think>", "LongCat-Flash-Thinking", "its chat template"),
    Marks("<ifm|think>", "</ifm|think>", "K2 Horizon", "vLLM k2_horizon"),
    Marks("<ifm|think_fast>", "</ifm|think_fast>", "K2 Horizon", "vLLM k2_horizon"),
    Marks("<ifm|think_faster>", "</ifm|think_faster>", "K2 Horizon", "vLLM k2_horizon"),
    Marks("◁think▷", "◁/think▷", "Kimi-VL-Thinking", "its model card"),
    Marks("<|inner_prefix|>", "<|inner_suffix|>", "Apertus", "its chat template"),
    Marks("<|START_THINKING|>", "<|END_THINKING|>", "Command A Reasoning", "vLLM cohere_command"),
    Marks("<|open|>think<|sep|>", "<|close|>think<|sep|>", "Kimi K3", "vLLM kimi_k3"),
    Marks("<|content_thinking|>", "<|end_message|>", "Inkling", "vLLM inkling"),
    Marks("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>", "PLaMo 3", "vLLM plamo3"),
    Marks("<|begin_of_thought|>", "<|end_of_thought|>", "OpenThinker, Sky-T1", "Sky-T1, its system prompt"),
    Marks("<|thought_start|>", "<|thought_end|>", "MiniCPM3", "vLLM, its tool parser minicpm"),
    Marks("<|think|>", "<|end|>", "Solar Open", "its chat template"),
    Marks("<|think:start|>", "<|think:end|>", "Solar Open 2", "vLLM solar_open2"),
    Marks("[unused16]", "[unused17]", "openPangu", "vLLM pangu"),
    Marks("<|im_start|>think", "<|im_start|>answer", "s1", "its harness, thinking_start and thinking_end"),
    Marks("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", "Apriel", "Apriel 1.6 chat template"),
    Marks("[Start thinking]", "[End thinking]", "any, printed by llama-cli", "llama.cpp, tools/cli"),
    # Its attributes follow.
    Marks('<details type="reasoning"', "</details>", "any, kept by Open WebUI", "its middleware"),
)
"""Pairs of marks. A tag of plain letters is read in capitals and with a capital, too. Harmony (gpt-oss) and
Muse Glimmer have channels instead: see :mod:`tais.scorers.thinking`."""

WEAK = frozenset({"Here are my reasoning steps:"})
"""Words that open thinking only where the mark that closes it follows: anybody may write them."""

# They end all kinds of messages, or sections, alike: that one ends says nothing of what it was.
_ENDS_ANYTHING = frozenset({"<|end_message|>", "<|end|>", "</details>"})
_PLAIN = re.compile(r"</?[a-z]+>")


class Announced(NamedTuple):
    """How thinking is told by a heading or a sentence, at the very start, and the answer by another."""

    opens: re.Pattern[str]
    answer: re.Pattern[str]
    models: str
    source: str


ANNOUNCED = (
    Announced(
        re.compile(r"\s*Here(?:'s| is) my thought process:"),
        re.compile(r"Here(?:'s| is) my response:"),
        "Granite 3.2",
        "vLLM granite",
    ),
    Announced(
        re.compile(r"\s*Thinking\.\.\.[ \t]*\r?\n"),
        re.compile(r"^\.\.\.done thinking\.[ \t]*\r?$", re.M),
        "any, printed by `ollama run`",
        "ollama, cmd/cmd.go",
    ),
    Announced(
        re.compile(r"\s*## Thinking[ \t]*\r?\n"),
        re.compile(r"^## Final Response[ \t]*\r?$", re.M),
        "HuatuoGPT-o1",
        "its model card",
    ),
    Announced(
        re.compile(r"\s*(?:<\|im_start\|>assistant)?/think[ \t]*\r?\n"),
        re.compile(r"<\|im_end\|>\s*<\|im_start\|>assistant(?: -> tool/function_call)?\n?"),
        "HyperCLOVA X SEED Think",
        "vLLM hyperclovax_seed_think_14b",
    ),
    Announced(
        re.compile(r"\s*:::thinking[ \t]*\r?\n"),
        re.compile(r"^:::[ \t]*\r?$", re.M),
        "any, kept by LibreChat",
        "LibreChat, Thinking.tsx",
    ),
)


def _spellings(mark: str) -> tuple[str, ...]:
    """Return a mark, and a tag of plain letters in capitals and with a capital, too."""
    if not _PLAIN.fullmatch(mark):
        return (mark,)
    letter = mark.index("/") + 1 if "/" in mark else 1
    return mark, mark[:letter] + mark[letter].upper() + mark[letter + 1 :], mark.upper()


OPENS = {spelling: marks for marks in MARKS for spelling in _spellings(marks.opens)}
CLOSERS = {marks.closes: _spellings(marks.closes) for marks in MARKS}
_CLOSES = {spelling for found in CLOSERS.values() for spelling in found}
ANSWERS_OF = {"<|begin_of_solution|>": "<|end_of_thought|>"}
"""Where an answer begins, the thinking that was not closed before it is over."""
CLOSES_ALONE = _CLOSES - _ENDS_ANYTHING
"""Marks that close a thinking which the prompt opened."""
PART_TOKENS = (frozenset({*OPENS, *_CLOSES}) - _ENDS_ANYTHING) | {
    "<|channel|>", "[TOOL_CALLS]", "<|tool_call>", "<|tool_call|>", "<|tool_call_begin|>",
    "<|tool_call_start|>", "<｜tool▁call▁begin｜>", "<start_function_call>", "<|START_ACTION|>",
    "<|tools_prefix|>", "<tool_call>",
}  # fmt: skip
"""Tokens that tell the parts of an answer apart: a decoder that leaves them out leaves the parts as one."""
CLOSING = "|".join(map(re.escape, sorted(CLOSES_ALONE)))
"""A pattern that finds each mark that closes thinking."""


def closes(found: str, marks: Marks) -> bool:
    """Return whether a mark in a text closes what these marks open, in whatever capitals."""
    return found.lower() == marks.closes.lower() or ANSWERS_OF.get(found) == marks.closes


def _one_of(words: Iterable[str]) -> str:
    """Return a pattern of some words that shares their beginnings: tried at a fraction of the time."""
    listed = sorted(set(words))
    tails = [
        c and re.escape(c) + _one_of(w[1:] for w in group) for c, group in groupby(listed, lambda w: w[:1])
    ]
    shared = "|".join(filter(None, tails))
    return f"(?:{shared})?" if "" in tails and shared else f"(?:{shared})" if len(tails) > 1 else shared


TAG = re.compile(_one_of([*OPENS, *_CLOSES, *ANSWERS_OF]))
"""Finds each mark."""

_TOKENS = (
    r"<\|START_(?:RESPONSE|TEXT)\|>|<\|open\|>response<\|sep\|>|<\|begin\|>assistant(?:<\|content\|>)?"
    r"|<\|content\|>|<\|begin_of_solution\|>|(?:<\|message_model\|>){0,2}<\|content_text\|>"
)
WRAPPERS = re.compile(rf"\s*(?:<(?:answer|response|[oO]utput)>|{_TOKENS})\s*")
"""What some families put around the answer that follows their thinking."""
TOKEN_WRAPPERS = re.compile(rf"\s*(?:{_TOKENS})\s*")
"""Those of them that are tokens, which stand around an answer without thinking, too."""
UNWRAPPED = re.compile(
    r"(?:</(?:answer|response|[oO]utput)>|<\|END_(?:RESPONSE|TEXT)\|>|<\|close\|>(?:response|message)<\|sep\|>"
    r"|<\|end_of_solution\|>|<\|end_message\|>)\s*\Z"
)
ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end|>", "<|return|>", "<|end_of_text|>",
    "</s>", "<end_of_turn>", "<turn|>", "<eos>", "<|eot|>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>",
    "<|user|>", "<|observation|>", "<seed:eos>", "[unused10]", "<|flush|>", "<|endofturn|>", "<|eom|>",
    "[END FINAL RESPONSE]",
)  # fmt: skip
"""Ends of a turn that decoders leave in the text when they keep special tokens."""
