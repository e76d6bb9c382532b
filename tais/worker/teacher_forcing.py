"""Teacher forcing inside the worker process: the answers of some arms, read by one stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tais.common.machine import describe_environment
from tais.engines import create_teacher
from tais.engines.base import EngineRefusal
from tais.manifest.sampling import law_not_known, with_own
from tais.records import Request, SampleKey, ScoreRequest, TokenScores
from tais.rundir.audits import OWN, AuditKey, audit_writer, read_worklist, stored_audits
from tais.rundir.items import read_requests
from tais.rundir.layout import ENGINE, OWN_ANSWERS
from tais.rundir.samples import exclusive, read_batches
from tais.worker.answer_ends import AnswerEnds
from tais.worker.answer_texts import Said
from tais.worker.protocol import Events, TeacherForcingJob
from tais.worker.work import StoringWork

__all__ = ["TeacherForcingRun"]


class _Answer(NamedTuple):
    """A stored answer, as far as it is read; the names are those of the columns."""

    battery: str
    item_id: str
    repeat: int
    prompt_digest: str
    token_ids: list[int] | None
    text: str
    parts: str | None


class TeacherForcingRun(StoringWork[TokenScores]):
    """The state of one job in which a stack reads given answers."""

    def __init__(self, job: TeacherForcingJob, events: Events) -> None:
        super().__init__(job, events)
        self.asked = job
        self.teacher = create_teacher(self.arm.engine)

    def execute(self) -> None:
        """Start the engine, let it read what is missing, store it."""
        job, folder = self.asked, self.asked.arm_dir
        self.guard = exclusive(folder)
        done = stored_audits(job.stored or folder)
        self.enter("load", total=job.total, done=len(done))
        if len(done) >= job.total:
            return
        asked = read_requests(self.job.items, self.sampling, self.arm.system_prompt)
        self._check_law(asked)
        environment = describe_environment()
        resolved = self.teacher.start_forcing(self.arm, self.sampling.temperature, job.top, self.sampling)
        self.ends = AnswerEnds(self.teacher, self.sampling)
        resolved = {**resolved, "end_tokens": list(self.ends.tokens)}
        self.record(folder / ENGINE, {"resolved": resolved, "environment": environment})
        self.writer = audit_writer(folder, self._fits)
        self._digests: dict[AuditKey, str] = {}
        self.enter("score")
        for scores in self.teacher.force(self._requests(asked, done)):
            if scores is not None:
                self._take(self.ends.best(scores))
            self.keep_pace()
        self.keep_finished()
        self.enter("close")
        self.teacher.close()

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

    def _check_law(self, asked: Sequence[Request]) -> None:
        """Refuse settings under which this stack cannot tell what it would have said."""
        for own in dict.fromkeys(request.own for request in asked):
            key = law_not_known(self.arm.engine, with_own(self.sampling, own))
            if key is not None:
                raise EngineRefusal(
                    f"audit: engine {self.arm.engine} does not know {key}. "
                    "Audit with a reference on transformers, or do without the audit"
                )

    def _requests(self, asked: Sequence[Request], done: set[AuditKey]) -> Iterator[ScoreRequest]:
        by_key = {request.key: request for request in asked}
        for arm, spans in read_worklist(self.asked.worklist).items():
            for answer in _answers(self._folder(arm)):
                key = SampleKey(answer.battery, answer.item_id, answer.repeat)
                said = Said(answer.text, answer.parts)
                for first, count in spans.of(key):
                    if answer.token_ids and AuditKey(arm, *key, first) not in done:
                        self._digests[AuditKey(arm, *key, first)] = answer.prompt_digest
                        yield self._request(by_key[key], answer.token_ids, first, count, arm, said)

    def _folder(self, arm: str) -> Path:
        """Return where the answers of an arm lie, or those of a reference that are a control."""
        if self.asked.own_answers is not None and arm.startswith(OWN):
            return self.asked.own_answers / f"{OWN_ANSWERS}{arm.removeprefix(OWN)}"
        return self.asked.arms_dir / arm

    def _request(
        self, request: Request, answer: Sequence[int], first: int, count: int | None, arm: str, said: Said
    ) -> ScoreRequest:
        if arm in self.asked.to_the_end and (count is None or first >= len(answer)):
            return self.ends.request(request, answer, said, first, arm)
        return ScoreRequest(request, answer[: None if count is None else first + count], first, arm)


def _answers(arm_dir: Path) -> Iterator[_Answer]:
    for batch in read_batches(arm_dir, _Answer._fields):
        yield from (_Answer(**row) for row in batch.to_pylist())
