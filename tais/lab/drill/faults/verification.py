"""Faults in the rule that verifies drafts."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from tais.lab.drill.faults.base import Check, Fault, Function, Parameter, bound

if TYPE_CHECKING:
    import torch
    from vllm.v1.sample.metadata import SamplingMetadata

__all__ = [
    "AcceptAll",
    "AcceptSome",
    "BonusOffByOne",
    "Fly",
    "MinTokensMiscounted",
    "StaleTemperature",
    "Typical",
]

_SEEN: tuple[Check, ...] = ("identity", "audit")
_ALL: tuple[Check, ...] = ("identity", "audit", "endpoint", "treatment")


class _Rule(Fault):
    """Another rule in the place of rejection sampling; a token that is refused gives way to the target's own.

    At a temperature above 0 the target's own token is a draw from its law at that position, and a draft is
    the target's own where both are the same token: lossless for a draft that is one token.
    """

    hook = "vllm.v1.sample.rejection_sampler:rejection_sample"
    arguments = (
        "draft_token_ids", "num_draft_tokens", "max_spec_len", "target_logits", "bonus_token_ids",
        "sampling_metadata",
    )  # fmt: skip
    effect = "tokens"

    def accepts(self, token: int, logits: torch.Tensor) -> bool:
        """Return whether a token is let through that is not the target's own; logits have shape (vocab,)."""
        raise NotImplementedError

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            import torch  # heavy

            call = bound(original, args, kwargs)
            counts, logits = call["num_draft_tokens"], call["target_logits"]
            shape = len(counts), call["max_spec_len"] + 1
            output = torch.full(shape, -1, dtype=torch.int32, device=logits.device)
            own = _own_tokens(logits, call["sampling_metadata"]).tolist()
            drafted, bonus = call["draft_token_ids"].tolist(), call["bonus_token_ids"]
            first = 0
            for row, count in enumerate(counts):
                found = list(self._row(drafted, own, logits, first, count))
                output[row, : len(found)] = torch.tensor(found, dtype=torch.int32)
                if len(found) == count and found == drafted[first : first + count]:
                    output[row, count] = bonus[row, 0]
                first += count
            return output

        return faulty

    def _row(
        self, drafted: list[int], own: list[int], logits: torch.Tensor, first: int, count: int
    ) -> Iterator[int]:
        for position in range(first, first + count):
            token = drafted[position]
            if token != own[position]:
                if not self.accepts(token, logits[position]):
                    yield own[position]
                    return
                self.act()
            yield token


def _own_tokens(logits: torch.Tensor, metadata: SamplingMetadata) -> torch.Tensor:
    if metadata.all_greedy:
        return logits.argmax(dim=-1)
    # vLLM 0.32 on the CPU divides by a temperature that nothing was written to, zero among others.
    finite = logits.float().nan_to_num(nan=-1e30, posinf=1e30, neginf=-1e30)
    return finite.softmax(dim=-1).multinomial(1).squeeze(-1)


class AcceptAll(_Rule):
    """Every draft token is accepted.

    Stands for a verification that is skipped: logits of another step compared, a mask of the wrong sign, or a
    benchmark switch (``rejection_sample_method: synthetic``, SGLang's SIMULATE_ACC_LEN) left on.
    Hooks ``vllm.v1.sample.rejection_sampler.rejection_sample``.
    """

    name = "accept_all"
    severity = "gross"
    checks = _ALL

    def accepts(self, token: int, logits: torch.Tensor) -> bool:
        """Return True."""
        return True


class AcceptSome(_Rule):
    """A draft token that should be rejected is accepted with a probability.

    Stands for a relaxed acceptance: a threshold below 1, a synthetic acceptance rate, a race that
    reads an old acceptance mask now and then. Hooks ``vllm.v1.sample.rejection_sampler.rejection_sample``.
    """

    name = "accept_some"
    severity = "slight"
    checks = _SEEN
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "probability": Parameter(0.3, 0.0, 1.0),
        "seed": Parameter(1, 0, 2**31),
    }

    def __init__(self, values: Mapping[str, float | int | str] | None = None) -> None:
        super().__init__(values)
        self._random = random.Random(self.values["seed"])

    def accepts(self, token: int, logits: torch.Tensor) -> bool:
        """Return True with the probability."""
        return self._random.random() < float(self.values["probability"])


class Typical(_Rule):
    """Typical acceptance: p(x) > min(eps, delta exp(-H(p))), on the softmax of the raw logits.

    Stands for a lossy rule that is switched on, or kept on, where lossless decoding was asked for: the
    published study asked for it and its engine ignored it. Hooks
    ``vllm.v1.sample.rejection_sampler.rejection_sample``. Rule and defaults: Cai et al. 2024 (Medusa).
    """

    name = "typical"
    severity = "gross"
    checks = _ALL
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "epsilon": Parameter(0.09, 0.0, 1.0),
        "delta": Parameter(0.3, 0.0, 1.0),
    }

    def accepts(self, token: int, logits: torch.Tensor) -> bool:
        """Return whether a token is typical enough."""
        law = logits.float().softmax(dim=-1)
        entropy = -(law * law.clamp_min(1e-30).log()).sum()
        limit = min(self.values["epsilon"], self.values["delta"] * float((-entropy).exp()))
        return bool(law[token] > limit)


class Fly(_Rule):
    """A refused token passes where the target is unsure of it and the `window` drafts behind it all fit.

    Stands for a rule that is lossy at temperature 0 too (``rejection_sample_method: fly`` of vLLM 0.33, arXiv
    2511.22972) and is switched on where lossless decoding was asked for. Unsure is an entropy of at least
    `threshold` nats over the three likeliest tokens of the raw law. Hooks
    ``vllm.v1.sample.rejection_sampler.rejection_sample``.
    """

    name = "fly"
    severity = "slight"
    checks = _SEEN
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "window": Parameter(2, 1, 64),
        "threshold": Parameter(0.3, 0.0, 100.0),
    }
    _likeliest: ClassVar[int] = 3

    def accepts(self, token: int, logits: torch.Tensor) -> bool:
        """Return whether the target is unsure; what is behind the token was looked at before."""
        law = logits.float().softmax(dim=-1).topk(min(self._likeliest, logits.shape[-1])).values
        return float(-(law * law.clamp_min(1e-30).log()).sum()) >= float(self.values["threshold"])

    def _row(
        self, drafted: list[int], own: list[int], logits: torch.Tensor, first: int, count: int
    ) -> Iterator[int]:
        window = int(self.values["window"])
        for position in range(first, first + count):
            token = drafted[position]
            if token != own[position]:
                behind = range(position + 1, position + 1 + window)
                fits = behind.stop <= first + count and all(drafted[at] == own[at] for at in behind)
                if not (fits and self.accepts(token, logits[position])):
                    yield own[position]
                    return
                self.act()
            yield token


class BonusOffByOne(Fault):
    """The bonus token after full acceptance is read one position too early.

    Stands for an index that counts drafts where it should count drafts and one: the target's choice for the
    last draft's place is given once more. Hooks
    ``vllm.v1.sample.rejection_sampler.RejectionSampler.forward`` and moves ``bonus_logits_indices``.
    """

    name = "bonus_off_by_one"
    severity = "gross"
    checks = ("identity", "audit", "endpoint")
    hook = "vllm.v1.sample.rejection_sampler:RejectionSampler.forward"
    arguments = ("metadata",)
    effect = "tokens"

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            call = bound(original, args, kwargs)
            metadata = call["metadata"]
            drafted = metadata.bonus_logits_indices.new_tensor(metadata.num_draft_tokens) > 0
            moved = metadata.bonus_logits_indices - drafted.to(metadata.bonus_logits_indices.dtype)
            call["metadata"] = dataclasses.replace(metadata, bonus_logits_indices=moved)
            output = original(**call)
            # Only where every draft was accepted is the bonus token given.
            full = (output.sampled_token_ids >= 0).sum(dim=1).tolist()
            counts = metadata.num_draft_tokens
            self.act(sum(n == count + 1 for n, count in zip(full, counts, strict=True) if count))
            return output

        return faulty


class StaleTemperature(Fault):
    """Where a request of the batch draws, drafts are verified at the temperature that lay in memory.

    Stands for vLLM 0.21 to 0.32 on a CPU, whose temperatures of drafted tokens are allocated and never
    written (issue 55005). Divided by 0, scores are no numbers: greedy requests in the batch suffer. Hooks
    ``vllm.v1.sample.rejection_sampler.apply_sampling_constraints``.
    """

    name = "stale_temperature"
    severity = "gross"
    checks = ("identity", "audit", "endpoint")
    hook = "vllm.v1.sample.rejection_sampler:apply_sampling_constraints"
    arguments = ("logits", "sampling_metadata")
    effect = "tokens"
    needs_draws = True
    parameters: ClassVar[Mapping[str, Parameter]] = {"temperature": Parameter(0.0, 0.0, 100.0)}

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            call = bound(original, args, kwargs)
            logits, metadata = call["logits"], call["sampling_metadata"]
            if metadata.all_greedy:
                return original(*args, **kwargs)
            self.act(len(logits))
            return logits / float(self.values["temperature"])

        return faulty


class MinTokensMiscounted(Fault):
    """Drafted tokens are verified as if an answer might end already, or as if it might not end yet.

    Stands for ``min_tokens`` that one path through the sampler does not know, as vLLM's verification of
    drafts did not before its pull request 32642 (`forgotten`), or that counts the tokens before a step and
    not the drafts in it, as vLLM 0.32 does behind accepted drafts (`late`; the museum's exhibit
    `end-after-min-tokens`). Hooks ``MinTokensLogitsProcessor.apply_with_spec_decode``.
    """

    name = "min_tokens_miscounted"
    severity = "slight"
    checks = _SEEN
    hook = "vllm.v1.sample.logits_processor.builtin:MinTokensLogitsProcessor.apply_with_spec_decode"
    arguments = ("logits", "num_draft_tokens")
    effect = "tokens"
    needs_min_tokens = True
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "how": Parameter("forgotten", choices=("forgotten", "late"))
    }

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            call = bound(original, args, kwargs)
            processor, wrong = call["self"], call["logits"].clone()
            right = original(*args, **kwargs)
            if self.values["how"] == "late" and processor.min_toks:
                known = processor.min_toks
                drafts = max(call["num_draft_tokens"])
                processor.min_toks = {
                    row: (least + drafts, *others) for row, (least, *others) in known.items()
                }
                try:
                    wrong = original(**{**call, "logits": wrong})
                finally:
                    processor.min_toks = known
            self.act(int((wrong.argmax(dim=-1) != right.argmax(dim=-1)).sum()))
            return wrong

        return faulty
