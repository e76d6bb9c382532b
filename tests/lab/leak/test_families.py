"""Architectures that place norms, positions, windows and experts each in their own way."""

from __future__ import annotations

import pytest

from tais.errors import UsageError
from tais.lab.leak.attack import Attack
from tais.lab.leak.defence import Defence, Permutation
from tais.lab.leak.model import LeakModel
from tais.lab.packages import torch, transformers

# Importing transformers alone takes longer than a unit test may; CI runs the file all the same.
pytestmark = pytest.mark.slow

_SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "initializer_range": 0.2,
    "init_std": 0.2,
}
_DENSE = {"intermediate_size": 64, "num_key_value_heads": 2}
_FAMILIES = {
    # A window of 4 tokens: the prefix is longer.
    "Gemma2Config": _DENSE | {"head_dim": 8, "sliding_window": 4},
    "MistralConfig": _DENSE | {"sliding_window": 4},
    "Qwen3Config": _DENSE | {"head_dim": 8},
    "MixtralConfig": _DENSE | {"num_local_experts": 2},
    "GPTNeoXConfig": {"intermediate_size": 64},
    "OPTConfig": {"ffn_dim": 64, "word_embed_proj_dim": 32},
}


@pytest.mark.parametrize("family", _FAMILIES)
def test_prompts_longer_than_a_window_are_read(family: str) -> None:
    torch.manual_seed(0)
    config = getattr(transformers, family)(**_SIZES, **_FAMILIES[family])
    model = LeakModel(transformers.AutoModelForCausalLM.from_config(config), family)
    tokens = torch.randint(0, 60, (10,)).tolist()
    defence = Defence(Permutation.both)
    for layer in (1, 3):
        states = model.states(tokens, [layer])[layer]
        received = defence.apply(states, torch.Generator().manual_seed(1))
        found = Attack(model, layer, defence, 1e-2, model).recover(received)
        assert list(found.tokens) == tokens
        assert found.unmatched == 0


def test_recurrent_layers_have_no_prefix_to_share() -> None:
    config = transformers.MambaConfig(vocab_size=60, hidden_size=32, num_hidden_layers=2)
    model = LeakModel(transformers.AutoModelForCausalLM.from_config(config), "mamba")
    states = model.states([3, 4, 5], [1])[1]
    with pytest.raises(UsageError, match="keeps no keys and values"):
        Attack(model, 1).recover(states)


def test_an_encoder_decoder_is_refused() -> None:
    config = transformers.T5Config(vocab_size=60, d_model=32, d_ff=64, d_kv=8, num_layers=1, num_heads=4)
    with pytest.raises(UsageError, match="encoder-decoder"):
        LeakModel(transformers.AutoModelForSeq2SeqLM.from_config(config), "t5")
