"""Drafts that speak another language than their target: the tokenizers of local models, id by id.

A draft is verified token by token, by id. Where an id means one text to the draft and another to the target,
its proposals are noise to the target: nearly none is accepted, and the arm is no speculative one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from tais.common.text import first_line
from tais.errors import ManifestError, Place
from tais.manifest.model import Arm, Manifest

__all__ = ["check_vocabularies", "differing_ids", "read_vocabulary"]

FILE = "tokenizer.json"
_NAMED = 5
_FEW = 0.1
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# Of sentencepiece: stands for a space.
_SPACE = "▁"


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _AddedToken(_Read):
    id: int
    content: str


class _Decoder(_Read):
    type: str
    decoders: tuple[_Decoder, ...] = ()
    prefix: str | None = None

    def types(self) -> Iterator[str]:
        """Yield the kinds of steps, nested ones among them."""
        yield self.type
        for inner in self.decoders:
            yield from inner.types()


class _Model(_Read):
    vocab: dict[str, int] | tuple[tuple[str, JsonValue], ...] = {}


class _Tokenizer(_Read):
    """What is read of a tokenizer.json."""

    model: _Model
    added_tokens: tuple[_AddedToken, ...] = ()
    decoder: _Decoder | None = None


def check_vocabularies(manifest: Manifest) -> None:
    """Refuse a draft whose ids mean other texts than its target's, as far as both lie in local folders.

    Raises
    ------
    ManifestError
        Naming the arm and ids that differ, or a tokenizer that cannot be read.
    """
    known: dict[Path, dict[int, bytes]] = {}
    for arm in manifest.arms.values():
        _check_own(arm, manifest, known)
        config = arm.speculative_config or {}
        target, draft = (_file(name) for name in (arm.tokenizer or arm.model, config.get("model")))
        if target is None or draft is None or config.get("use_heterogeneous_vocab"):
            continue
        place = Place(str(manifest.file), key=f"arms.{arm.name}.speculative_config.model")
        for file in (target, draft):
            if file not in known:
                known[file] = read_vocabulary(file, place)
        found = list(differing_ids(known[target], known[draft]))
        if found:
            raise _refusal(arm, found, known[target], known[draft], place)


def _check_own(arm: Arm, manifest: Manifest, known: dict[Path, dict[int, bytes]]) -> None:
    """Refuse a tokenizer that is not the model's: most of what it encodes means another text to the model."""
    named, own = (_file(name) for name in (arm.tokenizer, arm.model))
    if named is None or own is None or named == own:
        return
    place = Place(str(manifest.file), key=f"arms.{arm.name}.tokenizer")
    for file in (named, own):
        if file not in known:
            known[file] = read_vocabulary(file, place)
    found = list(differing_ids(known[own], known[named]))
    # Further special tokens, or others in their place, are nobody's mistake.
    if len(found) > _FEW * len(known[own]):
        raise ManifestError(
            f"the tokenizer of arm {arm.name!r} is not its model's: {len(found):,} of {len(known[own]):,} "
            f"token ids are other texts (id {found[0]} is {_shown(known[own][found[0]])} to the model)",
            place=place,
            remedy="Name the tokenizer that the model was trained with, or leave it out",
        )


def _file(model: object) -> Path | None:
    """Return the tokenizer of a local model; None of a model on a hub, or without such a file."""
    path = Path(model) / FILE if isinstance(model, str) else None
    return path if path is not None and path.is_file() else None


def differing_ids(target: dict[int, bytes], draft: dict[int, bytes]) -> Iterator[int]:
    """Yield the ids, ascending, that both have and that mean other texts; padding in one is none of them."""
    return (token for token in sorted(target.keys() & draft.keys()) if target[token] != draft[token])


def _refusal(
    arm: Arm, found: list[int], target: dict[int, bytes], draft: dict[int, bytes], place: Place
) -> ManifestError:
    named = "; ".join(
        f"{token} is {_shown(target[token])} there and {_shown(draft[token])} here"
        for token in found[:_NAMED]
    )
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ManifestError(
        f"the draft of arm {arm.name!r} has another tokenizer than its target: token id {named}{more}",
        place=place,
        remedy="Take a draft with the target's tokenizer, or say use_heterogeneous_vocab: true",
    )


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "backslashreplace"))[:40]


def read_vocabulary(file: Path, place: Place) -> dict[int, bytes]:
    """Return the bytes that each token id of a tokenizer.json stands for.

    Raises
    ------
    ManifestError
        Where it cannot be read.
    """
    try:
        tokenizer = _Tokenizer.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        what = f"cannot read {file}: {first_line(error)}"
        raise ManifestError(what, place=place, remedy="Point to a complete model folder") from error
    vocab = tokenizer.model.vocab
    pieces = vocab if isinstance(vocab, dict) else {piece: index for index, (piece, _) in enumerate(vocab)}
    decode = _decoding(tokenizer.decoder)
    own = {index: decode(piece) for piece, index in pieces.items()}
    return own | {added.id: added.content.encode() for added in tokenizer.added_tokens}


def _decoding(decoder: _Decoder | None) -> Callable[[str], bytes]:
    """Return what turns a token as it is written in the file into its bytes."""
    kinds = set() if decoder is None else set(decoder.types())
    if "ByteLevel" in kinds:
        return _byte_level
    if kinds & {"Metaspace", "Replace", "ByteFallback"}:
        return _sentencepiece
    return lambda piece: piece.encode("utf-8", "surrogatepass")


def _byte_level(piece: str) -> bytes:
    return b"".join(_BYTE_OF.get(letter, letter.encode("utf-8", "surrogatepass")) for letter in piece)


def _sentencepiece(piece: str) -> bytes:
    found = _BYTE.fullmatch(piece)
    return bytes.fromhex(found[1]) if found else piece.replace(_SPACE, " ").encode("utf-8", "surrogatepass")


def _byte_letters() -> dict[str, bytes]:
    """Return the letters of GPT-2's byte-level alphabet: printable bytes are themselves, others follow."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    own = {chr(byte): bytes([byte]) for byte in printable}
    return own | {chr(0x100 + index): bytes([byte]) for index, byte in enumerate(others)}


_BYTE_OF = _byte_letters()
