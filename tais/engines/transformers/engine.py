"""transformers, in process: generation by its own ``generate``.

Facts about transformers 5.19 that this file rests on were read in its source; each is named where it is used.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tais.common.document import suggest
from tais.common.text import first_line
from tais.engines.base import ConfigurationRefusal, EngineRefusal
from tais.engines.prompts import Renderer, prompt_digest, text_after
from tais.engines.resolved import to_plain
from tais.engines.score_rules import stop_found
from tais.engines.tokenizer import NOT_INSTALLED, read_tokenizer
from tais.engines.transformers.decoding import Decoded, Speculation, decode
from tais.manifest.engine_options import TransformersOptions, read_options, wrong_option
from tais.manifest.model import Arm
from tais.manifest.sampling import Sampling, with_own
from tais.records import Counters, Request, Sample

if TYPE_CHECKING:
    from torch import device
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["TransformersEngine", "check_configuration", "preload", "text_config", "use_threads"]

_DTYPES = ("auto", "float32", "float16", "bfloat16", "float64")
# What each method of speculation takes, with its defaults; None must be given.
_SPECULATION: dict[str, Speculation] = {
    "assistant_model": {
        "model": None,
        "revision": "",
        "num_speculative_tokens": None,
        "num_assistant_tokens_schedule": "constant",
        # Above 0 the assistant stops early where it is unsure, so that drafts have no fixed length.
        "assistant_confidence_threshold": 0.0,
    },
    "prompt_lookup": {"num_speculative_tokens": None, "max_matching_ngram_size": 2},
}


def preload(models: Sequence[str]) -> None:
    """Import all that an arm will need, before the process forks one worker per arm. Only modules.

    Parameters
    ----------
    models
        Local model directories; the classes of their architectures are imported as well.

    Raises
    ------
    EngineRefusal
        When transformers or torch is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise EngineRefusal(NOT_INSTALLED)
    from tais.common.foreign import hide_broken_packages

    hide_broken_packages()
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401
    from transformers.generation import LogitsProcessorList, StoppingCriteriaList  # noqa: F401

    for model in models:
        try:
            config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for architecture in config.get("architectures") or ():
            getattr(transformers, architecture, None)


def use_threads(count: int | None) -> None:
    """Have torch compute on so many threads of the processor; None leaves their number to it."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def speculation(arm: Arm) -> Speculation | None:
    """Return how an arm speculates, defaults filled in.

    Raises
    ------
    EngineRefusal
        For an unknown method or option, naming it.
    """
    asked = arm.speculative_config
    if asked is None:
        return None
    method = asked.get("method")
    if method not in _SPECULATION:
        known = ", ".join(_SPECULATION)
        raise EngineRefusal(f"transformers knows no speculative method {method!r}; it knows {known}")
    defaults = _SPECULATION[method]
    unknown = sorted(asked.keys() - defaults.keys() - {"method"})
    missing = [key for key, value in defaults.items() if value is None and asked.get(key) is None]
    if unknown or missing:
        what = f"takes no {unknown[0]}" if unknown else f"needs {missing[0]}"
        raise EngineRefusal(f"speculative method {method} {what}; its options: {', '.join(defaults)}")
    found = {**defaults, **{key: value for key, value in asked.items() if value is not None}}
    count = found["num_speculative_tokens"]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise EngineRefusal(f"num_speculative_tokens must be a whole number above 0, not {count!r}")
    return found


def check_configuration(arm: Arm) -> None:
    """Refuse settings that need no model to be wrong.

    Raises
    ------
    ConfigurationRefusal
        Naming the key.
    """
    if (arm.dtype or "auto") not in _DTYPES:
        near = {"fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32"}.get(
            str(arm.dtype)
        )
        remedy = suggest(near or str(arm.dtype), _DTYPES, "Dtypes")
        raise ConfigurationRefusal(f"no dtype named {arm.dtype!r}", ("dtype",), remedy)
    try:
        speculation(arm)
    except EngineRefusal as error:
        raise ConfigurationRefusal(str(error), ("speculative_config",)) from error
    try:
        _device(read_options(arm).device)
    except EngineRefusal as error:
        raise ConfigurationRefusal(str(error), ("engine_args", "device")) from error


class TransformersEngine:
    """One causal language model of transformers."""

    def start(self, arm: Arm) -> dict[str, object]:
        """Load model, tokenizer and assistant; see :class:`tais.engines.base.Engine`."""
        wrong = wrong_option(arm)
        if wrong is not None:
            raise EngineRefusal(f"{wrong.what}. {wrong.remedy}")
        preload([])
        self.arm = arm
        self.options: TransformersOptions = read_options(arm)
        use_threads(self.options.threads)
        self.speculation = speculation(arm)
        self.device = _device(self.options.device)
        self.model = self._load(arm.model or "", arm.revision)
        self.tokenizer = read_tokenizer(arm)
        self.render = Renderer(self.tokenizer, arm)
        self.limit = self._limit()
        self.ends = _end_tokens(self.model, self.tokenizer)
        self.assistant = self._load_assistant()
        self._totals = [0, 0, 0]
        return self._resolved()

    def _load(self, model: str, revision: str | None) -> PreTrainedModel:
        import torch
        from transformers import AutoModelForCausalLM, PretrainedConfig

        dtype = self.arm.dtype or "auto"
        if dtype not in _DTYPES:
            raise EngineRefusal(f"no dtype named {dtype!r}; dtypes: {', '.join(_DTYPES)}")
        arguments = {
            "attn_implementation": self.options.attn_implementation,
            # Before 4.56 it had another name.
            "dtype" if hasattr(PretrainedConfig(), "dtype") else "torch_dtype": dtype
            if dtype == "auto"
            else getattr(torch, dtype),
        }
        try:
            loaded = AutoModelForCausalLM.from_pretrained(
                model,
                revision=revision or "main",
                # A pickle runs code when it is read.
                use_safetensors=True,
                trust_remote_code=False,
                **{key: value for key, value in arguments.items() if value is not None},
            )
            return loaded.to(self.device).eval()
        except (ValueError, TypeError, ImportError, OSError, KeyError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise EngineRefusal(f"transformers refuses {model}: {first_line(error)}") from error

    def _load_assistant(self) -> PreTrainedModel | None:
        if self.speculation is None or self.speculation["method"] != "assistant_model":
            return None
        name = str(self.speculation["model"])
        assistant = self._load(name, self.speculation["revision"] or None)
        sizes = [text_config(m).vocab_size for m in (self.model, assistant)]
        if sizes[0] != sizes[1]:
            raise EngineRefusal(
                f"the assistant {name} has {sizes[1]} tokens and the target {sizes[0]}: its drafts cannot be "
                "checked token by token. Take an assistant with the target's own vocabulary"
            )
        return assistant

    def _limit(self) -> int:
        config = text_config(self.model)
        own = getattr(config, "max_position_embeddings", None)
        asked = self.options.max_model_len
        if asked is not None and own is not None and asked > own:
            raise EngineRefusal(f"max_model_len {asked} is more than the {own} that the model was made for")
        return int(asked or own or 1 << 30)

    def _resolved(self) -> dict[str, object]:
        config = text_config(self.model)
        # The checkpoint's dtype, not what runs.
        text = {k: v for k, v in config.to_dict().items() if k not in ("dtype", "torch_dtype")}
        return {
            "model_config": {
                "model": self.arm.model,
                "revision": self.arm.revision,
                "dtype": str(next(self.model.parameters()).dtype),
                "max_model_len": self.limit,
                "attn_implementation": getattr(config, "_attn_implementation", None),
                "hf_text_config": to_plain(text),
            },
            "generation_config": {"eos_token_id": sorted(self.ends)},
            "speculative_config": self._resolved_speculation(),
            "prompts": self.render.resolved(),
            "runtime": {
                "device": str(self.device),
                # Assisted generation takes prompts one by one.
                "batch_size": self.options.batch_size if self.speculation is None else 1,
                "threads": self.options.threads,
                "drafter": type(self.assistant).__name__,
            },
        }

    def _resolved_speculation(self) -> dict[str, object] | None:
        if self.speculation is None:
            return None
        found = {key: value for key, value in self.speculation.items() if value != ""}
        if self.assistant is not None:
            # Where tokens are drawn, the assistant draws its drafts, too.
            found["draft_sample_method"] = "probabilistic"
        return found

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Render every prompt once and refuse one that leaves no room for an answer."""
        for request in requests:
            size = len(self.render(request))
            if size >= self.limit:
                raise EngineRefusal(
                    f"item {request.key.item_id!r} of battery {request.key.battery!r} has {size} tokens, "
                    f"the model takes {self.limit}, prompt and answer together"
                )

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Answer batch by batch, in the order given."""
        size = self.options.batch_size if self.speculation is None else 1
        for first in range(0, len(requests), size):
            batch = requests[first : first + size]
            begun = time.monotonic()
            answers = decode(self, batch, sampling)
            # Told as one: a batch is done when its last answer is.
            seconds = time.monotonic() - begun
            for request, answer in zip(batch, answers, strict=True):
                self._count(answer.drafted, answer.accepted)
                yield self._sample(request, answer, with_own(sampling, request.own), seconds)
            yield None

    def _sample(self, request: Request, answer: Decoded, sampling: Sampling, seconds: float) -> Sample:
        prompt = self.render(request)
        text = self._text(prompt, answer, sampling)
        top1, top2, other = answer.top_two()
        return Sample(
            key=request.key,
            prompt_digest=prompt_digest(prompt),
            prompt_tokens=len(prompt),
            token_ids=answer.ids,
            text=text,
            finish_reason=answer.reason,
            top1_logprobs=top1,
            top2_logprobs=top2,
            top2_tokens=other,
            step_drafted=answer.drafted,
            step_accepted=answer.accepted,
            seconds=seconds,
        )

    def _text(self, prompt: list[int], answer: Decoded, sampling: Sampling) -> str:
        """Return what an answer says, up to its stop string, and with it where the settings say so."""
        skips = sampling.skip_special_tokens
        special = self.render.marks_parts if skips is None else not skips
        ids, kept = answer.ids, sampling.include_stop_str_in_output
        if ids and ids[-1] in sampling.stop_token_ids and not kept:
            ids = ids[:-1]
        text = text_after(self.tokenizer, prompt, ids, special=special)
        if answer.reason != "stop":
            return text
        least = 0
        if sampling.min_tokens:
            least = len(text_after(self.tokenizer, prompt, ids[: sampling.min_tokens], special=special))
        found = stop_found(text, sampling, least)
        return text if found is None else text[: found[1] if kept else found[0]]

    def _count(self, drafted: Sequence[int] | None, accepted: Sequence[int] | None) -> None:
        for index, steps in enumerate((drafted or (), accepted or ())):
            self._totals[index + 1] += sum(steps)
        self._totals[0] += sum(1 for step in drafted or () if step)

    def counters(self) -> Counters | None:
        """Return what was drafted since the last call."""
        if self.speculation is None:
            return None
        now, self._totals = self._totals, [0, 0, 0]
        return Counters(now[0], now[1], now[2])

    def close(self) -> None:
        """Leave the model to the end of the process."""


def text_config(model: PreTrainedModel) -> PretrainedConfig:
    """Return the configuration of a model's language part; before 4.45 there is one configuration."""
    config = model.config
    found: PretrainedConfig = config.get_text_config() if hasattr(config, "get_text_config") else config
    return found


def _device(asked: str | None) -> device:
    import torch

    try:
        return torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise EngineRefusal(f"no device {asked!r}: {first_line(error)}") from error


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the tokens that end an answer: the tokenizer's own, and those of the model's settings."""
    settings: Mapping[str, object] = model.generation_config.to_dict()
    found = settings.get("eos_token_id")
    listed = found if isinstance(found, list) else [found]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)
