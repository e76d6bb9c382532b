"""Faults of the stack around decoding: another precision, another prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tais.lab.drill.faults.base import Fault, Function, Parameter, bound

if TYPE_CHECKING:
    import torch

__all__ = ["DtypeDrift", "TemplateDrift"]


class DtypeDrift(Fault):
    """Every layer's output is rounded to a coarser dtype than the arm was asked for.

    Stands for a kernel, an autocast or a cache that computes in half precision while the configuration says
    otherwise. Hooks ``vllm.v1.worker.gpu_model_runner.GPUModelRunner.initialize_kv_cache``, by which time
    the target is loaded, and rounds what its modules give, the logits included. Acts on eager models only.
    """

    name = "dtype_drift"
    severity = "slight"
    checks = ("identity", "audit")
    hook = "vllm.v1.worker.gpu_model_runner:GPUModelRunner.initialize_kv_cache"
    arguments = ("kv_cache_config",)
    effect = "tokens"
    needs_speculation = False
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "dtype": Parameter("bfloat16", choices=("bfloat16", "float16"))
    }

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            runner = bound(original, args, kwargs)["self"]
            for module in runner.model.modules():
                module.register_forward_hook(self._round)
            return original(*args, **kwargs)

        return faulty

    def _round(self, module: torch.nn.Module, inputs: object, output: object) -> object:
        import torch  # heavy

        dtype = getattr(torch, self.values["dtype"])

        def coarse(value: torch.Tensor) -> torch.Tensor:
            if not torch.is_tensor(value) or value.dtype != torch.float32:
                return value
            rounded = value.to(dtype).to(value.dtype)
            self.act(not torch.equal(rounded, value))
            return rounded

        return tuple(coarse(v) for v in output) if isinstance(output, tuple) else coarse(output)


class TemplateDrift(Fault):
    """The chat template writes another prompt than the reference's.

    Stands for a template that came with another revision of the tokenizer, or is applied by a server that
    adds to it: ``double_bos`` begins with two begin tokens, ``no_generation_prompt`` leaves out the mark that
    opens the answer. Hooks ``transformers.PreTrainedTokenizerBase.apply_chat_template``.
    """

    name = "template_drift"
    severity = "slight"
    checks = ("identity", "prompt")
    hook = "transformers.tokenization_utils_base:PreTrainedTokenizerBase.apply_chat_template"
    arguments = ("conversation", "add_generation_prompt", "tokenize")
    effect = "prompt"
    needs_speculation = False
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "change": Parameter("double_bos", choices=("double_bos", "no_generation_prompt"))
    }

    def wrap(self, original: Function) -> Function:
        """See the class."""

        def faulty(*args: object, **kwargs: object) -> object:
            self.act()
            if self.values["change"] == "no_generation_prompt":
                return original(*args, **{**kwargs, "add_generation_prompt": False})
            rendered = original(*args, **kwargs)
            if isinstance(rendered, str):
                return rendered
            ids = rendered if isinstance(rendered, list) else rendered["input_ids"]
            return [ids[0], *ids]

        return faulty
