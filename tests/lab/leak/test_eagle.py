"""Capture points of drafts. Configurations in the shapes that published checkpoints have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tais.errors import UsageError
from tais.lab.leak.eagle import capture_points, read_config

EAGLE3 = {"architectures": ["LlamaForCausalLMEagle3"], "draft_vocab_size": 32000}
IDS = "eagle_aux_hidden_state_layer_ids"


@pytest.mark.parametrize(
    ("config", "depth", "method", "layers"),
    [
        # vLLM 0.32: (2, n // 2, n - 3) where the draft's configuration names none.
        (EAGLE3, 32, "eagle3", (2, 16, 29)),
        (EAGLE3, 5, "eagle3", (2,)),
        ({**EAGLE3, IDS: [1, 8, 20]}, 32, "eagle3", (1, 8, 20)),
        ({**EAGLE3, "eagle_config": {IDS: [20, 3, 3]}}, 32, "eagle3", (3, 20)),
        ({**EAGLE3, "eagle_config": {"use_aux_hidden_state": False}}, 32, "eagle3", (32,)),
        ({"speculators_model_type": "eagle3", IDS: [2, 4, 6]}, 8, "eagle3", (2, 4, 6)),
        ({"architectures": ["EagleLlamaForCausalLM"], "model_type": "llama"}, 32, "eagle", (32,)),
        ({"model_type": "eagle"}, 28, "eagle", (28,)),
        ({"architectures": ["DFlashDraftModel"], "dflash_config": {"target_layer_ids": [0, 9]}}, 20,
         "dflash", (1, 10)),
    ],
)  # fmt: skip
def test_layers_are_those_that_vllm_hands_over(
    config: dict[str, Any], depth: int, method: str, layers: tuple[int, ...]
) -> None:
    found = capture_points(config, depth)
    assert (found.method, found.layers) == (method, layers)
    assert found.source


def test_a_draft_model_of_its_own_reads_tokens() -> None:
    with pytest.raises(UsageError, match=r"reads no hidden states.*host reads the prompt"):
        capture_points({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}, 32)


def test_layers_beyond_the_target_are_another_targets() -> None:
    with pytest.raises(UsageError, match=r"5 blocks.*made for"):
        capture_points({**EAGLE3, IDS: [2, 16, 29]}, 5)


def test_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no configuration"):
        read_config(str(tmp_path))
    for broken in ("{", "[1]"):
        (tmp_path / "config.json").write_text(broken)
        with pytest.raises(UsageError, match="JSON"):
            read_config(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(EAGLE3))
    assert read_config(str(tmp_path)) == read_config(str(tmp_path / "config.json")) == EAGLE3
