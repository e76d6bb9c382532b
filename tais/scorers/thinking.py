"""What a model thinks told from what it answers, by the marks that model families put between the two.

The text stays whole where it is stored; it is split when it is scored, so that a run of an older version is
read by the same rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

__all__ = [
    "CLOSING",
    "MARKS",
    "PART_TOKENS",
    "Marks",
    "Split",
    "closes_unopened",
    "may_be_marked",
    "split_thinking",
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
    Marks("<thought>", "</thought>", "EXAONE Deep", "its chat template"),
    Marks("<reasoning>", "</reasoning>", "models tuned to <reasoning> and <answer>", "TRL, GRPO examples"),
    Marks("[THINK]", "[/THINK]", "Magistral, Mistral Medium", "mistral-common, tokens of v13"),
    Marks("<|channel>", "<channel|>", "Gemma 4", "Gemma 4 prompt formatting; vLLM gemma4_utils"),
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
)
"""Pairs of marks. Harmony (gpt-oss) has channels instead, and Granite 3.2 sentences; see below."""

_OPENS = {marks.opens: marks for marks in MARKS}
_CLOSES = {marks.closes for marks in MARKS}
# Inkling ends all kinds of messages alike: that one ends says nothing of what it was.
_CLOSES_ALONE = _CLOSES - {"<|end_message|>"}
PART_TOKENS = frozenset({*_OPENS, *_CLOSES}) | {
    "<|channel|>", "[TOOL_CALLS]", "<|tool_call>", "<|tool_call|>", "<|tool_call_begin|>",
    "<|tool_call_start|>", "<｜tool▁call▁begin｜>", "<start_function_call>", "<|START_ACTION|>",
    "<|tools_prefix|>", "<tool_call>",
}  # fmt: skip
"""Tokens that tell the parts of an answer apart: a decoder that leaves them out leaves the parts as one."""
CLOSING = "|".join(map(re.escape, sorted(_CLOSES_ALONE)))
"""A pattern that finds each mark that closes thinking."""


def _one_of(words: Iterable[str]) -> str:
    """Return a pattern of some words that shares their beginnings: tried at a fraction of the time."""
    listed = sorted(set(words))
    tails = [
        c and re.escape(c) + _one_of(w[1:] for w in group) for c, group in groupby(listed, lambda w: w[:1])
    ]
    shared = "|".join(filter(None, tails))
    return f"(?:{shared})?" if "" in tails and shared else f"(?:{shared})" if len(tails) > 1 else shared


_TAG = re.compile(_one_of([*_OPENS, *_CLOSES]))
_BLANKS = re.compile(r"\s*")
# Far enough for what is looked for; a text may be of any length.
_FAR, _MOST_ENDS = 400, 4
_QUOTES = frozenset("`'\"‘“")
# What some families put around the answer that follows their thinking.
_WRAPPERS = re.compile(
    r"\s*(?:<(?:answer|response)>|<\|START_(?:RESPONSE|TEXT)\|>|<\|open\|>response<\|sep\|>"
    r"|(?:<\|message_model\|>){0,2}<\|content_text\|>)\s*"
)
_UNWRAPPED = re.compile(
    r"(?:</(?:answer|response)>|<\|END_(?:RESPONSE|TEXT)\|>|<\|close\|>(?:response|message)<\|sep\|>"
    r"|<\|end_message\|>)\s*\Z"
)
# Ends of a turn that decoders leave in the text when they keep special tokens.
_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end|>", "<|return|>", "<|end_of_text|>",
    "</s>", "<end_of_turn>", "<turn|>", "<eos>", "<|eot|>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>",
    "<|user|>", "<|observation|>", "<seed:eos>",
)  # fmt: skip

# Harmony (OpenAI cookbook, "Harmony response format"): messages of a channel, with their special tokens, or
# with them left out by the decoder: "analysis...assistantfinal...".
_TOKEN = re.compile(r"<\|(start|channel|message|constrain|end|return|call)\|>")
_CHANNEL = re.compile(r"\b(analysis|commentary|final)\b")
_RECIPIENT = re.compile(r"\bto=([^\s<]{1,200})")
# Two words, so that the name of a variable (analysisResult = 5) is none.
_BARE_START = re.compile(
    r"\s*(?:assistant)?(analysis|commentary|final)"
    r"(?=[\"“*]?[A-Z][\w'’]{0,40}[ ,.!][ ]?[A-Za-z\"“]|[^\W\d_\x00-\x7f]| to=)"
)
_BARE_NEXT = re.compile(r"assistant(analysis|commentary|final)")
_BARE_CALL = re.compile(r"\s*to=([^\s{]{1,200})\s*(?:json|code)?\s*(?=[{\[])")

# Granite 3.2 (vLLM, reasoning parser granite).
_GRANITE = re.compile(r"\s*Here(?:'s| is) my thought process:")
_GRANITE_ANSWER = re.compile(r"Here(?:'s| is) my response:")

_STARTS = ("analysis", "commentary", "final", "assistant", "thought\n", "Here", " ", "\n")


class Split(NamedTuple):
    """A text in its parts."""

    said: str
    """What is said to whoever asked."""
    thinking: str = ""
    closed: bool = True
    """Whether the thinking came to its end, or there is none."""
    marked: bool = False
    """Whether there is any mark of thinking."""
    calls: str = ""
    """Calls of tools that stand apart from what is said (harmony), as a JSON list."""


def split_thinking(text: str) -> Split:
    """Tell the thinking of a text from its answer.

    Parameters
    ----------
    text
        As a model wrote it.

    Returns
    -------
    Split
        A text without marks is all answer, unchanged.

    Notes
    -----
    A mark between quotes or backticks is spoken of, not used, and so is one that opens in the middle of a
    line and never closes. Where thinking closes that was never opened, the prompt opened it (DeepSeek-R1,
    Qwen3 Thinking), and all before it is thinking. Of Gemma 4 without its special tokens the label
    ``thought`` alone is left, which is taken off.
    """
    if not may_be_marked(text):
        return Split(text)
    if "<|channel|>" in text:
        return _harmony(text)
    return _granite(text) or _bare_harmony(text) or _tagged(text)


def may_be_marked(text: str) -> bool:
    """Whether a text may hold a mark: nearly all answers hold none, which a few letters tell at once."""
    return "<" in text or "THINK]" in text or "◁" in text or text.startswith(_STARTS)


def closes_unopened(text: str) -> bool | None:
    """Return whether a text closes a thinking that it did not open; None where it has no mark at all."""
    for match in _TAG.finditer(text):
        if not _quoted(text, match):
            return match[0] in _CLOSES_ALONE
    return None


def _quoted(text: str, match: re.Match[str]) -> bool:
    return match.start() > 0 and text[match.start() - 1] in _QUOTES


def _tagged(text: str) -> Split:
    said, thought, start = [], [], 0
    inside: Marks | None = None
    last: dict[str, int] = {}
    for match in _TAG.finditer(text):
        if inside is not None:
            if match[0] == inside.closes:
                thought.append(text[start : match.start()])
                inside, start = None, match.end()
        elif _quoted(text, match):
            continue
        elif (marks := _OPENS.get(match[0])) is not None:
            if marks.closes not in last:
                last[marks.closes] = text.rfind(marks.closes)
            if last[marks.closes] > match.start() or _begins_line(text, match.start()):
                said.append(text[start : match.start()])
                inside, start = marks, match.end()
        elif match[0] in _CLOSES_ALONE and (not thought or _BLANKS.fullmatch(text, start, match.start())):
            # Opened by the prompt; or the same mark once more.
            thought.append(text[start : match.start()])
            start = match.end()
    (said if inside is None else thought).append(text[start:])
    if not thought:
        return Split(_ended(text.removeprefix("thought\n")))
    thinking = "\n".join(part.removeprefix("thought\n").strip() for part in thought)
    return Split(_unwrapped("".join(said)), thinking.strip(), closed=inside is None, marked=True)


def _begins_line(text: str, place: int) -> bool:
    """Whether only blanks, or another mark, stand before a place on its line."""
    line = text[max(0, place - _FAR) : place].rpartition("\n")[2].rstrip()
    return not line or line.endswith(">")


def _unwrapped(answer: str) -> str:
    answer = _ended(answer)
    opened = _WRAPPERS.match(answer)
    if opened:
        answer = _UNWRAPPED.sub("", answer[opened.end() :])
    return answer.strip()


def _ended(answer: str) -> str:
    """Return an answer without the tokens that end a turn."""
    shown = answer.rstrip()
    for _ in range(_MOST_ENDS):
        end = next((end for end in _ENDS if shown.endswith(end)), None)
        if end is None:
            break
        shown = answer = shown[: -len(end)].rstrip()
    return answer


def _harmony(text: str) -> Split:
    first, *rest = _TOKEN.split(text)
    header, messages = first, []
    for token, after in zip(rest[::2], rest[1::2], strict=True):
        if token == "message":
            messages.append((header, after))
        # A channel without a message, at the end, is a header that was cut.
        header = after if token not in ("channel", "constrain") else f"{header[-_FAR:]} {after}"
        if token == "message":
            header = ""
    return _by_channel(messages)


def _by_channel(messages: list[tuple[str, str]]) -> Split:
    said, thought, calls = [], [], []
    for header, content in messages:
        channel, recipient = _CHANNEL.search(header), _RECIPIENT.search(header)
        if recipient:
            calls.append({"name": recipient[1].removeprefix("functions."), "arguments": content.strip()})
        elif channel and channel[1] == "analysis":
            thought.append(content.strip())
        else:
            said.append(content.strip())
    return Split(
        "\n\n".join(said),
        "\n\n".join(thought),
        closed=bool(said or calls),
        marked=True,
        calls=json.dumps(calls) if calls else "",
    )


def _bare_harmony(text: str) -> Split | None:
    start = _BARE_START.match(text)
    if start is None:
        follows = _BARE_NEXT.search(text) if text.lstrip().startswith("analysis") else None
        if follows is None:
            return None
        begin, channel = len(text) - len(text.lstrip()) + len("analysis"), "analysis"
    else:
        begin, channel = start.end(), start[1]
    messages = []
    for following in _BARE_NEXT.finditer(text, begin):
        messages.append(_bare_message(channel, text[begin : following.start()]))
        begin, channel = following.end(), following[1]
    messages.append(_bare_message(channel, text[begin:]))
    return _by_channel(messages)


def _bare_message(channel: str, content: str) -> tuple[str, str]:
    call = _BARE_CALL.match(content) if channel != "final" else None
    return (f"{channel} to={call[1]}", content[call.end() :]) if call else (channel, content)


def _granite(text: str) -> Split | None:
    opened = _GRANITE.match(text)
    if opened is None:
        return None
    answer = _GRANITE_ANSWER.search(text, opened.end())
    if answer is None:
        return Split("", text[opened.end() :].strip(), closed=False, marked=True)
    return Split(text[answer.end() :].strip(), text[opened.end() : answer.start()].strip(), marked=True)
