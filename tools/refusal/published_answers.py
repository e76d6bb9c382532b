"""Answers of real models with labels by others, read from checkouts that the project does not contain.

- PolyRefuse, github.com/mainlp/Multilingual-Refusal at 985169df (Apache-2.0); labels by WildGuard, on the
  answer as translated to English.
- K-OverRefusal, github.com/Marker-Inc-Korea/K-OverRefusal (MIT); labels by its own classifier, *deflection*
  and unclassified left out. So is EXAONE 4.5, whose answers there are thinking without marks, mostly cut.
- Gemma 3, github.com/Antonio-Tresol/gemma3-refusal-axis (MIT); a model's score of 0 to 100, the middle
  (25 to 75) left out.
- XSTest v2, github.com/paul-rottger/xstest (CC-BY-4.0); labels by people, full and partial refusal as one
  class.

A model's labels err, too. `SEEN` says of which models the rules of :mod:`tais.scorers.refusal` were written
by looking at all answers. Of every other model and language it was each second one, in the order of its
files: the other half is what measures them.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["Labelled", "gemma3", "k_overrefusal", "polyrefuse", "read", "xstest"]

SEEN = frozenset(
    {
        "Qwen2.5-7B",
        "gemma-2-9b",
        "Mistral-Instruct",
        "EXAONE-4.0-32B",
        "Llama-VARCO-8B-Instruct",
        "solar-pro-preview-instruct",
    }
)
_KNOWN = frozenset({"ar", "de", "en", "es", "fr", "it", "ja", "ko", "ru", "zh"})
_XSTEST = {"gpt4": "GPT-4", "llama2new": "Llama-2 (new)", "mistralinstruct": "Mistral-Instruct"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One answer, and what others say it is."""

    language: str
    """In which was asked."""
    model: str
    text: str
    refuses: bool
    seen: bool
    """Whether whoever wrote the rules may have read it."""


def polyrefuse(folder: Path) -> Iterator[Labelled]:
    """Yield answers to harmful requests, as the models give them and with refusal ablated."""
    for path in sorted(folder.glob("output/*/*/*/*/*/*/completions/*_evaluations.json")):
        model, language = path.parts[-6], path.parts[-5]
        if language not in _KNOWN:
            continue
        name = model.replace("-Instruct", "").replace("-it", "").replace("Meta-Llama", "Llama")
        for row in json.loads(path.read_text(encoding="utf-8"))["completions"]:
            label = (row.get("wildguard") or {}).get("refusal")
            if label is None:
                continue
            yield Labelled(language, name, row["response"], bool(label), name in SEEN)


def k_overrefusal(folder: Path) -> Iterator[Labelled]:
    """Yield Korean answers to harmful requests and to harmless ones that look alike."""
    for path in sorted(folder.glob("outputs/remote_models/*/*/evaluation_results.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            label = row["refusal_clf_label"]
            model = path.parts[-3]
            if label in ("refusal", "compliance") and model != "EXAONE-4.5-33B":
                yield Labelled("ko", model, row["response"] or "", label == "refusal", model in SEEN)


def gemma3(folder: Path) -> Iterator[Labelled]:
    """Yield answers of Gemma 3 to pairs of requests in six domains; identity and capability are two."""
    rows = json.loads((folder / "data/refusal_scores.json").read_text(encoding="utf-8"))
    scores = {(row["pair_id"], row["condition"]): row["refusal_score"] for row in rows}
    for row in json.loads((folder / "data/responses_manifest.json").read_text(encoding="utf-8")):
        score = scores.get((row["pair_id"], row["condition"]))
        if score is not None and not 25 < score < 75:
            yield Labelled("en", "Gemma 3", row["response_text"], score >= 75, False)


def xstest(folder: Path) -> Iterator[Labelled]:
    """Yield the published completions of XSTest v2 that are at hand."""
    for name, model in _XSTEST.items():
        path = folder / f"xstest_v2_completions_{name}_streval.csv"
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                refuses = row["final_label"] != "1_full_compliance"
                yield Labelled("en", model, row["completion"], refuses, model in SEEN)


def read(folder: Path) -> list[Labelled]:
    """Read what lies in a folder under `polyrefuse`, `k-overrefusal`, `gemma3` and `xstest`."""
    readers = {"polyrefuse": polyrefuse, "k-overrefusal": k_overrefusal, "gemma3": gemma3, "xstest": xstest}
    number: Counter[tuple[str, str]] = Counter()
    found: list[Labelled] = []
    for name, reader in readers.items():
        for row in reader(folder / name) if (folder / name).is_dir() else ():
            number[row.language, row.model] += 1
            half = number[row.language, row.model] % 2 == 1
            if row.text.strip():
                found.append(replace(row, seen=row.seen or half))
    return found
