"""A few items of an arm, timed, for a prediction of the whole; nothing is stored but the times."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TypedDict

from tais.common.files import canonical_json, write_atomic
from tais.common.machine import describe_environment
from tais.engines import create_engine
from tais.records import Request
from tais.rundir.items import read_requests
from tais.worker.protocol import Events, TimingJob
from tais.worker.work import Work

__all__ = ["TimingRun", "pick"]

# Items that are answered first, for what an engine does once.
_FIRST = 4


def pick(requests: Sequence[Request], most: int) -> list[Request]:
    """Return at most so many requests, spread evenly over all: over every battery by its size."""
    n = min(most, len(requests))
    return [requests[index * len(requests) // n] for index in range(n)]


class _Timed(TypedDict):
    seconds: float
    answers: dict[str, int]
    tokens: dict[str, int]
    longest: int


class TimingRun(Work):
    """Times one arm."""

    def __init__(self, job: TimingJob, events: Events) -> None:
        super().__init__(job, events)
        self.asked = job
        self.engine = create_engine(self.arm.engine)

    def execute(self) -> None:
        """Start the engine, answer a few items twice over, write the times down."""
        requests = read_requests(self.job.items, self.sampling, self.arm.system_prompt)
        picked = pick(requests, self.asked.items_timed + _FIRST)
        step = max(1, len(picked) // _FIRST)
        first = picked[::step][:_FIRST]
        others = [request for request in picked if request not in first] or first
        self.enter("load", total=len(picked), done=0)
        hardware = describe_environment()["hardware"]
        begun = time.monotonic()
        self.engine.start(self.arm)
        loaded = time.monotonic()
        self.enter("check")
        self.engine.check(requests, self.sampling)
        self.enter("generate")
        told = {"first": self._timed(first), "others": self._timed(others)}
        found = {"load_seconds": loaded - begun, "hardware": hardware, **told}
        write_atomic(self.asked.result, canonical_json(found) + b"\n")
        self.enter("close")
        self.engine.close()

    def _timed(self, requests: list[Request]) -> _Timed:
        """Answer and return seconds, answers, tokens by battery and the longest answer's tokens."""
        begun = time.monotonic()
        answers: defaultdict[str, int] = defaultdict(int)
        tokens: defaultdict[str, int] = defaultdict(int)
        longest = 0
        for sample in self.engine.generate(requests, self.sampling):
            if sample is not None:
                # An engine that shows no ids is timed by characters: about four to a token.
                size = len(sample.token_ids) if sample.token_ids is not None else len(sample.text) // 4
                answers[sample.key.battery] += 1
                tokens[sample.key.battery] += size
                longest = max(longest, size)
                self.tally["done"] += 1
                self.tally["tokens"] += size
            self.tell_progress()
        seconds = time.monotonic() - begun
        return {"seconds": seconds, "answers": dict(answers), "tokens": dict(tokens), "longest": longest}
