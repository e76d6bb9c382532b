"""``engine: import``: answers that exist already take the road of every other arm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tais.battery.logs.sample import UNREAD, LoggedSample
from tais.common.files import sha256_file
from tais.common.text import one_line
from tais.engines.base import EngineRefusal
from tais.engines.imported_matching import Match, Matcher
from tais.engines.imported_outputs import Files, read_outputs
from tais.manifest.model import Arm, Sampling
from tais.manifest.reserved import is_probe
from tais.records import Counters, Request, Sample

__all__ = ["ImportEngine"]

# More than anyone reads; the counts are of all.
_NAMED = 20


@dataclass(slots=True)
class _Count:
    """Samples with one kind of trouble, and the first of them."""

    count: int = 0
    first: list[dict[str, str]] = field(default_factory=list)

    def add(self, item_id: str, what: str) -> None:
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append({"item": item_id, "what": one_line(what)})


class ImportEngine:
    """Reads files of outputs."""

    def start(self, arm: Arm) -> dict[str, object]:
        """Note which files they are, and of which layout."""
        self.files = Files(arm)
        self.found: dict[str, object] = {}
        files = [
            {"file": path.name, "sha256": sha256_file(path), "layout": layout}
            for path, layout in self.files.layouts.items()
        ]
        passed = [path.name for path in self.files.passed_over]
        return {"files": files, "passed_over": passed, "imported": self.found}

    def check(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Refuse files that answer none of the items asked for; note what they hold.

        Reads to the end: a broken line is found before anything is stored. What is found goes into the record
        that the start gave out, which is written after this.
        """
        self.matcher = Matcher(requests, read_outputs(self.files))
        kinds: dict[str, _Count] = {}
        found = samples = by_content = 0
        for output in read_outputs(self.files):
            samples += 1
            match = self.matcher.of(output)
            if match is None:
                continue
            found += 1
            by_content += match.by_content
            if output.trouble is not None:
                kinds.setdefault(output.trouble.kind, _Count()).add(output.item_id, output.trouble.what)
            if match.fit != "same":
                kinds.setdefault(f"asked_{match.fit}", _Count()).add(output.item_id, "")
        if all(is_probe(request.key.item_id) for request in requests):
            # A file may lack the answers to probes: then no exchange is made of them.
            return
        if not found:
            named = ", ".join(path.name for path in self.files.layouts)
            raise EngineRefusal(f"{named} has no output for any item of this screen's batteries")
        counted = {kind: {"count": c.count, "first": c.first} for kind, c in sorted(kinds.items())}
        self.found |= {"samples": samples, "matched": found, "by_content": by_content, "kinds": counted}

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Sample | None]:
        """Yield the outputs that were asked for; what the files lack is missing and later counted so."""
        wanted = {request.key for request in requests}
        for output in read_outputs(self.files):
            match = self.matcher.of(output)
            if match is not None and match.key in wanted:
                yield _sample(match, output)

    def counters(self) -> Counters | None:
        """Return None: a file tells nothing of drafts."""
        return None

    def close(self) -> None:
        """Release nothing."""


def _sample(match: Match, output: LoggedSample) -> Sample:
    trouble = output.trouble.kind if output.trouble is not None else None
    unread = trouble in UNREAD
    told = {name: digest for name, digest in output.asked._asdict().items() if digest}
    return Sample(
        key=match.key,
        # An imported answer comes without the tokens of its prompt: the empty digest says "unknown".
        prompt_digest="",
        prompt_tokens=None,
        token_ids=None if unread else output.token_ids,
        # What is no answer of this stack is an empty one, and so invalid for every scorer and judge.
        text="" if unread else output.text,
        finish_reason=trouble if unread and trouble else output.finish_reason or "unknown",
        parts=None if unread else output.parts,
        asked=json.dumps({"fit": match.fit, **told}, sort_keys=True),
    )
