"""Reading a model that a draft is made from, and writing the draft: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Literal

from tais.common.files import atomic_folder, sha256_file, store_error
from tais.common.machine import package_versions
from tais.common.text import first_line
from tais.errors import EngineError, Place, UsageError
from tais.lab.packages import torch, transformers
from tais.lab.pretrained import load_pretrained

__all__ = [
    "CARD",
    "check_same_tokens",
    "load_model",
    "load_tokenizer",
    "model_files",
    "new_folder",
    "refuse_existing",
    "save",
    "write_card",
]

CARD = "draft-card.json"
_SCHEMA = "tais/draft/v1"


def load_model(
    name: str,
    revision: str | None = None,
    *,
    dtype: torch.dtype | Literal["auto"] = "auto",
    device: str = "cpu",
) -> transformers.PreTrainedModel:
    """Load a causal language model for training or measuring.

    Parameters
    ----------
    name, revision
        Local directory, or repository on the hub with its commit.
    dtype
        Of torch; ``auto`` takes what the weights are stored in.
    device
        Such as ``cuda:0``.

    Raises
    ------
    UsageError
        When it is not there, no causal language model, or does not go to the device.
    """
    load = transformers.AutoModelForCausalLM.from_pretrained
    settings = {"use_safetensors": True, "trust_remote_code": False, "dtype": dtype}
    model = load_pretrained(name, "model", lambda: load(name, revision=revision or "main", **settings))
    try:
        return model.to(device)
    except RuntimeError as error:
        what = first_line(error)
        raise UsageError(f"{name} does not go to device {device!r}: {what}") from error


def load_tokenizer(name: str, revision: str | None = None) -> transformers.PreTrainedTokenizerBase:
    """Load a tokenizer; errors as for :func:`load_model`."""
    load = transformers.AutoTokenizer.from_pretrained
    return load_pretrained(
        name, "tokenizer", lambda: load(name, revision=revision or "main", trust_remote_code=False)
    )


def check_same_tokens(
    draft: transformers.PreTrainedModel, target: transformers.PreTrainedModel, target_name: str
) -> None:
    """Refuse a draft whose tokens are not its target's: its drafts would be read as other words.

    Raises
    ------
    UsageError
        With how many tokens differ.
    """
    mine, theirs = draft.get_vocab(), target.get_vocab()
    other = {token for token in mine.keys() | theirs.keys() if mine.get(token) != theirs.get(token)}
    if other:
        raise UsageError(
            f"{len(other)} of {len(mine.keys() | theirs.keys())} tokens have another id in {target_name}",
            remedy="Take a draft with the target's own tokenizer",
        )


def model_files(name: str) -> dict[str, str] | None:
    """Return the sha256 of each file of a local model, its card left out; None for a repository."""
    folder = Path(name)
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CARD)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `out` when all went well and vanishes otherwise.

    Raises
    ------
    UsageError
        Where `out` exists.
    StoreError
        Where it cannot be written.
    """
    refuse_existing(out)
    try:
        with atomic_folder(out) as folder:
            yield folder
    except OSError as error:
        raise store_error(error, out) from error


def refuse_existing(out: Path) -> None:
    """Raise UsageError where `out` exists: a draft is never written over another."""
    if out.exists() or out.is_symlink():
        raise UsageError("this exists already", place=Place(str(out)), remedy="Name a new folder with --out")


def write_card(folder: Path, kind: str, content: dict[str, object]) -> dict[str, object]:
    """Write what a draft is and was made from beside it, and return it.

    Parameters
    ----------
    folder
        Holds the finished draft.
    kind
        ``adversarial`` or ``quantised``.
    content
        Base, data, settings, what was measured.
    """
    versions = package_versions() | _own_versions()
    card = {
        "schema": _SCHEMA,
        "kind": kind,
        **content,
        "versions": versions,
        "files": model_files(str(folder)),
    }
    text = json.dumps(card, indent=2, allow_nan=False) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8")
    return card


def _own_versions() -> dict[str, str]:
    found = {}
    for name in ("trl", "datasets", "accelerate"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def save(
    model: transformers.PreTrainedModel, tokenizer: transformers.PreTrainedTokenizerBase, folder: Path
) -> None:
    """Write weights, configuration and tokenizer as engines read them.

    Raises
    ------
    EngineError
        Where transformers cannot write this model.
    """
    try:
        with torch.no_grad():
            model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        what = first_line(error)
        raise EngineError(f"the draft cannot be written: {what}") from error
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)
