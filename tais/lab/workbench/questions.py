"""What the workbench decodes: laws, shapes and prompts; and the whole of ``tais law bench``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from tais.common.shipped import share
from tais.errors import UsageError
from tais.lab.prompt_file import read_prompts
from tais.lab.verification import VERIFIERS, find_verifier, parse_shape
from tais.lab.verification.selector.choose import AUTO
from tais.lab.verification.selector.store import Selector
from tais.lab.workbench.bench import (
    PairQuestion,
    Point,
    Setting,
    SyntheticQuestion,
    configuration,
    names,
    pair_bench,
    synthetic_bench,
)
from tais.lab.workbench.pair import battery_requests, file_requests
from tais.records import Request

__all__ = ["BATTERIES", "BenchOptions", "Say", "demo_pair", "prompt_requests", "run_bench"]

BATTERIES = ("demo_refuse", "demo_answer", "demo_choice", "demo_json")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured; see ``tais law bench --help``."""

    shapes: Sequence[str] = ("paths:3x4", "delayed:2,3,2")
    verifiers: Sequence[str] | None = None
    """None for all lossless ones that a shape has."""
    divergences: Sequence[float] = (0.25, 0.5, 1.0)
    rounds: int = 500
    """0 for no made-up laws."""
    target: str | None = None
    drafts: Sequence[str] = ()
    batteries: Sequence[str] = BATTERIES
    items: int = 8
    """0 for no pair of models."""
    skip: int = 0
    temperatures: Sequence[float] = (1.0,)
    peaks: Sequence[float] = (2.0,)
    onsets: Sequence[int] = (0,)
    selector: Path | None = None
    max_tokens: int = 64
    seed: int = 0
    threads: int = 1


def run_bench(options: BenchOptions, say: Say) -> list[Point]:
    """Measure what the options ask for, temperature by temperature.

    Parameters
    ----------
    options
        What is measured.
    say
        Told what runs.
    """
    torch.set_num_threads(options.threads)
    points: list[Point] = []
    for temperature in options.temperatures:
        if options.rounds:
            points += _on_made_up_laws(options, temperature, say)
        if options.items:
            points += _on_pairs(options, temperature, say)
    return points


def _on_made_up_laws(options: BenchOptions, temperature: float, say: Say) -> Iterator[Point]:
    for peak, onset in product(options.peaks, options.onsets):
        for shape, divergence in product(options.shapes, options.divergences):
            chosen = _verifiers_of(shape, options.verifiers)
            say(f"made-up laws, {shape}, divergence {divergence:g}")
            question = SyntheticQuestion(
                parse_shape(shape),
                divergence,
                rounds=options.rounds,
                seed=options.seed,
                peak=peak,
                # Greedy laws have no spread to diverge in.
                temperature=temperature or 1.0,
                onset=onset,
            )
            yield from synthetic_bench(question, chosen)


def _on_pairs(options: BenchOptions, temperature: float, say: Say) -> Iterator[Point]:
    settings = list(_settings(options))
    demo = share("models") / "demo"
    for draft in options.drafts or [str(demo / "draft"), str(demo / "adversarial")]:
        asked = PairQuestion(
            options.target or str(demo / "target"),
            draft,
            tuple(options.batteries),
            items=options.items,
            skip=options.skip,
            temperature=temperature,
            max_tokens=options.max_tokens,
            seed=options.seed,
        )
        yield from pair_bench(asked, settings, say)


def _settings(options: BenchOptions) -> Iterator[Setting]:
    """Yield no draft, each verifier on each shape once, and what a selector chooses."""
    settings: list[Setting] = [("", {})]
    for shape in options.shapes:
        for name in _verifiers_of(shape, options.verifiers):
            how = (name, configuration(parse_shape(shape), single=VERIFIERS[name].single))
            if how not in settings:
                settings.append(how)
    yield from settings
    if options.selector is not None:
        yield from _settings_of(options.selector, options.verifiers)


def _verifiers_of(shape: str, wanted: Sequence[str] | None) -> list[str]:
    parsed = parse_shape(shape)
    if wanted is None:
        return names(parsed)
    return [name for name in wanted if find_verifier(name).supports(parsed)]


def _settings_of(selector: Path, wanted: Sequence[str] | None) -> Iterator[Setting]:
    """Yield the settings of a selector: any method that it knows, and each one alone."""
    known = Selector.load(selector).grid.methods
    for name in (AUTO, *(name for name in known if wanted is None or name in wanted)):
        yield name, {"selector": str(selector)}


def prompt_requests(
    prompts: Path | None, batteries: Sequence[str] | None, items: int, skip: int
) -> list[Request]:
    """Return the requests of a file of prompts, or of batteries: the demo's by default.

    Raises
    ------
    UsageError
        When both are given.
    """
    if prompts is None:
        return list(battery_requests(batteries or BATTERIES, items, skip))
    if batteries is not None:
        raise UsageError("--prompts and --battery do not go together", remedy="Give one of the two")
    return list(file_requests([text for text, _ in read_prompts(prompts)], prompts.name))


def demo_pair(target: str | None, draft: str | None) -> tuple[str, str]:
    """Return target and draft: those named, else the demo's."""
    demo = share("models") / "demo"
    return target or str(demo / "target"), draft or str(demo / "draft")
