"""Random transformers, and files of prompts, small enough for a unit test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tais.lab.leak.attack import Attack, Recovery
from tais.lab.leak.defence import Defence
from tais.lab.leak.model import LeakModel
from tais.lab.packages import torch, transformers

__all__ = ["attack_prompt", "random_model", "random_prompts", "share_read"]

# Weights large enough that a random model tells tokens apart, as a trained one does.
_SPREAD = 0.2


def random_model(
    family: str = "llama", vocabulary: int = 60, layers: int = 2, seed: int = 0, **more: Any
) -> LeakModel:
    torch.manual_seed(seed)
    ends = {"bos_token_id": 0, "eos_token_id": 1, "initializer_range": _SPREAD, "vocab_size": vocabulary}
    if family == "gpt2":
        config = transformers.GPT2Config(n_embd=32, n_layer=layers, n_head=4, n_positions=64, **ends, **more)
    else:
        config = transformers.LlamaConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            **ends,
            **more,
        )
    return LeakModel(transformers.AutoModelForCausalLM.from_config(config), f"random {family}")


def random_prompts(model: LeakModel, count: int, length: int, seed: int = 1) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, model.vocabulary, (count, length), generator=generator)
    found: list[list[int]] = drawn.tolist()
    return found


def attack_prompt(
    model: LeakModel,
    tokens: Sequence[int],
    layer: int,
    defence: Defence,
    *,
    threshold: float = 1e-2,
    seed: int = 3,
    **more: Any,
) -> Recovery:
    states = model.states(tokens, [layer])[layer]
    received = defence.apply(states, torch.Generator().manual_seed(seed))
    return Attack(model, layer, defence, threshold, **more).recover(received)


def share_read(found: Sequence[Recovery], prompts: Sequence[Sequence[int]]) -> float:
    pairs = [
        pair for r, tokens in zip(found, prompts, strict=True) for pair in zip(r.tokens, tokens, strict=True)
    ]
    return sum(a == b for a, b in pairs) / len(pairs)
