"""Chats as data sets publish them, with what stands beside their turns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.errors import ManifestError
from tais.records import Message
from tests.battery.test_layouts import DOOR, TIN, load, prompts

ASKED = (Message("system", "Be a cook."), Message("user", TIN))
TURNS = [{"from": "human", "value": TIN}]


@pytest.mark.parametrize(
    "cell",
    [
        {"system": "Be a cook.", "conversations": TURNS},
        {"system_prompt": "Be a cook.", "messages": [["user", TIN]]},
        {"system": "Be a cook.", "messages": [{"role": "system", "content": "Be a cook."}, *TURNS]},
        [["system", "Be a cook."], ["user", TIN]],
        [{"system": "Be a cook.", "User": TIN}],
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_system_prompt_beside_the_turns_and_turns_of_other_forms_are_asked(
    cell: object, packed: bool, tmp_path: Path
) -> None:
    rows = json.dumps({"prompt": json.dumps(cell) if packed else cell})
    assert load(tmp_path, "c.jsonl", rows).items[0].messages == ASKED


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"tools": [{"name": "f"}], "messages": TURNS}, "a chat with tools"),
        (
            {"system": "A", "messages": [*TURNS, {"role": "system", "content": "B"}]},
            "a system prompt beside its turns, and one among them",
        ),
        ([TIN, DOOR], r"does not say who speaks; `column\.0`"),
    ],
)
def test_a_chat_that_would_be_asked_otherwise_is_refused(cell: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=message):
        load(tmp_path, "c.jsonl", json.dumps({"prompt": cell}))


@pytest.mark.parametrize("text", ['[{"tool": "user"}]', '[["user", 1]]', '[{"model": "a", "bot": "human"}]'])
def test_pairs_in_which_nobody_asks_are_text(text: str, tmp_path: Path) -> None:
    assert prompts(load(tmp_path, "c.jsonl", json.dumps({"prompt": text}))) == [text]


def test_a_system_prompt_in_a_column_that_nobody_names_is_told_of(tmp_path: Path) -> None:
    rows = json.dumps(
        [{"system": "Be a cook.", "conversations": TURNS}, {"system": "", "conversations": TURNS}]
    )
    columns = "{prompt: conversations}"
    untold = load(tmp_path, "c.json", rows, columns, duplicates="drop")
    assert any(
        '1 rows have text in column system, which is not asked; system: "{{ system }}"' in note
        for note in untold.notes
    )
    told = load(tmp_path, "c.json", rows, columns, system="{{ system }}")
    assert told.items[0].messages == ASKED
    assert not told.notes


def test_a_transcript_of_hh_rlhf_is_a_chat(tmp_path: Path) -> None:
    # huggingface.co/datasets/Anthropic/hh-rlhf: turns behind two line ends.
    chosen = "\n\nHuman: One?\n\nThe red.\n\nAssistant: Why?\n\nHuman: It is Human: red.\n\nAssistant:"
    rows = [{"chosen": chosen}, {"chosen": "\n\nHuman: Hm?\n\nAssistant: Yes."}, {"chosen": "Human: Hm?"}]
    kept = "{prompt: chosen}"
    found = load(tmp_path, "h.json", json.dumps(rows), columns=kept, last_assistant_turn="drop")
    assert [[(m.role, m.content) for m in item.messages] for item in found.items] == [
        [("user", "One?\n\nThe red."), ("assistant", "Why?"), ("user", "It is Human: red.")],
        [("user", "Hm?")],
        [("user", "Human: Hm?")],
    ]
