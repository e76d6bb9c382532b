"""What is to be scored under which stack: the jobs of an audit, planned from samples that are stored.

Four stages, each from what the one before left: where the reference has no arm of its own it answers some
items, for what rounding does; the reference stack scores; where that finds a token too far below the best,
the same stack does in float32, which tells rounding from logic; and the draft, for whether what came through
was the draft's own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tais.analysis.arm_table import ArmTable, load_arm
from tais.analysis.attribution import StackAudit, suspects
from tais.analysis.paired_arms import Pair, read_divergences
from tais.analysis.token_law import top_of
from tais.manifest.model import TEACHER_NAMES, Arm, Contrast, Manifest
from tais.manifest.sampling import SEES_ALL
from tais.plan.controls import SHAPE
from tais.records import SampleKey
from tais.rundir.audits import OWN, WHOLE, WORKLIST, Entry, own_key, write_worklist
from tais.rundir.items import Items, write_rows
from tais.rundir.layout import ITEMS, RunDir
from tais.rundir.lock_model import Lock, LockedContrast
from tais.rundir.samples import count_tokens, read_batches, stored_keys
from tais.verdict.evidence import Divergence
from tais.worker.protocol import AnswerJob, TeacherForcingJob

__all__ = ["AuditPlanner", "asked_of", "may_fail"]

# Best tokens kept per position: enough to see what else was near.
_TOP = 4
# Where settings change scores, a stack that lists the best tokens lists so many.
_WIDE = 1024
# Answers of the reference that are scored whole as the control, where nothing else asks for more.
_CONTROL = 64
_CONTROL_DIVERGING = 256
# Engine arguments that are about the target's weights.
_OF_THE_TARGET = ("quantization", "hf_overrides", "antidistillation")


def asked_of(job: AnswerJob | TeacherForcingJob) -> int:
    """Return how many answers a job gives or reads, at most."""
    return job.total if isinstance(job, TeacherForcingJob) else len(Items(job.items))


def may_fail(job: AnswerJob | TeacherForcingJob) -> bool:
    """Return whether the run goes on where a job fails: what only explains, or is a control."""
    return job.optional if isinstance(job, TeacherForcingJob) else True


@dataclass(frozen=True, slots=True)
class AuditPlanner:
    """Plans what stacks read of a run's answers.

    Parameters
    ----------
    run
        The run directory, its samples stored.
    manifest
        As resolved; the paths of its models are those of this machine.
    lock
        The run's lock.
    make_job
        Makes a job of an arm: what all jobs of this run share.
    """

    run: RunDir
    manifest: Manifest
    lock: Lock
    make_job: Callable[[Arm, Path], AnswerJob]

    def stages(self) -> Iterator[Sequence[AnswerJob | TeacherForcingJob]]:
        """Yield the jobs of each stage; a stage is planned when the one before it has run."""
        if not self._audited():
            return
        if answering := list(self._own_answers()):
            yield answering
        # Samples stay as they are from stage to stage: they are read once.
        work = _Work(self.run, self.lock)
        for stage in (self._own, self._float32, self._drafts):
            jobs = [job for job in stage(work) if job.total]
            if jobs:
                yield jobs

    def _audited(self) -> list[tuple[Contrast, LockedContrast]]:
        pairs = zip(self.manifest.contrasts, self.lock.contrasts, strict=True)
        return [(c, fixed) for c, fixed in pairs if fixed.audit != "none"]

    def _own_answers(self) -> Iterator[AnswerJob]:
        """Let references answer what is to be their control."""
        items = None
        for control in self.lock.controls:
            folder = self.run.own_answers(control.reference, control.name)
            if count_tokens(folder) >= control.tokens or len(stored_keys(folder)) >= len(control.items):
                continue
            items = Items(self.run.items) if items is None else items
            folder.mkdir(parents=True, exist_ok=True)
            own_items = [items[key] for key in control.items]
            write_rows(folder / ITEMS, [own_items], own_sampling=any(item.sampling for item in own_items))
            stack = self.manifest.arms[control.reference]
            args = {k: v for k, v in stack.engine_args.items() if k not in SHAPE} | control.engine_args
            # Shuffled: whatever comes first is then of all batteries and lengths.
            fixed = {"name": control.job, "order": "shuffled", "speculative_config": None}
            job = self.make_job(stack.model_copy(update={**fixed, "engine_args": args}), folder)
            own = {"items": folder / ITEMS, "enough_tokens": control.tokens}
            yield job.model_copy(update=own | {"sampling": job.sampling.model_copy(update={"n": 1})})

    def _own(self, work: _Work) -> Iterator[TeacherForcingJob]:
        """Score candidates, and the reference's own answers as the control, under the reference stack."""
        entries: dict[str, list[Entry]] = {}
        for contrast, fixed in self._audited():
            own = entries.setdefault(contrast.reference, [])
            own += work.entries(fixed)
            if fixed.control is not None and work.own_count(contrast.reference, own_key(fixed.control)):
                own.append((own_key(fixed.control), WHOLE, 0, None))
        for reference, wanted in entries.items():
            # An arm that is scored whole needs no single answers.
            every = {arm for arm, key, _, _ in wanted if key == WHOLE}
            wanted = [entry for entry in wanted if entry[1] == WHOLE or entry[0] not in every]
            if wanted:
                yield self._job(self.manifest.arms[reference], reference, "own", wanted, work)

    def _float32(self, work: _Work) -> Iterator[TeacherForcingJob]:
        """Score what the reference stack would not have chosen once more in float32."""
        if self.lock.sampling.temperature > 0:
            return
        for reference in dict.fromkeys(c.reference for c, _ in self._audited()):
            audit = StackAudit.read(self.run, reference, "own")
            if audit is None or audit.dtype == "float32":
                continue
            arms = [fixed for c, fixed in self._audited() if c.reference == reference]
            found = ((fixed.candidate, suspects(self.run, fixed)) for fixed in arms)
            wanted: list[Entry] = [(arm, key, position, 1) for arm, spots in found for key, position in spots]
            if wanted:
                stack = self.manifest.arms[reference].model_copy(update={"dtype": "float32"})
                yield self._job(stack, reference, "float32", wanted, work)

    def _drafts(self, work: _Work) -> Iterator[TeacherForcingJob]:
        """Score the diverging tokens under the draft alone."""
        for contrast, fixed in self._audited():
            draft = _draft_stack(self.manifest, contrast)
            if draft is None:
                continue
            wanted = self._for_draft(work, fixed)
            if wanted:
                job = self._job(draft, contrast.reference, f"draft-{contrast.candidate}", wanted, work)
                if self.manifest.arms[contrast.candidate].engine != "transformers":
                    # vLLM drafts from the draft's own scores; transformers' assistant follows the settings.
                    job = job.model_copy(update={"sampling": job.sampling.unshaped()})
                yield job

    def _for_draft(self, work: _Work, fixed: LockedContrast) -> list[Entry]:
        """Return the tokens that the draft is asked about: those that diverge, or all.

        All where they were sampled, and where the answers stand alone: its choices are planted in them.
        """
        if not work.greedy or fixed.audit == "only":
            own = () if fixed.control is None else (own_key(fixed.control),)
            asked = [arm for arm in own if work.own_count(fixed.reference, arm)]
            return [*work.entries(fixed), *((arm, WHOLE, 0, None) for arm in asked)]
        return [(arm, key, at, 1) for arm, key, at in work.diverging(fixed)]

    def _job(
        self, stack: Arm, reference: str, name: str, wanted: Sequence[Entry], work: _Work
    ) -> TeacherForcingJob:
        folder = self.run.audit(reference, name)
        worklist = folder / WORKLIST
        if not worklist.exists():
            # Once planned, an interrupted audit keeps its plan.
            write_worklist(worklist, dict.fromkeys(wanted))
        said = f"{reference} audit" if name == "own" else f"{reference} {name}"
        arm = stack.model_copy(update={"name": said, "speculative_config": None, "order": "battery"})
        own = {
            "kind": "audit",
            "optional": name != "own",
            "worklist": worklist,
            "arms_dir": self.run.arms,
            "top": self._top(name, stack.engine, work),
            "total": work.count(reference, dict.fromkeys(wanted)),
            "own_answers": self.run.audits / reference if self.lock.controls else None,
            "to_the_end": self._to_the_end(reference),
        }
        return TeacherForcingJob.model_validate(dict(self.make_job(arm, folder)) | own)

    def _to_the_end(self, reference: str) -> tuple[str, ...]:
        """Return the arms that nothing else is known of: an answer of theirs that stops short must show."""
        alone = [f for c, f in self._audited() if c.reference == reference and f.audit == "only"]
        controls = (own_key(fixed.control) for fixed in alone if fixed.control is not None)
        return (*(fixed.candidate for fixed in alone), *dict.fromkeys(controls))

    def _top(self, stack: str, engine: str, work: _Work) -> int:
        sampling = self.lock.sampling
        if sampling.temperature == 0:
            shaped = bool(sampling.shaping) or work.items.own_sampling
            return _WIDE if shaped and engine not in SEES_ALL else _TOP
        return top_of(sampling, draft=stack.startswith("draft-"))


class _Work:
    """Finds what differs between stored arms."""

    def __init__(self, run: RunDir, lock: Lock) -> None:
        self.run, self.lock = run, lock
        self.items = Items(run.items)
        self.repeats = lock.sampling.n
        self.greedy = lock.sampling.temperature == 0
        self._tables: dict[str, ArmTable] = {}
        self._found: dict[tuple[str, str], list[Divergence]] = {}

    def table(self, arm: str) -> ArmTable:
        if arm not in self._tables:
            self._tables[arm] = load_arm(arm, self.run.arm(arm), self.items, self.repeats, None)
        return self._tables[arm]

    def count(self, reference: str, entries: Collection[Entry]) -> int:
        """Return how many spans entries stand for; an answer without token ids has none."""

        def whole(arm: str) -> int:
            if arm.startswith(OWN):
                return self.own_count(reference, arm)
            return int(self.table(arm).tokens.any(axis=1).sum())

        return sum(whole(arm) if key == WHOLE else count != 0 for arm, key, _, count in entries)

    def own_count(self, reference: str, key: str) -> int:
        """Return how many answers with tokens a control holds."""
        batches = read_batches(self.run.own_answers(reference, key.removeprefix(OWN)), ("token_ids",))
        return sum(bool(ids) for batch in batches for ids in batch.column("token_ids").to_pylist())

    def entries(self, fixed: LockedContrast) -> list[Entry]:
        """Return what the reference stack must score for one contrast."""
        reference, candidate = fixed.sides
        if fixed.audit == "only":
            return [(candidate, WHOLE, 0, None)]
        if not self.greedy:
            return [(reference, WHOLE, 0, None), (candidate, WHOLE, 0, None)]
        if fixed.audit == "full":
            return [(reference, WHOLE, 0, None), *self._unlike(reference, candidate)]
        found = self.goes_on(fixed, candidate)
        own = self.goes_on(fixed, reference)
        diverging = dict.fromkeys(key for key, _ in (*found, *own))
        if not diverging:
            return []
        control = dict.fromkeys([*list(diverging)[:_CONTROL_DIVERGING], *self._first_keys()])
        kept = list(control)[: max(_CONTROL, min(len(diverging), _CONTROL_DIVERGING))]
        whole: list[Entry] = [(reference, key, 0, None) for key in kept]
        scored = {key for _, key, _, _ in whole}
        return [
            *whole,
            *((candidate, key, at, 1) for key, at in found),
            *((reference, key, at, 1) for key, at in own if key not in scored),
        ]

    def _unlike(self, reference: str, candidate: str) -> Iterator[Entry]:
        """Yield a candidate's answers that are not the reference's, to the last token or to the prompt."""
        for name, pair in self._pairs(reference, candidate):
            drifted = {(name, item, repeat) for item, repeat in pair.drifted()}
            differing = {d[:3] for d in pair.differing(name)} | drifted
            yield from ((candidate, SampleKey(*key), 0, None) for key in sorted(differing))
            yield from ((candidate, SampleKey(name, *key), 0, None) for key in pair.only_candidate())
            yield from ((candidate, SampleKey(name, *key), 0, 0) for key in pair.only_reference())

    def _pairs(self, reference: str, candidate: str) -> Iterator[tuple[str, Pair]]:
        tables = self.table(reference), self.table(candidate)
        for battery in self.lock.batteries:
            own = self.items.of(battery.name)
            yield battery.name, Pair.of_battery(*tables, own, self.repeats)

    def _first_keys(self) -> list[SampleKey]:
        """Return the first samples, some of every battery."""
        per_battery = -(-_CONTROL // len(self.lock.batteries))
        return [
            SampleKey(battery.name, str(item), 0)
            for battery in self.lock.batteries
            for item in self.items.of(battery.name).ids[:per_battery]
        ]

    def goes_on(self, fixed: LockedContrast, arm: str) -> list[tuple[SampleKey, int]]:
        """Return sample and position of an arm's own token at every first difference."""
        side = "reference" if arm == fixed.reference else "candidate"
        return [
            (SampleKey(d.battery, d.item_id, d.repeat), d.position)
            for d in self.divergences(fixed)
            if d.unit == "token" and d.ends != side
        ]

    def diverging(self, fixed: LockedContrast) -> list[tuple[str, SampleKey, int]]:
        """Return candidate, sample and position of every token at which two answers first differ."""
        return [
            (fixed.candidate, SampleKey(d.battery, d.item_id, d.repeat), d.position)
            for d in self.divergences(fixed)
            if d.reference_token is not None and d.candidate_token is not None
        ]

    def divergences(self, fixed: LockedContrast) -> list[Divergence]:
        """Return the first differences of a contrast's answers."""
        arms = fixed.sides
        if arms not in self._found:
            differing = [entry for name, pair in self._pairs(*arms) for entry in pair.differing(name)]
            self._found[arms] = read_divergences(self.run, self.items, self.repeats, fixed, differing)
        return self._found[arms]


def _draft_stack(manifest: Manifest, contrast: Contrast) -> Arm | None:
    """Return the draft of a candidate as a stack of its own; None where it has no model of its own."""
    reference, candidate = manifest.arms[contrast.reference], manifest.arms[contrast.candidate]
    config = candidate.speculative_config or {}
    # The reference engine's method says who verifies; its draft is always a model. Elsewhere drafts of other
    # methods read the target's hidden states and answer nothing alone.
    model = candidate.engine == "reference" or config.get("method") in ("draft_model", "assistant_model")
    if not config.get("model") or not model or reference.engine not in TEACHER_NAMES:
        return None
    own = {k: v for k, v in reference.engine_args.items() if k not in _OF_THE_TARGET}
    update = {
        "model": config.get("model"),
        "revision": config.get("revision"),
        # Prompts as the target reads them.
        "tokenizer": reference.tokenizer or reference.model,
        "engine_args": own,
    }
    return reference.model_copy(update=update)
