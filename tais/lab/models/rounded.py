"""A kept model whose weights were rounded as a quantisation rounds them, and written back as plain numbers.

No integer kernel runs: what a screen of it shows is what rounding does to the model, on any engine and in
any dtype. ``tais draft quantise`` packs weights for the kernels.
"""

from __future__ import annotations

from pydantic import JsonValue

from tais.errors import UsageError
from tais.lab.drafts.gptq import round_to_nearest
from tais.lab.drafts.models import load_model, load_tokenizer, save
from tais.lab.models.kept import check_name, find_kept, keep, kept_models
from tais.lab.packages import torch
from tais.plan.model_files import digest_model

__all__ = ["make_rounded", "rounded_name"]


def rounded_name(name: str, bits: int) -> str:
    """Return what a rounded model is called."""
    return f"{check_name(name)}-rounded{bits}"


def make_rounded(name: str, bits: int, group: int) -> bool:
    """Keep a kept model with its linear layers rounded, unless it is there; return whether it was made.

    Parameters
    ----------
    name
        Of the model.
    bits
        Of each weight of a linear layer inside the blocks: symmetric, to the nearest number.
    group
        Inputs that share a scale.

    Raises
    ------
    UsageError
        For a model that is not there, or whose layers the group does not divide.
    """
    base = find_kept(name).folder
    content: dict[str, JsonValue] = {
        "base": base.name,
        "base_files": dict(digest_model(base, name)),
        "rounding": {"bits": bits, "group": group, "method": "rtn", "written_as": "float32"},
    }
    made = rounded_name(name, bits)
    for kept in kept_models():
        if kept.name == made and all(kept.card.get(key) == value for key, value in content.items()):
            return False
    model, tokenizer = load_model(str(base), dtype=torch.float32), load_tokenizer(str(base))
    head = model.get_output_embeddings()
    with keep(made, "rounded", content) as folder, torch.no_grad():
        for path, module in model.named_modules():
            if not isinstance(module, torch.nn.Linear) or module is head:
                continue
            if module.in_features % group:
                what = f"{path} has {module.in_features} inputs, which {group} does not divide"
                raise UsageError(what, remedy="Say another --group")
            module.weight.data = round_to_nearest(module.weight.data, bits, group, torch.float32).values
        save(model, tokenizer, folder)
    return True
