"""A draft of a model's own blocks, and a rounded model: what is kept is what the recipe says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tais.lab.models.drafted import DraftRecipe, make_draft
from tais.lab.packages import torch, transformers
from tais.manifest.models import CARD
from tests.conftest import Tais
from tests.engines.gguf_demo import write_gguf
from tests.lab.drafts.models import small_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def kept(tmp_path: Path, tais: Tais, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kept model of two blocks."""
    pytest.importorskip("gguf")
    file = write_gguf(small_model(tmp_path / "small"), tmp_path / "small.gguf")
    done = tais("model", "convert", file, "--name", "small", TAIS_MODELS=str(tmp_path / "models"))
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("TAIS_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def card(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return found


def load(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_a_draft_that_keeps_all_blocks_is_the_model(kept: Path) -> None:
    # What all blocks give is linear in what they give: the solved head is the model's own.
    told: list[str] = []
    recipe = DraftRecipe(layers=2, prompts=24, answer=12, epochs=0, ridge=1e-6)
    assert make_draft("small", recipe, told.append)
    assert card(kept / "small-draft")["agreement"] == {"solved": 1.0}
    ids = torch.arange(40, 80)[None]
    with torch.no_grad():
        ours, theirs = (load(kept / name)(ids).logits for name in ("small-draft", "small"))
    # The draft's weights are written in bfloat16.
    assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.999
    assert not make_draft("small", recipe, told.append)


def test_training_brings_a_draft_of_fewer_blocks_nearer_to_the_model(kept: Path, tais: Tais) -> None:
    own = {"TAIS_MODELS": str(kept)}
    told: list[str] = []
    recipe = DraftRecipe(layers=1, prompts=16, answer=8, epochs=3, rate=3e-3)
    assert make_draft("small", recipe, told.append)
    errors = [float(line.rpartition(" ")[2]) for line in told if line.startswith("epoch")]
    assert len(errors) == 3
    assert errors[0] > errors[2]
    assert set(card(kept / "small-draft")["agreement"]) == {"solved", "trained"}
    config = json.loads((kept / "small-draft" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["tie_word_embeddings"]) == (1, False)

    # Another recipe makes it anew, the same one does not.
    asked = ("model", "draft", "small", "--layers", "1", "--prompts", "16", "--epochs", "0")
    assert "small-draft: made" in tais(*asked, **own).stderr
    assert "small-draft: there already" in tais(*asked, **own).stderr
    refused = tais("model", "draft", "small", "--layers", "3", **own)
    assert (refused.returncode, "has 2 blocks" in refused.stderr) == (2, True)
    assert tais("model", "draft", "none", **own).returncode == 2


def test_a_rounded_model_has_sixteen_numbers_in_a_group(kept: Path, tais: Tais) -> None:
    done = tais("model", "round", "small", "--bits", "4", TAIS_MODELS=str(kept))
    assert done.returncode == 0, done.stderr
    plain, rounded = load(kept / "small").state_dict(), load(kept / "small-rounded4").state_dict()
    changed = {name for name, tensor in plain.items() if not torch.equal(tensor, rounded[name])}
    assert changed == {name for name in plain if ".layers." in name and plain[name].ndim == 2}
    for name in changed:
        groups, before = rounded[name].reshape(-1, 32), plain[name].reshape(-1, 32)
        assert max(len(group.unique()) for group in groups) <= 16
        # Half a step, where a step is the largest magnitude over 7.5.
        steps = before.abs().amax(dim=1, keepdim=True) / 7.5
        assert ((groups - before).abs() <= 0.5 * steps + 1e-6).all()
    assert (
        tais("model", "round", "small", "--bits", "4", "--group", "48", TAIS_MODELS=str(kept)).returncode == 2
    )


@pytest.mark.engine
def test_vllm_accepts_a_draft_that_is_the_model(kept: Path, tais: Tais, tmp_path: Path) -> None:
    recipe = DraftRecipe(layers=2, prompts=24, answer=12, epochs=0, ridge=1e-6)
    assert make_draft("small", recipe, lambda line: None)
    target = {
        "engine": "vllm",
        "model": "small",
        "dtype": "float32",
        "engine_args": {"enforce_eager": True, "max_model_len": 256, "kv_cache_memory_bytes": 1 << 26},
    }
    drafted = {
        "extends": "target",
        "speculative_config": {"method": "draft_model", "model": "small-draft", "num_speculative_tokens": 2},
    }
    manifest = {
        "name": "kept",
        "arms": {"target": target, "drafted": drafted},
        "contrasts": [{"reference": "target", "candidate": "drafted"}],
        "batteries": [{"name": "demo_refuse", "limit": 24}],
        "sampling": {"temperature": 0, "max_tokens": 16, "seed": 42},
    }
    path = tmp_path / "kept.yaml"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    done = tais("run", path, "--out", tmp_path / "runs", TAIS_MODELS=str(kept))
    assert done.returncode in (0, 1, 3), done.stderr
    (report,) = (tmp_path / "runs" / "kept").glob("*/report.json")
    (contrast,) = json.loads(report.read_text(encoding="utf-8"))["contrasts"]
    assert contrast["identity"]["identical"] == 24
    treatment = contrast["treatment"]
    # The draft is the model but for weights in bfloat16.
    assert treatment["accepted_tokens"] > 0.9 * treatment["draft_tokens"] > 0
