"""Tiny random models in float64."""

from __future__ import annotations

from typing import Any

import torch


def tiny_llama(vocabulary: int, seed: int, layers: int = 2) -> Any:
    """A Llama of two layers with grouped heads, wide enough in its weights to have opinions."""
    from tais.lab.reference.engine import preload

    preload([])
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.6,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    config._attn_implementation = "sdpa"
    generator_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config).to(torch.float64).eval()
    torch.random.set_rng_state(generator_state)
    return model
