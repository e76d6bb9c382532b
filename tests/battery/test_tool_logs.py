"""Logs of Inspect and of lm-evaluation-harness."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tais.battery.load import LoadedBattery, Message, load_battery
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef
from tais.plan.items import write_items
from tais.rundir.items import Items
from tests.engines.imports import OPENS, outputs


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
    assert [(o.item_id, o.text, o.repeat, o.finish_reason, o.parts) for o in outputs(path)] == [
        ("1", "A", 0, "length", None),
        ("1", "C", 1, "length", None),
        # Reasoning is part of what was said, beside the text.
        ("2", "B", 0, "length", '{"reasoning":"hm"}'),
    ]


@pytest.mark.parametrize("name", ["inspect_0.3.150.eval", "inspect_0.3.285.eval"])
def test_archives_of_both_compressions_are_read(name: str) -> None:
    # Deflate, and zstd since 0.3.206; the answers alternate between B and C.
    found = [(o.item_id, o.repeat, o.text) for o in outputs(OPENS / name)]
    assert sorted(found) == [(q, r, t) for q, t in (("q0", "ANSWER: B"), ("q1", "ANSWER: C")) for r in (0, 1)]


def test_inspect_json_logs_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"version": 2, "eval": {}, "samples": [sample(1, "A")]}))
    assert [output.text for output in outputs(path)] == ["A"]


def test_what_a_log_says_outside_the_text_is_kept(tmp_path: Path) -> None:
    thought = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "B"}]
    called = sample(2, None)
    called["output"]["choices"][0]["message"]["tool_calls"] = [{"id": "x", "function": "f", "arguments": {}}]
    log = eval_log(tmp_path / "log.eval", [sample(1, thought), called])
    assert [(o.text, o.parts) for o in outputs(log)] == [
        ("B", '{"reasoning":"hm"}'),
        ("", '{"tool_calls":[{"function":{"arguments":{},"name":"f"},"type":"function"}]}'),
    ]


def test_an_answer_that_a_harness_did_not_get_is_empty(tmp_path: Path) -> None:
    log = lm_eval(tmp_path / "samples.jsonl", [logged(1, "B"), logged(2, None)])
    assert [o.text for o in outputs(log)] == ["B", ""]


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


def archive(folder: Path, **more: Any) -> Path:
    """A log whose second sample is a special one."""
    return eval_log(folder / "log.eval", [sample(1, "A"), sample(2, "B", **more)])


@pytest.mark.parametrize(
    ("more", "kind", "what"),
    [
        ({"error": {"message": "boom"}}, "error", "boom"),
        ({"invalidation": {"author": "x", "reason": "bad sandbox"}}, "invalidated", "bad sandbox"),
        ({"model_fallbacks": [{"model": "m", "fallback_model": "n"}]}, "fallback", "answered by n"),
        ({"output": {}}, "unanswered", "no answer"),
        (
            {"output": {"choices": [{"message": {"role": "assistant"}}]}},
            "unreadable",
            "no message with content",
        ),
        ({"limit": {"type": "token", "limit": 100.0}}, "limit", "token limit 100.0"),
    ],
)
def test_one_bad_sample_costs_that_sample(more: dict[str, Any], kind: str, what: str, tmp_path: Path) -> None:
    first, second = outputs(archive(tmp_path, **more))
    assert first.trouble is None
    assert second.trouble is not None
    assert second.trouble.kind == kind
    assert what in second.trouble.what
    # An answer cut by a limit is one that ends at the limit of its length.
    assert (second.finish_reason == "length") == (kind in ("limit", "error", "invalidated", "fallback"))


def test_a_damaged_member_costs_that_sample(tmp_path: Path) -> None:
    path = archive(tmp_path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as opened:
        at = opened.getinfo("samples/2_epoch_1.json").header_offset + 60
    path.write_bytes(data[:at] + b"\0\0\0\0" + data[at + 4 :])
    first, second = outputs(path)
    assert first.text == "A"
    assert second.item_id == "2"
    assert second.trouble is not None
    assert second.trouble.kind == "unreadable"


def test_a_log_of_bad_samples_alone_is_refused(tmp_path: Path) -> None:
    path = eval_log(tmp_path / "log.eval", [sample(1, "A", error={"message": "boom"})])
    with pytest.raises(ManifestError, match=r"no sample of the file can be read \(first: 1: boom"):
        outputs(path)


def test_a_member_that_unpacks_to_much_costs_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, metadata={"blank": " " * 3_000_000})
    assert path.stat().st_size < 10_000
    monkeypatch.setattr("tais.battery.logs.inspect_log._LARGEST_SAMPLE", 1 << 20)
    with pytest.raises(ManifestError, match="unpacks to more than 1 MiB"):
        outputs(path)


def test_a_refusal_is_kept_as_a_part(tmp_path: Path) -> None:
    said = [{"type": "text", "text": "I can't discuss that.", "refusal": True}]
    path = eval_log(tmp_path / "log.eval", [sample(1, said)])
    (found,) = outputs(path)
    assert (found.text, found.parts) == ("I can't discuss that.", '{"refusal":"I can\'t discuss that."}')


def test_what_stands_under_attachments_is_put_back(tmp_path: Path) -> None:
    link = "attachment://c0ffee"
    more: dict[str, Any] = {"attachments": {"c0ffee": "A long question"}, "input": link}
    (found,) = outputs(eval_log(tmp_path / "log.eval", [sample(1, "A", **more)]))
    assert found.prompt == "A long question"


def test_a_picture_is_no_reason_to_refuse_an_answer(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": [{"type": "image", "image": "data:image/png;base64,AA=="}]}]
    (found,) = outputs(eval_log(tmp_path / "log.eval", [sample(1, "A cat.", input=asked)]))
    assert (found.text, found.prompt, found.unaskable) == ("A cat.", None, "content of type image")


def test_a_broken_archive_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.eval").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(ManifestError, match="cannot read the Inspect log"):
        outputs(tmp_path / "log.eval")
    with pytest.raises(ManifestError, match="no samples"):
        outputs(eval_log(tmp_path / "empty.eval", []))


def made_of(log: Path, folder: Path, format: str) -> LoadedBattery:
    """Load a battery whose source is a log."""
    (folder / "made.yaml").write_text(
        f"name: made\nsource: {{path: {log}, format: {format}}}\n"
        "columns: {id: id, prompt: prompt, expect: target}\nscorer: choice\nlicense: MIT\n"
    )
    return load_battery(BatteryRef(name="made", path="made.yaml"), folder)


def test_a_battery_of_a_log_asks_what_was_asked(tmp_path: Path) -> None:
    # Written by Inspect 0.3.285: multiple_choice behind a system message, two epochs.
    battery = made_of(OPENS / "inspect_0.3.285.eval", tmp_path, "inspect")
    assert [item.id for item in battery.items] == ["q0", "q1"]
    system, user = battery.items[0].messages
    assert system == Message("system", "Be brief.")
    assert user.content.endswith("Which is letter 0?\n\nA) x\nB) y\nC) z")


def test_options_that_nobody_saw_are_not_asked(tmp_path: Path) -> None:
    log = eval_log(tmp_path / "log.eval", [sample(1, "A"), sample(2, "B", choices=["x", "y"])])
    battery = made_of(log, tmp_path, "inspect")
    assert [item.id for item in battery.items] == ["1"]
    assert "1 samples of the log cannot be asked again" in battery.notes[0]
    assert "does not say how its options were shown" in battery.notes[0]


@pytest.mark.parametrize(
    ("prompt", "rendered"),
    [("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", True), ("Say <|im_start|>", False)],
)
def test_a_prompt_rendered_already_goes_through_no_template(
    prompt: str, rendered: bool, tmp_path: Path
) -> None:
    row = logged(1, "A") | {"arguments": {"gen_args_0": {"arg_0": prompt}}}
    battery = made_of(lm_eval(tmp_path / "samples_x.jsonl", [row]), tmp_path, "lm_eval")
    write_items(tmp_path / "items.parquet", (battery,))
    ((_, item),) = Items(tmp_path / "items.parquet").items()
    assert item.chat is not rendered
    assert any("went through a chat template" in note for note in battery.notes) is rendered


def test_lm_eval_samples_become_outputs(tmp_path: Path) -> None:
    rows = [
        logged(0, "A"),
        logged(0, "A", name="other"),
        logged(1, "B", "C"),
        logged(1, "B", "C", name="other"),
    ]
    found = outputs(lm_eval(tmp_path / "samples.jsonl", rows))
    assert [(o.item_id, o.text, o.repeat) for o in found] == [("0", "A", 0), ("1", "B", 0), ("1", "C", 1)]
    # Before 0.4.7 rows did not say their filter.
    for row in rows:
        del row["filter"]
    assert len(outputs(lm_eval(tmp_path / "samples.jsonl", rows))) == 3


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


def test_a_folder_of_logs_is_one_battery_of_many_tasks(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for task in ("law", "art"):
        lm_eval(
            tmp_path / "logs" / f"samples_mmlu_{task}_2026-01-01T00-00-00.jsonl",
            [logged(0, "A", prompt=task)],
        )
    (tmp_path / "logs" / "results_2026-01-01T00-00-00.json").write_text('{"results": {}}')
    battery = made_of(tmp_path / "logs", tmp_path, "lm_eval")
    assert [(i.id, i.prompt) for i in battery.items] == [("mmlu_art/0", "art 0"), ("mmlu_law/0", "law 0")]


def test_a_log_likelihood_task_has_nothing_to_screen(tmp_path: Path) -> None:
    path = lm_eval(tmp_path / "samples.jsonl", [logged(0, [-1.5, False])])
    with pytest.raises(ManifestError, match="log-likelihoods") as caught:
        outputs(path)
    assert "samples.jsonl:1" in str(caught.value)


def test_a_line_without_an_id_is_refused_and_one_without_an_answer_costs_itself(tmp_path: Path) -> None:
    path = lm_eval(tmp_path / "samples.jsonl", [logged(0, "A"), {"doc_id": 1, "filter": "none"}])
    assert [o.trouble and o.trouble.kind for o in outputs(path)] == [None, "unreadable"]
    lm_eval(path, [logged(0, "A"), {"resps": [["B"]], "filter": "none"}])
    with pytest.raises(ManifestError, match="doc_id is no id") as caught:
        outputs(path)
    assert ":2" in str(caught.value)
