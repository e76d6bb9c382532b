"""Sampling settings beside the first ones, through the commands, on the fake engine."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from tais.manifest.model import MixedBatch
from tais.records import Message, Request, SampleKey
from tais.worker.mixed import is_companion, mixed
from tests.conftest import FAKE, SPECULATION, Screen, Tais


def answers(screen: Screen, arm: str) -> dict[str, dict[str, Any]]:
    folder = screen.run_dirs()[-1] / "arms" / arm
    rows = [row for part in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]
    return {row["item_id"]: row for row in rows}


def two_arms(screen: Screen, n: int = 30, **contrast: object) -> None:
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
    assert tais("run", screen.write(), "--out", screen.out).returncode == 3
    lock = json.loads((screen.run_dirs()[-1] / "manifest.lock.json").read_bytes())
    assert sorted(lock["sampling"]) == ["max_tokens", "n", "seed", "stop", "temperature", "top_k", "top_p"]
    assert "mixed_batch" not in lock["arms"]["target"]
    screen.data["sampling"] = {"max_tokens": 80, "min_tokens": 70, "logit_bias": {"65": -1}}
    assert tais("run", screen.write(), "--out", screen.out).returncode == 3
    lock = json.loads((screen.run_dirs()[-1] / "manifest.lock.json").read_bytes())
    assert (lock["sampling"]["min_tokens"], lock["sampling"]["logit_bias"]) == (70, {"65": -1.0})
    assert {len(row["token_ids"]) >= 70 for row in answers(screen, "spec").values()} == {True}


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ({"min_tokens": -1}, "min_tokens"),
        ({"min_tokens": 90}, "min_tokens is 90 and max_tokens 80"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"min_p": 1.5}, "min_p"),
        ({"logit_bias": {"five": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"bad_words": [""]}, "bad_words"),
        ({"stop_token_ids": [-2]}, "stop_token_ids"),
    ],
)
def test_ranges_are_checked_at_the_door(
    screen: Screen, tais: Tais, sampling: dict[str, Any], said: str
) -> None:
    screen.data["sampling"] = {"max_tokens": 80, **sampling}
    done = tais("plan", screen.write())
    assert done.returncode == 2
    assert said in done.stderr
    assert "screen.yaml:" in done.stderr


@pytest.mark.parametrize(
    ("engine", "key", "value"),
    [
        ({"engine": "reference"}, "repetition_penalty", 1.2),
        ({"engine": "reference"}, "min_p", 0.1),
        ({"engine": "vllm", "speculative_config": dict(SPECULATION)}, "logit_bias", {"5": -1}),
        ({"engine": "vllm", "speculative_config": dict(SPECULATION)}, "min_p", 0.1),
    ],
)
def test_what_an_engine_cannot_follow_is_refused_by_name(
    screen: Screen, tais: Tais, engine: dict[str, Any], key: str, value: object
) -> None:
    screen.data["arms"]["spec"] = {"model": "m", **engine}
    screen.data["sampling"] = {"temperature": 0.5, key: value}
    done = tais("plan", screen.write())
    assert done.returncode == 2
    assert f"engine {engine['engine']} of arm 'spec' does not know {key}" in done.stderr
    line = screen.path.read_text().splitlines()[int(done.stderr.split("screen.yaml:")[1].split(")")[0]) - 1]
    assert key in line


@pytest.mark.parametrize(
    "sampling",
    [{"temperature": 0.8, "repetition_penalty": 1.2}, {"temperature": 0, "presence_penalty": -0.5}],
)
def test_an_audit_that_knows_no_law_is_refused_by_name(
    screen: Screen, tais: Tais, sampling: dict[str, Any]
) -> None:
    two_arms(screen, audit=True)
    screen.data["sampling"] = {"max_tokens": 80, **sampling}
    done = tais("plan", screen.write())
    assert done.returncode == 2
    assert f"audit: engine fake of 'target' does not know {list(sampling)[1]}" in done.stderr
    # Where nobody asked for one, the greedy divergences are not scored, and nothing is refused.
    del screen.data["contrasts"][0]["audit"]
    assert tais("plan", screen.write()).returncode == 0


@pytest.mark.parametrize(
    ("sampling", "forgotten"),
    [({"min_tokens": 72}, "min_tokens"), ({"bad_words": ["what"]}, "bad_words")],
)
def test_an_engine_that_forgets_a_setting_fails(
    screen: Screen, tais: Tais, sampling: dict[str, Any], forgotten: str
) -> None:
    two_arms(screen, n=130, audit="only", lossless=True)
    screen.data["arms"]["spec"]["engine_args"] = {"forgets": [forgotten]}
    screen.data["rules"] = {"accept_evidence": ["teacher_forced"]}
    screen.data["sampling"] = {"max_tokens": 80, **sampling}
    done = tais("run", screen.write(), "--out", screen.out)
    assert done.returncode == 1, done.stderr
    assert "structural divergence" in done.stderr
    screen.data["arms"]["spec"]["engine_args"] = {}
    done = tais("run", screen.write(), "--out", screen.out)
    assert done.returncode == 0, done.stderr


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
    first = screen.run_dirs()[-1]
    rows[2]["own"] = json.dumps({"min_tokens": 76})
    own_settings(screen, rows)
    assert tais("run", screen.path, "--out", screen.out).returncode == 3
    digests = {
        json.loads((run / "manifest.lock.json").read_bytes())["batteries"][0]["digest"]
        for run in (first, screen.run_dirs()[-1])
    }
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"temperature": 1}, "temperature is one for the whole run"),
        ({"min_tokens": "many"}, "sampling: min_tokens"),
        ("{", "a mapping, or JSON of one"),
        ({"min_tokens": 81}, "min_tokens is 81 and max_tokens 80"),
        ({"minimum": 3}, "sampling: minimum"),
        ({"presence_penalty": -1}, "audit: engine fake of 'target' does not know presence_penalty"),
    ],
)
def test_settings_of_a_row_are_checked_before_the_first_token(
    screen: Screen, tais: Tais, own: object, said: str
) -> None:
    two_arms(screen)
    own_settings(screen, [{"id": "m-0", "prompt": "do it", "own": own}])
    done = tais("plan", screen.write())
    assert done.returncode == 2
    assert said in done.stderr


def test_companions_of_a_mixed_batch_leave_no_sample(screen: Screen, tais: Tais) -> None:
    two_arms(screen)
    screen.data["arms"]["spec"]["mixed_batch"] = {"share": 1}
    assert tais("run", screen.write(), "--out", screen.out).returncode == 3
    found = answers(screen, "spec")
    assert len(found) == 30
    assert {row["repeat"] for row in found.values()} == {0}
    lock = json.loads((screen.run_dirs()[-1] / "manifest.lock.json").read_bytes())
    assert lock["arms"]["spec"]["mixed_batch"] == {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "share": 1.0}
    assert "mixed_batch.share" in lock["contrasts"][0]["differences"]
    assert screen.report()["contrasts"][0]["identity"]["identical"] == 30


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
