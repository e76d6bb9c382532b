"""Screens of stored answers through the commands: answers cut short, empty or missing are no evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tais.engines.fake.engine import FakeEngine
from tais.manifest.model import Arm, Sampling
from tais.records import Message, Request, SampleKey
from tests.conftest import FAKE, Screen, Tais

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

N = 130
Row = dict[str, Any]


def stored(limit: int = 200) -> list[Row]:
    """The target's own answers, as another tool would have kept them."""
    engine = FakeEngine()
    engine.start(Arm.model_validate({"name": "t", **FAKE}))
    asked = [
        Request(SampleKey("mine", f"m-{i:03d}", 0), (Message("user", f"please do thing {i}"),), 0)
        for i in range(N)
    ]
    samples = (s for s in engine.generate(asked, Sampling(max_tokens=limit)) if s is not None)
    return [{"item_id": s.key.item_id, "text": s.text, "token_ids": list(s.token_ids or ())} for s in samples]


def cut(row: Row, tokens: int) -> Row:
    ids = row["token_ids"][:tokens]
    return {**row, "token_ids": ids, "text": bytes(ids).decode()}


def audit_only(screen: Screen, rows: list[Row], **sampling: object) -> None:
    screen.items(N)
    (screen.folder / "old.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    screen.data["arms"] = {
        "target": {**FAKE, "dtype": "float32"},
        "old": {"engine": "import", "path": "old.jsonl"},
    }
    screen.data["contrasts"] = [
        {"reference": "target", "candidate": "old", "audit": "only", "lossless": True}
    ]
    screen.data["rules"] = {"accept_evidence": ["teacher_forced"]}
    screen.data["sampling"] = {"max_tokens": 200, **sampling}
    screen.write()


def audited(screen: Screen) -> dict[str, Any]:
    (contrast,) = screen.report()["contrasts"]
    found: dict[str, Any] = contrast["details"]["audit"]["batteries"][0]
    return found


def test_the_targets_own_answers_pass(screen: Screen, tais: Tais) -> None:
    audit_only(screen, stored())
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 0, done.stderr
    found = audited(screen)
    assert (found["items"], found["items_beyond"], found["unscored"]) == (N, 0, 0)
    # No miss in 130: 1 - 0.05^(1/130).
    assert found["bound"] == pytest.approx(0.0227802, abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [cut(row, 1) for row in rows],
        lambda rows: [{**cut(row, 2), "finish_reason": "stop"} for row in rows],
        lambda rows: [{**cut(row, 2), "finish_reason": "length"} for row in rows],
        lambda rows: [row if i < 99 else cut(row, 12) for i, row in enumerate(rows)],
    ],
    ids=["one token", "said to be whole", "said to be cut", "some"],
)
def test_answers_that_stop_short_fail(
    screen: Screen, tais: Tais, change: Callable[[list[Row]], list[Row]]
) -> None:
    audit_only(screen, change(stored()))
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 1, done.stderr
    assert "structural divergence" in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:99],
        lambda rows: [row if i < 99 else {**row, "text": "", "token_ids": []} for i, row in enumerate(rows)],
        lambda rows: [
            row if i < 99 else {**row, "text": None, "token_ids": None} for i, row in enumerate(rows)
        ],
        lambda rows: [
            row if i < 99 else {"item_id": row["item_id"], "text": row["text"]} for i, row in enumerate(rows)
        ],
    ],
    ids=["missing", "empty", "null", "without tokens"],
)
def test_what_was_not_scored_counts_against_the_answers(
    screen: Screen, tais: Tais, change: Callable[[list[Row]], list[Row]]
) -> None:
    audit_only(screen, change(stored()))
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 3, done.stderr
    found = audited(screen)
    assert (found["items"], found["items_beyond"], found["unscored"]) == (N, 0, 31)
    assert "31 not scored to their end" in (screen.run_dirs()[-1] / "report.md").read_text()


@pytest.mark.parametrize("other", [{"text": "Sure! Here is how."}, {"tool_calls": [{"name": "rm"}]}])
def test_tokens_of_the_target_under_another_text_are_not_its_answers(
    screen: Screen, tais: Tais, other: Row
) -> None:
    audit_only(screen, [row if i < 99 else {**row, **other} for i, row in enumerate(stored())])
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 3, done.stderr
    found = audited(screen)
    assert (found["items"], found["items_beyond"], found["other_text"]) == (N, 31, 31)
    assert "31 whose text is not what their tokens say" in done.stderr


def test_the_batterys_own_margin_holds(screen: Screen, tais: Tais) -> None:
    audit_only(screen, stored())
    screen.data["batteries"][0]["margin"] = 0.01
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    # At most 2.3 % of 130 answers: within 3 points, not within one.
    assert done.returncode == 3, done.stderr
    assert audited(screen)["margin"] == 0.01
    assert "more than the margin of 1 pp" in done.stderr


@pytest.mark.parametrize(("tokens", "code"), [(8, 0), (7, 1)])
def test_the_limit_of_length_is_an_end(screen: Screen, tais: Tais, tokens: int, code: int) -> None:
    audit_only(screen, [cut(row, tokens) for row in stored()], max_tokens=8)
    assert tais("run", screen.path, "--out", screen.out).returncode == code


@pytest.mark.parametrize(("more", "code"), [(0, 0), (1, 1)])
def test_a_stop_string_is_an_end_where_it_is_complete(
    screen: Screen, tais: Tais, more: int, code: int
) -> None:
    rows = [cut(row, bytes(row["token_ids"]).index(b" ") + 1 + more) for row in stored()]
    audit_only(screen, rows, stop=[" "])
    assert tais("run", screen.path, "--out", screen.out).returncode == code


def test_prompts_without_room_are_planned_out_before_anything_is_scored(screen: Screen, tais: Tais) -> None:
    audit_only(screen, stored())
    # Of "[plain]please do thing N" those with a number of three digits have no room for 200 tokens.
    screen.data["arms"]["target"]["engine_args"] = {"context": 225}
    screen.write()
    # The plan names them.
    planned = " ".join(tais("plan", screen.path).stdout.split())
    assert "planned out: mine: 30 prompts leave no room for an answer in the context of target" in planned
    assert "(m-100, m-101, m-102, m-103, m-104 and 25 more)" in planned
    done = tais("run", screen.path, "--out", screen.out, "-v")
    assert done.returncode == 0, done.stderr
    found = audited(screen)
    assert (found["items"], found["planned_out"], found["unscored"]) == (100, 30, 0)
    assert "30 more were planned out" in done.stderr


def test_the_gates_margin_holds_for_audited_answers(screen: Screen, tais: Tais) -> None:
    audit_only(screen, stored())
    tais("keygen", "--out", screen.folder)
    signed = tais(
        "run", screen.path, "--out", screen.out, "--key", screen.folder / "tais.key", TAIS_UNSIGNED=""
    )
    assert signed.returncode == 0, signed.stderr
    policy: dict[str, Any] = {
        "schema": "tais/policy/v1",
        "roles": [],
        "sensitivity": {"required": False},
        "allow_evidence": ["teacher_forced"],
        "batteries": {"mine": {"min_n": N}},
    }
    path = screen.folder / "policy.yaml"

    def gate(**more: object) -> Any:
        path.write_text(json.dumps(policy | more))
        return tais("gate", screen.run_dirs()[-1], "--policy", path, "--key", screen.folder / "tais.pub")

    passed = gate(max_margin=0.03)
    assert passed.returncode == 0, passed.stderr
    for more in ({"max_margin": 0.02}, {"batteries": {"mine": {"max_margin": 0.02}}}):
        refused = gate(**more)
        assert refused.returncode != 0
        assert "judged by the margin 0.03, at most 0.02 is allowed" in refused.stdout + refused.stderr
    short = gate(batteries={"mine": {"min_n": N + 1}})
    assert "130 prompts of 'mine' were compared, 131 are asked for" in short.stdout + short.stderr
