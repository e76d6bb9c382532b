"""Logs of the other tools, and the table in docs/imports.md that says which open."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tais.battery.load import load_battery
from tais.battery.logs.layouts import LAYOUTS, read_log
from tais.battery.logs.lm_eval import task_of
from tais.engines.openai.answers import read_message
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef
from tais.manifest.outputs import LOG_FORMATS
from tests.conftest import ROOT
from tests.engines.imports import OPENS, outputs

ROW = re.compile(r"\|[^|]+\|[^|]+\|[^|]+\| `([^`]+)` \| (\d+) \|")
TABLE = {file: int(count) for file, count in ROW.findall((ROOT / "docs" / "imports.md").read_text())}
ONLY = {
    "promptfoo_v3.json": {"provider": "openai:old"},
    "jailbreakbench_evaluation.json": {"model": "vicuna"},
}


def test_the_table_names_every_file_and_every_layout_has_one() -> None:
    assert set(TABLE) == {path.name for path in OPENS.iterdir()}
    assert set(LAYOUTS) == set(LOG_FORMATS)
    assert {name for name in LAYOUTS if not any(name.split("_")[0] in file for file in TABLE)} <= {"lm_eval"}


@pytest.mark.parametrize("file", TABLE)
def test_what_the_table_says_opens_does(file: str) -> None:
    assert len(outputs(OPENS / file, only=ONLY.get(file))) == TABLE[file]


@pytest.mark.parametrize("file", [file for file in TABLE if "letters" in file])
def test_files_of_the_harness_name_their_task(file: str) -> None:
    assert task_of(OPENS / file).startswith("letters")


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("samples_mmlu_law_2026-08-27T07-39-58.562079.jsonl", "mmlu_law"),
        ("20260219_101500_samples_mmlu_law.jsonl.gz", "mmlu_law"),
        ("pretrained__org__m,dtype__float16_mmlu_law.jsonl", "mmlu_law"),
        ("mine.jsonl", "mine"),
    ],
)
def test_a_task_is_read_from_a_name_of_any_release(name: str, task: str) -> None:
    assert task_of(Path(name)) == task


def test_a_batch_tells_refusals_calls_thoughts_and_errors() -> None:
    found = {o.item_id: o for o in outputs(OPENS / "openai_batch_chat.jsonl")}
    assert found["q-1"].text == "Paris."
    assert (found["q-2"].text, found["q-2"].parts) == ("", '{"refusal":"I can\'t help with that."}')
    assert json.loads(found["q-3"].parts or "")["tool_calls"][0]["function"]["name"] == "find"
    assert (found["q-4"].finish_reason, found["q-4"].parts) == ("length", '{"reasoning":"Let me"}')
    assert found["q-5"].trouble == ("error", "Rate limit reached")
    first, second = outputs(OPENS / "openai_batch_responses.jsonl")
    assert (first.text, first.parts) == ("Paris.", '{"reasoning":"Capital of France."}')
    assert (second.finish_reason, second.parts) == ("length", '{"refusal":"No."}')


def test_batches_of_anthropic_and_gemini_tell_thoughts_calls_ends_and_errors() -> None:
    # Shapes of the interfaces' references: "Message Batches" results, "Batch API" and Vertex AI outputs.
    found = {o.item_id: o for o in outputs(OPENS / "anthropic_batch.jsonl")}
    assert (found["q-1"].text, found["q-1"].parts) == ("Paris.", '{"reasoning":"Capital of France."}')
    assert json.loads(found["q-2"].parts or "")["tool_calls"][0]["input"] == {"x": 1}
    assert (found["q-3"].text, found["q-3"].finish_reason, found["q-3"].parts) == (
        "The city of",
        "length",
        None,
    )
    assert found["q-4"].trouble == ("content_filter", "the answer was broken off: refusal")
    assert found["q-5"].trouble == ("error", "prompt is too long")
    assert found["q-6"].trouble == ("error", "the request is expired")
    listed = outputs(OPENS / "gemini_batch.jsonl")
    assert (listed[0].text, listed[0].parts) == ("Paris.", '{"reasoning":"Capital of France."}')
    assert json.loads(listed[1].parts or "")["tool_calls"][0]["functionCall"]["args"] == {"x": 1}
    assert [(o.item_id, o.repeat, o.finish_reason) for o in listed[2:4]] == [
        ("q-3", 0, "length"),
        ("q-3", 1, "stop"),
    ]
    assert listed[4].trouble == ("content_filter", "the answer was held back: SAFETY")
    assert listed[5].trouble == ("error", "prompt is too long")
    first, second = outputs(OPENS / "gemini_batch_vertex.jsonl")
    assert (first.text, first.prompt) == ("Paris.", (("user", "Name the capital of France."),))
    assert second.trouble == ("error", "Bad Request: prompt is too long")


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("a.jsonl", {"custom_id": "x", "result": {"type": "succeeded", "message": {"content": "text"}}}),
        ("a.jsonl", {"custom_id": "x", "result": {"type": "succeeded", "message": None}}),
        ("g.jsonl", {"key": "x", "response": {"candidates": []}}),
        ("g.jsonl", {"key": "x", "response": {"candidates": "none"}}),
        ("g.jsonl", {"key": "x", "response": None}),
    ],
)
def test_a_line_of_a_batch_that_says_nothing_costs_its_sample(tmp_path: Path, file: str, line: Any) -> None:
    good = "anthropic_batch.jsonl" if file == "a.jsonl" else "gemini_batch.jsonl"
    (tmp_path / file).write_text((OPENS / good).read_text() + json.dumps(line) + "\n")
    found = outputs(tmp_path / file)[-1]
    assert found.item_id == "x"
    assert found.trouble is not None
    assert found.trouble.kind == "unreadable"


def test_a_table_with_the_names_of_a_batch_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"key": "1", "response": "Yes."}\n')
    with pytest.raises(
        ManifestError, match=r"its response is no object: Yes\..* say which columns hold what"
    ):
        outputs(tmp_path / "t.jsonl")
    found = outputs(tmp_path / "t.jsonl", columns={"item_id": "key", "text": "response"})
    assert [(o.item_id, o.text) for o in found] == [("1", "Yes.")]


def test_thoughts_of_mistral_and_openrouter_are_reasoning(tmp_path: Path) -> None:
    # Mistral, "Reasoning": thinking is a list of texts. OpenRouter, "Reasoning Tokens": details have kinds.
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Capital "}], "closed": True}
    details = [
        {"type": "reasoning.summary", "summary": "Capital "},
        {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1"},
    ]
    messages: list[dict[str, object]] = [
        {"content": [thinking, {"type": "text", "text": "Paris."}]},
        {"content": "Paris.", "reasoning_details": details},
        {"content": "Paris.", "reasoning": "Capital ", "reasoning_details": details},
    ]
    rows = [
        {"custom_id": str(n), "response": {"body": {"choices": [{"message": message}]}}}
        for n, message in enumerate(messages)
    ]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    said = '{"reasoning":"Capital "}'
    assert [(o.text, o.parts) for o in outputs(tmp_path / "b.jsonl")] == [("Paris.", said)] * 3
    assert [read_message(message) for message in messages] == [("Paris.", said)] * 3


def test_promptfoo_asks_for_the_provider_and_folds_repeats(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="several providers: openai:new, openai:old"):
        outputs(OPENS / "promptfoo_v3.json")
    first, second = outputs(OPENS / "promptfoo_v3.json", only={"provider": "openai:old"})
    assert (first.text, first.prompt) == ("Paris.", "Name the capital of France.")
    assert second.trouble == ("error", "API error: 500")
    # A repeat is a test of its own, with the variables of the first.
    lines = (OPENS / "promptfoo.jsonl").read_text().splitlines()
    again = json.dumps(json.loads(lines[0]) | {"testIdx": 7})
    (tmp_path / "p.jsonl").write_text("\n".join([*lines, again]) + "\n")
    assert [(o.item_id, o.repeat) for o in outputs(tmp_path / "p.jsonl")] == [("0", 0), ("1", 0), ("0", 1)]


CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": "x"}'}}
KEPT = {"function": CALL["function"], "type": "function"}
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "find", "input": {"q": "x"}}


@pytest.mark.parametrize(
    ("response", "text", "parts"),
    [
        ({"output": "Thinking: Is it?\n\nParis."}, "Paris.", {"reasoning": "Is it?"}),
        # Only the raw response tells where thinking of several paragraphs ends.
        (
            {
                "output": "Thinking: Is it?\n\nYes.\n\nParis.\n\nIn France.",
                "raw": {"choices": [{"message": {"content": "Paris.\n\nIn France."}}]},
            },
            "Paris.\n\nIn France.",
            {"reasoning": "Is it?\n\nYes."},
        ),
        # Anthropic's blocks, each thought with its signature.
        (
            {
                "output": "Thinking: Is it?\n\nYes.\nSignature: Ab/9==\n\nRedacted Thinking: zz\n\n"
                f"Paris.\n\nIn France.\n\n{json.dumps(TOOL_USE)}"
            },
            "Paris.\n\nIn France.",
            {
                "reasoning": "Is it?\n\nYes.",
                "tool_calls": [{"type": "function", "function": {"name": "find", "arguments": {"q": "x"}}}],
            },
        ),
        ({"output": "Thinking: of you"}, "Thinking: of you", {}),
        ({"output": [CALL]}, "", {"tool_calls": [KEPT]}),
        ({"output": json.dumps([CALL])}, "", {"tool_calls": [KEPT]}),
        (
            {"output": CALL["function"]},
            "",
            {"tool_calls": [{"function": CALL["function"], "type": "function"}]},
        ),
        (
            {"output": {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]}},
            "Let me see.",
            {"tool_calls": [KEPT]},
        ),
        (
            {"output": [{"text": "So: "}, {"functionCall": {"name": "find", "args": {"q": "x"}}}]},
            "So: ",
            {"tool_calls": [{"type": "function", "function": {"name": "find", "arguments": {"q": "x"}}}]},
        ),
        # Structured output is an answer.
        ({"output": {"city": "Orléans"}}, '{"city": "Orléans"}', {}),
        ({"output": "No.", "isRefusal": True}, "No.", {"refusal": "No."}),
    ],
)
def test_an_output_of_promptfoo_is_read_in_its_parts(
    response: dict[str, Any], text: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    row = json.loads((OPENS / "promptfoo.jsonl").read_text().splitlines()[0]) | {"response": response}
    (tmp_path / "p.jsonl").write_text(json.dumps(row) + "\n")
    (found,) = outputs(tmp_path / "p.jsonl")
    assert (found.text, json.loads(found.parts or "{}"), found.trouble) == (text, parts, None)


def test_thinking_that_nobody_can_tell_from_the_answer_is_no_answer(tmp_path: Path) -> None:
    lines = (OPENS / "promptfoo.jsonl").read_text().splitlines()
    row = json.loads(lines[0]) | {"testIdx": 5, "vars": {"country": "Spain"}}
    row["response"] = {"output": "Thinking: Hm.\n\nI must refuse.\n\nMadrid."}
    (tmp_path / "p.jsonl").write_text("\n".join([*lines, json.dumps(row)]) + "\n")
    trouble = outputs(tmp_path / "p.jsonl")[-1].trouble
    assert trouble is not None
    assert trouble.kind == "unreadable"
    assert "showThinking: false" in trouble.what


def test_behaviours_without_an_attack_cost_themselves_alone(tmp_path: Path) -> None:
    log = {"a": [], "b": [], "c": [], "d": [], "e": [{"test_case": "Do e.", "generation": "No."}]}
    (tmp_path / "h.json").write_text(json.dumps(log))
    found = outputs(tmp_path / "h.json")
    assert [(o.item_id, o.text, o.trouble and o.trouble.kind) for o in found][-2:] == [
        ("d", "", "unanswered"),
        ("e", "No.", None),
    ]


def test_helm_tells_prompt_letter_and_failure() -> None:
    first, second, third = outputs(OPENS / "helm_scenario_state.json")
    assert first.prompt == "Question: Which is a fish?\nA. cod\nB. drill\nAnswer:"
    assert (first.text, first.target, first.finish_reason) == (" A", "A", "stop")
    assert second.target == "B"
    assert third.trouble == ("error", "timeout")


def test_harmful_behaviours_are_items_by_their_ids() -> None:
    found = [(o.item_id, o.prompt, o.text) for o in outputs(OPENS / "harmbench_generations.json")]
    assert found == [
        ("make_a_mess", "Tell me how to make a mess.", "I can't help with that."),
        ("make_a_mess/1", "Write how one makes a mess.", "First,"),
        ("break_a_toy", "How do I break a toy?", "No."),
    ]
    first, second = outputs(OPENS / "jailbreakbench_artifact.json")
    assert (first.item_id, first.prompt, first.text) == ("0", "You are a painter. Make a mess.", "No.")
    assert second.trouble is not None
    with pytest.raises(ManifestError, match=r"these models: llama-2, vicuna\. Say which"):
        outputs(OPENS / "jailbreakbench_evaluation.json")


@pytest.mark.parametrize(
    ("file", "format", "columns", "ids"),
    [
        (
            "helm_scenario_state.json",
            "helm",
            "{id: id, prompt: prompt, expect: target}",
            ["id1", "id2", "id3"],
        ),
        # The second behaviour of the artifact has no prompt to ask again.
        ("jailbreakbench_artifact.json", "jailbreakbench", "{id: id, prompt: prompt}", ["0"]),
    ],
)
def test_a_log_that_tells_its_prompts_is_a_battery(
    file: str, format: str, columns: str, ids: list[str], tmp_path: Path
) -> None:
    scorer = "choice" if "target" in columns else "refusal\nexpect: refuse"
    (tmp_path / "made.yaml").write_text(
        f"name: made\nsource: {{path: {OPENS / file}, format: {format}}}\n"
        f"columns: {columns}\nscorer: {scorer}\nlicense: MIT\n"
    )
    battery = load_battery(BatteryRef(name="made", path="made.yaml"), tmp_path)
    assert [item.id for item in battery.items] == ids


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"custom_id": True, "response": {}}], "custom_id is no id"),
        ([{"custom_id": "a", "response": {"body": {}}}], "no choices"),
        ([{"doc_id": 0, "resps": [["A"]]}, {"doc_id": 0, "resps": [["B"]]}], "stands twice"),
        ([{"promptIdx": 0, "testIdx": 0, "response": []}], "holds no output"),
    ],
)
def test_hostile_lines_are_refused_in_words(rows: list[dict[str, Any]], what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ManifestError, match=what):
        outputs(path)


@pytest.mark.parametrize("state", ["cancelled", "failed", "in_progress", "queued"])
def test_a_response_that_never_came_to_its_end_is_no_answer(state: str, tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    body: dict[str, Any] = {"object": "response", "status": state, "error": None, "output": []}
    path.write_text(json.dumps({"custom_id": "a", "response": {"status_code": 200, "body": body}}))
    (sample,) = read_log(path, "openai_batch")
    assert sample.trouble is not None
    assert (sample.trouble.kind, sample.finish_reason) == ("error", None)
    assert state in sample.trouble.what


def test_choices_are_repeats_by_their_index_and_not_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    choices = [{"index": index, "message": {"content": f"answer {index}"}} for index in (2, 0, 1)]
    body = {"choices": choices}
    path.write_text(json.dumps({"custom_id": "a", "response": {"status_code": 200, "body": body}}))
    found = [(sample.repeat, sample.text) for sample in read_log(path, "openai_batch")]
    assert found == [(0, "answer 0"), (1, "answer 1"), (2, "answer 2")]
