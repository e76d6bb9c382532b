"""What a plan says of prompts that leave no room for an answer, from the files of a model alone."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tais.engines.tokenizer import read_tokenizer
from tais.plan.plan import make_plan
from tais.plan.room import prompts_without_room
from tests.conftest import ROOT, Screen

TARGET = ROOT / "models" / "demo" / "target"


def alone(screen: Screen, **arm: object) -> None:
    """A candidate of which only the audit under a model in a folder speaks."""
    screen.data["arms"] |= {"target": {"engine": "transformers", **arm}}
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec", "audit": "only"}]
    screen.data["sampling"] = {"max_tokens": 32}
    screen.write()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
@pytest.mark.parametrize(("more", "named"), [(0, 0), (-1, 1)])
def test_prompts_are_counted_by_the_models_own_tokenizer(more: int, named: int, screen: Screen) -> None:
    screen.items(3)
    rows = [json.loads(line) for line in (screen.folder / "mine.jsonl").read_text().splitlines()]
    rows[1]["prompt"] = "please " * 40
    (screen.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    alone(screen, model=str(TARGET))
    tokenizer = read_tokenizer(make_plan(screen.path).manifest.arms["target"])
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": rows[1]["prompt"]}], add_generation_prompt=True, return_dict=True
    )
    longest = len(asked["input_ids"])
    alone(screen, model=str(TARGET), engine_args={"max_model_len": longest + 32 + more})
    found = list(prompts_without_room(make_plan(screen.path)))
    assert [(x.reference, x.battery, x.items) for x in found] == [("target", "mine", ("m-001",))] * named


def test_of_a_model_whose_context_is_not_told_nothing_is_claimed(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text("{}")
    alone(screen, model=str(tmp_path))
    (found,) = prompts_without_room(make_plan(screen.path, incomplete=True))
    assert (found.battery, found.unknown) == ("", "the context of its model is not known here")
