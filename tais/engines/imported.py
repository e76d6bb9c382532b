"""``engine: import``: answers that exist already take the road of every other arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tais.common.files import sha256_file
from tais.engines.base import EngineRefusal
from tais.engines.imported_outputs import ImportedOutput, read_outputs
from tais.manifest.model import Arm, Sampling
from tais.manifest.reserved import is_probe
from tais.records import Counters, Request, Sample, SampleKey

__all__ = ["ImportEngine"]


class ImportEngine:
    """Reads a JSONL file of outputs."""

    def start(self, arm: Arm) -> dict[str, object]:
        """Note which file it is."""
        assert arm.path is not None, "the manifest requires a path of an import arm"
        self.path = Path(arm.path)
        return {"file": self.path.name, "sha256": sha256_file(self.path)}

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Refuse a file that answers none of the items asked for."""
        wanted = _Wanted(requests)
        # Reads to the end even after a hit: a broken line is found before anything is stored.
        found = sum(wanted.key_of(output) is not None for output in read_outputs(self.path))
        # A file may lack the answers to probes: then no exchange is made of them.
        if not found and not all(is_probe(request.key.item_id) for request in requests):
            raise EngineRefusal(f"{self.path} has no output for any item of this screen's batteries")

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Yield the outputs that were asked for; what the file lacks is missing and later counted so."""
        wanted = _Wanted(requests)
        for output in read_outputs(self.path):
            key = wanted.key_of(output)
            if key is not None:
                yield _sample(key, output)

    def counters(self) -> Counters | None:
        """Return None: a file tells nothing of drafts."""
        return None

    def close(self) -> None:
        """Release nothing."""


class _Wanted:
    """The requests that an import arm can answer."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._keys = {request.key for request in requests}
        self._batteries = sorted({key.battery for key in self._keys})

    def key_of(self, output: ImportedOutput) -> SampleKey | None:
        """Return the request that an output answers, or None.

        Raises
        ------
        EngineRefusal
            When the item's id is in several batteries and the output does not say which it means.
        """
        batteries = self._batteries if output.battery is None else [output.battery]
        keys = (SampleKey(battery, output.item_id, output.repeat) for battery in batteries)
        found = [key for key in keys if key in self._keys]
        if len(found) > 1:
            raise EngineRefusal(
                f"item {output.item_id!r} is in several batteries ({', '.join(k.battery for k in found)}): "
                "each of its outputs needs a `battery`"
            )
        return found[0] if found else None


def _sample(key: SampleKey, output: ImportedOutput) -> Sample:
    return Sample(
        key=key,
        # An imported answer comes without its prompt: the empty digest says "unknown".
        prompt_digest="",
        prompt_tokens=None,
        token_ids=output.token_ids,
        text=output.text,
        finish_reason=output.finish_reason or "unknown",
        parts=output.parts,
    )
