"""The reference engine: any verification algorithm and any shape of draft, on transformers and torch.

Every algorithm of :mod:`tais.lab.verification` as it is audited by ``tais law``: passes of the models are
batched, decisions are taken text by text. It is looked up by name, so that nothing else of TAIS needs it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tais.common.foreign import hide_broken_packages
from tais.common.install import pip_install
from tais.engines.base import EngineRefusal
from tais.engines.prompts import Renderer, render
from tais.engines.transformers.engine import use_threads
from tais.errors import TaisError
from tais.lab.reference.answer import Answer
from tais.manifest.model import Arm
from tais.manifest.sampling import Sampling, with_own
from tais.manifest.steering_options import read_steering, steering_of, wrong_steering
from tais.records import Counters, Message, Request, Sample

if TYPE_CHECKING:
    import torch
    import transformers

    from tais.lab.decoding.steered import Steering
    from tais.lab.verification import Member, Rng, Shape
    from tais.lab.verification.batched import BatchDecoder
    from tais.lab.verification.cached import CachedModel, TreeModel
    from tais.lab.verification.decode import Decoder, Speculation
    from tais.lab.verification.policy import Tap
    from tais.lab.verification.selector.choose import Chooser
    from tais.lab.verification.selector.store import Selector
    from tais.lab.verification.warp import Warp

__all__ = ["ReferenceEngine", "preload"]

_NOT_INSTALLED = f"the reference engine needs torch and transformers: {pip_install('cpu', on_gpu='gpu')}"
_ENGINE_ARGS = ("batch_size", "max_model_len", "device", "threads", "antidistillation")
_SPECULATION = {
    "method": str,
    "model": str,
    "revision": str,
    "num_speculative_tokens": int,
    "paths": int,
    "trunk": int,
    "trunk_entropy": float,
    "branching": list,
    "children": str,
    "draft_temperature": float,
    "selector": str,
}
_SHAPES = {"num_speculative_tokens", "paths", "trunk", "trunk_entropy", "branching", "children"}
_CHILDREN = {"independent": "tree", "distinct": "distinct", "topk": "topk"}


def preload(models: Sequence[str]) -> None:
    """Import what every arm needs, before the process forks one worker per arm; touches no device."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise EngineRefusal(_NOT_INSTALLED)
    if "transformers" not in sys.modules:
        hide_broken_packages()
    # Loads transformers and torch.
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    import tais.lab.verification  # noqa: F401


class ReferenceEngine:
    """Target and draft in torch, with a cache that holds the drafted tree."""

    def start(self, arm: Arm) -> dict[str, Any]:
        """Load the models; see :class:`tais.engines.base.Engine`.

        ``engine_args`` takes ``batch_size`` (texts at once, 16), ``max_model_len``, ``device``,
        ``threads`` and ``antidistillation`` (``SteeringOptions`` of the manifest), which changes the law
        on purpose; it stands here and not on the transformers engine, whose ``generate`` adds a
        processor's scores before the temperature, while three models with a cache each are one more target
        to this decoder. ``speculative_config`` takes ``method`` (of ``tais.lab.verification.VERIFIERS``),
        ``model``, ``revision`` and the shape of the draft: either
        ``num_speculative_tokens`` with ``paths`` and ``trunk`` (tokens before they part) or
        ``trunk_entropy`` (nats of the draft's law at which they part), or ``branching`` (children per
        level) with ``children`` (independent, distinct or topk); or ``selector``, a folder, which chooses
        the shape at each root and, where the method is ``auto``, the method. ``draft_temperature`` is the
        sampling temperature unless given.
        """
        self.configure(arm)
        self._load()
        return self._resolved()

    def configure(self, arm: Arm) -> None:
        """Read what the arm says, as far as no model is needed for it.

        Raises
        ------
        EngineRefusal
            Naming the first thing that cannot be.
        """
        preload([])
        self.arm = arm
        for key in arm.engine_args:
            if key not in _ENGINE_ARGS:
                raise EngineRefusal(f"the reference engine has no option {key!r}, only {_ENGINE_ARGS}")
        self.batch_size = arm.engine_args.get("batch_size", 16)
        if not isinstance(self.batch_size, int) or isinstance(self.batch_size, bool) or self.batch_size < 1:
            raise EngineRefusal(f"batch_size must be a whole number above 0, not {self.batch_size!r}")
        self.threads = arm.engine_args.get("threads")
        if self.threads is not None and (type(self.threads) is not int or self.threads < 1):
            raise EngineRefusal(f"threads must be a whole number above 0, not {self.threads!r}")
        use_threads(self.threads)
        self._total = Counters()
        self.how = dict(arm.speculative_config) if arm.speculative_config else None
        self.member: Member | None = None
        self.shape: Shape | None = None
        self.selector: Selector | None = None
        self.chooser: Chooser | None = None
        if self.how is not None:
            self._read_speculation(self.how)

    def _read_speculation(self, how: Mapping[str, Any]) -> None:
        # Loads torch.
        from tais.lab.verification import find_verifier

        for key, value in how.items():
            kind = _SPECULATION.get(key)
            if kind is None:
                raise EngineRefusal(f"speculative_config has no key {key!r} here, only {list(_SPECULATION)}")
            number = isinstance(value, int) and not isinstance(value, bool)
            if not (isinstance(value, kind) and not isinstance(value, bool)) and not (
                kind is float and number
            ):
                raise EngineRefusal(
                    f"speculative_config.{key} must be of type {kind.__name__}, not {value!r}"
                )
        if "method" not in how or "model" not in how:
            raise EngineRefusal("speculative_config needs a method and a model")
        if "selector" in how:
            return self._read_selector(how)
        try:
            self.member = find_verifier(how["method"])
            self.shape = shape_of(how)
        except TaisError as error:
            raise EngineRefusal(f"speculative_config: {error}") from error
        if not self.member.supports(self.shape):
            kinds = ", ".join(self.member.kinds)
            raise EngineRefusal(f"{self.member.name} makes no claim for {self.shape}; its shapes are {kinds}")
        return None

    def _read_selector(self, how: Mapping[str, Any]) -> None:
        # Loads torch.
        from tais.lab.verification.selector.choose import load_selector

        if clash := sorted(_SHAPES & how.keys()):
            raise EngineRefusal(f"speculative_config: {clash[0]} does not go with selector, which chooses it")
        try:
            self.selector = load_selector(how["selector"], how["method"])
        except TaisError as error:
            raise EngineRefusal(f"speculative_config.selector: {error}") from error

    def _load(self) -> None:
        # Loads torch and transformers.
        import torch
        from transformers import AutoTokenizer
        from transformers.utils import logging

        from tais.lab.verification.cached import CachedModel

        self.device = str(self.arm.engine_args.get("device", "cuda" if torch.cuda.is_available() else "cpu"))
        logging.disable_progress_bar()
        name, revision = str(self.arm.model), self.arm.revision
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(
                self.arm.tokenizer or name, revision=None if self.arm.tokenizer else revision
            )
            self._render = Renderer(self.tokenizer, self.arm)
            self.target = CachedModel(self._model(name, revision))
            self.draft: CachedModel | None = None
            if self.how is not None:
                self.draft = CachedModel(self._model(self.how["model"], self.how.get("revision")))
            # A cache that cannot hold a tree shows at the first token: better now than in the middle.
            for model in filter(None, (self.target, self.draft)):
                model.begin([0])
        except (OSError, ValueError, ImportError, RuntimeError) as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            raise EngineRefusal(f"transformers cannot load the model: {reason}") from error
        self.taps = self._tapped()
        self.steering = self._steering()
        model = self.target.model
        context = int(getattr(model.config, "max_position_embeddings", 0) or 1 << 20)
        self.limit = min(int(self.arm.engine_args.get("max_model_len", context)), context)
        ends = getattr(model.generation_config, "eos_token_id", None)
        ends = self.tokenizer.eos_token_id if ends is None else ends
        self.ends = set(ends) if isinstance(ends, list | tuple) else {ends}

    def _tapped(self) -> tuple[Tap, Tap] | None:
        """Read the hidden states that the selector looks at."""
        if self.selector is None or self.draft is None:
            return None
        # Loads torch.
        from tais.lab.verification.policy import Tap

        try:
            taps = Tap(self.target.model), Tap(self.draft.model)
            sides = (self.target.model, self.draft.model)
            self.selector.check([int(m.get_output_embeddings().weight.shape[1]) for m in sides])
        except (TaisError, ValueError) as error:
            raise EngineRefusal(f"speculative_config.selector: {error}") from error
        return taps

    def _model(self, name: str, revision: str | None) -> transformers.PreTrainedModel:
        # Loads torch and transformers.
        import torch
        from transformers import AutoModelForCausalLM

        dtype: torch.dtype | str = self.arm.dtype or "auto"
        if dtype != "auto":
            dtype = getattr(torch, str(dtype), None)
            if not isinstance(dtype, torch.dtype):
                raise EngineRefusal(f"torch has no dtype {self.arm.dtype!r}")
        model = AutoModelForCausalLM.from_pretrained(
            name,
            revision=revision,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=False,
        )
        return model.to(self.device).eval()

    def _steering(self) -> Steering | None:
        """Differentiate the proxy's loss and make its copies, where the arm asks for antidistillation."""
        self._steered: dict[str, object] | None = None
        self._check_steering(None)
        given = steering_of(self.arm)
        if given is None:
            return None
        # Loads torch.
        from tais.lab.decoding.steered import Steering

        try:
            made = Steering.build(read_steering(given), self._proxy, self._prompt, self._completion)
        except (TaisError, OSError, ValueError, ImportError, RuntimeError) as error:
            raise EngineRefusal(f"antidistillation: {error}") from error
        self._steered = made.resolved()
        return made

    def _check_steering(self, temperature: float | None) -> None:
        wrong = wrong_steering(self.arm, temperature)
        if wrong is not None:
            raise EngineRefusal(f"{'.'.join(map(str, wrong.path))}: {wrong.what}. {wrong.remedy}")
        if self._steered is not None and temperature is not None:
            # The engine's record is written after this: it then holds the tau that is sampled at.
            self._steered["temperature"] = self._steered["temperature"] or temperature

    def _proxy(self, name: str, revision: str | None) -> transformers.PreTrainedModel:
        # Loads transformers.
        from transformers import AutoTokenizer

        own = AutoTokenizer.from_pretrained(name, revision=revision)
        if own.get_vocab() != self.tokenizer.get_vocab():
            raise EngineRefusal(f"the proxy {name} has another vocabulary than the arm's model")
        return self._model(name, revision)

    def render(self, request: Request) -> list[int]:
        """Return the token ids of a request's prompt."""
        return list(self._render(request))

    def _prompt(self, text: str) -> list[int]:
        own = self._render
        return render(self.tokenizer, own.template, (Message("user", text),), True, own.options)

    def _completion(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _resolved(self) -> dict[str, Any]:
        model = self.target.model
        return {
            "model_config": {
                "model": self.arm.model,
                "dtype": str(model.dtype),
                "max_model_len": self.limit,
                "architecture": type(model).__name__,
                "attention": str(model.config._attn_implementation),
            },
            "device": self.device,
            "prompts": self._render.resolved(),
            "batch_size": 1 if self._one_by_one else self.batch_size,
            "threads": self.threads,
            "antidistillation": self._steered,
            "speculative_config": self._resolved_speculation(),
        }

    def _resolved_speculation(self) -> dict[str, object] | None:
        if self.how is not None and self.selector is not None:
            grid, found = self.selector.grid.to_json(), self.selector.digest()
            return {**self.how, "claim": "lossless", "choices": grid, "selector_sha256": found}
        if self.how is None or self.member is None:
            return None
        drawn = "probabilistic" if self.shape and self.shape.is_random else "greedy"
        told = {"claim": self.member.claim.value, "shape": str(self.shape), "draft_sample_method": drawn}
        return {**self.how, **told}

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Refuse a prompt that is empty or leaves no room, and steering where nothing is sampled."""
        self._check_steering(sampling.temperature)
        for request in requests:
            size = len(self._render(request))
            if not 0 < size < self.limit:
                raise EngineRefusal(
                    f"item {request.key.item_id!r} of battery {request.key.battery!r} has {size} tokens, "
                    f"the model takes {self.limit} (max_model_len), prompt and answer together"
                )

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Answer up to ``batch_size`` requests at once; no answer depends on another.

        Where the target is steered, three models decode as one, and a selector reads hidden states of the
        last pass: texts are then taken one by one.
        """
        # Loads torch.
        from tais.lab.verification.warp import Warp

        warp = Warp(sampling.temperature, sampling.top_k, sampling.top_p)
        speculation = self._speculation(sampling)
        answers: dict[int, Answer] = {}
        decoder = self._decoder(warp, speculation)
        for number, step in decoder.run(self._texts(requests, sampling, answers)):
            answer = answers[number]
            if step is not None and not answer.finish:
                answer.take(step)
            if answer.finish:
                decoder.stop(number)
                self._count(answer.drafted, answer.accepted)
                request = requests[number]
                yield answers.pop(number).sample(request, self._render(request), drafts=bool(self.how))
            yield None

    @property
    def _one_by_one(self) -> bool:
        return self.steering is not None or self.selector is not None or self.batch_size == 1

    def _decoder(self, warp: Warp, speculation: Speculation | None) -> BatchDecoder | Decoder:
        # Loads torch.
        from tais.lab.verification.batched import BatchDecoder, BatchedModel
        from tais.lab.verification.decode import Decoder

        if self._one_by_one:
            return Decoder(self._target(warp.temperature), warp, speculation)
        draft = BatchedModel(self.draft.model) if self.draft else None
        return BatchDecoder(BatchedModel(self.target.model), warp, speculation, draft, size=self.batch_size)

    def _texts(
        self, requests: Sequence[Request], sampling: Sampling, answers: dict[int, Answer]
    ) -> Iterator[tuple[Sequence[int], int, Rng]]:
        """Yield prompt, room and decisions of one request after the other, and open its answer."""
        # Loads torch.
        from tais.lab.verification import SeededRng

        for number, request in enumerate(requests):
            prompt = self._render(request)
            settings = with_own(sampling, request.own)
            room = min(settings.max_tokens, self.limit - len(prompt))
            answers[number] = Answer(self.tokenizer, self.ends, settings, room)
            yield prompt, room, SeededRng(request.seed)

    def _speculation(self, sampling: Sampling) -> Speculation | None:
        # Loads torch.
        from tais.lab.verification import Shape, find_verifier
        from tais.lab.verification.decode import Speculation
        from tais.lab.verification.warp import Warp

        if self.how is None or self.draft is None:
            return None
        heat = float(self.how.get("draft_temperature", sampling.temperature))
        draft_warp = Warp(heat, sampling.top_k, sampling.top_p)
        if self.selector is not None:
            from tais.lab.verification.selector.choose import Chooser

            warp = Warp(sampling.temperature, sampling.top_k, sampling.top_p)
            self.chooser = Chooser(self.selector, warp, self.how["method"])
            none, token = Shape("chain"), find_verifier("token").load()
            return Speculation(self.draft, draft_warp, none, token, self.chooser, self.taps)
        assert self.shape is not None
        assert self.member is not None
        # Chosen tokens are ranked, not drawn; at temperature 0 all but one would be ruled out.
        draft_warp = draft_warp if self.shape.is_random else Warp()
        return Speculation(self.draft, draft_warp, self.shape, self.member.load())

    def _target(self, temperature: float) -> TreeModel:
        return self.steering.target(self.target, temperature) if self.steering else self.target

    def _count(self, drafted: Sequence[int], accepted: Sequence[int]) -> None:
        depth = self.shape.depth if self.shape else 0
        depth = self.selector.grid.depth if self.selector else depth
        before = self._total.accepted_per_position or (0,) * depth
        self._total = Counters(
            self._total.drafts + len(drafted),
            self._total.draft_tokens + sum(drafted),
            self._total.accepted_tokens + sum(accepted),
            tuple(old + sum(1 for a in accepted if a > i) for i, old in enumerate(before)),
        )

    def counters(self) -> Counters | None:
        """Return what was drafted and accepted since the last call; None without speculation."""
        if self.how is None:
            return None
        total, self._total = self._total, Counters()
        return total

    def close(self) -> None:
        """Release the models."""
        del self.target, self.draft


def shape_of(how: Mapping[str, Any]) -> Shape:
    """Return the shape that a ``speculative_config`` describes.

    Raises
    ------
    EngineRefusal
        When it describes two, or none.
    UsageError
        When a number is out of range.
    """
    # Loads torch.
    from tais.lab.verification import parse_shape

    if "branching" in how:
        clash = sorted({"num_speculative_tokens", "paths", "trunk", "trunk_entropy"} & how.keys())
        kind = _CHILDREN.get(how.get("children", "independent"))
        if clash or kind is None:
            said = (
                f"{clash[0]} does not go with branching" if clash else f"children is one of {list(_CHILDREN)}"
            )
            raise EngineRefusal(f"speculative_config: {said}")
        return parse_shape(f"{kind}:{','.join(map(str, how['branching']))}")
    if "num_speculative_tokens" not in how or "children" in how:
        raise EngineRefusal("speculative_config needs num_speculative_tokens, or branching and children")
    depth, paths, trunk = how["num_speculative_tokens"], how.get("paths", 1), how.get("trunk", 0)
    if "trunk_entropy" in how:
        if "trunk" in how:
            raise EngineRefusal("speculative_config: trunk does not go with trunk_entropy")
        return parse_shape(f"entropy:{how['trunk_entropy']:f},{paths},{depth}")
    if trunk:
        return parse_shape(f"delayed:{trunk},{paths},{depth - trunk}")
    return parse_shape(f"chain:{depth}" if paths == 1 else f"paths:{paths}x{depth}")
