"""Decoding with transformers: one batch by ``generate``, what it needs hooked in.

Facts about transformers 5.19, read in its source: a logits processor that is passed to ``generate`` comes
after those of the generation config, so with a bare config it sees raw logits in float32; settings that the
config leaves at None are taken from ``model.generation_config``; assisted generation verifies a draft for the
first token, too, with the prompt's own pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tais.engines.base import EngineRefusal
from tais.engines.score_rules import ScoreRules, stop_found
from tais.manifest.sampling import Sampling, with_own
from tais.records import Request

if TYPE_CHECKING:
    from torch import Generator, Tensor, device
    from torch.nn import Module
    from torch.utils.hooks import RemovableHandle
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.generation import CandidateGenerator, LogitsProcessor
    from transformers.utils import ModelOutput

__all__ = ["Decoded", "DecodingModel", "Speculation", "decode"]

Speculation = dict[str, Any]
"""Options of one method, as transformers takes them."""

# vLLM raises a positive temperature below this to it; two engines must draw from the same law.
_LEAST_TEMPERATURE = 0.01
# Characters of a stop string are at most so many tokens; a few more for what surrounds it.
_AROUND = 4


class DecodingModel(Protocol):
    """A model that is loaded, with all that decoding reads of its arm."""

    model: PreTrainedModel
    assistant: PreTrainedModel | None
    tokenizer: PreTrainedTokenizerBase
    device: device
    limit: int
    """Tokens of prompt and answer together."""
    ends: frozenset[int]
    speculation: Speculation | None

    @property
    def render(self) -> Callable[[Request], list[int]]:
        """Returns a prompt's token ids."""
        ...


class _Best(NamedTuple):
    """The best two tokens at a position, by log-probability (nats)."""

    logprobs: tuple[float, float]
    tokens: tuple[int, int]


@dataclass(slots=True)
class Decoded:
    """One answer."""

    ids: list[int]
    """End-of-sequence token included."""
    reason: str
    best: list[_Best]
    drafted: list[int] | None = None
    accepted: list[int] | None = None
    """Per verification step after the prompt's own pass; see :func:`_steps`."""

    def top_two(self) -> tuple[list[float], list[float], list[int]]:
        """Return best and second-best log-probability, and the best token other than the one given."""
        others = [
            best.tokens[1] if best.tokens[0] == token else best.tokens[0]
            for token, best in zip(self.ids, self.best, strict=True)
        ]
        return [b.logprobs[0] for b in self.best], [b.logprobs[1] for b in self.best], others


def decode(engine: DecodingModel, batch: Sequence[Request], sampling: Sampling) -> list[Decoded]:
    """Answer some prompts at once.

    Parameters
    ----------
    engine
        A started engine.
    batch
        Prompts; one, where the engine speculates.
    sampling
        As of the manifest.
    """
    import torch

    prompts = [engine.render(request) for request in batch]
    own = [with_own(sampling, request.own) for request in batch]
    rows = _Rows(engine, prompts, own)
    with torch.inference_mode():
        if engine.speculation is None:
            recorder = _Recorder(batch, own, rows)
            _generate(engine, rows, sampling, [recorder])
            return [rows.decoded(row, recorder.best[row]) for row in range(len(batch))]
        steps = _Steps(engine)
        if sampling.temperature > 0:
            # Drafts are accepted by draws of their own, so the generator is the process's.
            torch.manual_seed(batch[0].seed)
        with steps:
            _generate(engine, rows, sampling, [_Ruled(rows)] if rows.ruled else [], assisted=True)
        found = rows.decoded(0, steps.best)
        found.drafted, found.accepted = _steps(steps.drafted, steps.accepted)
        return [found]


def _generate(
    engine: DecodingModel,
    rows: _Rows,
    sampling: Sampling,
    processors: list[LogitsProcessor],
    *,
    assisted: bool = False,
) -> None:
    import torch
    from transformers import GenerationConfig
    from transformers.generation import LogitsProcessorList, StoppingCriteriaList

    width = max(map(len, rows.prompts))
    pad = min(engine.ends, default=0)
    ids = torch.full((len(rows.prompts), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(rows.prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    settings: dict[str, object] = {
        "max_new_tokens": max(rows.most),
        "eos_token_id": sorted(rows.common_ends()) or None,
        "pad_token_id": pad,
        "do_sample": False,
    }
    if assisted:
        settings |= _assisted(engine, sampling)
    config = GenerationConfig(**settings)
    # Nothing of the model's own settings (penalties, say): what an arm does stands in the manifest.
    for model in filter(None, (engine.model, engine.assistant)):
        model.generation_config = GenerationConfig(**_drafting(engine))
    rows.width = width
    found = engine.model.generate(
        ids.to(engine.device),
        attention_mask=mask.to(engine.device),
        generation_config=config,
        logits_processor=LogitsProcessorList(processors),
        stopping_criteria=StoppingCriteriaList([rows]),
        **({"assistant_model": engine.assistant} if engine.assistant is not None else {}),
    )
    rows.found = found[:, width:].tolist()


def _assisted(engine: DecodingModel, sampling: Sampling) -> dict[str, object]:
    found: dict[str, object] = {}
    config = engine.speculation or {}
    if config["method"] == "prompt_lookup":
        found["prompt_lookup_num_tokens"] = config["num_speculative_tokens"]
        found["max_matching_ngram_size"] = config["max_matching_ngram_size"]
    if sampling.temperature > 0:
        found |= {
            "do_sample": True,
            "temperature": max(sampling.temperature, _LEAST_TEMPERATURE),
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            # At 0 it would take the place of the settings' own "no min-p".
            **({"min_p": sampling.min_p} if sampling.min_p else {}),
        }
    return found


def _drafting(engine: DecodingModel) -> dict[str, object]:
    """Return the settings that assisted generation reads from the assistant itself."""
    if engine.assistant is None:
        return {}
    config = engine.speculation or {}
    return {
        "num_assistant_tokens": config["num_speculative_tokens"],
        "num_assistant_tokens_schedule": config["num_assistant_tokens_schedule"],
        "assistant_confidence_threshold": config["assistant_confidence_threshold"],
    }


def _best_two(logits: Tensor) -> list[_Best]:
    """Return the best two tokens of each row of logits, shape (n, V)."""
    values, tokens = logits.topk(min(2, logits.shape[-1]), dim=-1)
    values = (values - logits.logsumexp(dim=-1, keepdim=True)).tolist()
    rows = zip(values, tokens.tolist(), strict=True)
    return [_Best((v[0], v[-1]), (t[0], t[-1])) for v, t in rows]


class _Recorder:
    """A logits processor that notes the best two tokens and, above temperature 0, draws each row's token.

    Each row draws from a generator of its own, so that an answer depends on no other answer in its batch.
    """

    def __init__(self, batch: Sequence[Request], own: Sequence[Sampling], rows: _Rows) -> None:
        self.best: list[list[_Best]] = [[] for _ in batch]
        self.seeds = [request.seed for request in batch]
        self.warpers = [_warpers(sampling) if sampling.temperature > 0 else None for sampling in own]
        self.rows = rows
        self.generators: list[Generator] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        import torch

        for best, found in zip(self.best, _best_two(scores.float()), strict=True):
            best.append(found)
        scores = self.rows.under_rules(input_ids, scores)
        if not any(self.warpers):
            return scores
        if not self.generators:
            self.generators = [torch.Generator(scores.device).manual_seed(seed) for seed in self.seeds]
        drawn = scores.clone()
        for row, (warpers, generator) in enumerate(zip(self.warpers, self.generators, strict=True)):
            if warpers is None:
                continue
            warped = scores[row : row + 1].float()
            for warper in warpers:
                warped = warper(input_ids[row : row + 1], warped)
            drawn[row] = -torch.inf
            drawn[row, torch.multinomial(warped[0].softmax(dim=-1), 1, generator=generator)] = 0
        return drawn


class _Ruled:
    """A logits processor for assisted generation: what the rules of its one row make of the scores."""

    def __init__(self, rows: _Rows) -> None:
        self.rows = rows

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return self.rows.under_rules(input_ids, scores)


def _warpers(sampling: Sampling) -> list[LogitsProcessor]:
    from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    found: list[LogitsProcessor] = []
    if sampling.temperature > 0:
        found.append(TemperatureLogitsWarper(float(max(sampling.temperature, _LEAST_TEMPERATURE))))
    if sampling.min_p:
        # Not in the oldest releases that run.
        from transformers.generation import MinPLogitsWarper

        found.append(MinPLogitsWarper(sampling.min_p))
    if sampling.top_k:
        found.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        found.append(TopPLogitsWarper(sampling.top_p))
    return found


class _Rows:
    """What each row says of itself: when it ends, and which rules its scores follow.

    A stopping criterion: end tokens, stop strings, the row's own limit.
    """

    def __init__(self, engine: DecodingModel, prompts: list[list[int]], own: Sequence[Sampling]) -> None:
        self.engine = engine
        self.prompts = prompts
        self.own = own
        self.most = [
            min(settings.max_tokens, engine.limit - len(prompt))
            for prompt, settings in zip(prompts, own, strict=True)
        ]
        self.ends = [
            frozenset(settings.stop_token_ids) | (frozenset() if settings.ignore_eos else engine.ends)
            for settings in own
        ]
        encode = engine.tokenizer.encode
        self.rules = [
            ScoreRules.of(settings, engine.ends, lambda text: encode(text, add_special_tokens=False))
            for settings in own
        ]
        self.found: list[list[int]] = []
        self.width = 0

    @property
    def ruled(self) -> bool:
        """Whether the settings of any row change scores."""
        return any(self.rules)

    def common_ends(self) -> frozenset[int]:
        """Return the tokens that end every row; none where rows differ, which then end by themselves."""
        return self.ends[0] if len(set(self.ends)) == 1 else frozenset()

    def under_rules(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return what the rules of each row make of its scores, shape (rows, V)."""
        import torch

        if not self.ruled:
            return scores
        scores = scores.float().clone()
        for row, rules in enumerate(self.rules):
            if rules is None:
                continue
            said = input_ids[row, self.width :].tolist()
            touched = rules.touched(self.prompts[row], said)
            at = torch.as_tensor(touched, device=scores.device)
            changed = rules.apply(self.prompts[row], said, touched, scores[row, at].cpu().numpy())
            scores[row, at] = torch.as_tensor(changed, device=scores.device, dtype=scores.dtype)
        return scores

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        import torch

        rows = input_ids[:, self.width :].tolist()
        done = [self._done(row, ids) for row, ids in enumerate(rows)]
        return torch.tensor(done, device=input_ids.device)

    def _done(self, row: int, ids: list[int]) -> bool:
        # The end-of-sequence criterion of `generate` has its own eye on end tokens; here for rows that
        # are done already and are being padded.
        ended = bool(ids and ids[-1] in self.ends[row])
        return len(ids) >= self.most[row] or ended or self._stops(row, ids)

    def _stops(self, row: int, ids: list[int]) -> bool:
        settings = self.own[row]
        if not settings.stop or len(ids) <= settings.min_tokens:
            return False
        if settings.min_tokens:
            least = len(self._text(ids[: settings.min_tokens]))
            return stop_found(self._text(ids), settings, least) is not None
        text = self._text(ids[-max(map(len, settings.stop)) - self._step :])
        return any(stop in text for stop in settings.stop)

    @property
    def _step(self) -> int:
        drafts = (self.engine.speculation or {}).get("num_speculative_tokens", 0)
        return int(drafts) + _AROUND

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.engine.tokenizer.decode(ids, skip_special_tokens=True))

    def decoded(self, row: int, best: list[_Best]) -> Decoded:
        """Return the answer of a row, without what pads it."""
        ids = self.found[row][: self.most[row]]
        end = next((n for n, token in enumerate(ids, 1) if token in self.ends[row]), None)
        if self.own[row].stop:
            # Drafts that were accepted behind a stop string are cut off.
            stopped = (n for n in range(1, end or len(ids) + 1) if self._stops(row, ids[:n]))
            end = next(stopped, end)
        ids = ids[:end]
        return Decoded(ids, "length" if end is None else "stop", best[: len(ids)])


@dataclass(slots=True)
class _Steps:
    """Counts drafts of assisted generation, and notes the target's own best tokens, while entered."""

    engine: DecodingModel
    drafted: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    best: list[_Best] = field(default_factory=list)
    _logits: Tensor | None = None
    _hook: RemovableHandle | None = None

    def __enter__(self) -> None:
        model = self.engine.model
        make = model._get_candidate_generator
        self._hook = model.register_forward_hook(self._see)
        # On the instance: the class and other models stay as they are.
        model._get_candidate_generator = lambda **arguments: self._watched(make(**arguments))

    def __exit__(self, *_: object) -> None:
        if self._hook is not None:
            self._hook.remove()
        del self.engine.model._get_candidate_generator

    def _see(self, module: Module, arguments: tuple[object, ...], output: ModelOutput) -> None:
        self._logits = output.logits

    def _watched(self, generator: CandidateGenerator) -> CandidateGenerator:
        propose, learn = generator.get_candidates, generator.update_candidate_strategy

        def get_candidates(input_ids: Tensor, **options: object) -> tuple[Tensor, Tensor | None]:
            found: tuple[Tensor, Tensor | None] = propose(input_ids, **options)
            self.drafted.append(found[0].shape[1] - input_ids.shape[1])
            return found

        def update_candidate_strategy(input_ids: Tensor, scores: Tensor, num_matches: int) -> None:
            taken = int(num_matches)
            self.accepted.append(taken)
            assert self._logits is not None
            # Before any processor: the rows of this step that became tokens.
            rows = self._logits[0, -self.drafted[-1] - 1 :][: taken + 1]
            self.best += _best_two(rows.float())
            learn(input_ids, scores, num_matches)

        generator.get_candidates = get_candidates
        generator.update_candidate_strategy = update_candidate_strategy
        return generator


def _steps(drafted: Sequence[int], accepted: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the steps after the prompt's own pass.

    Samples count steps as vLLM does: the prompt's pass gives the first token, and drafts come after it. Here
    that pass verifies drafts, too. The draft for the first token is left out; what else that pass accepted
    is the first step.
    """
    if not drafted:
        raise EngineRefusal("this version of transformers does not show what it drafts")
    first = ([drafted[0] - 1], [accepted[0] - 1]) if accepted[0] else ([], [])
    return [*first[0], *drafted[1:]], [*first[1], *accepted[1:]]
