"""Logs of Inspect and of lm-evaluation-harness."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tais.battery.load import Message, load_battery
from tais.engines.imported_outputs import ImportedOutput, read_outputs
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef


def sample(number: int, text: Any, epoch: int = 1, **more: Any) -> dict[str, Any]:
    """A sample as Inspect's EvalSample serialises it, without the parts that are not read."""
    choice = {"message": {"role": "assistant", "content": text}, "stop_reason": "max_tokens"}
    given = {"id": number, "epoch": epoch, "input": f"Question {number}", "target": "B", "scores": {}}
    return given | {"output": {"model": "m", "choices": [choice], "usage": {}}} | more


def eval_log(path: Path, samples: list[dict[str, Any]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"version": 2, "status": "success"}))
        for one in samples:
            archive.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
    return path


def lm_eval(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def logged(number: int, *answers: Any, name: str = "none", prompt: str = "Question") -> dict[str, Any]:
    arguments = {"gen_args_0": {"arg_0": f"{prompt} {number}", "arg_1": {"until": ["\n"]}}}
    return {
        "doc_id": number,
        "doc": {},
        "target": "B",
        "arguments": arguments,
        "resps": [list(answers)],
        "filter": name,
    }


def test_inspect_archives_become_outputs(tmp_path: Path) -> None:
    parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "B"}]
    path = eval_log(tmp_path / "log.eval", [sample(1, "A"), sample(1, "C", epoch=2), sample(2, parts)])
    assert list(read_outputs(path)) == [
        ImportedOutput("1", "A", repeat=0, finish_reason="length"),
        ImportedOutput("1", "C", repeat=1, finish_reason="length"),
        # Reasoning is part of what was said, beside the text.
        ImportedOutput("2", "B", repeat=0, finish_reason="length", parts='{"reasoning":"hm"}'),
    ]


def test_inspect_json_logs_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"version": 2, "eval": {}, "samples": [sample(1, "A")]}))
    assert [output.text for output in read_outputs(path)] == ["A"]


def test_what_a_log_says_outside_the_text_is_kept(tmp_path: Path) -> None:
    thought = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "B"}]
    called = sample(2, None)
    called["output"]["choices"][0]["message"]["tool_calls"] = [{"id": "x", "function": "f", "arguments": {}}]
    log = eval_log(tmp_path / "log.eval", [sample(1, thought), called])
    assert [(o.text, o.parts) for o in read_outputs(log)] == [
        ("B", '{"reasoning":"hm"}'),
        ("", '{"tool_calls":[{"arguments":{},"function":"f"}]}'),
    ]


def test_an_answer_that_a_harness_did_not_get_is_empty(tmp_path: Path) -> None:
    log = lm_eval(tmp_path / "samples.jsonl", [logged(1, "B"), logged(2, None)])
    assert [o.text for o in read_outputs(log)] == ["B", ""]


def test_a_log_is_a_battery_with_its_chats(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go"}]
    eval_log(tmp_path / "log.eval", [sample(1, "A"), sample(1, "C", epoch=2), sample(2, "A", input=chat)])
    (tmp_path / "made.yaml").write_text(
        "name: made\nsource: {path: log.eval}\ncolumns: {id: id, prompt: prompt, expect: target}\n"
        "scorer: choice\nlicense: MIT\n"
    )
    battery = load_battery(BatteryRef(name="made", path="made.yaml"), tmp_path)
    assert [item.id for item in battery.items] == ["1", "2"]
    assert battery.items[0].prompt == "Question 1"
    assert battery.items[1].messages == (Message("system", "Be brief."), Message("user", "Go"))
    assert battery.items[1].expect == "B"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"error": {"message": "boom"}}, "ended in an error"),
        ({"output": {}}, "not a sample"),
        ({"output": {"choices": [{"message": {"content": [{"type": "image"}]}}]}}, "content of type image"),
    ],
)
def test_a_sample_that_cannot_be_used_is_refused(more: dict[str, Any], what: str, tmp_path: Path) -> None:
    path = eval_log(tmp_path / "log.eval", [sample(1, "A", **more)])
    with pytest.raises(ManifestError, match=what) as caught:
        list(read_outputs(path))
    assert "samples/1_epoch_1.json" in str(caught.value)


def test_a_broken_archive_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.eval").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(ManifestError, match="cannot read the Inspect log"):
        list(read_outputs(tmp_path / "log.eval"))
    with pytest.raises(ManifestError, match="no samples"):
        list(read_outputs(eval_log(tmp_path / "empty.eval", [])))


def test_lm_eval_samples_become_outputs(tmp_path: Path) -> None:
    rows = [
        logged(0, "A"),
        logged(0, "A", name="other"),
        logged(1, "B", "C"),
        logged(1, "B", "C", name="other"),
    ]
    assert list(read_outputs(lm_eval(tmp_path / "samples.jsonl", rows))) == [
        ImportedOutput("0", "A"),
        ImportedOutput("1", "B"),
        ImportedOutput("1", "C", repeat=1),
    ]


def test_lm_eval_files_are_a_battery(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "Go"},
    ]
    old_style = logged(1, "B") | {"arguments": [[json.dumps(turns), {"until": []}]]}
    lm_eval(tmp_path / "samples.jsonl", [logged(0, "A"), old_style])
    (tmp_path / "made.yaml").write_text(
        "name: made\nsource: {path: samples.jsonl, format: lm_eval}\n"
        "columns: {id: id, prompt: prompt, expect: target}\nscorer: choice\nlicense: MIT\n"
    )
    battery = load_battery(BatteryRef(name="made", path="made.yaml"), tmp_path)
    assert battery.items[0].prompt == "Question 0"
    assert [m.as_dict() for m in battery.items[1].messages] == turns


def test_a_log_likelihood_task_has_nothing_to_screen(tmp_path: Path) -> None:
    path = lm_eval(tmp_path / "samples.jsonl", [logged(0, [-1.5, False])])
    with pytest.raises(ManifestError, match="log-likelihoods") as caught:
        list(read_outputs(path))
    assert "samples.jsonl:1" in str(caught.value)


def test_a_line_of_something_else_is_refused(tmp_path: Path) -> None:
    path = lm_eval(tmp_path / "samples.jsonl", [logged(0, "A"), {"doc_id": 1, "filter": "none"}])
    with pytest.raises(ManifestError, match="not a line of lm-evaluation-harness") as caught:
        list(read_outputs(path))
    assert ":2" in str(caught.value)
