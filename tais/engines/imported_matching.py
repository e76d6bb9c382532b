"""Which request an imported answer belongs to, and whether it was asked what the request asks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from tais.battery.logs.sample import LoggedSample, prompt_digest
from tais.common.rendered import is_rendered
from tais.engines.base import EngineRefusal
from tais.records import Request, SampleKey

__all__ = ["Fit", "Match", "Matcher", "fit_of"]

Fit = Literal["same", "rendered", "within", "other", "unknown"]
"""same: asked what the item asks. rendered: the same, as far as a prompt that went through a chat template
shows. within: the item's question stands in it, with other words around. other: something else. unknown:
not told."""

_WHOLE = re.compile(r"-?[0-9]{1,15}(?:\.0)?")

AS_ASKED: tuple[Fit, ...] = ("same", "rendered", "unknown")


class Match(NamedTuple):
    """The request that an output answers."""

    key: SampleKey
    fit: Fit
    by_content: bool = False
    """Whether it was found by what was asked and not by its id."""


class _Claim(NamedTuple):
    """Who a request's place goes to."""

    strength: tuple[int, int]
    fit: Fit
    task: str | None


_NOBODY = _Claim((9, 9), "other", None)

_STRENGTH: Mapping[Fit, int] = {"same": 3, "rendered": 3, "unknown": 2, "within": 1, "other": 0}


class Matcher:
    """The requests that an import arm can answer.

    Parameters
    ----------
    requests
        All that the arm is asked.
    outputs
        All that the files hold; read once, so that an answer found by content never takes the place of one
        that has the id and fits.
    """

    def __init__(self, requests: Sequence[Request], outputs: Iterable[LoggedSample]) -> None:
        self._requests = {request.key: request for request in requests}
        self._batteries = sorted({key.battery for key in self._requests})
        self._by_content: Mapping[tuple[str, int], list[SampleKey]] = self._digests(requests)
        self._claims: dict[SampleKey, _Claim] = {}
        self._tied: dict[SampleKey, str | None] = {}
        # By content, the first of equal questions answers.
        self._moved: dict[SampleKey, tuple[str | None, str]] = {}
        self._named: set[SampleKey] = set()
        others: list[LoggedSample] = []
        for output in outputs:
            found = self._by_name(output, output.item_id)
            if found is not None:
                self._named.add(found.key)
                self._claim(found, output)
            elif _other_spelling(output.item_id) is not None:
                others.append(output)
        for output in others:
            if (found := self._by_id(output)) is not None:
                self._claim(found, output)
        self._settle()

    @staticmethod
    def _digests(requests: Sequence[Request]) -> Mapping[tuple[str, int], list[SampleKey]]:
        found: dict[tuple[str, int], list[SampleKey]] = defaultdict(list)
        for request in requests:
            digest = prompt_digest([(m.role, m.content) for m in request.messages])
            found[digest, request.key.repeat].append(request.key)
        return found

    def of(self, output: LoggedSample) -> Match | None:
        """Return the request that an output answers, by its id or else by what was asked; None for none.

        Raises
        ------
        EngineRefusal
            When the item's id is in several batteries and the output does not say which it means.
        """
        found = self._by_id(output)
        if found is not None and self._claims[found.key] != _claim_of(found, output):
            # The place of an answer that fits better stays its own.
            found = None
        if found is not None and found.fit in AS_ASKED:
            return found
        keys = self._by_content.get((output.asked.prompt or "", output.repeat), [])
        free = [key for key in keys if key not in self._claims or self._claims[key].fit not in AS_ASKED]
        if len(free) == 1 and (output.battery is None or free[0].battery == output.battery):
            own = output.task, output.item_id
            first = self._moved.setdefault(free[0], own) == own
            return Match(free[0], "same", by_content=True) if first else None
        # Where another answer was found by content, this one has no place.
        return None if found is not None and found.key in self._moved else found

    def _claim(self, found: Match, output: LoggedSample) -> None:
        """Note which output an item's place goes to: the one that fits best, then the one of its task."""
        claim, known = _claim_of(found, output), self._claims.get(found.key)
        if known is None or claim.strength > known.strength:
            self._claims[found.key] = claim
            self._tied.pop(found.key, None)
        elif claim.strength == known.strength and claim.task != known.task:
            self._tied[found.key] = claim.task

    def _settle(self) -> None:
        """Refuse two equally good answers to one item; of those that do not fit, none answers it."""
        for key, task in self._tied.items():
            known = self._claims[key]
            if known.fit in AS_ASKED:
                raise EngineRefusal(
                    f"item {key.item_id!r} of battery {key.battery!r} is answered twice, by the tasks "
                    f"{known.task!r} and {task!r}. Give the logs of one run"
                )
            self._claims[key] = _NOBODY

    def _by_id(self, output: LoggedSample) -> Match | None:
        found = self._by_name(output, output.item_id)
        if found is None and (spelled := _other_spelling(output.item_id)) is not None:
            found = self._by_name(output, spelled)
            # Who has the id as it is written goes first.
            found = None if found is None or found.key in self._named else found
        return found

    def _by_name(self, output: LoggedSample, item_id: str) -> Match | None:
        batteries = self._batteries if output.battery is None else [output.battery]
        # A battery made of many tasks names each item by its task, too.
        names = [item_id, *([f"{output.task}/{item_id}"] if output.task else [])]
        keys = [SampleKey(battery, name, output.repeat) for battery in batteries for name in names]
        found = [Match(key, fit_of(self._requests[key], output)) for key in keys if key in self._requests]
        if len(found) > 1:
            found = self._likeliest(found, output)
        return found[0] if found else None

    def _likeliest(self, found: list[Match], output: LoggedSample) -> list[Match]:
        told = [match for match in found if match.fit in ("same", "rendered")] or found
        task = output.task or ""
        named = [match for match in told if task == match.key.battery]
        named = named or [match for match in told if task.endswith(f"_{match.key.battery}")]
        if not named and all(match.fit == "other" for match in told):
            # A task that none of the batteries asks.
            return []
        if len(named or told) > 1:
            batteries = ", ".join(match.key.battery for match in told)
            raise EngineRefusal(
                f"item {output.item_id!r} is in several batteries ({batteries}): each of its outputs needs a "
                "`battery`, or a task of that name"
            )
        return named or told


def _other_spelling(item_id: str) -> str | None:
    """Return how tables write a whole number once a column has a gap (1.0), or without one (1); else None."""
    if not _WHOLE.fullmatch(item_id):
        return None
    return item_id.removesuffix(".0") if item_id.endswith(".0") else f"{item_id}.0"


def _claim_of(match: Match, output: LoggedSample) -> _Claim:
    battery, task = match.key.battery, output.task or ""
    named = 2 if task == battery else 1 if task.endswith(f"_{battery}") else 0
    return _Claim((_STRENGTH[match.fit], named), match.fit, output.task)


def fit_of(request: Request, output: LoggedSample) -> Fit:
    """Return how what was asked for an output compares with what a request asks."""
    turns = output.turns
    if turns is None:
        return "unknown"
    wanted = [(message.role, message.content) for message in request.messages]
    given = [(turn.role, turn.content) for turn in turns]
    opening = output.opening
    if given == wanted or (
        opening is not None and opening < len(given) and wanted[:opening] == given[:opening]
    ):
        return "same"
    sides = ("\n".join(content for _, content in side) for side in (wanted, given))
    for whole, pieces in zip(sides, (given, wanted), strict=True):
        if is_rendered(whole) and not is_rendered(pieces[0][1]) and _holds(whole, [c for _, c in pieces]):
            return "rendered"
    return "within" if _holds("\n".join(c for _, c in given), [wanted[-1][1]]) else "other"


def _holds(whole: str, pieces: Sequence[str]) -> bool:
    """Return whether pieces stand in a text one after the other; templates strip the space around them."""
    at = 0
    for piece in pieces:
        found = whole.find(piece.strip(), at)
        if found < 0:
            return False
        at = found + len(piece.strip())
    return True
