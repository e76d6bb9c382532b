"""The lock digests what an engine can read of a model, whatever it is called, and nothing that lies about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tais.errors import ManifestError
from tais.manifest.model import Arm
from tais.plan.lock import _arm
from tais.plan.model_files import digest_model, engine_files

READ = (
    "model.safetensors", "config.json", "modeling_x.py", "chat_template.jinja2", "merges.bpe", "dict.vocab",
    "weights.npz", "sub/modeling_y.py", "tokenizer.model", "generation_config.json", "odd",
)  # fmt: skip
CLUTTER = (
    "README.md", "LICENSE", ".gitattributes", ".git/HEAD", ".cache/x.lock", "__pycache__/x.pyc", "train.log",
    "optimizer.pt", "training_args.bin", ".DS_Store", "picture.PNG",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*READ, *CLUTTER):
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_text(name)
    return tmp_path / "m"


def test_all_but_known_clutter_is_digested(folder: Path) -> None:
    assert sorted(digest_model(folder, "arms.a.model")) == sorted(READ)


@pytest.mark.parametrize("name", [name for name in READ if name != "config.json"])
def test_a_change_of_any_file_that_an_engine_can_read_changes_the_lock(name: str, folder: Path) -> None:
    before = digest_model(folder, "arms.a.model")
    (folder / name).write_text("changed")
    assert digest_model(folder, "arms.a.model") != before


def test_weights_behind_links_count_and_a_link_back_up_ends(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "model.safetensors").rename(elsewhere / "blob")
    (folder / "model.safetensors").symlink_to(elsewhere / "blob")
    (elsewhere / "more").mkdir()
    (elsewhere / "more" / "a.bin").write_text("a")
    (folder / "linked").symlink_to(elsewhere / "more")
    (folder / "up").symlink_to(folder)
    found = digest_model(folder, "arms.a.model")
    assert {"model.safetensors", "linked/a.bin"} <= found.keys()
    (elsewhere / "blob").write_text("other weights")
    assert digest_model(folder, "arms.a.model") != found


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ManifestError, match="holds no weights"):
        digest_model(tmp_path, "arms.a.model")


def test_files_that_settings_name_are_digested(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("1")
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter.safetensors").write_text("2")
    settings: dict[str, Any] = {
        "engine_args": {
            "config": str(tmp_path / "a.json"),
            "loras": [{"path": str(tmp_path / "lora")}],
            "x": "y" * 9999,
        }
    }
    before = engine_files(settings, "arms.a")
    assert before.keys() == {"engine_args.config", "engine_args.loras.0.path"}
    (tmp_path / "lora" / "adapter.safetensors").write_text("3")
    after = engine_files(settings, "arms.a")
    assert [key for key in before if before[key] != after[key]] == ["engine_args.loras.0.path"]


def test_a_tokenizer_of_its_own_needs_no_weights(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    arm = Arm(name="a", engine="transformers", model="org/model", tokenizer=str(tmp_path))
    found: Any = _arm(arm, {})["tokenizer"]
    assert found["files"].keys() == {"tokenizer.json"}
    with pytest.raises(ManifestError, match="holds no weights"):
        _arm(arm.model_copy(update={"model": str(tmp_path), "tokenizer": None}), {})
