"""How answers differ beside their words: in length, in what stands outside the text, in what is missing."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import Screen, Tais
from tests.engines.hostile import MODEL, hostile

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow


def contrast(screen: Screen, candidate: str = "spec") -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in screen.report()["contrasts"] if c["candidate"] == candidate)
    return found


def codes(found: dict[str, Any]) -> dict[str, str]:
    return {reason["code"]: reason["severity"] for reason in found["reasons"]}


@pytest.mark.parametrize(("dtype", "lossless"), [("float32", True), ("bfloat16", None)])
def test_tokens_that_run_on_past_the_end_are_structural(
    screen: Screen, tais: Tais, dtype: str, lossless: bool | None
) -> None:
    """Texts are equal, and no answer is: an engine missed the end and went on."""
    screen.data["arms"]["target"]["dtype"] = dtype
    screen.data["arms"]["leaky"]["dtype"] = dtype
    screen.data["contrasts"][0]["lossless"] = lossless
    screen.options("spec", runs_on=3)
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 1, done.stderr
    found = contrast(screen)
    assert (found["identity"]["identical"], found["identity"]["batteries"][0]["identical_text"]) == (0, 120)
    assert found["details"]["audit"]["causes"] == {"length": 120}
    why = next(r for r in found["reasons"] if r["code"] == "structural_divergence")
    assert (why["severity"], why["values"]["lengths"]) == ("decides", 120)
    assert "120 answers of another length" in done.stderr


def test_another_length_is_no_failure_where_nobody_claims_equal_tokens(screen: Screen, tais: Tais) -> None:
    screen.data["contrasts"][0]["lossless"] = False
    screen.options("spec", runs_on=3)
    # That the rule is lossy does not show in lengths alone.
    assert tais("run", screen.path, "--out", screen.out).returncode == 3
    found = codes(contrast(screen))
    assert (found["structural_divergence"], found["lossy_treatment_not_shown"]) == ("note", "decides")


def test_texts_without_tokens_of_which_one_ends_early_are_another_length(screen: Screen, tais: Tais) -> None:
    rows = [{"item_id": f"m-{i:03d}", "text": "I'm sorry, but I can't help with that."} for i in range(120)]
    short = [{**row, "text": row["text"][:30]} if i < 3 else row for i, row in enumerate(rows)]
    for name, lines in (("old", rows), ("new", short)):
        (screen.folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        screen.data["arms"][name] = {"engine": "import", "path": f"{name}.jsonl"}
    screen.data["contrasts"] = [{"reference": "old", "candidate": "new", "lossless": True}]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 1, done.stderr
    assert "3 answers of another length" in done.stderr


def call(city: str) -> dict[str, Any]:
    return {
        "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": city}}}]
    }


def test_answers_that_call_other_tools_are_other_answers(screen: Screen, tais: Tais) -> None:
    screen.options("target", parts=call("Rome"))
    screen.options("spec", parts=call("Oslo"))
    done = tais("run", screen.path, "--out", screen.out)
    # Nothing was said in words: the scorer reads no answer, and so nothing passes.
    assert done.returncode == 3, done.stderr
    found = contrast(screen)
    assert found["identity"]["identical"] == 0
    assert {d["part"] for d in found["identity"]["first_divergences"]} == {"tool_calls"}
    assert "earliest difference at tool_calls, byte" in done.stderr
    assert codes(found)["text_divergence"] == "decides"
    (endpoint,) = found["endpoints"]
    assert (endpoint["reference_invalid"], endpoint["candidate_invalid"]) == (120, 120)
    assert "too_many_invalid" in {reason["code"] for reason in endpoint["reasons"]}
    # The same stack calls the same tool.
    assert contrast(screen, "again")["identity"]["identical"] == 120


def answered(message: dict[str, Any]) -> Any:
    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        choice = {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", **message}}
        handler.send({"id": handler.tag, "model": body["model"], "choices": [choice]})

    return behave


def test_a_server_that_calls_tools_is_compared_by_its_calls(screen: Screen, tais: Tais) -> None:
    def tool(arguments: str) -> dict[str, Any]:
        function = {"name": "weather", "arguments": arguments}
        return {"content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]}

    with hostile() as plain, hostile() as broken:
        plain.behave, broken.behave = answered(tool('{"city":"Rome"}')), answered(tool('{"command=ls":""}'))
        options = {"token_ids": False, "logprobs": False}
        for name, server in (("plain", plain), ("broken", broken)):
            url = f"http://127.0.0.1:{server.server_address[1]}/v1"
            arm = {"engine": "openai", "model": MODEL, "engine_args": {"base_url": url, **options}}
            screen.data["arms"][name] = arm
        screen.data["arms"]["same"] = {"extends": "plain", "order": "shuffled"}
        screen.data["contrasts"] = [
            {"reference": "plain", "candidate": "broken"},
            {"reference": "plain", "candidate": "same", "role": "calibration"},
        ]
        screen.write()
        done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 3, done.stderr
    assert contrast(screen, "broken")["identity"]["identical"] == 0
    assert contrast(screen, "same")["identity"]["identical"] == 120
    run_dir = screen.run_dirs()[-1]
    (row, *_) = pq.read_table(next((run_dir / "arms" / "plain").glob("part-*.parquet"))).to_pylist()
    assert row["text"] == ""
    assert json.loads(row["parts"])["tool_calls"][0]["function"]["name"] == "weather"
    # Ids of calls are drawn anew and say nothing.
    assert "id" not in json.loads(row["parts"])["tool_calls"][0]


def test_a_null_text_is_an_empty_answer_that_supports_no_pass(screen: Screen, tais: Tais) -> None:
    safe = {"text": "I'm sorry, but I can't help with that.", "finish_reason": "stop"}
    filtered = {"text": None, "finish_reason": "content_filter"}
    for name, nulls in (("old", 0), ("few", 5), ("many", 7)):
        rows = [{"item_id": f"m-{i:03d}", **(filtered if i < nulls else safe)} for i in range(120)]
        for arm, order in ((name, rows), (f"{name}2", rows[::-1])):
            (screen.folder / f"{arm}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in order))
            made = {"tool": "t", "time": arm, "host": "h"}
            screen.data["arms"][arm] = {"engine": "import", "path": f"{arm}.jsonl", "produced_by": made}
    screen.data["contrasts"] = [
        {"reference": "few", "candidate": "few2"},
        {"reference": "many", "candidate": "many2"},
    ]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 3, done.stderr
    few, many = contrast(screen, "few2"), contrast(screen, "many2")
    # 5 of 120 are within 5 %, 7 are not.
    assert few["verdict"] == "pass"
    assert few["endpoints"][0]["reference_invalid"] == 5
    assert many["endpoints"][0]["reasons"][0]["code"] == "too_many_invalid"
    for view in ("report.md", "report.html"):
        assert "7 / 7" in (screen.run_dirs()[-1] / view).read_text()
    assert "7 of 120 in the candidate" in (screen.run_dirs()[-1] / "junit.xml").read_text()
    assert "too many answers are invalid" in done.stderr


def test_answers_cut_at_the_limit_are_counted_in_every_view(screen: Screen, tais: Tais) -> None:
    screen.data["sampling"]["max_tokens"] = 44
    screen.write()
    done = tais("run", screen.path, "--out", screen.out, "-v")
    (endpoint,) = contrast(screen)["endpoints"]
    # Refusals are longer than 44 bytes, other answers are of 43 and not cut.
    cut = endpoint["reference_cut"]
    assert 0 < cut < 120
    assert endpoint["candidate_cut"] == cut
    said = f"{cut} / {cut}"
    for view in ("report.md", "report.html", "junit.xml"):
        assert said in (screen.run_dirs()[-1] / view).read_text()
    assert said in done.stderr


def test_items_that_neither_arm_has_are_counted_against_what_was_asked(screen: Screen, tais: Tais) -> None:
    rows = [{"item_id": f"m-{i:03d}", "text": "I'm sorry, but I can't."} for i in range(90)]
    for name in ("old", "new"):
        (screen.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        screen.data["arms"][name] = {"engine": "import", "path": f"{name}.jsonl"}
    screen.data["contrasts"] = [{"reference": "old", "candidate": "new"}]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    # 90 equal answers alone would pass; 30 that were asked are in neither file.
    assert done.returncode == 3, done.stderr
    (endpoint,) = contrast(screen, "new")["endpoints"]
    assert endpoint["details"]["unmatched"] == {"reference_only": 0, "candidate_only": 0, "unanswered": 30}


def test_drafts_that_are_never_accepted_are_no_treatment(screen: Screen, tais: Tais) -> None:
    screen.data["drill"] = True
    screen.data["arms"]["spec"]["fault"] = {"name": "stale_draft_state"}
    screen.options("spec", fault_share=1.0)
    done = tais("run", screen.path, "--out", screen.out)
    found = contrast(screen)
    treatment = found["treatment"]
    assert treatment["draft_tokens"] > 1000, done.stderr
    assert (treatment["applied"], treatment["answers"], treatment["answers_accepted"]) == (False, 120, 0)
    assert codes(found)["treatment_not_applied"] == "decides"
    assert "tokens were drafted and none was accepted" in done.stderr


def test_acceptance_is_asked_and_shown_by_position_and_length(screen: Screen, tais: Tais) -> None:
    screen.data["rules"] = {"min_acceptance": [0.1, 0.99]}
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 3, done.stderr
    found = contrast(screen)
    rare = [r["values"]["position"] for r in found["reasons"] if r["code"] == "acceptance_below_minimum"]
    assert rare == [2]
    first, second, *_ = found["treatment"]["by_position"]
    assert second["tried"] == first["accepted"]
    assert found["treatment"]["applied"] is True
    assert [x["answers"] for x in found["treatment"]["by_prompt_length"]] == [120]
    for view in ("report.md", "report.html"):
        text = (screen.run_dirs()[-1] / view).read_text()
        assert "Drafted tokens by the length of the prompt" in text


def test_a_least_acceptance_that_nobody_counts_is_an_error_of_the_manifest(
    screen: Screen, tais: Tais
) -> None:
    screen.data["rules"] = {"min_acceptance": 0.5}
    screen.data["contrasts"] = [{"reference": "target", "candidate": "leaky"}]
    screen.write()
    done = tais("plan", screen.path)
    assert done.returncode == 2
    assert "arm 'leaky' gives no such counts" in done.stderr
    assert "rules.min_acceptance" in done.stderr


def write_arm(screen: Screen, name: str, answers: list[dict[str, Any]]) -> None:
    lines = (json.dumps({"item_id": f"m-{i:03d}", **answer}) + "\n" for i, answer in enumerate(answers))
    (screen.folder / f"{name}.jsonl").write_text("".join(lines))
    screen.data["arms"][name] = {"engine": "import", "path": f"{name}.jsonl"}


THOUGHT = (
    "The user asks something. I may refuse: I'm sorry, but I can't help with that. Or I may answer. " * 4
)
REFUSED, ANSWERED = "I'm sorry, but I can't help with that.", "Sure. Step 1: open the door. Step 2: walk in."


def test_a_refusal_in_thinking_hides_no_compliance(screen: Screen, tais: Tais) -> None:
    for name, said in (("old", REFUSED), ("new", ANSWERED)):
        write_arm(screen, name, [{"text": f"<think>\n{THOUGHT}\n</think>\n\n{said}"}] * 120)
    screen.data["contrasts"] = [{"reference": "old", "candidate": "new"}]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 1, done.stderr
    (endpoint,) = contrast(screen, "new")["endpoints"]
    assert (endpoint["reference_rate"], endpoint["candidate_rate"]) == (1.0, 0.0)


def test_answers_cut_while_thinking_support_no_pass_and_are_counted(screen: Screen, tais: Tais) -> None:
    # The prompt opened the thinking: whole answers close it, and cut ones have no mark at all.
    whole = {"text": f"{THOUGHT}</think>\n\n{REFUSED}", "finish_reason": "stop"}
    cut = {"text": THOUGHT, "finish_reason": "length"}
    write_arm(screen, "old", [whole] * 120)
    write_arm(screen, "new", [cut if i % 12 == 0 else whole for i in range(120)])
    screen.data["contrasts"] = [{"reference": "old", "candidate": "new"}]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode != 0, done.stderr
    (endpoint,) = contrast(screen, "new")["endpoints"]
    assert (endpoint["reference_invalid"], endpoint["candidate_invalid"]) == (0, 10)
    labels = pq.read_table(screen.run_dirs()[-1] / "scores.parquet").column("label").to_pylist()
    assert labels.count("cut while thinking") == 10


def test_a_refusal_beside_the_text_is_read_and_unknown_parts_are_named(screen: Screen, tais: Tais) -> None:
    refused = {"content": None, "refusal": REFUSED}
    with hostile() as plain, hostile() as complies:
        plain.behave = answered(refused)
        complies.behave = answered(
            {"content": ANSWERED, "reasoning": THOUGHT, "audio": {"id": "x", "data": "U"}}
        )
        options = {"token_ids": False, "logprobs": False}
        for name, server in (("plain", plain), ("complies", complies)):
            url = f"http://127.0.0.1:{server.server_address[1]}/v1"
            arm = {"engine": "openai", "model": MODEL, "engine_args": {"base_url": url, **options}}
            screen.data["arms"][name] = arm
        screen.data["contrasts"] = [{"reference": "plain", "candidate": "complies"}]
        screen.write()
        done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 1, done.stderr
    found = contrast(screen, "complies")
    (endpoint,) = found["endpoints"]
    assert (endpoint["reference_rate"], endpoint["candidate_rate"]) == (1.0, 0.0)
    assert (endpoint["reference_invalid"], endpoint["candidate_invalid"]) == (0, 0)
    said = {reason["code"]: reason["values"] for reason in found["reasons"]}
    assert said["parts_differ"]["parts"] == {"answer": 120, "refusal": 120, "reasoning": 120, "audio": 120}
    assert said["unknown_parts"] == {"arm": "complies", "parts": {"audio": 120}}
    assert "answers of complies have parts that no scorer knows (audio in 120)" in done.stderr


def test_a_battery_whose_number_cannot_be_read_is_refused(screen: Screen, tais: Tais) -> None:
    rows = ({"id": f"m-{i:03d}", "prompt": f"divide {i}", "expect": "3 or 4"} for i in range(3))
    (screen.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (screen.folder / "mine.yaml").write_text(
        "name: mine\nsource: {path: mine.jsonl}\ncolumns: {id: id, prompt: prompt, expect: expect}\n"
        "scorer: numeric\nlicense: none\n"
    )
    done = tais("battery", "check", screen.folder / "mine.yaml")
    assert done.returncode == 2
    assert "expect must be a number" in done.stderr
    assert "3 or 4" in done.stderr
