"""Sampling settings of the run and of single items, held against what engines and models know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tais.errors import ManifestError, Place
from tais.manifest.model import Manifest
from tais.manifest.sampling import Sampling, law_not_known, unknown_setting, with_own
from tais.plan.model_config import figures

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["check_settings"]


def check_settings(manifest: Manifest, batteries: Sequence[LoadedBattery]) -> None:
    """Refuse what an engine cannot follow, what a model has no tokens for, and what an audit cannot judge.

    Raises
    ------
    ManifestError
        Naming the setting, or the first item.
    """
    sizes = _vocabularies(manifest)
    _check_tokens(sizes, manifest.sampling, Place(str(manifest.file), key="sampling"))
    for battery in batteries:
        first: dict[str, str] = {}
        for item in battery.items:
            if item.sampling is not None:
                first.setdefault(item.sampling, item.id)
        for own, item_id in first.items():
            place = Place(file=battery.origin, key=f"item {item_id!r}: sampling")
            sampling = _whole(manifest, own, place)
            _check(manifest, sampling, place)
            _check_tokens(sizes, sampling, place)


def _vocabularies(manifest: Manifest) -> dict[str, int]:
    """Return the number of token ids of each arm's model, of those that lie in local folders."""
    known = {name: figures(arm, ("vocab_size",)) for name, arm in manifest.arms.items()}
    return {name: max(found) for name, found in known.items() if found}


def _check_tokens(sizes: dict[str, int], sampling: Sampling, place: Place) -> None:
    for key, tokens in (("logit_bias", sampling.bias), ("stop_token_ids", sampling.stop_token_ids)):
        for name, size in sizes.items():
            beyond = next((token for token in tokens if token >= size), None)
            if beyond is not None:
                what = f"{key}: the model of arm '{name}' has no token {beyond}, only ids below {size}"
                raise ManifestError(what, place=place, remedy="Name ids of the model's own tokenizer")


def _whole(manifest: Manifest, own: str, place: Place) -> Sampling:
    try:
        return with_own(manifest.sampling, own)
    except ValidationError as error:
        what = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        remedy = "Change the row, or sampling in the manifest"
        raise ManifestError(what, place=place, remedy=remedy) from error


def _check(manifest: Manifest, sampling: Sampling, place: Place) -> None:
    for arm in manifest.arms.values():
        unknown = unknown_setting(arm, sampling)
        if unknown is not None:
            raise ManifestError(unknown.what, place=place, remedy=unknown.remedy)
    for contrast in manifest.contrasts:
        engine = manifest.arms[contrast.reference].engine
        key = law_not_known(engine, sampling) if manifest.audit_of(contrast) != "none" else None
        if key is not None:
            what = f"audit: engine {engine} of '{contrast.reference}' does not know {key}"
            remedy = "Audit with a reference on transformers, or say audit: false"
            raise ManifestError(what, place=place, remedy=remedy)
