"""Teacher forcing with vLLM: log-probabilities of prompt rows, in process.

Facts about vLLM 0.32 that this rests on, read in its source: prompt rows skip every logits processor;
``raw_logits`` returns the scores of prompt rows unnormalised in float32; a request for them reads nothing
from the prefix cache; the first of each row's entries is the token given, the rest are the best by score.
Never asked of a speculating engine, where the drafter may overwrite the states that are scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tais.engines.base import EngineRefusal
from tais.engines.prompts import prompt_digest
from tais.engines.refusal_onset import onset_tokens
from tais.engines.score_rules import ScoreRules, listed_under_rules
from tais.engines.tokenizer import readings, vocabulary_size
from tais.engines.vllm.engine import VllmEngine, preload
from tais.manifest.model import Arm
from tais.manifest.sampling import NEUTRAL, Sampling, with_own
from tais.records import Request, ScoreRequest, TokenScores

if TYPE_CHECKING:
    from torch import Tensor
    from vllm import RequestOutput

__all__ = ["VllmTeacher"]

# Rows times vocabulary that one step may score: 256 MB in float32, of which vLLM makes a few copies.
_SCORES_PER_STEP = 1 << 26
_CHUNK = (256, 8192)


class VllmTeacher(VllmEngine):
    """One ``vllm.LLM`` that generates nothing of use and reads what it is given."""

    def start_forcing(
        self, arm: Arm, temperature: float, top: int, sampling: Sampling = NEUTRAL
    ) -> dict[str, object]:
        """Build the engine; see :class:`tais.engines.base.Teacher`."""
        self.settings = sampling
        plain = arm.model_copy(update={"speculative_config": None})
        preload([])
        vocabulary = vocabulary_size(plain)
        self.top = min(top, vocabulary)
        chunk = min(max(_SCORES_PER_STEP // vocabulary, _CHUNK[0]), _CHUNK[1])
        own = {
            "logprobs_mode": "raw_logits" if temperature == 0 else "raw_logprobs",
            "max_logprobs": self.top,
            "enable_chunked_prefill": True,
            # Prompts are scored whole, nothing is read from a cache of them.
            "enable_prefix_caching": False,
            "max_num_batched_tokens": max(chunk, int(arm.engine_args.get("max_num_seqs", 0))),
        }
        resolved = self.start(plain.model_copy(update={"engine_args": {**arm.engine_args, **own}}))
        if temperature not in (0.0, 1.0):
            self._cool(temperature)
        encode = self.tokenizer.encode
        resolved["refusal_onset"] = onset_tokens(encode, self.tokenizer.all_special_ids)
        return resolved

    def _cool(self, temperature: float) -> None:
        """Divide all logits by the temperature, which vLLM itself does for sampled rows only."""
        runner = self.llm.llm_engine
        for name in ("model_executor", "driver_worker", "worker", "model_runner", "model"):
            runner = getattr(runner, name, None)
        compute = getattr(runner, "compute_logits", None)
        if compute is None:
            raise EngineRefusal(
                f"this vLLM does not show its logits in process, so it scores at temperature 1 only, "
                f"not at {temperature:g}"
            )

        def cooled(*arguments: object, **options: object) -> Tensor | None:
            logits = compute(*arguments, **options)
            return None if logits is None else logits.float() / temperature

        runner.compute_logits = cooled

    def end_tokens(self) -> Sequence[int]:
        """Return the tokens that end an answer: the tokenizer's own, and those of the model's settings."""
        config = self.llm.llm_engine.vllm_config.model_config.try_get_generation_config()
        found = config.get("eos_token_id")
        listed = found if isinstance(found, list) else [found]
        known = (self.tokenizer.eos_token_id, *listed)
        return list(dict.fromkeys(token for token in known if isinstance(token, int)))

    def text_of(self, answer: Sequence[int]) -> str | None:
        """Return tokens as text, special ones left out."""
        return str(self.tokenizer.decode(list(answer), skip_special_tokens=True))

    def readings(self, answer: Sequence[int]) -> Sequence[str]:
        """Return tokens as text, in all known ways."""
        return readings(self.tokenizer, answer)

    def room(self, request: Request) -> int | None:
        """Return what the context leaves behind a prompt, and vLLM's own token."""
        limit = self.llm.llm_engine.vllm_config.model_config.max_model_len
        return int(limit) - 1 - len(self._render(request))

    def force(self, requests: Iterable[ScoreRequest]) -> Iterator[TokenScores | None]:
        """Keep the engine's queue full and yield scores as they finish."""
        engine = self.llm.llm_engine
        window = max(64, 2 * engine.vllm_config.scheduler_config.max_num_seqs)
        waiting = iter(requests)
        running: dict[str, ScoreRequest] = {}
        exhausted, number = False, 0
        while running or not exhausted:
            while not exhausted and len(running) < window:
                request = next(waiting, None)
                if request is None:
                    exhausted = True
                    break
                running[str(number)] = request
                self._ask(str(number), request)
                number += 1
            finished = False
            for output in engine.step() if running else ():
                if output.finished:
                    finished = True
                    yield self._scores(running.pop(output.request_id), output)
            if not finished:
                yield None

    def _ask(self, number: str, request: ScoreRequest) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        parameters = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            prompt_logprobs=self.top,
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        limit = self.llm.llm_engine.vllm_config.model_config.max_model_len
        # Room for the one token that vLLM must generate: the last token of a full context goes unscored.
        ids = [*self._render(request.request), *request.answer][: limit - 1]
        self.llm.llm_engine.add_request(number, {"prompt_token_ids": ids}, parameters)

    def _scores(self, request: ScoreRequest, output: RequestOutput) -> TokenScores:
        prompt = self._render(request.request)
        first = len(prompt) + request.first
        flat = output.prompt_logprobs
        starts = np.asarray(flat.start_indices[first:], dtype=np.int64)
        rows = starts[:, None] + np.arange(self.top + 1)
        scores = np.asarray(flat.logprobs, dtype=np.float32)[rows]
        tokens = np.asarray(flat.token_ids, dtype=np.int32)[rows]
        found = TokenScores(
            request=request,
            prompt_digest=prompt_digest(prompt),
            given=scores[:, 0],
            top_tokens=tokens[:, 1:],
            top_scores=scores[:, 1:],
        )
        rules = ScoreRules.of(with_own(self.settings, request.request.own), self.end_tokens(), self._spell)
        return found if rules is None else listed_under_rules(found, rules, prompt)

    def _spell(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))
