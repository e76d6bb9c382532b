"""Block efficiency of the algorithms under matched settings, on made-up laws and on a pair of models."""

from __future__ import annotations

import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from tais.lab.reference.engine import ReferenceEngine
from tais.lab.verification.draft import Draft, Tree
from tais.lab.verification.registry import VERIFIERS, Claim
from tais.lab.verification.rng import SeededRng
from tais.lab.verification.shapes import Shape, grow
from tais.lab.workbench.pair import battery_requests
from tais.manifest.model import Arm, Sampling
from tais.records import Request, Sample

__all__ = [
    "PairQuestion",
    "Point",
    "Setting",
    "SyntheticQuestion",
    "configuration",
    "names",
    "pair_bench",
    "pooled",
    "synthetic_bench",
]

# Takes vocabularies of a few dozen tokens only.
_SMALL_ONLY = "khisti_lp"

Setting = tuple[str, dict[str, object]]
"""A verifier, and the rest of its ``speculative_config``; an empty name decodes without a draft."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement.

    Attributes
    ----------
    verifier, shape
        What was measured.
    setting
        What else distinguishes it: divergence, or draft, task and temperature.
    efficiency
        Mean tokens per pass of the target: accepted ones and one more.
    error
        Standard error of that mean, over passes (over prompts for a pair of models).
    advantage, advantage_error
        Efficiency over that of block verification on the first path of the same drafts, and the standard
        error of this paired difference; None where drafts are not shared.
    tokens_per_second
        Of the whole decoder; None on made-up laws, where there is no model.
    passes
        How many passes.
    """

    verifier: str
    shape: str
    setting: dict[str, str | float]
    efficiency: float
    error: float
    passes: int
    advantage: float | None = None
    advantage_error: float | None = None
    tokens_per_second: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the point as JSON-ready data."""
        return asdict(self)


def names(shape: Shape) -> list[str]:
    """Return the lossless verifiers whose claim covers a shape."""
    return [
        name
        for name, member in VERIFIERS.items()
        if member.claim is Claim.lossless and member.supports(shape) and name != _SMALL_ONLY
    ]


@dataclass(frozen=True, slots=True)
class SyntheticQuestion:
    """Made-up laws.

    Attributes
    ----------
    shape
        What is drafted.
    divergence
        Size of the draft's noise relative to the target's logits; 0 makes the laws equal.
    vocabulary, rounds, seed
        V, number of drafts, and their seed.
    peak
        Standard deviation of the target's logits; the larger, the surer the target.
    temperature
        Of both.
    onset
        Tokens for which the draft agrees with the target; behind them it diverges.
    """

    shape: Shape
    divergence: float
    vocabulary: int = 64
    rounds: int = 500
    seed: int = 0
    peak: float = 2.0
    temperature: float = 1.0
    onset: int = 0


def synthetic_bench(question: SyntheticQuestion, chosen: Sequence[str]) -> list[Point]:
    """Verify the same drafts with every algorithm.

    Each round is a context of its own, and so is each node: logits are drawn anew, so that acceptance
    depends on nothing but the divergence.
    """
    lengths: dict[str, list[int]] = {name: [] for name in (*chosen, "block")}
    verifiers = {name: VERIFIERS[name].load() for name in lengths}
    for number in range(question.rounds):
        draft = _made_up(question, number)
        for index, (name, verify) in enumerate(verifiers.items()):
            rng = SeededRng(_seed(question.seed, number, index))
            lengths[name].append(len(verify(draft, rng)))
    setting: dict[str, str | float] = {
        "divergence": question.divergence,
        "peak": question.peak,
        "temperature": question.temperature,
        "onset": question.onset,
    }
    points = []
    for name in chosen:
        found = lengths[name]
        gains = [a - b for a, b in zip(found, lengths["block"], strict=True)]
        points.append(
            Point(
                name,
                str(question.shape),
                setting,
                statistics.mean(found),
                _error(found),
                len(found),
                statistics.mean(gains),
                _error(gains),
            )
        )
    return points


def _made_up(question: SyntheticQuestion, number: int) -> Draft:
    def logits(tree: Tree, node: int) -> tuple[torch.Tensor, torch.Tensor]:
        seed = _seed(question.seed, number, *tree.context(node))
        generator = torch.Generator().manual_seed(seed)
        clean, noise = torch.randn(2, question.vocabulary, generator=generator, dtype=torch.float64)
        heat = question.peak / question.temperature
        apart = question.divergence if tree.depth[node] >= question.onset else 0.0
        return heat * clean, heat * (clean + apart * noise)

    def laws(tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
        return torch.softmax(torch.stack([logits(tree, node)[1] for node in nodes]), -1)

    tree, rows = grow(question.shape, laws, SeededRng(_seed(question.seed, number, "draft")))
    p = torch.softmax(torch.stack([logits(tree, node)[0] for node in range(len(tree.tokens))]), -1)
    q = torch.full_like(p, torch.nan)
    for node, row in rows.items():
        q[node] = row
    return Draft(tree, p, q)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf


@dataclass(frozen=True, slots=True)
class PairQuestion:
    """A pair of models.

    Attributes
    ----------
    target, draft
        Folders or names on the hub.
    batteries, items, skip
        Prompts: so many of each battery, behind those skipped.
    temperature, max_tokens, seed
        How tokens are drawn.
    dtype
        Of both models.
    """

    target: str
    draft: str
    batteries: tuple[str, ...]
    items: int = 8
    skip: int = 0
    temperature: float = 1.0
    max_tokens: int = 64
    seed: int = 0
    dtype: str = "float32"


def pair_bench(
    question: PairQuestion,
    settings: Sequence[Setting],
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Point]:
    """Decode the same prompts with each algorithm on the reference engine, battery by battery.

    Parameters
    ----------
    question
        Models and prompts.
    settings
        Verifier, and the rest of its ``speculative_config``; an empty name decodes without a draft.
    tell
        Told what runs.

    Notes
    -----
    Answers differ between algorithms at a temperature above 0, so the comparison is unpaired. Speeds are
    those of this engine, one text at a time; loading is not counted.
    """
    sampling = Sampling(temperature=question.temperature, max_tokens=question.max_tokens, seed=question.seed)
    requests = {battery: list(_requests(battery, question)) for battery in question.batteries}
    for name, rest in settings:
        engine = ReferenceEngine()
        how = {"method": name, "model": question.draft, **rest} if name else None
        arm = Arm(
            name=name or "none",
            engine="reference",
            model=question.target,
            dtype=question.dtype,
            speculative_config=how,
            # Tokens per second are those of one text, which is what speculation is for.
            engine_args={"batch_size": 1},
        )
        engine.start(arm)
        for battery, asked in requests.items():
            tell(f"{name or 'no draft'} on {battery}")
            begun = time.perf_counter()
            samples = [sample for sample in engine.generate(asked, sampling) if sample is not None]
            seconds = time.perf_counter() - begun
            setting: dict[str, str | float] = {
                "draft": Path(question.draft).name,
                "task": battery,
                "temperature": question.temperature,
            }
            shape = "selector" if engine.selector else str(engine.shape or "none")
            yield _pair_point(name, shape, setting, samples, seconds)
        engine.close()


def _pair_point(
    name: str, shape: str, setting: dict[str, str | float], samples: Sequence[Sample], seconds: float
) -> Point:
    # Accepted tokens by prompt: steps of one answer are not independent.
    steps = [len(s.step_accepted or ()) for s in samples]
    tokens = [sum(s.step_accepted or ()) + len(s.step_accepted or ()) for s in samples]
    passes = sum(steps)
    efficiency = sum(tokens) / passes if passes else 1.0
    # Ratio of sums: residuals of the prompts around it (linearisation).
    residuals = [t - efficiency * n for t, n in zip(tokens, steps, strict=True)]
    spread = math.sqrt(sum(r * r for r in residuals) * len(samples) / max(1, len(samples) - 1))
    written = sum(len(s.token_ids or ()) for s in samples)
    return Point(
        name or "no draft",
        shape,
        setting,
        efficiency,
        spread / passes if passes else 0.0,
        passes,
        tokens_per_second=written / seconds,
    )


def _requests(battery: str, question: PairQuestion) -> Iterator[Request]:
    for asked in battery_requests([battery], question.items, question.skip):
        yield replace(asked, seed=_seed(question.seed, *asked.key))


def configuration(shape: Shape, *, single: bool) -> dict[str, object]:
    """Return the part of a ``speculative_config`` that describes a shape.

    Parameters
    ----------
    shape
        Made of paths, or of children per level.
    single
        Draft the first path only: no algorithm that reads one path needs more.
    """
    if single:
        return {"num_speculative_tokens": shape.depth}
    if shape.branching:
        kinds = {"tree": "independent", "distinct": "distinct", "topk": "topk"}
        return {"branching": list(shape.branching), "children": kinds[shape.kind]}
    paths = {} if shape.paths == 1 else {"paths": shape.paths}
    trunk: dict[str, object] = {"trunk": shape.trunk} if shape.trunk else {}
    if shape.kind == "entropy":
        trunk = {"trunk_entropy": shape.entropy}
    return {"num_speculative_tokens": shape.depth, **paths, **trunk}


def pooled(points: Sequence[Point]) -> list[Point]:
    """Return the points with the tasks of a pair of models put together, for a table or a plot."""
    groups: dict[tuple[str, str, tuple[tuple[str, str | float], ...]], list[Point]] = {}
    for point in points:
        rest = tuple((key, value) for key, value in point.setting.items() if key != "task")
        groups.setdefault((point.verifier, point.shape, rest), []).append(point)
    return [_together(group, dict(key[2])) for key, group in groups.items()]


def _together(group: Sequence[Point], setting: dict[str, str | float]) -> Point:
    if len(group) == 1 and "task" not in group[0].setting:
        return group[0]
    weights = [max(1, point.passes) for point in group]
    total = sum(weights)
    mean = sum(w * point.efficiency for w, point in zip(weights, group, strict=True)) / total
    error = math.sqrt(sum((w * point.error) ** 2 for w, point in zip(weights, group, strict=True))) / total
    speeds = [point.tokens_per_second for point in group if point.tokens_per_second]
    # Each task asks for about as many tokens: the harmonic mean is tokens over seconds.
    speed = statistics.harmonic_mean(speeds) if speeds else None
    first = group[0]
    return Point(first.verifier, first.shape, setting, mean, error, total, tokens_per_second=speed)
