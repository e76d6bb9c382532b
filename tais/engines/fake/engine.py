"""A stand-in for tests: answers at once, by a hash of the prompt, and fails on demand.

It is no model. What it answers depends on nothing but the prompt, the arm's ``engine_args`` and the
seed, so that two arms with equal arguments are identical and one with ``leak`` differs on a known share.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tais.common.parts import render_parts
from tais.engines.base import EngineRefusal, PlantedFault
from tais.manifest.model import Arm
from tais.manifest.reserved import is_probe, probe_expectation
from tais.manifest.sampling import NEUTRAL, Sampling, with_own
from tais.manifest.starts import MARK as START_MARK
from tais.records import Counters, Request, Sample

__all__ = ["FakeEngine"]

_OPTIONS: dict[str, Any] = {
    "leak": 0.0,
    # Only these starts of the arm leak, by their number: a fault that is fixed when the process starts.
    "leak_starts": None,
    "refuse": 0.8,
    "tokens": 12,
    "delay": 0.0,
    "context": 4096,
    "template": "plain",
    "batch": 16,
    "drafts": True,
    # So many tokens follow the last one of the text, as behind a stop string that an engine missed.
    "runs_on": 0,
    # Settings of sampling that it does not follow, as an engine with a bug.
    "forgets": [],
    # Calls of a tool in the place of an answer, and what a server says beside one.
    "parts": None,
    "fail_at": None,
    "failure": "crash",
    # A file: the failure happens only while it is there.
    "fail_while": None,
    # {folder, arms}: waits until so many arms are in the folder, which only arms that run at once can be.
    "meet": None,
    "refuse_start": None,
    "resolve": {},
    # Of teacher forcing: how far below the best a token lies that this stack would not have chosen.
    "margin": 5.0,
    "margin_float32": None,
    "refuse_float32": None,
    "fail_score_at": None,
    # Share of answers that a drill's fault acts on.
    "fault_share": 0.5,
    # Says whether the answer that it is asked about refuses, but for a share of questions.
    "judge": False,
    "mumbles": 0.0,
}

_ANSWER = "Sure, here is what you asked for: {}."
_REFUSAL = "I'm sorry, but I can't help with that ({})."
_MORE = ord("+")


def _fraction(*parts: object) -> float:
    """Return a number in [0, 1) that depends on `parts` alone."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _ended(ids: list[int], sampling: Sampling) -> list[int]:
    """Return an answer from its bytes: without words that are ruled out, as long as its settings ask for."""
    for word in sampling.bad_words:
        ids = list(bytes(ids).replace(word.encode(), b""))
    least = sampling.max_tokens if sampling.ignore_eos else sampling.min_tokens
    ids += [_MORE] * (least - len(ids))
    stops = (n for n, token in enumerate(ids, 1) if token in sampling.stop_token_ids)
    return ids[: next((n for n in stops if n > sampling.min_tokens), None)]


class FakeEngine:
    """Deterministic answers without a model."""

    fault: PlantedFault | None = None

    def imitate(self, fault: PlantedFault) -> None:
        """Behave as if this fault were planted."""
        self.fault = fault

    def start(self, arm: Arm) -> dict[str, object]:
        """Read the options; see the module's ``_OPTIONS``."""
        unknown = set(arm.engine_args) - set(_OPTIONS)
        if unknown:
            raise EngineRefusal(f"the fake engine has no option {sorted(unknown)[0]!r}")
        self.arm = arm
        print(f"fake engine: child of {os.getppid()}", flush=True)
        self.options = {**_OPTIONS, **arm.engine_args}
        if self.options["refuse_start"]:
            raise EngineRefusal(str(self.options["refuse_start"]))
        if self.options["failure"] == "hang_load" and self.options["fail_at"] is not None:
            time.sleep(3600)
        if self.options["meet"]:
            self._meet(**self.options["meet"])
        self.speculates = arm.speculative_config is not None
        self.done = 0
        speculative = (
            {**arm.speculative_config, **self.options["resolve"]} if arm.speculative_config else None
        )
        hidden = ("fail_at", "failure", "fail_while", "delay", "fail_score_at", "meet")
        visible = {k: v for k, v in self.options.items() if k not in hidden}
        return {"options": visible, "speculative_config": speculative, "dtype": arm.dtype}

    def _meet(self, folder: str, arms: int) -> None:
        (Path(folder) / self.arm.name).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
        deadline = time.monotonic() + 120
        while len(list(Path(folder).iterdir())) < arms:
            if time.monotonic() > deadline:
                raise EngineRefusal(f"no {arms} arms met in {folder}")
            time.sleep(0.05)

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Refuse a prompt of more bytes than ``context``."""
        for request in requests:
            size = len(self._prompt(request))
            if size >= self.options["context"]:
                raise EngineRefusal(
                    f"item {request.key.item_id!r} of battery {request.key.battery!r} has {size} tokens, "
                    f"the model takes {self.options['context']}"
                )

    def _faulty(self, effect: str, request: Request) -> bool:
        """Whether a planted fault of this effect acts on a request."""
        if self.fault is None or self.fault.effect != effect:
            return False
        acts = _fraction("fault", request.key.item_id) < float(self.options["fault_share"])
        self.fault.act(acts)
        return acts

    def _prompt(self, request: Request) -> bytes:
        text = "\n".join(message.content for message in request.messages)
        if self._faulty("prompt", request):
            text += " "
        return f"[{self.options['template']}]{text}".encode("utf-8", "surrogatepass")

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Answer in batches of ``batch``; one step without a finished sample between batches."""
        for index, request in enumerate(requests):
            if self.options["fail_at"] is not None and self.done >= self.options["fail_at"]:
                self._fail()
            if self.options["delay"]:
                time.sleep(self.options["delay"])
            self.done += 1
            yield self._answer(request, sampling)
            if index % self.options["batch"] == self.options["batch"] - 1:
                yield None

    def _fail(self) -> None:
        kind, path = self.options["failure"], self.options["fail_while"]
        if path and not Path(path).exists():
            return
        print(f"fake engine: about to {kind}", flush=True)
        if kind == "hang":
            time.sleep(3600)
        if kind == "memory":
            raise MemoryError("fake engine is out of memory")
        if kind == "error":
            raise RuntimeError("fake engine raised")
        os.abort()

    def _answer(self, request: Request, sampling: Sampling) -> Sample:
        sampling = self._followed(with_own(sampling, request.own))
        prompt = self._prompt(request)
        text = self._text(request)
        if sampling.temperature > 0 and _fraction("t", request.seed, prompt) < 0.05:
            text += " (as sampled)"
        ids = _ended(list(text.encode("utf-8", "surrogatepass")), sampling)[: sampling.max_tokens]
        drafted, accepted = self._steps(len(ids), request)
        text = "" if self.options["parts"] else self._detokenised(ids, request)
        ids += [_MORE] * int(self.options["runs_on"])
        return Sample(
            key=request.key,
            prompt_digest=hashlib.sha256(prompt).hexdigest(),
            prompt_tokens=len(prompt),
            token_ids=ids,
            text=text,
            finish_reason="stop" if len(ids) < sampling.max_tokens else "length",
            top1_logprobs=[-0.1] * len(ids),
            top2_logprobs=[-2.5] * len(ids),
            top2_tokens=[0] * len(ids),
            step_drafted=drafted,
            step_accepted=accepted,
            seconds=float(self.options["delay"]),
            parts=render_parts(self.options["parts"]) if self.options["parts"] else None,
        )

    def _followed(self, sampling: Sampling) -> Sampling:
        return sampling.model_copy(update={key: getattr(NEUTRAL, key) for key in self.options["forgets"]})

    def _detokenised(self, ids: list[int], request: Request) -> str:
        text = bytes(ids).decode("utf-8", "surrogatepass")
        return text.replace(" ", "") if self._faulty("text", request) else text

    def _text(self, request: Request) -> str:
        name, share = request.key.item_id, self.options["refuse"]
        if self.options["judge"]:
            if _fraction("mumbles", name) < self.options["mumbles"]:
                return "hard to say"
            return "yes" if "Answer: I'm sorry" in request.messages[-1].content else "no"
        if is_probe(name):
            # It tells harmless from refusable, unless it refuses all or nothing.
            refuses = (probe_expectation(name) == "refuse" or share >= 1) and share > 0
            return _REFUSAL.format(name) if refuses else _ANSWER.format(name)
        leaked = self._leaks(name) or self._faulty("tokens", request)
        refuses = _fraction("refuse", name) < share
        # A leak turns the answer round.
        return _ANSWER.format(name) if leaked == refuses else _REFUSAL.format(name)

    def _leaks(self, name: str) -> bool:
        only = self.options["leak_starts"]
        number = int(self.arm.name.rpartition(START_MARK)[2]) if self.arm.start_of is not None else 1
        return (only is None or number in only) and _fraction("leak", name) < self.options["leak"]

    def _steps(self, length: int, request: Request) -> tuple[list[int] | None, list[int] | None]:
        if not self.speculates:
            return None, None
        if not self.options["drafts"]:
            return [], []
        width = int((self.arm.speculative_config or {}).get("num_speculative_tokens", 4))
        steps = max(1, length // width)
        accepted = [int(_fraction("a", request.key.item_id, step) * (width + 1)) for step in range(steps)]
        if self._faulty("draft", request):
            accepted = [0] * steps
        return [width] * steps, accepted

    def counters(self) -> Counters | None:
        """Return None: what is drafted is told per sample."""
        return None

    def close(self) -> None:
        """Release nothing."""
