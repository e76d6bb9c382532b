"""The table of layouts of logs that TAIS reads, and how a file is told to be of one."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tais.battery.logs.behaviours import harmbench_samples, jailbreakbench_samples
from tais.battery.logs.helm import helm_samples
from tais.battery.logs.inspect_log import inspect_samples
from tais.battery.logs.lm_eval import lm_eval_samples
from tais.battery.logs.message_batches import anthropic_samples, gemini_samples
from tais.battery.logs.openai_batch import batch_samples
from tais.battery.logs.promptfoo import promptfoo_samples
from tais.battery.logs.reading import json_lines, json_log, listed, mapping, shown
from tais.battery.logs.sample import LoggedSample
from tais.common.packed import remedy_for, unpacked_name
from tais.errors import ManifestError, Place

__all__ = ["LAYOUTS", "Layout", "find_layout", "nearest_layouts", "read_log", "says_log"]

_TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".txt")
_SHOWN_KEYS = 8
# Names that writers of logs give: lm-evaluation-harness and lmms-eval, Inspect, HELM.
_LOG_NAME = re.compile(
    r"(?:.*_)?samples_.+|.+\.eval|scenario_state\.json|\d{4}-\d\d-\d\dT\d\d[-:]\d\d[-:]\d\d.*_.+_.+\.json"
)


class Layout(NamedTuple):
    """One layout of logs."""

    tool: str
    """In words."""
    keys: tuple[tuple[str, ...], ...]
    """A file has all keys of one of these; of a file of lines its first line."""
    read: Callable[[Path, Mapping[str, str]], Iterator[LoggedSample]]


def _plain(
    read: Callable[[Path], Iterator[LoggedSample]],
) -> Callable[[Path, Mapping[str, str]], Iterator[LoggedSample]]:
    return partial(_ignoring, read)


def _ignoring(
    read: Callable[[Path], Iterator[LoggedSample]], path: Path, only: Mapping[str, str]
) -> Iterator[LoggedSample]:
    if only:
        what = f"`only` chooses nothing in this kind of log: {', '.join(only)}"
        raise ManifestError(what, place=Place(str(path)), remedy="Leave it out")
    return read(path)


LAYOUTS: Mapping[str, Layout] = {
    "anthropic_batch": Layout(
        "Anthropic batch results", (("custom_id", "result"),), _plain(anthropic_samples)
    ),
    "gemini_batch": Layout(
        "Gemini batch output",
        (("key", "response"), ("key", "error"), ("request", "response"), ("request", "status")),
        _plain(gemini_samples),
    ),
    "harmbench": Layout("HarmBench generations", (("test_case", "generation"),), _plain(harmbench_samples)),
    "helm": Layout("HELM scenario_state.json", (("adapter_spec", "request_states"),), _plain(helm_samples)),
    "inspect": Layout("Inspect log", (("eval", "samples"), ("eval", "status")), _plain(inspect_samples)),
    "jailbreakbench": Layout(
        "JailbreakBench artifact",
        (("jailbreaks",), ("prompt", "response", "jailbroken")),
        jailbreakbench_samples,
    ),
    "lm_eval": Layout(
        "lm-evaluation-harness or lmms-eval samples",
        (("doc_id", "resps"), ("doc_id", "filtered_resps")),
        _plain(lm_eval_samples),
    ),
    "openai_batch": Layout("OpenAI batch output", (("custom_id", "response"),), _plain(batch_samples)),
    "promptfoo": Layout(
        "promptfoo results", (("results", "config"), ("promptIdx", "testIdx")), promptfoo_samples
    ),
}
"""By the name that `format` of a source, or of an import arm, takes."""


def find_layout(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """Return the layout of a file, None where it is of no known one, and the keys that were seen.

    Raises
    ------
    ManifestError
        When the file cannot be read as what its ending says.
    """
    if path.suffix == ".eval":
        return "inspect", ()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = tuple(sorted({name.partition("/")[0] for name in archive.namelist()}))
        return ("inspect" if "samples" in names else None), names
    for keys in _levels(path):
        for name, layout in LAYOUTS.items():
            if any(set(wanted) <= set(keys) for wanted in layout.keys):
                return name, keys
    return None, next(iter(_levels(path)), ())


def says_log(path: Path) -> bool:
    """Whether a file has the name of a log: then it is one, or a damaged one."""
    return _LOG_NAME.fullmatch(unpacked_name(path).name) is not None


def _levels(path: Path) -> list[tuple[str, ...]]:
    """Return the keys of a file's first object, and of what lies in it: some tools file by id or by model."""
    ending = unpacked_name(path).suffix.lower()
    if ending in _TABLES:
        return []
    first = _whole(path) if ending == ".json" else next((row for _, row in json_lines(path)), {})
    first = next(iter(first), {}) if isinstance(first, list) else first
    levels = [tuple(mapping(first))]
    # A behaviour that was never attacked has an empty list.
    for entry in islice(filter(None, mapping(first).values()), 3):
        inner = next(iter(listed(entry)), None) if isinstance(entry, list) else entry
        deeper = next(iter(mapping(inner).values()), None)
        levels += [tuple(mapping(inner)), tuple(mapping(deeper))]
    return levels


def _whole(path: Path) -> object:
    try:
        return json_log(path)
    except ManifestError:
        # Some call a file of lines .json.
        if (first := next((row for _, row in json_lines(path)), None)) is not None:
            return first
        raise


def nearest_layouts(keys: tuple[str, ...], own: Mapping[str, tuple[str, ...]]) -> str:
    """Return what was seen and the two layouts nearest to it, in words.

    Parameters
    ----------
    keys
        Keys that were seen.
    own
        Layouts beside those of the table: words and keys.
    """
    known = {layout.tool: layout.keys for layout in LAYOUTS.values()} | {k: (v,) for k, v in own.items()}
    ranked = sorted(known, key=lambda tool: (-max(_likeness(wanted, keys) for wanted in known[tool]), tool))
    near = " and ".join(f"{tool} ({', '.join(known[tool][0])})" for tool in ranked[:2])
    seen = ", ".join(map(shown, keys[:_SHOWN_KEYS])) + (" ..." if len(keys) > _SHOWN_KEYS else "")
    return f"seen: {seen or 'no keys'}; the nearest that TAIS knows: {near}"


def _likeness(wanted: tuple[str, ...], keys: tuple[str, ...]) -> float:
    return len(set(wanted) & set(keys)) / len(wanted)


def read_log(path: Path, format: str, only: Mapping[str, str] | None = None) -> Iterator[LoggedSample]:
    """Yield the samples of a log of a known layout.

    Raises
    ------
    ManifestError
        When it is of another layout, or damaged.
    """
    try:
        yield from LAYOUTS[format].read(path, only or {})
    except OSError as error:
        what = f"cannot read the log: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy_for(error)) from error
