"""Does antidistillation sampling spoil distillation? Teachers and students of a size for one core.

::

    python tools/antidistillation/antidistillation_experiment.py --out reports/antidistillation

The teacher is the demo target; it answers four-option questions of the demo corpus, none of them from the
battery. Students are untrained models of the demo draft's architecture, trained on what it sampled and on
nothing else. Per lambda there is a plain temperature at which the teacher is right equally often, found on
a grid: what it teaches is what antidistillation has to beat. The proxy is the demo draft, its loss that of
the writer's own answers to held-out questions.

Everything is kept as it is measured, so that a run that was stopped goes on: answers and students under
``cells``, then ``experiment.json``, ``experiment.md`` and ``experiment.svg``. ``--examples FILE`` writes the
examples of the proxy's loss, which ``manifests/antidistillation.yaml`` uses too, and ends.

Notes
-----
The students of one row see the same answers; seeds change their initial weights and the order of training.
Students train once on all answers, right or wrong: one that filters or rewrites them is not tried.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import random
import sys
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

# The corpus and the training of the demo models are theirs.
sys.path.append(str(Path(__file__).resolve().parents[1] / "demo_models"))

import torch
import train_demo_models as demo
from antidistillation_figures import CONFIDENCE, Cell, against, draw, losses_of, match, t_interval, table
from demo_corpus import ROOT, Example, Lesson, Temper, held_out, write_choice
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from tais.common.files import write_atomic
from tais.errors import TaisError, UsageError
from tais.lab.decoding.antidistillation import Proxies, completion_loss, decode, increase

MODELS: Final = ROOT / "models" / "demo"
ENDS: Final = frozenset({demo.SPECIAL.index(demo.EOS)})
LONGEST: Final = 40
ROWS: Final = 128
EXAMPLES: Final = 64
# Questions are drawn by these seeds; no two sets share one.
SEEDS: Final = {"loss": 101, "test": 102, "train": 103}
Ids = list[int]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is measured; the folder of another plan is refused."""

    lambdas: tuple[float, ...] = (0.0, 1.0, 2.0)
    temperature: float = 1.0
    grid: tuple[float, ...] = (1.4, 1.6, 1.8)
    matched_on: int = 512
    seeds: int = 3
    questions: int = 3000
    epochs: int = 2
    test: int = 300
    epsilon: float = 0.02


def draw_questions(count: int, seed: int, excluded: Collection[str]) -> list[Example]:
    """Draw distinct questions, with the writer's answer free of slips."""
    rng = random.Random(seed)
    drawn: dict[str, Example] = {}
    while len(drawn) < count:
        example = write_choice(rng, Temper(slips=0.0), rng.randrange(1 << 20))
        if example.key not in excluded:
            drawn.setdefault(example.key, example)
    return list(drawn.values())


def question_sets(plan: Plan) -> dict[str, list[Example]]:
    """Draw the questions of the proxy's loss, the test and the training; the battery holds none of them."""
    excluded = set(held_out())
    sets: dict[str, list[Example]] = {}
    for name, count in (("loss", EXAMPLES), ("test", plan.test), ("train", plan.questions)):
        sets[name] = draw_questions(count, SEEDS[name], excluded)
        excluded |= {example.key for example in sets[name]}
    return sets


def right(example: Example, answer: str) -> bool:
    """Whether an answer names the right letter, as the battery's scorer reads it."""
    return f"answer is {example.expect}." in answer


class Lab:
    """Teacher, proxy and questions, and what was measured with them.

    Parameters
    ----------
    plan
        What to measure.
    out
        Folder of the results; what it holds of this plan is not measured again.
    """

    def __init__(self, plan: Plan, out: Path) -> None:
        self.plan = plan
        self.cells = out / "cells"
        self._claim(out)
        self.tokenizer = Tokenizer.from_file(str(MODELS / "target" / "tokenizer.json"))
        self.teacher, self.proxy = (
            LlamaForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32).eval()
            for name in ("target", "draft")
        )
        self.sets = question_sets(plan)
        encoded = [demo.encode(self.tokenizer, example) for example in self.sets["loss"]]
        # As the engine reads them, whose completions end without an end token.
        loss = completion_loss([(ids[:start], ids[start:-1]) for ids, start in encoded])
        self.proxies = Proxies.build(self.proxy, loss, plan.epsilon, 0.0)
        self.halved = Proxies.build(self.proxy, loss, plan.epsilon / 2, 0.0)

    def _claim(self, out: Path) -> None:
        self.cells.mkdir(parents=True, exist_ok=True)
        path, mine = out / "plan.json", json.loads(json.dumps(dataclasses.asdict(self.plan)))
        if not path.exists():
            write_atomic(path, json.dumps(mine).encode())
        if json.loads(path.read_text(encoding="utf-8")) != mine:
            raise UsageError(f"{out} holds the results of another plan", remedy="Take another --out")

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what is kept under a name, else make and keep it."""
        path = self.cells / f"{name}.json"
        if not path.exists():
            begun = time.monotonic()
            write_atomic(path, json.dumps(make()).encode())
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        return json.loads(path.read_text(encoding="utf-8"))

    def prompts(self, examples: Sequence[Example]) -> list[Ids]:
        """Return the rendered prompts."""
        return [ids[:start] for ids, start in (demo.encode(self.tokenizer, e) for e in examples)]

    def answers(self, strength: float, temperature: float, count: int) -> list[Ids]:
        """Let the teacher answer the first training questions."""

        def make() -> list[Ids]:
            how = dataclasses.replace(self.proxies, strength=strength)
            prompts, found = self.prompts(self.sets["train"][:count]), []
            for at in range(0, count, ROWS):
                rows = prompts[at : at + ROWS]
                found += how.generate(
                    self.teacher,
                    rows,
                    max_tokens=LONGEST,
                    temperature=temperature,
                    ends=ENDS,
                    seed=at,
                )
            return found

        found: list[Ids] = self.kept(f"answers-{strength:g}-{temperature:.4f}-{count}", make)
        return found

    def count_right(self, answers: Sequence[Ids], examples: Sequence[Example]) -> int:
        """Count the answers that name the right letter."""
        pairs = zip(examples, answers, strict=True)
        return sum(right(example, self.tokenizer.decode(answer)) for example, answer in pairs)

    def teacher_accuracy(self, strength: float, temperature: float, count: int) -> float:
        """Return the teacher's accuracy on the first training questions."""
        # What is sampled for students anyway is sampled once.
        whole = (strength or temperature == self.plan.temperature) and self.plan.questions
        answers = self.answers(strength, temperature, whole or count)[:count]
        return self.count_right(answers, self.sets["train"][:count]) / count

    def student(self, answers: Sequence[Ids], seed: int) -> tuple[float, float]:
        """Train a student on answers; return its accuracy and its loss on the test questions."""
        torch.manual_seed(seed)
        student = demo.build(demo.SMALL)
        prompts = self.prompts(self.sets["train"])
        pairs = [(p + a, len(p)) for p, a in zip(prompts, answers, strict=True)] * self.plan.epochs
        with contextlib.redirect_stdout(sys.stderr):
            demo.teach(student, pairs, Lesson(len(pairs), Temper(), seed))
        return self.examine(student.eval())

    def examine(self, student: Any) -> tuple[float, float]:
        """Return the accuracy of greedy answers, and the loss on the writer's own (nats per token)."""
        test = self.sets["test"]
        found: list[Ids] = []
        for at in range(0, len(test), ROWS):
            rows = self.prompts(test[at : at + ROWS])
            found += decode(
                [student],
                lambda logits: logits[0].argmax(-1, keepdim=True),
                rows,
                max_tokens=LONGEST,
                ends=ENDS,
            )
        encoded = [demo.encode(self.tokenizer, example) for example in test]
        with torch.no_grad():
            loss = float(demo.loss_of(student, *demo.tensors(encoded)))
        return self.count_right(found, test) / len(test), loss

    def cell(self, strength: float, temperature: float, matches: float | None) -> Cell:
        """Measure one way to sample."""
        answers = self.answers(strength, temperature, self.plan.questions)
        students = [
            self.kept(f"student-{strength:g}-{temperature:.4f}-{seed}", partial(self.student, answers, seed))
            for seed in range(1, self.plan.seeds + 1)
        ]
        return Cell(
            strength=strength,
            temperature=temperature,
            matches=matches,
            right=self.count_right(answers, self.sets["train"]),
            answers=len(answers),
            accuracies=tuple(accuracy for accuracy, _ in students),
            losses=tuple(loss for _, loss in students),
        )

    def matched(self, strength: float) -> float:
        """Return the temperature at which the teacher is right as often as under lambda."""
        plan = self.plan
        count = min(plan.matched_on, plan.questions)
        grid = sorted({plan.temperature, *plan.grid})
        curve = [(tau, self.teacher_accuracy(0.0, tau, count)) for tau in grid]
        return round(match(self.teacher_accuracy(strength, plan.temperature, count), curve), 4)

    def step(self) -> dict[str, float]:
        """Return what tells whether epsilon is fit: growths under it and under half of it."""
        encoded = [demo.encode(self.tokenizer, example) for example in self.sets["loss"][:16]]
        tokens, _ = demo.tensors(encoded)
        growths = []
        for made in (self.proxies, self.halved):
            with torch.no_grad():
                plus, minus = (model(input_ids=tokens).logits.double() for model in (made.plus, made.minus))
            growths.append(increase(plus, minus, made.epsilon))
        weights = sum(float(p.detach().double().square().sum()) for p in self.proxy.parameters())
        return {
            "epsilon": self.proxies.epsilon,
            "gradient_norm": self.proxies.norm,
            "step_over_weights": self.proxies.epsilon * self.proxies.norm / weights**0.5,
            "largest_growth": float(growths[0].abs().max()),
            "largest_change_at_half_epsilon": float((growths[0] - growths[1]).abs().max()),
        }


def measure(lab: Lab) -> list[Cell]:
    """Measure every lambda and, above 0, the temperature that matches it."""
    tau = lab.plan.temperature
    found = [lab.cell(strength, tau, None) for strength in lab.plan.lambdas]
    return found + [lab.cell(0.0, lab.matched(s), s) for s in lab.plan.lambdas if s]


def report(lab: Lab, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return everything that was measured."""
    rows = []
    for cell in cells:
        found, loss = against(cells, cell), against(cells, cell, losses_of)
        rows.append(
            dataclasses.asdict(cell)
            | {"student_interval": t_interval(cell.accuracies)}
            | ({"temperature_minus_lambda": {"right": found, "loss": loss}} if found else {})
        )
    return {
        "plan": dataclasses.asdict(lab.plan),
        "confidence": CONFIDENCE,
        "finite_difference": lab.step(),
        "cells": rows,
    }


def write_examples(path: Path) -> None:
    """Write the examples of the proxy's loss as the engine reads them."""
    examples = draw_questions(EXAMPLES, SEEDS["loss"], held_out())
    lines = (json.dumps({"prompt": e.prompt, "completion": e.answer}) + "\n" for e in examples)
    write_atomic(path, "".join(lines).encode())


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Plan]:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Teacher against student accuracy under antidistillation.")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "antidistillation")
    parser.add_argument("--examples", type=Path, help="write the examples of the proxy's loss here, and end")
    parser.add_argument("--threads", type=int, default=1)
    for field in dataclasses.fields(Plan):
        many = isinstance(field.default, tuple)
        kind = float if many else type(field.default)
        extra: dict[str, Any] = {"nargs": "+"} if many else {}
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=kind, default=field.default, help=f"default: {field.default}", **extra)
    options = parser.parse_args(arguments)
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(Plan)}
    plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
    return options, Plan(**plain)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write JSON, table and plot."""
    options, plan = parse(arguments)
    try:
        if options.examples:
            write_examples(options.examples)
            return 0
        torch.set_num_threads(options.threads)
        lab = Lab(plan, options.out)
        cells = measure(lab)
        text = table(cells)
        write_atomic(
            options.out / "experiment.json", json.dumps(report(lab, cells), indent=1).encode() + b"\n"
        )
        write_atomic(options.out / "experiment.md", text.encode())
        write_atomic(options.out / "experiment.svg", draw(cells))
    except TaisError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(text, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
