"""A whole leak run: options in, report out."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from tais.errors import Place, UsageError
from tais.lab.leak.attack import Attack
from tais.lab.leak.defence import Defence, Permutation
from tais.lab.leak.eagle import CapturePoints, capture_points, read_config
from tais.lab.leak.model import LeakModel, load_model, load_tokenizer
from tais.lab.leak.prompts import encode, known_ends
from tais.lab.leak.recording import Recorded, check_states, read_capture, write_capture
from tais.lab.leak.report import Cell, LeakReport, Shard, Utility, cost, margins, score
from tais.lab.leak.sharding import log10_candidates, shard_positions
from tais.lab.leak.threshold import Threshold, find_threshold, sample_prompts
from tais.lab.leak.utility import (
    Answers,
    Passage,
    blur,
    compare_answers,
    find_battery,
    own_answers,
    perplexity,
)
from tais.lab.packages import torch, transformers
from tais.lab.prompt_file import read_prompts

__all__ = ["LeakOptions", "run_leak"]

# Prompts that the model writes to find a threshold on, and their length.
_SAMPLES, _SAMPLE_LENGTH = 4, 24


@dataclass(frozen=True, slots=True)
class LeakOptions:
    """What is attacked; see ``tais leak --help``."""

    model: str
    prompts: Path | None = None
    capture: Path | None = None
    layers: tuple[str, ...] = ()
    draft: str | None = None
    permutations: tuple[Permutation, ...] = (Permutation.none,)
    noise: tuple[float, ...] = (0.0,)
    bits: tuple[int, ...] = ()
    """0 stands for states as they are; empty for only that."""
    dtype: str = "auto"
    device: str | None = None
    proposal: str = "self"
    threshold: float | None = None
    calibration: Path | None = None
    positions: int = 24
    """Held-out positions that a threshold is found on, per layer and defence."""
    rows: int = 256
    limit: int | None = None
    seed: int = 42
    raw: bool = False
    texts: bool = False
    batteries: tuple[str, ...] = ()
    battery_limit: int | None = None
    max_tokens: int = 64
    shards: int | None = None
    save: Path | None = None

    def defences(self) -> list[Defence]:
        """Return every combination of permutation, noise and bits."""
        bits = [b or None for b in self.bits] or [None]
        return [Defence(p, n, b) for p, n, b in product(self.permutations, self.noise, bits)]


def run_leak(options: LeakOptions, say: Callable[[str], None] = lambda line: None) -> LeakReport:
    """Capture or read states, attack them under each defence, and measure what the defence costs.

    Parameters
    ----------
    options
        What is attacked.
    say
        Called with a line per finished cell.

    Raises
    ------
    UsageError
        When prompts, states, layers and model do not go together.
    EngineError
        When the model fails or runs out of memory.
    """
    _check(options)
    defences = options.defences()
    texts = read_prompts(options.prompts) if options.prompts is not None else []
    batteries = [find_battery(name, options.battery_limit) for name in options.batteries]
    model = load_model(options.model, options.dtype, options.device)
    run = _LeakRun(options, model, load_tokenizer(options.model))
    recorded = run.recorded(texts)
    layers = run.layers(recorded)
    if options.save is not None:
        write_capture(options.save, recorded, model)
    run.answers = [
        Answers(model, run.tokenizer, battery, chat=run.chat, max_tokens=options.max_tokens)
        for battery in batteries
    ]
    cells = []
    for layer, defence in product(layers, defences):
        cells.append(run.cell(layer, defence, recorded))
        read = cells[-1].tokens
        shown = "read" if read is None else f"{read.count} of {read.of} tokens read"
        say(f"layer {layer}, {defence}: {shown}, {cells[-1].cost.tried_mean:.0f} candidates per token")
    return run.report(recorded, cells)


def _check(options: LeakOptions) -> None:
    if (options.prompts is None) == (options.capture is None):
        raise UsageError("either --prompts or --capture is needed", remedy="Give one of the two")
    if options.capture is None:
        return
    if any(options.noise) or any(options.bits):
        remedy = "Say what was permuted with --permutation; whatever else was done is in the file"
        raise UsageError("recorded states are attacked as they are", remedy=remedy)
    if options.save is not None or options.batteries:
        raise UsageError("recorded states have no --save-capture and no --battery", remedy="Leave them out")


class _LeakRun:
    """The model, and what its cells share."""

    def __init__(
        self, options: LeakOptions, model: LeakModel, tokenizer: transformers.PreTrainedTokenizerBase
    ) -> None:
        self.options, self.model, self.tokenizer = options, model, tokenizer
        self.chat = not options.raw and bool(getattr(tokenizer, "chat_template", None))
        self.head = known_ends(tokenizer, self.chat)[0]
        self.points: CapturePoints | None = None
        if options.draft is not None:
            self.points = capture_points(read_config(options.draft), model.depth, Place(options.draft))
        self.proposal = self._proposal()
        self.answers: list[Answers] = []
        self._utilities: dict[tuple[int, float, int | None], Utility] = {}
        self._passages: list[Passage] | None = None
        self._held_out: list[tuple[int, ...]] | None = None

    def _proposal(self) -> LeakModel | None:
        named = self.options.proposal
        if named in ("self", "none"):
            return self.model if named == "self" else None
        return load_model(named, self.options.dtype, self.options.device)

    def recorded(self, texts: Sequence[tuple[str, Place]]) -> list[Recorded]:
        """Return states of all prompts: from the file, else captured at the layers asked for."""
        if self.options.capture is not None:
            return read_capture(self.options.capture, self.model)
        layers = self.layers(None)
        found = []
        for text, place in texts:
            prompt = encode(self.tokenizer, text, place, chat=self.chat)
            self.model.check_length(len(prompt.tokens), f"{place}: the prompt")
            states = self.model.states(prompt.tokens, layers)
            for layer, tensor in states.items():
                check_states(tensor, layer, self.model, place)
            found.append(Recorded(states, prompt))
        return found

    def layers(self, recorded: Sequence[Recorded] | None) -> list[int]:
        """Return the layers to attack: those named, else the draft's, else what was recorded or a default."""
        depth, named = self.model.depth, self.options.layers
        there = sorted(set.intersection(*(set(r.states) for r in recorded))) if recorded else None
        if "all" in named:
            wanted = list(range(depth + 1)) if there is None else there
        elif named:
            wanted = [_layer(name) for name in named]
        elif self.points is not None:
            wanted = list(self.points.layers)
        else:
            wanted = sorted({1, max(1, depth // 2), depth}) if there is None else there
        for layer in wanted:
            self.model.check_layer(layer)
            if there is not None and layer not in there:
                remedy = f"Every prompt has layers {', '.join(map(str, there)) or 'none'}"
                raise UsageError(f"layer {layer} was not recorded for every prompt", remedy=remedy)
        if not wanted:
            raise UsageError(
                "no layer was recorded for every prompt", remedy="Record the same layers of each"
            )
        return list(dict.fromkeys(wanted))

    def cell(self, layer: int, defence: Defence, recorded: Sequence[Recorded]) -> Cell:
        """Attack one layer under one defence."""
        options = self.options
        rows = min(options.rows, self.model.vocabulary)
        attack = Attack(self.model, layer, defence, 0.0, self.proposal, rows, options.limit)
        found = self._threshold(attack) if options.threshold is None else None
        threshold = found.threshold if found is not None else float(options.threshold or 0.0)
        attack = replace(attack, threshold=threshold)
        received = [self._received(one, layer, defence, number) for number, one in enumerate(recorded)]
        self._reset_memory()
        begun = time.perf_counter()
        known = [one.prompt.known if one.prompt is not None else self.head for one in recorded]
        recoveries = [attack.recover(s, k) for s, k in zip(received, known, strict=True)]
        seconds = time.perf_counter() - begun
        rates = score(recoveries, [one.prompt for one in recorded])
        return Cell(
            layer=layer,
            permutation=defence.permutation.value,
            noise=defence.noise,
            bits=defence.bits,
            noise_over_rms=self._relative(recorded, layer, defence),
            threshold=threshold,
            calibration=found,
            tokens=rates[0] if rates else None,
            prompts=rates[1] if rates else None,
            unmatched=sum(r.unmatched for r in recoveries),
            margins=margins(recoveries),
            cost=cost(recoveries, self.model.vocabulary, seconds, self._memory()),
            utility=self._utility(layer, defence, recorded),
            recovered=tuple(self.tokenizer.decode(r.tokens) for r in recoveries) if options.texts else None,
        )

    def _received(self, one: Recorded, layer: int, defence: Defence, number: int) -> torch.Tensor:
        states = one.states[layer]
        if self.options.capture is not None:
            return states
        return defence.apply(states, self._generator(layer, number))

    def _generator(self, layer: int, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.options.seed + 1_000_003 * layer + number)

    def _relative(self, recorded: Sequence[Recorded], layer: int, defence: Defence) -> float | None:
        if self.options.capture is not None:
            return None
        flat = torch.cat([one.states[layer].float().flatten() for one in recorded])
        rms = float(flat.pow(2).mean().sqrt())
        return defence.noise / rms if rms > 0 else None

    def _threshold(self, attack: Attack) -> Threshold:
        prompts = []
        for number, tokens in enumerate(self._held()):
            states = self.model.states(tokens, [attack.layer])[attack.layer]
            check_states(states, attack.layer, self.model, Place(None, None, "calibration"))
            # Numbers of their own: held-out prompts share no random draw with those attacked.
            defended = attack.defence.apply(states, self._generator(attack.layer, 500_000 + number))
            prompts.append((tokens, defended))
        return find_threshold(attack, prompts, self.head, self.options.positions)

    def _held(self) -> list[tuple[int, ...]]:
        """Return the prompts to find a threshold on: the user's, else some that the model writes."""
        if self._held_out is None:
            if self.options.calibration is not None:
                texts = read_prompts(self.options.calibration)
                coded = [encode(self.tokenizer, text, at, chat=self.chat) for text, at in texts]
                for one, (_, at) in zip(coded, texts, strict=True):
                    self.model.check_length(len(one.tokens), f"{at}: the prompt")
                self._held_out = [one.tokens for one in coded]
            else:
                length = len(self.head) + _SAMPLE_LENGTH
                length = min(length, self.model.positions or length)
                attack = Attack(self.model, 0)
                self._held_out = sample_prompts(attack, self.head, _SAMPLES, length, self.options.seed)
        return self._held_out

    def _utility(self, layer: int, defence: Defence, recorded: Sequence[Recorded]) -> Utility | None:
        if self.options.capture is not None:
            return None
        key = layer, defence.noise, defence.bits
        if key not in self._utilities:
            self._utilities[key] = self._measured(layer, defence, recorded)
        return self._utilities[key]

    def _measured(self, layer: int, defence: Defence, recorded: Sequence[Recorded]) -> Utility:
        if self._passages is None:
            prompts = [one.prompt.tokens for one in recorded if one.prompt is not None]
            self._passages = own_answers(self.model, self.tokenizer, prompts, self.options.max_tokens)
        reference = perplexity(self.model, self._passages, layer)
        seed = self.options.seed
        if not defence.noise and defence.bits is None:
            return Utility(reference, reference)
        changed = perplexity(self.model, self._passages, layer, blur(defence, seed))
        endpoints = tuple(
            compare_answers(answers, layer, blur(defence, seed)).model_dump(mode="json")
            for answers in self.answers
        )
        return Utility(changed, reference, endpoints)

    def _reset_memory(self) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.model.device)

    def _memory(self) -> int:
        if self.model.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.model.device))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def report(self, recorded: Sequence[Recorded], cells: Sequence[Cell]) -> LeakReport:
        """Return what was found."""
        options, model = self.options, self.model
        points = self.points
        return LeakReport(
            model=model.name,
            depth=model.depth,
            width=model.width,
            vocabulary=model.vocabulary,
            dtype=model.dtype_name,
            device=str(model.device),
            source="captured" if options.capture is None else str(options.capture),
            prompts=len(recorded),
            proposal=options.proposal,
            draft=None
            if points is None
            else {
                "name": options.draft,
                "method": points.method,
                "layers": list(points.layers),
                "source": points.source,
            },
            cells=tuple(cells),
            shards=tuple(self._shards(recorded)),
            settings={
                "seed": options.seed,
                "rows": options.rows,
                "limit": options.limit,
                "chat": self.chat,
                "known_prefix": len(self.head),
            },
            versions={"torch": str(torch.__version__), "transformers": str(transformers.__version__)},
        )

    def _shards(self, recorded: Sequence[Recorded]) -> Iterator[Shard]:
        if self.options.shards is None:
            return
        longest = max(len(next(iter(one.states.values()))) for one in recorded)
        for host, held in enumerate(shard_positions(longest, self.options.shards), start=1):
            yield Shard(host, len(held), log10_candidates(held, self.model.vocabulary))


def _layer(name: str) -> int:
    try:
        return int(name)
    except ValueError:
        raise UsageError(f"no layer named {name!r}", remedy="Give a number, or 'all'") from None
