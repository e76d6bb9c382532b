"""Sampling settings beside the first ones, through the commands, on the fake engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tais.manifest.load import load_manifest
from tais.manifest.model import MixedBatch
from tais.plan.plan import make_plan
from tais.records import Message, Request, SampleKey
from tais.rundir.lock_model import plain
from tais.worker.mixed import is_companion, mixed
from tests.conftest import FAKE, SPECULATION, Screen, Tais


def answers(screen: Screen, arm: str) -> dict[str, dict[str, Any]]:
    folder = screen.run_dirs()[-1] / "arms" / arm
    rows = [row for part in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]
    return {row["item_id"]: row for row in rows}


def two_arms(screen: Screen, n: int = 6, **contrast: object) -> None:
    screen.items(n)
    screen.data["arms"] = {
        "target": {**FAKE, "dtype": "float32"},
        "spec": {"extends": "target", "speculative_config": dict(SPECULATION)},
    }
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec", **contrast}]


def own_settings(screen: Screen, rows: list[dict[str, Any]]) -> None:
    (screen.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = (screen.folder / "mine.yaml").read_text()
    if "sampling: own" not in text:
        named = text.replace("prompt: prompt", "prompt: prompt\n  sampling: own")
        (screen.folder / "mine.yaml").write_text(named)


def test_a_lock_holds_only_what_does_something(screen: Screen, tais: Tais) -> None:
    two_arms(screen)
    screen.data["sampling"] = {"max_tokens": 80, "min_p": 0.0, "bad_words": []}
    lock: dict[str, Any] = plain(make_plan(screen.write()).lock)
    assert sorted(lock["sampling"]) == ["max_tokens", "n", "seed", "stop", "temperature", "top_k", "top_p"]
    assert "mixed_batch" not in lock["arms"]["target"]
    screen.data["sampling"] = {"max_tokens": 80, "min_tokens": 70, "logit_bias": {"65": -1}}
    assert tais("run", screen.write(), "--out", screen.out).returncode == 3
    lock = json.loads((screen.run_dirs()[-1] / "manifest.lock.json").read_bytes())
    assert (lock["sampling"]["min_tokens"], lock["sampling"]["logit_bias"]) == (70, {"65": -1.0})
    assert {len(row["token_ids"]) >= 70 for row in answers(screen, "spec").values()} == {True}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"min_tokens": -1}, "sampling.min_tokens (at least 0, not -1)"),
    ({"min_tokens": "3"}, "sampling.min_tokens (whole number, not '3'. Leave the quotes out)"),
    ({"min_tokens": 90}, "sampling (min_tokens is 90 and max_tokens 80)"),
    ({"presence_penalty": 2.5}, "sampling.presence_penalty (at most 2, not 2.5)"),
    ({"frequency_penalty": -2.5}, "sampling.frequency_penalty (at least -2, not -2.5)"),
    ({"repetition_penalty": 0}, "sampling.repetition_penalty (greater than 0, not 0)"),
    ({"repetition_penalty": float("inf")}, "sampling.repetition_penalty (a finite number)"),
    ({"min_p": 1.5}, "sampling.min_p (at most 1, not 1.5)"),
    ({"logit_bias": {"five": 1}}, "sampling.logit_bias.five ('five' is no token id)"),
    ({"logit_bias": {"5": 101}}, "sampling.logit_bias.5 (at most 100, not 101)"),
    ({"bad_words": [""]}, "sampling.bad_words[0] (must not be empty)"),
    ({"bad_words": "word"}, "sampling.bad_words (a list, not 'word')"),
    ({"ignore_eos": 1}, "sampling.ignore_eos (true or false, not 1)"),
    ({"stop_token_ids": [-2]}, "sampling.stop_token_ids[0] (at least 0, not -2)"),
    ({"skip_special_tokens": "no"}, "sampling.skip_special_tokens (true or false, not 'no')"),
    ({"min_token": 3}, "sampling.min_token (unknown key 'min_token'. Did you mean 'min_tokens'?)"),
]


def test_ranges_are_checked_at_the_door(screen: Screen, tais: Tais) -> None:
    for sampling, expected in WRONG:
        key, said = expected[:-1].split(" (", 1)
        screen.data["sampling"] = {"max_tokens": 80, **sampling}
        done = tais("plan", screen.write())
        assert done.returncode == 2, sampling
        assert f"error: {key} (" in done.stderr
        assert said in done.stderr.replace("must be ", "")
        assert "screen.yaml:" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_mixed_batch_is_checked_at_the_door(screen: Screen, tais: Tais) -> None:
    for how, said in [
        ({"share": 0}, "mixed_batch.share (at: must be greater than 0, not 0"),
        ({"share": 1.5}, "mixed_batch.share (at: must be at most 1, not 1.5"),
        ({"heat": 1}, "mixed_batch.heat (at: unknown key 'heat'"),
        (True, "mixed_batch (at: must be a mapping, not true"),
    ]:
        screen.data["arms"]["spec"]["mixed_batch"] = how
        done = tais("plan", screen.write())
        assert done.returncode == 2, how
        assert said in re.sub(r"\(/[^)]*\)", "(at", done.stderr)
    # A judge is asked by itself, also one that extends such an arm.
    screen.data["arms"]["spec"]["mixed_batch"] = {}
    screen.data["judges"] = {"j": {"extends": "spec"}}
    assert load_manifest(screen.write()).judges["j"].mixed_batch is None
    screen.data["judges"] = {"j": {"extends": "target", "mixed_batch": {}}}
    assert "unknown key 'mixed_batch'" in tais("plan", screen.write()).stderr


def test_what_an_engine_cannot_follow_is_refused_by_name(screen: Screen, tais: Tais) -> None:
    speculating = {"engine": "vllm", "speculative_config": dict(SPECULATION)}
    cases: list[tuple[dict[str, Any], str, object]] = [
        ({"engine": "reference"}, "repetition_penalty", 1.2),
        ({"engine": "reference"}, "min_p", 0.1),
        (speculating, "logit_bias", {"5": -1}),
        (speculating, "min_p", 0.1),
        ({**speculating, "engine": "openai", "engine_args": {"serve": {}}}, "min_p", 0.1),
    ]
    for engine, key, value in cases:
        screen.data["arms"]["spec"] = {"model": "m", **engine}
        screen.data["sampling"] = {"temperature": 0.5, key: value}
        done = tais("plan", screen.write())
        assert done.returncode == 2
        assert f"engine {engine['engine']} of arm 'spec' does not know {key}" in done.stderr
        at = int(done.stderr.split("screen.yaml:")[1].split(")")[0])
        assert key in screen.path.read_text().splitlines()[at - 1]


def test_token_ids_are_those_of_the_model(screen: Screen, tais: Tais, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"text_config": {"vocab_size": 50}}')
    screen.data["arms"]["spec"]["model"] = str(model)
    for sampling in ({"logit_bias": {"50": 1}}, {"stop_token_ids": [3, 50]}):
        screen.data["sampling"] = sampling
        done = tais("plan", screen.write())
        assert done.returncode == 2
        said = f"{next(iter(sampling))}: the model of arm 'spec' has no token 50, only ids below 50"
        assert said in done.stderr


def test_an_audit_that_knows_no_law_is_refused_by_name(screen: Screen, tais: Tais) -> None:
    for sampling in (
        {"temperature": 0.8, "repetition_penalty": 1.2},
        {"temperature": 0, "presence_penalty": -0.5},
    ):
        two_arms(screen, audit=True)
        screen.data["sampling"] = {"max_tokens": 80, **sampling}
        done = tais("plan", screen.write())
        assert done.returncode == 2
        assert f"audit: engine fake of 'target' does not know {list(sampling)[1]}" in done.stderr
        # Where nobody asked for one, the greedy divergences are not scored, and nothing is refused.
        del screen.data["contrasts"][0]["audit"]
        assert tais("plan", screen.write()).returncode == 0


def test_an_engine_that_forgets_a_setting_fails(screen: Screen, tais: Tais) -> None:
    two_arms(screen, n=20, audit="only", lossless=True)
    for forgotten in ("min_tokens", "bad_words"):
        screen.data["arms"][forgotten] = {"extends": "spec", "engine_args": {"forgets": [forgotten]}}
        screen.data["contrasts"] += [{**screen.data["contrasts"][0], "candidate": forgotten}]
    screen.data["sampling"] = {"max_tokens": 80, "min_tokens": 72, "bad_words": ["what"]}
    done = tais("run", screen.write(), "--out", screen.out)
    assert done.returncode == 1, done.stderr
    sound, *broken = screen.report()["contrasts"]
    assert sound["details"]["audit"]["batteries"][0]["items_beyond"] == 0
    for contrast in broken:
        assert "structural_divergence" in {reason["code"] for reason in contrast["reasons"]}, contrast
    found = answers(screen, "spec").values()
    assert all(len(row["token_ids"]) >= 72 and "what" not in row["text"] for row in found)


def test_a_row_may_have_settings_of_its_own(screen: Screen, tais: Tais) -> None:
    two_arms(screen)
    rows: list[dict[str, Any]] = [{"id": f"m-{i}", "prompt": f"do {i}"} for i in range(4)]
    rows[1]["own"] = {"max_tokens": 5}
    rows[2]["own"] = json.dumps({"min_tokens": 75})
    own_settings(screen, rows)
    assert tais("run", screen.write(), "--out", screen.out).returncode == 3
    found = answers(screen, "target")
    assert len(found["m-1"]["token_ids"]) == 5
    assert len(found["m-2"]["token_ids"]) >= 75
    assert 5 < len(found["m-0"]["token_ids"]) < 75
    assert [row["token_ids"] for row in answers(screen, "spec").values()] == [
        row["token_ids"] for row in found.values()
    ]
    (before,) = make_plan(screen.path).lock.batteries
    rows[2]["own"] = json.dumps({"min_tokens": 76})
    own_settings(screen, rows)
    (after,) = make_plan(screen.path).lock.batteries
    assert before.digest != after.digest


def test_settings_of_a_row_are_checked_before_the_first_token(screen: Screen, tais: Tais) -> None:
    two_arms(screen)
    for own, said in [
        ({"temperature": 1}, "temperature is one for the whole run"),
        ({"min_tokens": "many"}, "sampling: min_tokens: must be a whole number, not 'many'"),
        ({"min_tokens": True}, "sampling: min_tokens: must be a whole number, not true"),
        ({"logit_bias": {"5": 101}}, "sampling: logit_bias.5: must be at most 100, not 101"),
        ('{"repetition_penalty": Infinity}', "sampling: repetition_penalty: must be a finite number"),
        ("{", "a mapping, or JSON of one"),
        ([1], "a mapping, or JSON of one"),
        ({"min_tokens": 81}, "min_tokens is 81 and max_tokens 80"),
        ({"minimum": 3}, "sampling: minimum: unknown key 'minimum'"),
        ({"presence_penalty": -1}, "audit: engine fake of 'target' does not know presence_penalty"),
    ]:
        own_settings(screen, [{"id": "m-0", "prompt": "do it", "own": own}])
        done = tais("plan", screen.write())
        assert done.returncode == 2, own
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_companions_of_a_mixed_batch_leave_no_sample(screen: Screen, tais: Tais) -> None:
    two_arms(screen)
    screen.data["arms"]["spec"]["mixed_batch"] = {"share": 1}
    assert tais("run", screen.write(), "--out", screen.out).returncode == 3
    found = answers(screen, "spec")
    assert len(found) == 6
    assert {row["repeat"] for row in found.values()} == {0}
    lock = json.loads((screen.run_dirs()[-1] / "manifest.lock.json").read_bytes())
    assert lock["arms"]["spec"]["mixed_batch"] == {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "share": 1.0}
    assert "mixed_batch.share" in lock["contrasts"][0]["differences"]
    assert screen.report()["contrasts"][0]["identity"]["identical"] == 6


def test_companions_ask_the_same_in_another_way() -> None:
    asked = [
        Request(SampleKey("b", f"i{i}", 0), (Message("user", f"{i}"),), seed=2 * i, own='{"min_tokens": 3}')
        for i in range(10)
    ]
    found = mixed(asked, MixedBatch(temperature=0.7, share=0.3))
    assert [request for request in found if not is_companion(request.key)] == asked
    beside = [request for request in found if is_companion(request.key)]
    assert len(beside) == 3
    for request in beside:
        own = found[found.index(request) - 1]
        assert (own.key.item_id, own.messages) == (request.key.item_id, request.messages)
        assert json.loads(request.own or "") == {
            "min_tokens": 3, "temperature": 0.7, "top_p": 1.0, "top_k": 0,
        }  # fmt: skip


def test_a_mixed_batch_is_refused_where_one_law_is_drawn_at_a_time(screen: Screen, tais: Tais) -> None:
    screen.data["arms"]["spec"] = {"engine": "reference", "model": "m", "mixed_batch": {}}
    done = tais("plan", screen.write())
    assert done.returncode == 2
    assert "engine reference of arm 'spec' knows no mixed_batch" in done.stderr
