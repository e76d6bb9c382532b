"""Teacher forcing through a server: log-probabilities of prompt tokens through ``/v1/completions``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tais.engines.base import EngineRefusal, ServerFailure
from tais.engines.openai.answers import Row, read_echo, read_prompt_scores
from tais.engines.openai.engine import OpenaiEngine
from tais.engines.prompts import prompt_digest
from tais.engines.score_rules import ScoreRules, listed_under_rules
from tais.engines.tokenizer import readings
from tais.manifest.model import Arm
from tais.manifest.sampling import NEUTRAL, Sampling, with_own
from tais.records import Request, ScoreRequest, TokenScores

__all__ = ["OpenaiTeacher"]

# As of :mod:`tais.engines.vllm.teacher_forcing`: rows times vocabulary that one step of a server may score.
N = TypeVar("N", int, float)
T = TypeVar("T", bound=np.generic)
_SCORES_PER_STEP = 1 << 26
_CHUNK = (256, 8192)
# What rounding may put above 0.
_ABOVE = 1e-3


class OpenaiTeacher(OpenaiEngine):
    """A client that asks for nothing but scores.

    At temperature 0 a score is the raw logit where the server gives logits (a vLLM server that TAIS starts
    does), else the log-probability: margins, which are differences, are the same.
    """

    def start_forcing(
        self, arm: Arm, temperature: float, top: int, sampling: Sampling = NEUTRAL
    ) -> dict[str, object]:
        """Reach the server; see :class:`tais.engines.base.Teacher`."""
        self.settings = sampling
        if temperature not in (0.0, 1.0):
            raise EngineRefusal(
                "a server tells log-probabilities at temperature 1 alone, and without the whole vocabulary "
                f"they have no normaliser at {temperature:g}. Audit with a reference on engine vllm or "
                "transformers"
            )
        self.top = top
        plain = arm.model_copy(update={"speculative_config": None})
        resolved = self.connect(plain, self._served(plain, temperature))
        if arm.attached and (arm.speculative_config or isinstance(resolved["speculative_config"], dict)):
            self.close()
            raise EngineRefusal(
                "this server speculates, and a drafter may overwrite what is scored. Audit with an arm whose "
                "server does not"
            )
        told = resolved.get("model_config")
        mode = told.get("logprobs_mode") if isinstance(told, dict) else None
        if temperature > 0 and mode is not None and not str(mode).endswith("logprobs"):
            self.close()
            raise EngineRefusal(
                f"the server gives {mode} and a law needs log-probabilities. Start it without"
            )
        self.how = self.options.score_with or ("prompt_logprobs" if self.is_vllm else "echo")
        # A law needs probabilities; for margins any score will do.
        self.lawful = temperature > 0
        self.gives_logits = str(mode).endswith("logits")
        return {**resolved, "scores": "logits" if str(mode).endswith("logits") else "logprobs"}

    def _served(self, arm: Arm, temperature: float) -> dict[str, object]:
        """Return what a server of the arm's own is told, as the engine in process is."""
        serve = arm.engine_args.get("serve")
        if not isinstance(serve, dict):
            return {}
        from tais.engines.tokenizer import vocabulary_size

        vocabulary = vocabulary_size(arm.model_copy(update={"engine_args": serve}))
        self.top = min(self.top, vocabulary)
        chunk = min(max(_SCORES_PER_STEP // vocabulary, _CHUNK[0]), _CHUNK[1])
        return {
            "logprobs_mode": "raw_logits" if temperature == 0 else "raw_logprobs",
            "max_logprobs": self.top,
            "enable_chunked_prefill": True,
            "enable_prefix_caching": False,
            "max_num_batched_tokens": max(chunk, int(serve.get("max_num_seqs", 0))),
        }

    def end_tokens(self) -> Sequence[int]:
        """Return the end token of the arm's tokenizer; none without one, as a server does not tell it."""
        if self.renderer is None or self.renderer.tokenizer.eos_token_id is None:
            return ()
        return (int(self.renderer.tokenizer.eos_token_id),)

    def text_of(self, answer: Sequence[int]) -> str | None:
        """Return tokens as text, where the arm names a tokenizer."""
        if self.renderer is None:
            return None
        return str(self.renderer.tokenizer.decode(list(answer), skip_special_tokens=True))

    def readings(self, answer: Sequence[int]) -> Sequence[str]:
        """Return tokens as text in all known ways, where the arm names a tokenizer."""
        return () if self.renderer is None else readings(self.renderer.tokenizer, answer)

    def room(self, request: Request) -> int | None:
        """Return what the context leaves behind a prompt, and the server's own token."""
        if self.limit is None:
            return None
        ids = self._run(self.prompt_ids(request))
        return None if ids is None else self.limit - 1 - len(ids)

    def force(self, requests: Iterable[ScoreRequest]) -> Iterator[TokenScores | None]:
        """Keep as many requests under way as the arm says, and yield scores as they finish."""
        yield from self.drive(requests, self._score, idle=True)

    async def _score(self, request: ScoreRequest) -> TokenScores:
        prompt = await self.prompt_ids(request.request)
        if prompt is None:
            raise EngineRefusal(
                "to score tokens, the prompt's token ids are needed, and this server does not tell them. "
                "Name the model's tokenizer on the arm"
            )
        # Room for the one token that a server must generate, as the in-process engine leaves it.
        ids = [*prompt, *request.answer][: self.limit - 1 if self.limit is not None else None]
        first = len(prompt) + request.first
        rows = await self._rows(ids, first) if first < len(ids) else []
        return self._told(request, prompt, rows)

    async def _rows(self, ids: Sequence[int], first: int) -> list[Row]:
        body: dict[str, object] = {
            "model": self.arm.model,
            "prompt": list(ids),
            "temperature": 0,
            "max_tokens": 1,
            **self.options.extra_body,
        }
        if self.how == "prompt_logprobs":
            body["prompt_logprobs"] = self.top
        else:
            body |= {"echo": True, "logprobs": self.top}
            if self.wants_ids:
                body["return_tokens_as_token_ids"] = True

        def read(value: object) -> list[Row]:
            if self.how == "prompt_logprobs":
                return read_prompt_scores(value, ids, first)
            return read_echo(value, ids, first, self._id_of)

        try:
            rows, _ = await self.client.post("/v1/completions", body, read)
        except ServerFailure as error:
            if "scores no prompt tokens" not in str(error):
                raise
            what = f"the server returns no scores of prompt tokens ({self.how})"
            raise EngineRefusal(f"{what}. Audit with a reference on engine vllm or transformers") from error
        return rows

    def _id_of(self, text: str) -> int | None:
        """Return the id of a token by its text, where a tokenizer is at hand and takes it for one token."""
        if self.renderer is None:
            return None
        ids = self.renderer.tokenizer.encode(text, add_special_tokens=False)
        return int(ids[0]) if len(ids) == 1 else None

    def _told(self, request: ScoreRequest, prompt: Sequence[int], rows: Sequence[Row]) -> TokenScores:
        # A server that merges tokens of equal text lists fewer than asked.
        k = min([self.top, *(len(best) for _, best in rows)])
        if self.lawful and any(best[0][1] > _ABOVE for _, best in rows):
            raise EngineRefusal("the server's log-probabilities lie above 0, so they are none")
        found = TokenScores(
            request=request,
            prompt_digest=prompt_digest(prompt),
            given=np.asarray([given for given, _ in rows], dtype=np.float32),
            top_tokens=_table([[token for token, _ in best[:k]] for _, best in rows], k, np.int32),
            top_scores=_table([[score for _, score in best[:k]] for _, best in rows], k, np.float32),
        )
        rules = self._rules(request.request)
        return found if rules is None else listed_under_rules(found, rules, prompt)

    def _rules(self, request: Request) -> ScoreRules | None:
        settings = with_own(self.settings, request.own)
        if not settings.shaping:
            return None
        spelled = [key for key in ("min_tokens", "bad_words") if key in settings.shaping]
        if self.renderer is None and spelled:
            raise EngineRefusal(f"audit: {spelled[0]} needs the arm's tokenizer. Name it on the arm")
        if settings.repetition_penalty != 1 and not self.gives_logits:
            raise EngineRefusal(
                "audit: a server that gives log-probabilities, no logits, does not know repetition_penalty. "
                "Audit with a reference on engine vllm or transformers"
            )
        return ScoreRules(settings, self.end_tokens(), self._spell)

    def _spell(self, text: str) -> list[int]:
        assert self.renderer is not None
        return list(self.renderer.tokenizer.encode(text, add_special_tokens=False))


def _table(rows: list[list[N]], width: int, dtype: type[T]) -> NDArray[T]:
    return np.asarray(rows, dtype=dtype).reshape(len(rows), width)
