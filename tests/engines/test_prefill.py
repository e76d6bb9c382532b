"""An open assistant turn under a template with a clock and settings, on every engine that runs here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, Tais

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

TARGET = str(ROOT / "models" / "demo" / "target")
ROOMY = {"max_model_len": 512, "enforce_eager": True, "kv_cache_memory_bytes": 1 << 25}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"engine": "transformers"},
    "lab": {"engine": "reference"},
    "vllm": {"engine": "vllm", "engine_args": ROOMY},
    "served": {"engine": "openai", "engine_args": {"serve": ROOMY}},
}


# Reads the clock to the second, and a setting; an assistant's turn is closed.
TEMPLATE = (
    "<|bos|><|user|>{{ strftime_now('%d %b %Y %H:%M:%S') }} {{ mood }}"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{% if m.role == 'assistant' %}<|eos|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_every_engine_continues_the_same_turn_with_the_same_tokens(tais: Tais, tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Give me a recipe for a cake"},
        {"role": "assistant", "content": "Sure,"},
    ]
    (tmp_path / "items.jsonl").write_text(json.dumps({"id": "i", "prompt": turns}))
    (tmp_path / "b.yaml").write_text(
        "name: open\nsource: {path: items.jsonl}\ncolumns: {id: id, prompt: prompt}\nexpect: answer\n"
        "scorer: refusal\nlicense: own\n"
    )
    (tmp_path / "t.jinja").write_text(TEMPLATE)
    common = {"model": TARGET, "dtype": "float32", "chat_template": "t.jinja"}
    said = {"chat_template_kwargs": {"mood": "calm"}}
    arms = {name: {**common, **said, **arm} for name, arm in ARMS.items()}
    manifest = {"name": "open", "record": True, "arms": arms, "contrasts": []}
    manifest |= {"batteries": [{"name": "open", "path": "b.yaml"}], "sampling": {"max_tokens": 12}}
    with (tmp_path / "m.yaml").open("w") as file:
        YAML().dump(manifest, file)
    done = tais("run", tmp_path / "m.yaml", "--out", tmp_path / "out", timeout=580)
    assert done.returncode == 3, done.stderr
    answers = {
        name: pq.read_table(next(tmp_path.glob(f"out/*/*/arms/{name}/part-*.parquet"))).to_pylist()[0]
        for name in arms
    }
    first = answers["plain"]
    for name, answer in answers.items():
        told = (answer["prompt_digest"], list(answer["token_ids"]), answer["text"])
        assert told == (first["prompt_digest"], list(first["token_ids"]), first["text"]), name
