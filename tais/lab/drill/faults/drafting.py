"""Faults in the draft: verification must keep them out of greedy answers; fewer drafts are accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tais.lab.drill.faults.base import Check, Fault, Function, Parameter, bound

if TYPE_CHECKING:
    import torch

__all__ = ["DraftPositions", "DraftTemperature", "StaleDraftState"]

_PROPOSER = "vllm.v1.spec_decode.llm_base_proposer:SpecDecodeBaseProposer"


class _Drafting(Fault):
    """A fault of the draft model alone."""

    severity = "harmless"
    checks: ClassVar[tuple[Check, ...]] = ("treatment",)
    effect = "draft"


class StaleDraftState(_Drafting):
    """After a rejection the draft goes on from the tokens that were rejected.

    Stands for a draft whose cache is not rolled back with the target's. Hooks
    ``SpecDecodeBaseProposer.prepare_inputs_padded``, which counts the rejected tokens of each request, and
    reports none.
    """

    name = "stale_draft_state"
    hook = f"{_PROPOSER}.prepare_inputs_padded"
    arguments = ("common_attn_metadata", "spec_decode_metadata", "valid_sampled_tokens_count")

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            attention, _, rejected = original(*args, **kwargs)
            self.act(int((rejected > 0).sum()))
            return attention, attention.query_start_loc[1:] - 1, rejected.new_zeros(rejected.shape)

        return faulty


class DraftPositions(_Drafting):
    """The draft reads the index in the batch as the position in its sequence.

    Stands for position ids that are right for a single sequence and wrong in a batch, as in vLLM's padded
    drafter batch (issue 26498). Hooks ``SpecDecodeBaseProposer._get_positions``, which nothing but the
    draft's own forward passes read.
    """

    name = "draft_positions"
    hook = f"{_PROPOSER}._get_positions"
    arguments = ("num_tokens",)

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            import torch  # heavy

            positions = original(*args, **kwargs)
            # Rotary tables end at the context's length.
            limit = bound(original, args, kwargs)["self"].max_model_len
            wrong = torch.arange(positions.shape[-1], device=positions.device) % limit
            wrong = wrong.to(positions.dtype).expand_as(positions)
            self.act(int((wrong != positions).sum()))
            return wrong.contiguous()

        return faulty


class DraftTemperature(_Drafting):
    """The draft samples where it should choose its best token.

    Stands for a sampling temperature that reaches the draft and not the target, or the other way round. Hooks
    ``SpecDecodeBaseProposer._greedy_sample``.
    """

    name = "draft_temperature"
    hook = f"{_PROPOSER}._greedy_sample"
    arguments = ("hidden_states",)
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "temperature": Parameter(2.0, 0.01, 100.0),
        "seed": Parameter(1, 0, 2**31),
    }

    def wrap(self, original: Function) -> Function:
        """See the class."""
        generators: list[torch.Generator] = []

        def faulty(*args: object, **kwargs: object) -> object:
            import torch  # heavy

            call = bound(original, args, kwargs)
            best = original(*args, **kwargs)
            logits = call["self"].model.compute_logits(call["hidden_states"])
            if not generators:
                generators.append(torch.Generator(device=logits.device).manual_seed(self.values["seed"]))
            law = (logits.float() / self.values["temperature"]).softmax(dim=-1)
            drawn = law.multinomial(1, generator=generators[0]).squeeze(-1)
            self.act(int((drawn != best).sum()))
            return drawn

        return faulty
