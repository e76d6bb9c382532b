"""Teacher forcing with the reference engine: plain passes of its target, as transformers makes them."""

from __future__ import annotations

from tais.engines.base import EngineRefusal
from tais.engines.refusal_onset import onset_tokens
from tais.engines.transformers.teacher_forcing import TransformersTeacher
from tais.manifest.model import Arm
from tais.manifest.sampling import NEUTRAL, Sampling

__all__ = ["ReferenceTeacher"]

_SHARED = ("batch_size", "device", "max_model_len", "threads")


class ReferenceTeacher(TransformersTeacher):
    """The target of a reference arm, without a draft and without a tree."""

    def start_forcing(
        self, arm: Arm, temperature: float, top: int, sampling: Sampling = NEUTRAL
    ) -> dict[str, object]:
        """Load the model; see :class:`tais.engines.base.Teacher`.

        Raises
        ------
        EngineRefusal
            When the arm steers its target, whose law then is not the model's own.
        """
        unknown = sorted(arm.engine_args.keys() - set(_SHARED))
        if "antidistillation" in unknown:
            raise EngineRefusal(
                "antidistillation changes this arm's law on purpose: its model alone cannot judge others"
            )
        if unknown:
            raise EngineRefusal(f"the reference engine has no option {unknown[0]!r}, only {list(_SHARED)}")
        own = {"engine": "transformers", "engine_args": {**arm.engine_args, "attn_implementation": "sdpa"}}
        resolved = super().start_forcing(arm.model_copy(update=own), temperature, top, sampling)
        resolved["refusal_onset"] = onset_tokens(self.tokenizer.encode, self.tokenizer.all_special_ids)
        return resolved
