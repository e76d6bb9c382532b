"""A GGUF as a folder that engines read: weights dequantised, with tokenizer and chat template.

transformers reads it; what is checked here is that it is one, that it is whole, and that nothing of the
model was left out.
"""

from __future__ import annotations

import io
import struct
from collections import Counter
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from tais.common.files import sha256_file
from tais.common.install import pip_install
from tais.common.text import first_line
from tais.errors import Place, UsageError
from tais.lab.drafts.models import save
from tais.lab.models.kept import keep
from tais.lab.packages import need, torch, transformers

__all__ = ["check_gguf", "convert"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
# Far beyond the largest models: counts of a file that was made to exhaust its reader.
_MOST_ENTRIES = 1 << 20
# Follows from the configuration.
_DERIVED = "rope_freqs"
_WHOLE = "Take a whole GGUF of a language model"


def check_gguf(path: Path) -> None:
    """Refuse what is no GGUF by its first bytes, before anything of it is read.

    Raises
    ------
    UsageError
        With what it is instead.
    """
    place = Place(str(path))
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except OSError as error:
        what = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise UsageError(what, place=place, remedy="Name a file that ends in .gguf") from error
    if not head.startswith(_MAGIC):
        raise UsageError("this is no GGUF: it does not begin with its mark", place=place, remedy=_WHOLE)
    if len(head) < 24:
        raise UsageError("this GGUF is cut off in its header", place=place, remedy=_WHOLE)
    version, tensors, entries = struct.unpack("<IQQ", head[4:])
    if version not in _VERSIONS:
        remedy = f"Versions {' and '.join(map(str, _VERSIONS))} are read, in little-endian order"
        raise UsageError(f"this GGUF has version {version}", place=place, remedy=remedy)
    if not 0 < tensors <= _MOST_ENTRIES or not 0 < entries <= _MOST_ENTRIES:
        raise UsageError(f"this GGUF holds {tensors} tensors and {entries} keys", place=place, remedy=_WHOLE)


def convert(path: Path, name: str, content: dict[str, JsonValue]) -> None:
    """Keep a GGUF as a model in float32.

    Parameters
    ----------
    path
        The file.
    name
        Of the model to be kept.
    content
        Where it comes from, for the card.

    Raises
    ------
    UsageError
        For what is no GGUF, is cut off, or cannot be read by transformers.
    """
    check_gguf(path)
    tensors = _tensors(path)
    kinds = Counter(tensor.kind for tensor in tensors)
    content["source"] = {"file": path.name, "sha256": sha256_file(path), "tensors": dict(kinds)}
    content["dtype"] = "float32"
    with keep(name, "dequantised", content) as folder:
        model, tokenizer = _read(path, tensors)
        save(model, tokenizer, folder)


class _Tensor(NamedTuple):
    name: str
    kind: str
    elements: int


def _tensors(path: Path) -> list[_Tensor]:
    """Return what the file holds; one that ends before its tensors do is refused."""
    place, size = Place(str(path)), path.stat().st_size
    gguf = need("gguf", f"Install it with: {pip_install('gguf')}")
    try:
        found = gguf.GGUFReader(path).tensors
        ends = max(int(tensor.data_offset) + int(tensor.n_bytes) for tensor in found)
        tensors = [_Tensor(str(t.name), str(t.tensor_type.name), int(t.n_elements)) for t in found]
    except Exception as error:  # foreign code on a foreign file
        what = f"this GGUF is damaged or cut off: {first_line(error)}"
        raise UsageError(what, place=place, remedy=_WHOLE) from error
    if ends > size:
        what = f"this GGUF is cut off: it holds {size} of at least {ends} bytes"
        raise UsageError(what, place=place, remedy=_WHOLE)
    return tensors


def _read(
    path: Path, tensors: list[_Tensor]
) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]:
    from_file = {"gguf_file": path.name}
    settings = {"dtype": torch.float32, "output_loading_info": True, "trust_remote_code": False}
    if hasattr(transformers, "GgufConfig"):
        # Before 5.19, weights were dequantised without being asked.
        settings["quantization_config"] = transformers.GgufConfig(dequantize=True)
    transformers.utils.logging.disable_progress_bar()
    place = Place(str(path))
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, **from_file)
        load = transformers.AutoModelForCausalLM.from_pretrained
        # Its bar asks nobody.
        with redirect_stderr(io.StringIO()):
            model, told = load(path.parent, **from_file, **settings)
    except Exception as error:  # foreign code on a foreign file
        what = f"transformers cannot read this GGUF: {first_line(error)}"
        remedy = "Take one of an architecture that transformers reads"
        raise UsageError(what, place=place, remedy=remedy) from error
    missing = sorted(told["missing_keys"]) + sorted(map(str, told["mismatched_keys"]))
    if missing:
        what = f"this GGUF lacks {len(missing)} weights of its model, such as {missing[0]}"
        raise UsageError(what, place=place, remedy=_WHOLE)
    held = sum(t.elements for t in tensors if not t.name.startswith(_DERIVED))
    taken = sum(weights.numel() for weights in model.parameters())
    if held != taken:
        # Biases of a llama are passed over without a word, and the model is another one.
        what = f"transformers reads {taken} of its {held} weights"
        raise UsageError(what, place=place, remedy="Take the model as its authors publish it")
    if not all(bool(torch.isfinite(weights).all()) for weights in model.parameters()):
        raise UsageError("weights of this GGUF are no numbers", place=place, remedy=_WHOLE)
    # It would name the file as its origin on whoever's machine it was made.
    model.config.name_or_path = ""
    return model, tokenizer
