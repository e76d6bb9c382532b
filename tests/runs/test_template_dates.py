"""A chat template that writes the date: runs of two days, compared, and a cache of another day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tais.plan import days
from tests.conftest import ROOT, Tais

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TARGET = str(ROOT / "models" / "demo" / "target")
# Also the time of day, to the second: what is fixed must be that, too.
TEMPLATE = (
    "<|bos|><|user|>{{ strftime_now('%d %b %Y %H:%M:%S') }}\n{{ messages[0]['content'] }}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Runs:
    """Runs of one manifest on the days that a test says."""

    def __init__(self, tais: Tais, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tais, self.folder, self.patch = tais, folder, monkeypatch
        (folder / "t.jinja").write_text(TEMPLATE)

    def run(self, day: str, *arguments: object, **keys: object) -> Path:
        self.patch.setattr(days, "day_of_the_lock", lambda: day)
        target = {"engine": "transformers", "model": TARGET, "dtype": "float32", "chat_template": "t.jinja"}
        manifest: dict[str, Any] = {
            "name": "dated",
            "record": True,
            "arms": {"target": target},
            "contrasts": [],
        }
        manifest |= {
            "batteries": [{"name": "demo_answer", "limit": 4}],
            "sampling": {"max_tokens": 8},
            **keys,
        }
        with (self.folder / "m.yaml").open("w") as file:
            YAML().dump(manifest, file)
        done = self.tais("run", self.folder / "m.yaml", "--out", self.folder / "out", *arguments)
        assert done.returncode == 3, done.stderr
        return sorted(self.folder.glob("out/dated/*Z"))[-1]

    def drift(self, first: Path, second: Path) -> list[str]:
        """What a comparison says of prompts that differ."""
        sides = ("--reference", "target", "--candidate", "target", "--out", self.folder / "compared")
        done = self.tais("compare", first, second, *sides)
        assert done.returncode == 3, done.stderr
        made = sorted(self.folder.glob("compared/*/*/report.json"))[-1]
        reasons = json.loads(made.read_text())["contrasts"][0]["reasons"]
        return [reason["message"] for reason in reasons if reason["code"] == "prompt_drift"]


@pytest.fixture
def runs(tais: Tais, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(tais, tmp_path, monkeypatch)


def test_days_are_named_where_they_differ_and_can_be_said(runs: Runs) -> None:
    first = runs.run("2026-03-09")
    later = runs.run("2026-03-10")
    said = runs.run("2026-03-10", chat_template_date="2026-03-09")
    (message,) = runs.drift(first, later)
    assert "the chat template reads the clock" in message
    assert "chat_template_date is 2026-03-09 there and 2026-03-10 here" in message
    assert "Run the candidate with chat_template_date: 2026-03-09" in message
    assert runs.drift(first, said) == []


def test_a_cache_stays_on_the_day_of_its_baseline(runs: Runs) -> None:
    cache = ("--cache", runs.folder / "cache")
    runs.run("2026-03-09", *cache)
    later = runs.run("2026-03-10", *cache)
    assert (later / "arms" / "target" / "origin.json").exists()
    lock = json.loads((later / "manifest.lock.json").read_text())
    assert lock["arms"]["target"]["chat_template_date"] == "2026-03-09"
