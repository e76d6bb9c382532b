"""A scoring job inside the worker process: the answers of some arms under one stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.common.machine import describe_environment
from tais.engines import create_scorer
from tais.records import Request, SampleKey, ScoreRequest, TokenScores
from tais.rundir.audits import AuditKey, audit_writer, read_worklist, stored_audits
from tais.rundir.items import read_requests
from tais.rundir.samples import exclusive, read_batches
from tais.worker.work import Work

if TYPE_CHECKING:
    from tais.worker.protocol import Events, Job

__all__ = ["AuditRun"]

_COLUMNS = ("battery", "item_id", "repeat", "prompt_digest", "token_ids")


class AuditRun(Work):
    """The state of one scoring job.

    Parameters
    ----------
    job
        As of an arm, and: ``worklist`` (path), ``arms_dir``, ``top`` and ``total``.
    events
        Where progress goes.
    """

    def __init__(self, job: Job, events: Events) -> None:
        super().__init__(job, events)
        self.engine = create_scorer(self.arm.engine)

    def execute(self) -> None:
        """Start the engine, score what is missing, store it."""
        folder = Path(self.job["arm_dir"])
        self.guard = exclusive(folder)
        done = stored_audits(self.stored())
        self.enter("load", total=self.job["total"], done=len(done))
        if len(done) >= self.job["total"]:
            return
        environment = describe_environment()
        resolved = self.engine.start_scoring(self.arm, self.sampling.temperature, self.job["top"])
        self.record(folder / "engine.json", {"resolved": resolved, "environment": environment})
        self.writer = audit_writer(folder, self._fits)
        self._digests: dict[AuditKey, str] = {}
        self.enter("score")
        for scores in self.engine.score(self._requests(done)):
            if scores is not None:
                self._take(scores)
            self.keep_pace()
        self.keep_finished()
        self.enter("close")
        self.engine.close()

    def _take(self, scores: TokenScores) -> None:
        assert self.writer is not None
        self.writer.add(scores)
        self.tally["done"] += 1
        self.tally["tokens"] += len(scores.given)

    def _fits(self, scores: TokenScores) -> bool | None:
        """Whether this stack reads the prompt as the arm read it; None where the arm did not tell."""
        digest = self._digests.pop(
            AuditKey(scores.request.arm, *scores.request.request.key, scores.request.first)
        )
        return digest == scores.prompt_digest if digest else None

    def _requests(self, done: set[AuditKey]) -> Iterator[ScoreRequest]:
        asked = read_requests(Path(self.job["items"]), self.sampling, self.arm.system_prompt)
        by_key = {request.key: request for request in asked}
        for arm, spans in read_worklist(Path(self.job["worklist"])).items():
            for batch in read_batches(Path(self.job["arms_dir"]) / arm, _COLUMNS):
                for row in batch.to_pylist():
                    key = SampleKey(row["battery"], row["item_id"], row["repeat"])
                    for first, count in spans.of(key):
                        if row["token_ids"] and AuditKey(arm, *key, first) not in done:
                            yield self._request(arm, by_key[key], row, first, count)

    def _request(
        self, arm: str, request: Request, row: dict[str, Any], first: int, count: int | None
    ) -> ScoreRequest:
        self._digests[AuditKey(arm, *request.key, first)] = row["prompt_digest"]
        last = None if count is None else first + count
        return ScoreRequest(request, row["token_ids"][:last], first, arm)
