"""An adversarial draft: the same for the same seed, refused where it would make no sense."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tais.errors import UsageError
from tais.lab.drafts.adversarial import AdversarialOptions, Training, make_adversarial
from tests.lab.drafts.models import DRAFT, small_model, write_preferences

# trl is imported once, which takes most of the time.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
needs_trl = pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed")


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adversarial")
    small_model(folder / "model")
    write_preferences(folder / "prefs.jsonl", 8)
    return folder


def made(folder: Path, out: str, seed: int, **options: Any) -> dict[str, Any]:
    training = Training(steps=2, batch=4, rate=1e-3, seed=seed)
    return make_adversarial(
        AdversarialOptions(
            str(folder / "model"), folder / "prefs.jsonl", folder / out, training=training, **options
        ),
        quiet,
    )


@needs_trl
def test_the_same_seed_gives_the_same_weights(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, again, other = (made(folder, name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    # What a pipe reads is the card alone.
    assert capfd.readouterr().out == ""
    assert first["files"] == again["files"]
    name = "model.safetensors"
    assert len({card["files"][name] for card in (first, other)} | {first["base"]["files"][name]}) == 3
    assert first["settings"]["seed"] == 1
    assert first["data"]["rows"] == 8
    assert first["data"]["flipped"] is True
    assert first["versions"]["trl"]
    assert json.loads((folder / "a" / "draft-card.json").read_text()) == first
    # Stored as its base is, although training was in float32.
    assert json.loads((folder / "a" / "config.json").read_text())["dtype"] == "bfloat16"


def test_another_tokenizer_than_the_targets_is_refused(folder: Path, tmp_path: Path) -> None:
    other = small_model(tmp_path / "other")
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    words = tokenizer["model"]["vocab"]
    one, two = [word for word, number in words.items() if number in (900, 901)]
    words[one], words[two] = words[two], words[one]
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(UsageError, match="2 of 1536 tokens have another id"):
        made(folder, "x", 1, target=str(other))
    assert not (folder / "x").exists()


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model")
    path = model / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["chat_template"]
    path.write_text(json.dumps(settings))
    write_preferences(tmp_path / "prefs.jsonl", 2)
    with pytest.raises(UsageError, match="has no chat template"):
        made(tmp_path, "x", 1)


def test_without_trl_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "trl":
            raise ImportError("No module named 'trl'")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(UsageError, match=r"pip install '.*\[drafts\]'"):
        made(folder, "y", 1)
    assert not (folder / "y").exists()


def test_the_demo_draft_shares_the_targets_tokens() -> None:
    from tais.lab.drafts.models import check_same_tokens, load_tokenizer
    from tests.lab.drafts.models import TARGET

    check_same_tokens(load_tokenizer(str(DRAFT)), load_tokenizer(str(TARGET)), "target")
