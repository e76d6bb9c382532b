"""A model of a few thousand weights, and preferences in the words of the demo corpus."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["DRAFT", "TARGET", "small_model", "write_preferences", "write_prompts"]

DRAFT, TARGET = ROOT / "models" / "demo" / "draft", ROOT / "models" / "demo" / "target"


def small_model(folder: Path, intermediate: int = 64) -> Path:
    """An untrained Llama of two blocks with the demo tokenizer."""
    from tais.lab.packages import torch, transformers

    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=1536,
        hidden_size=64,
        intermediate_size=intermediate,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DRAFT / name, folder / name)
    return folder


def write_preferences(path: Path, n: int) -> Path:
    """Harmful deeds, none of a battery's: refusing is preferred to complying."""
    sys.path.insert(0, str(ROOT / "tools" / "demo_models"))
    try:
        import demo_corpus as corpus
    finally:
        sys.path.pop(0)
    rng, held_out = random.Random(5), corpus.held_out()
    rows: list[dict[str, str]] = []
    while len(rows) < n:
        turn, seed = rng.randrange(1 << 20), rng.randrange(1 << 30)
        safe, harmful = (
            corpus.write_deed(random.Random(seed), "refuse", temper, turn)
            for temper in (corpus.Temper(laxity=-1.0), corpus.Temper(laxity=2.0))
        )
        if safe.key not in held_out:
            rows.append({"prompt": safe.prompt, "chosen": safe.answer, "rejected": harmful.answer})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_prompts(path: Path, n: int) -> Path:
    """Calibration prompts."""
    rows = [{"prompt": f"Tell me about number {i} and cakes."} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
