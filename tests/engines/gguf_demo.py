"""The demo models as GGUF, for llama.cpp and its readers: its own converter comes in no package.

The layout follows GGUF's naming for the architecture ``llama``: rows of the query and key projections are
reordered per head, since llama.cpp rotates neighbouring pairs and transformers the two halves of a head.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write_gguf"]

_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_gguf(model: Path, out: Path, kind: str | None = None) -> Path:
    """Convert a Llama in safetensors to GGUF; numbers become float32, those of matrices `kind`."""
    import gguf
    from safetensors.torch import load_file

    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    writer = gguf.GGUFWriter(out, "llama")
    _describe(writer, config)
    _add_vocabulary(writer, model, config)
    for name, tensor in load_file(model / "model.safetensors").items():
        values = tensor.float().numpy()
        projection = name.split(".")[-2]
        if projection in heads:
            values = _neighbouring(values, heads[projection])
        if kind is not None and values.ndim == 2:
            coded = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(_renamed(name), gguf.quants.quantize(values, coded), raw_dtype=coded)
        else:
            writer.add_tensor(_renamed(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def _renamed(name: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_LAYER[part]}.{kind}"


def _neighbouring(values: Any, heads: int) -> Any:
    """Put the two halves of each head's rows beside each other; weights (rows, columns) or biases (rows)."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, 2, half, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _describe(writer: Any, config: dict[str, Any]) -> None:
    import gguf

    writer.add_name("tais-demo")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _add_vocabulary(writer: Any, model: Path, config: dict[str, Any]) -> None:
    import gguf

    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = [f"[unused{i}]" for i in range(config["vocab_size"])]
    kinds = [gguf.TokenType.UNUSED] * len(tokens)
    for token, number in tokenizer["model"]["vocab"].items():
        tokens[number], kinds[number] = token, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]], kinds[added["id"]] = added["content"], gguf.TokenType.CONTROL
    pairs = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    # Only texts that llama.cpp itself splits depend on it; TAIS sends token ids.
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in pairs])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)
    template = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
    if template:
        writer.add_chat_template(template)
