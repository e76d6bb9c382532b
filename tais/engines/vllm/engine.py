"""vLLM, in process: the only file that imports it.

Facts about vLLM that this file rests on were read in the source of 0.32 or measured on a CPU; each is named
where it is used. What other releases lack is asked for, never told by a number.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tais.common.foreign import hide_broken_packages
from tais.common.install import pip_install
from tais.common.machine import package_versions, release_of
from tais.engines.base import ConfigurationRefusal, EngineRefusal
from tais.engines.prompts import Renderer, prompt_digest
from tais.engines.resolved import plain_mapping
from tais.manifest.model import Arm
from tais.manifest.sampling import Sampling, with_own
from tais.records import Counters, Request, Sample, SampleKey

if TYPE_CHECKING:
    from vllm import RequestOutput
    from vllm.config import VllmConfig
    from vllm.logprobs import FlatLogprobs
    from vllm.v1.metrics.reader import Metric

__all__ = ["FIRST_RELEASE", "LAST_RELEASE", "VllmEngine", "check_release", "preload", "refusal"]

FIRST_RELEASE, LAST_RELEASE = (0, 26), (0, 33)
"""Releases that this adapter takes. 0.33 was tried by its Python files over the binaries of 0.32 alone."""

_NOT_INSTALLED = f"vLLM is not installed. Install it with: {pip_install('cpu', on_gpu='gpu')}"


# Such as `--kv-cache-memory-bytes`, which nobody types here.
_FLAG = re.compile(r"`?--([a-z][a-z0-9]*(?:-[a-z0-9]+)+)`?")
# Modes whose tokenizer is a plain one: a renderer of the server's front writes their conversations.
_RENDERED_APART = ("cohere", "inkling", "kimi_k3")


def preload(models: Sequence[str]) -> None:
    """Import all that an arm will need, before the process forks one worker per arm.

    Only modules: no device is touched, so that a fork stays possible on GPU machines too.

    Parameters
    ----------
    models
        Local model directories; the classes of their architectures are imported as well.

    Raises
    ------
    EngineRefusal
        When vLLM is not installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise EngineRefusal(_NOT_INSTALLED)
    hide_broken_packages()
    check_release(release_of("vllm", package_versions()) or "")
    from vllm import LLM  # noqa: F401
    from vllm.platforms import current_platform
    from vllm.v1.engine import llm_engine  # noqa: F401

    if current_platform.is_cpu():
        from vllm.v1.worker import cpu_model_runner, cpu_worker  # noqa: F401

        _register_architectures(models)
        _compile_ranks()


def check_release(version: str) -> None:
    """Refuse a release that this adapter was never run with; a build without a number is let through.

    Raises
    ------
    EngineRefusal
        With the range.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or FIRST_RELEASE <= (int(numbers[1]), int(numbers[2])) <= LAST_RELEASE:
        return
    first, last = (".".join(map(str, release)) for release in (FIRST_RELEASE, LAST_RELEASE))
    raise EngineRefusal(
        f"vLLM {version} is outside of {first} to {last}, the releases that TAIS was run with"
    )


def _compile_ranks() -> None:
    """Compile the one function that vLLM compiles even when eager, before the fork instead of once per arm.

    It counts ranks of log-probabilities; compiling takes three seconds at the first token of every engine.
    """
    import torch
    from vllm.v1.sample.ops.logprobs import batched_count_greater_than

    # vLLM marks the batch as dynamic; two sizes make the compiled code general.
    for rows in (3, 5):
        logprobs = torch.zeros((rows, 64))
        torch._dynamo.decorators.mark_unbacked(logprobs, 0)
        batched_count_greater_than(logprobs, torch.zeros((rows, 1)))


def _register_architectures(models: Sequence[str]) -> None:
    """Register model classes as imported, so that vLLM does not start an interpreter to look at each.

    It does so to keep CUDA out of the parent process, which on a CPU costs ten seconds for nothing.
    """
    from vllm.model_executor.models.registry import ModelRegistry

    for model in models:
        try:
            config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for architecture in config.get("architectures") or ():
            lazy = ModelRegistry.models.get(architecture)
            if lazy is not None and hasattr(lazy, "module_name"):
                ModelRegistry.register_model(architecture, lazy.load_model_cls())


def refusal(error: BaseException) -> str:
    """Return vLLM's own reason in one line, without pydantic's frame, flags by their keys in a manifest."""
    text = str(error).strip() or type(error).__name__
    text = _FLAG.sub(lambda flag: "engine_args." + flag[1].replace("-", "_"), text)
    match = re.search(r"Value error, (.+?)(?: \[type=|\n|$)", text)
    if match:
        return match.group(1)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        field, reason = lines[1], re.sub(r" \[type=.*", "", lines[2]) if len(lines) > 2 else ""
        return f"{field}: {reason}".rstrip(": ")
    return lines[0]


class VllmEngine:
    """One ``vllm.LLM``."""

    def start(self, arm: Arm) -> dict[str, object]:
        """Build the engine; see :class:`tais.engines.base.Engine`."""
        preload([])
        from vllm import LLM

        arguments = self.arguments(arm)
        try:
            self.llm = LLM(**arguments)
        except (ValueError, TypeError, NotImplementedError, OSError, AssertionError) as error:
            raise EngineRefusal(f"vLLM refuses this arm: {refusal(error)}") from error
        self.arm = arm
        self.tokenizer = self.llm.get_tokenizer()
        self._render = Renderer(self.tokenizer, arm)
        self._totals = Counters()
        self.counters()
        return self._resolved()

    @staticmethod
    def arguments(arm: Arm) -> dict[str, object]:
        """Return the keyword arguments of ``LLM``: the arm's own, over defaults that keep arms matched."""
        if arm.engine_args.get("trust_remote_code"):
            what = "trust_remote_code runs code from a model repository, which TAIS does not do"
            raise ConfigurationRefusal(what, ("engine_args", "trust_remote_code"), "Leave it out")
        arguments: dict[str, object] = {
            "model": arm.model,
            # By default on for some speculative methods and off for others: not matched.
            "async_scheduling": False,
            "disable_log_stats": False,
        }
        for key in ("revision", "tokenizer", "dtype", "speculative_config"):
            if getattr(arm, key) is not None:
                arguments[key] = getattr(arm, key)
        if arm.speculative_config is not None and _counts_per_request():
            # vLLM 0.32 raises when this is set without speculation, so arms without it leave it unset.
            arguments["per_request_spec_decode_metrics"] = "detailed"
        return {**arguments, **arm.engine_args}

    def _resolved(self) -> dict[str, object]:
        engine = self.llm.llm_engine
        resolved = {**plain_mapping(engine.vllm_config), "prompts": self._render.resolved()}
        runner = engine
        for name in ("model_executor", "driver_worker", "worker", "model_runner"):
            runner = getattr(runner, name, None)
        if runner is not None:
            # What really runs, beside what the configuration says: in process only.
            resolved["runtime"] = {
                "model_runner": type(runner).__name__,
                "drafter": type(getattr(runner, "drafter", None)).__name__,
                "rejection_sampler": type(getattr(runner, "rejection_sampler", None)).__name__,
                "rejection_sample_method": _rejection_method(engine.vllm_config, runner),
            }
        return resolved

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Render every prompt once and refuse one that leaves no room for an answer."""
        model = self.llm.llm_engine.vllm_config.model_config
        limit = model.max_model_len
        if model.tokenizer_mode in _RENDERED_APART and any(request.chat for request in requests):
            raise EngineRefusal(
                f"vLLM writes conversations of tokenizer_mode {model.tokenizer_mode} in its server alone. "
                "Say engine: openai with engine_args: {serve: {}}"
            )
        for request in requests:
            size = len(self._render(request))
            if size >= limit:
                raise EngineRefusal(
                    f"item {request.key.item_id!r} of battery {request.key.battery!r} has {size} tokens, "
                    f"the model takes {limit} (max_model_len), prompt and answer together"
                )

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Keep the engine's queue full and yield samples as they finish."""
        engine = self.llm.llm_engine
        # Enough waiting that the scheduler is never short of work, without holding every request.
        window = max(512, 4 * engine.vllm_config.scheduler_config.max_num_seqs)
        waiting = iter(requests)
        running: dict[str, tuple[Request, float]] = {}
        exhausted = False
        while running or not exhausted:
            while not exhausted and len(running) < window:
                request = next(waiting, None)
                if request is None:
                    exhausted = True
                    break
                running[self._admit(request, sampling)] = (request, time.monotonic())
            finished = False
            for output in engine.step() if running else ():
                if output.finished:
                    request, begun = running.pop(output.request_id)
                    finished = True
                    yield self._sample(request, output, time.monotonic() - begun)
            if not finished:
                yield None

    def tokens_underway(self) -> int:
        """Return the tokens of answers that are not finished; 0 where this release does not tell."""
        # What vLLM itself counts for outputs that it holds back until they are final; no public name has it.
        processor = getattr(self.llm.llm_engine, "output_processor", None)
        states = getattr(processor, "request_states", {})
        try:
            return sum(state.detokenizer.num_output_tokens() for state in list(states.values()))
        except (AttributeError, TypeError):
            return 0

    def _admit(self, request: Request, sampling: Sampling) -> str:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = with_own(sampling, request.own)
        # Only what does something: the others need not be known to a release.
        further: dict[str, object] = {key: getattr(sampling, key) for key in sampling.changed}
        further |= {"skip_special_tokens": not self._render.marks_parts} | further
        further |= {"logit_bias": sampling.bias} if sampling.bias else {}
        for key in ("bad_words", "stop_token_ids"):
            further |= {key: list(getattr(sampling, key))} if key in further else {}
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop) or None,
            # A seed per request makes vLLM sample request by request; greedy needs none.
            seed=request.seed if sampling.temperature > 0 else None,
            logprobs=2,
            # Plain lists instead of a dictionary of objects per token.
            flat_logprobs=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
            **further,
        )
        key = "/".join(map(str, request.key))
        self.llm.llm_engine.add_request(key, {"prompt_token_ids": self._render(request)}, parameters)
        return key

    def _sample(self, request: Request, output: RequestOutput, seconds: float) -> Sample:
        completion = output.outputs[0]
        ids = list(completion.token_ids)
        prompt = output.prompt_token_ids
        top1, top2, other = _top_two(ids, completion.logprobs)
        # From vLLM 0.29 on; the engine's totals tell of speculation before.
        metrics = getattr(completion, "spec_decode_metrics", None)
        return Sample(
            key=SampleKey(*request.key),
            prompt_digest=prompt_digest(prompt),
            prompt_tokens=len(prompt),
            token_ids=ids,
            text=completion.text,
            finish_reason=completion.finish_reason or "unknown",
            top1_logprobs=top1,
            top2_logprobs=top2,
            top2_tokens=other,
            step_drafted=list(metrics.per_step_drafted) if metrics else None,
            step_accepted=list(metrics.per_step_accepted) if metrics else None,
            seconds=seconds,
            stop_reason=None if completion.stop_reason is None else str(completion.stop_reason),
        )

    def counters(self) -> Counters | None:
        """Return the growth of ``vllm:spec_decode_*`` since the last call."""
        if self.arm.speculative_config is None:
            return None
        now = _read_counters(self.llm.get_metrics())
        before, self._totals = self._totals, now
        return now - before

    def close(self) -> None:
        """Leave the engine to the end of the process, unless it has processes of its own to end.

        Taking it apart costs seconds, and the kernel does it at once.
        """
        parallel = self.llm.llm_engine.vllm_config.parallel_config
        if parallel.world_size > 1 or os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") != "0":
            del self.llm


def _counts_per_request() -> bool:
    """Return whether this vLLM counts drafts by request, which it does from 0.29 on."""
    from vllm.engine.arg_utils import EngineArgs

    return "per_request_spec_decode_metrics" in EngineArgs.__dataclass_fields__


def _rejection_method(config: VllmConfig, runner: object) -> str | None:
    """Return the verification rule that runs: model runner V1 takes "block" and runs "standard"."""
    if config.speculative_config is None:
        return None
    method = str(config.speculative_config.rejection_sample_method)
    first_generation = type(runner).__module__.startswith("vllm.v1.worker.") and not type(
        runner
    ).__module__.startswith("vllm.v1.worker.gpu.")
    return "standard" if first_generation and method == "block" else method


def _top_two(ids: Sequence[int], flat: FlatLogprobs) -> tuple[list[float], list[float], list[int]]:
    """Best and second-best log-probability, and the best token other than the one given, per position.

    vLLM lists the token given first, then the best two by rank; with a tie at the top, the best by rank
    need not be the token given, so tokens are compared here only to name the other one.
    """
    top1, top2, other = [], [], []
    for token, start, end in zip(ids, flat.start_indices, flat.end_indices, strict=True):
        ranked = range(start + 1, end)
        scores = [flat.logprobs[i] for i in ranked] or [flat.logprobs[start]]
        top1.append(scores[0])
        top2.append(scores[1] if len(scores) > 1 else scores[0])
        other.append(next((flat.token_ids[i] for i in ranked if flat.token_ids[i] != token), token))
    return top1, top2, other


def _read_counters(metrics: Sequence[Metric]) -> Counters:
    values = {metric.name: metric for metric in metrics if metric.name.startswith("vllm:spec_decode_")}

    def count(name: str) -> int:
        metric = values.get(f"vllm:spec_decode_{name}")
        return int(metric.value) if metric is not None else 0

    positions = values.get("vllm:spec_decode_num_accepted_tokens_per_pos")
    return Counters(
        count("num_drafts"),
        count("num_draft_tokens"),
        count("num_accepted_tokens"),
        tuple(int(v) for v in positions.values) if positions is not None else (),
    )
