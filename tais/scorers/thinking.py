"""What a model thinks told from what it answers, by the marks that model families put between the two.

The text stays whole where it is stored; it is split when it is scored, so that a run of an older version is
read by the same rules.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import NamedTuple

from tais.scorers.thinking_marks import (
    ANNOUNCED,
    ANSWERS_OF,
    CLOSERS,
    CLOSES_ALONE,
    CLOSING,
    ENDS,
    MARKS,
    OPENS,
    PART_TOKENS,
    TAG,
    TOKEN_WRAPPERS,
    UNWRAPPED,
    WEAK,
    WRAPPERS,
    Marks,
    closes,
)

__all__ = [
    "CLOSING",
    "MARKS",
    "PART_TOKENS",
    "Split",
    "closes_unopened",
    "may_be_marked",
    "split_thinking",
]

_BLANKS = re.compile(r"\s*")
# Far enough for what is looked for; a text may be of any length.
_FAR, _MOST_ENDS = 400, 4
_QUOTES = {"`": "`", "'": "'", '"': '"', "‘": "’", "“": "”"}
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$", re.M)
# Before and behind a mark in the middle of a sentence, or in a list of what marks mean.
_SENTENCE = re.compile(r"[\w,(:*-] \Z|\(\Z")
_PUNCTUATION = tuple(",.;:)!?")
# Words between two marks in one sentence that no thought would be.
_FEW = 3
# Harmony (OpenAI cookbook, "Harmony response format"): messages of a channel, with their special tokens, or
# with them left out by the decoder: "analysis...assistantfinal...".
_TOKEN = re.compile(r"<\|(start|channel|message|constrain|end|return|call|eom|eot)\|>")
_CHANNEL = re.compile(r"\b(analysis|commentary|final)\b")
_RECIPIENT = re.compile(r"\bto=([^\s<]{1,200})")
# Muse Glimmer (vLLM muse_glimmer) names a recipient instead of a channel.
_ADDRESSED = re.compile(r"\s*(?:<\|start\|>\s*assistant)?\s*to=[\w.-]{1,200}<\|message\|>")
# Two words, so that the name of a variable (analysisResult = 5) is none.
_BARE_START = re.compile(
    r"\s*(?:assistant)?(analysis|commentary|final)"
    r"(?=[\"“*]?[A-Z][\w'’]{0,40}[ ,.!][ ]?[A-Za-z\"“]|[^\W\d_\x00-\x7f]| to=)"
)
_BARE_NEXT = re.compile(r"assistant(analysis|commentary|final)")
_BARE_CALL = re.compile(r"\s*to=([^\s{]{1,200})\s*(?:json|code)?\s*(?=[{\[])")

_STARTS = (
    "analysis", "commentary", "final", "assistant", "thought\n", "Here", " ", "\n", "Thinking...",
    "## Thinking", "/think", ":::thinking",
)  # fmt: skip
_SIGNS = ("<", "THINK]", "◁", "[unused1", " thinking]", "[BEGIN FINAL RESPONSE]")


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
    A mark between quotes or backticks, in a block of code with the mark that closes it, or within a sentence
    that goes on behind it is spoken of, not used, and so is one that opens in the middle of a line and never
    closes. Where thinking closes that was never opened, the prompt opened it (DeepSeek-R1, Qwen3 Thinking),
    and all before it is thinking. Of Gemma 4 without its special tokens the label
    ``thought`` alone is left, which is taken off.
    """
    if not may_be_marked(text):
        return Split(text)
    if "<|channel|>" in text or _ADDRESSED.match(text):
        return _harmony(text)
    return _announced(text) or _bare_harmony(text) or _tagged(text)


def may_be_marked(text: str) -> bool:
    """Whether a text may hold a mark: nearly all answers hold none, which a few letters tell at once."""
    # All signs hold one of these letters, for which one look is enough.
    if "<" in text or "[" in text or "]" in text or not text.isascii():
        return any(sign in text for sign in _SIGNS) or text.startswith(_STARTS)
    return text.startswith(_STARTS)


def closes_unopened(text: str) -> bool | None:
    """Return whether a text closes a thinking that it did not open; None where it has no mark at all."""
    until = 0
    for match in TAG.finditer(text):
        if match.start() < until:
            continue
        marks = OPENS.get(match[0])
        spoken = _spoken_until(text, match, marks)
        if spoken is None and not (marks is not None and marks.opens in WEAK):
            return match[0] in CLOSES_ALONE
        until = spoken or 0
    return None


def _tagged(text: str) -> Split:
    said, thought, start, until = [], [], 0, 0
    inside: Marks | None = None
    last: dict[str, int] = {}
    fences: list[tuple[int, int]] | None = None
    for match in TAG.finditer(text):
        place, marks = match.start(), OPENS.get(match[0])
        if inside is not None:
            if closes(match[0], inside):
                thought.append(text[start:place])
                # A mark that opens the answer stays with it.
                inside, start = None, place if match[0] in ANSWERS_OF else match.end()
            continue
        if place < until:
            continue
        if marks is not None:
            if marks.closes not in last:
                last[marks.closes] = _last(text, marks, place)
            closed = last[marks.closes] > place
            if not closed and (marks.opens in WEAK or not _begins_line(text, place)):
                continue
        elif match[0] not in CLOSES_ALONE or (thought and not _BLANKS.fullmatch(text, start, place)):
            continue
        if (spoken := _spoken_until(text, match, marks, started=bool(thought))) is not None:
            until = spoken
            continue
        if marks is None:
            # Opened by the prompt; or the same mark once more.
            thought.append(text[start:place])
            start = match.end()
            continue
        fences = _fences(text) if fences is None else fences
        example = closed and _example_until(text, match, marks, fences)
        if example:
            until = example
        else:
            said.append(text[start:place])
            inside, start = marks, match.end()
    (said if inside is None else thought).append(text[start:])
    if not thought:
        return Split(_ended(text.removeprefix("thought\n"), TOKEN_WRAPPERS))
    thinking = "\n".join(part.removeprefix("thought\n").strip() for part in thought)
    return Split(_unwrapped("".join(said)), thinking.strip(), closed=inside is None, marked=True)


def _last(text: str, marks: Marks, place: int) -> int:
    """Return where a thinking that opens at a place may close at the latest, -1 where nowhere."""
    found = text.rfind(marks.closes)
    return found if found > place else max(map(text.rfind, CLOSERS[marks.closes]))


def _spoken_until(
    text: str, match: re.Match[str], marks: Marks | None, *, started: bool = False
) -> int | None:
    """Return up to where marks are spoken of and not used, None where this one is used.

    `marks` is what it opens, None where it closes; `started` whether thinking went before, behind which a
    mark may stand anywhere.
    """
    place, end = match.span()
    before = text[max(0, place - _FAR) : place].rpartition("\n")[2]
    if not before:
        return None
    behind = text[end : end + _FAR].partition("\n")[0]
    if quote := _QUOTES.get(before[-1]):
        # Of a quoted pair, both.
        ending = _ending(behind, marks)
        pair = ending is not None and behind[ending[1] :].startswith(quote)
        return end + ending[1] if pair and ending else end
    if before.count("`") % 2 and "`" in behind:
        return end + behind.index("`")
    if started or not _SENTENCE.search(before[-2:]):
        return None
    if marks is None:
        return end if _goes_on(behind) else None
    if behind.startswith(_PUNCTUATION):
        return end
    if (ending := _ending(behind, marks)) is None:
        return None
    rest = behind[ending[1] :]
    few = len(behind[: ending[0]].split()) <= _FEW and (not rest or rest[0].isspace())
    return end + ending[1] if few or _goes_on(rest) else None


def _ending(behind: str, marks: Marks | None) -> tuple[int, int] | None:
    """Return where on the rest of a line a thinking closes."""
    if marks is None:
        return None
    found = next((match for match in TAG.finditer(behind) if closes(match[0], marks)), None)
    return None if found is None else found.span()


def _goes_on(behind: str) -> bool:
    """Whether a sentence goes on, or ends, right behind a mark."""
    return behind.startswith(_PUNCTUATION) or (behind[:1] == " " and behind[1:2].islower())


def _fences(text: str) -> list[tuple[int, int]]:
    """Return where blocks of code begin and end, but for a block that is the whole text."""
    found: list[tuple[int, int]] = []
    opened: re.Match[str] | None = None
    for line in _FENCE.finditer(text) if "```" in text or "~~~" in text else ():
        if opened is None:
            opened = line
        elif line[1].startswith(opened[1]) and not line[2].strip():
            found.append((opened.start(), line.end()))
            opened = None
    whole = len(found) == 1 and not (text[: found[0][0]] + text[found[0][1] :]).strip()
    return [] if whole else found


def _example_until(
    text: str, match: re.Match[str], marks: Marks, fences: list[tuple[int, int]]
) -> int | None:
    """Return the end of the block of code in which a mark and the one that closes it stand, None for none."""
    index = bisect_right(fences, (match.start(), len(text))) - 1
    if index < 0 or fences[index][1] < match.end():
        return None
    end = fences[index][1]
    shut = any(text.find(mark, match.end(), end) >= 0 for mark in CLOSERS[marks.closes])
    return end if shut else None


def _begins_line(text: str, place: int) -> bool:
    """Whether only blanks, or another mark, stand before a place on its line."""
    line = text[max(0, place - _FAR) : place].rpartition("\n")[2].rstrip()
    return not line or line.endswith(">")


def _unwrapped(answer: str) -> str:
    return _ended(answer, WRAPPERS).strip()


def _ended(answer: str, wrappers: re.Pattern[str]) -> str:
    """Return an answer without the tokens that end a turn, and without what is put around an answer."""
    shown = answer.rstrip()
    for _ in range(_MOST_ENDS):
        if not shown.endswith(ENDS):
            break
        end = next(end for end in ENDS if shown.endswith(end))
        shown = answer = shown[: -len(end)].rstrip()
    opened = wrappers.match(answer)
    return UNWRAPPED.sub("", answer[opened.end() :]) if opened else answer


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
        if recipient and recipient[1] == "self":
            thought.append(content.strip())
        elif recipient and recipient[1] != "user":
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


def _announced(text: str) -> Split | None:
    for row in ANNOUNCED:
        opened = row.opens.match(text)
        if opened is None:
            continue
        answer = row.answer.search(text, opened.end())
        if answer is None:
            return Split("", text[opened.end() :].strip(), closed=False, marked=True)
        thinking = text[opened.end() : answer.start()].strip()
        return Split(_unwrapped(text[answer.end() :]), thinking, marked=True)
    return None
