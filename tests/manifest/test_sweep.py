"""``sweep:`` expands to arms and contrasts that a person could have written, and says what it cannot."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tais.common.yaml12 import loads
from tais.errors import ManifestError
from tais.manifest.load import load_manifest, resolve
from tais.manifest.model import Manifest, Role
from tais.manifest.sweep import MOST_CELLS
from tests.conftest import ROOT, Screen, Tais

ASSETS = Path(__file__).parents[1] / "assets" / "manifests"
HEAD = """\
name: m
arms:
  target: {engine: vllm, model: org/target, dtype: float32, engine_args: {max_num_seqs: 64}}
  spec: {extends: target, speculative_config: {method: ngram, num_speculative_tokens: 4}}
  other: {extends: target, speculative_config: {method: suffix, num_speculative_tokens: 4}}
  old: {engine: import, path: battery.yaml}
batteries: [{name: mine, path: battery.yaml}]
"""
# The first line after HEAD is line 8.
AXES = """\
  axes:
    engine_args.max_num_seqs: [64, 1, 8]
    speculative_config.num_speculative_tokens: [4, 1]
"""


def read(sweep: str, more: str = "") -> Manifest:
    return resolve(loads(f"{HEAD}sweep:\n{sweep}{more}", "m.yaml"), ASSETS)


def sides(sweep: str) -> str:
    return f"  reference: target\n  candidate: spec\n{sweep}"


def test_candidates_that_differ_only_in_speculation_share_their_target() -> None:
    manifest = read(sides(AXES))
    assert [(c.reference, c.candidate) for c in manifest.contrasts] == [
        ("target", "spec"),
        ("target", "spec.seqs64.n1"),
        ("target.seqs1", "spec.seqs1.n4"),
        ("target.seqs1", "spec.seqs1.n1"),
        ("target.seqs8", "spec.seqs8.n4"),
        ("target.seqs8", "spec.seqs8.n1"),
    ]
    assert {c.role for c in manifest.contrasts} == {Role.screen}
    assert manifest.arms["target.seqs8"].engine_args == {"max_num_seqs": 8}
    assert manifest.arms["target.seqs8"].speculative_config is None
    assert manifest.arms["spec.seqs8.n1"].engine_args == {"max_num_seqs": 8}
    assert manifest.arms["spec.seqs8.n1"].speculative_config == {
        "method": "ngram",
        "num_speculative_tokens": 1,
    }


def test_each_contrast_differs_in_speculation_alone() -> None:
    manifest = load_manifest(ROOT / "manifests" / "sweep.yaml")
    for contrast in manifest.contrasts:
        if contrast.role is Role.screen:
            keys = {key for key, _, _ in manifest.differences(contrast.reference, contrast.candidate)}
            assert all(key.startswith("speculative_config") for key in keys)
            assert manifest.is_lossless(contrast)


@pytest.mark.parametrize(("name", "all_of_them", "most"), [("sweep", 24, 6), ("sweep-gpu", 96, 8)])
def test_every_pair_of_values_meets_in_some_contrast(name: str, all_of_them: int, most: int) -> None:
    swept = load_manifest(ROOT / "manifests" / f"{name}.yaml").sweep
    assert swept is not None
    assert swept.combinations == all_of_them
    assert len(swept.cells) <= most
    for i, j in combinations(range(len(swept.axes)), 2):
        met = {(cell.values[i], cell.values[j]) for cell in swept.cells}
        assert len(met) == len(swept.axes[i].values) * len(swept.axes[j].values)


def test_all_combinations_on_demand_and_several_candidates_are_an_axis() -> None:
    whole = read("  reference: target\n  candidate: [spec, other]\n  cover: full\n" + AXES)
    assert whole.sweep is not None
    assert whole.sweep.axes[0].values == ("spec", "other")
    assert len(whole.contrasts) == 12
    assert len({c.reference for c in whole.contrasts}) == 3


def test_values_have_readable_names() -> None:
    axes = (
        "  cover: full\n"
        "  axes:\n"
        "    engine_args.enable_prefix_caching: [true, false]\n"
        "    dtype: [float32, bfloat16]\n"
        "    engine_args.async_scheduling: [true, null]\n"
        "    speculative_config: {short: {method: ngram}, long: {method: suffix}}\n"
    )
    names = {contrast.candidate for contrast in read(sides(axes)).contrasts}
    assert "spec.cache.float32.async.short" in names
    assert "spec.no-cache.bfloat16.async-default.long" in names
    arm = read(sides(axes)).arms["spec.no-cache.bfloat16.async-default.long"]
    assert (arm.dtype, arm.speculative_config) == ("bfloat16", {"method": "suffix"})
    assert arm.engine_args == {"max_num_seqs": 64, "enable_prefix_caching": False}


def test_another_model_drops_the_revision_of_the_first() -> None:
    axes = "  axes:\n    model: [org/target, org/new]\n"
    text = f"{HEAD}sweep:\n{sides(axes)}".replace(
        "model: org/target,", "model: org/target, revision: abc,", 1
    )
    arms = resolve(loads(text, "m.yaml"), ASSETS).arms
    assert (arms["target"].revision, arms["target.new"].revision) == ("abc", None)
    assert arms["spec.new"].model == "org/new"


def test_combinations_can_be_left_out() -> None:
    ban = "  without: [{engine_args.max_num_seqs: 8, speculative_config.num_speculative_tokens: 1}]\n"
    names = [contrast.candidate for contrast in read(sides(AXES + ban)).contrasts]
    assert "spec.seqs8.n1" not in names
    assert len(names) == 5


def test_target_arms_calibrate_each_other_for_nothing() -> None:
    manifest = read(sides(AXES + "  calibrate: true\n"))
    found = [(c.reference, c.candidate) for c in manifest.contrasts if c.role is Role.calibration]
    assert found == [("target", "target.seqs1"), ("target", "target.seqs8")]
    dtypes = "  calibrate: true\n  axes:\n    dtype: [float32, bfloat16]\n"
    assert [c.role for c in read(sides(dtypes)).contrasts] == [Role.screen] * 2


def test_contrasts_of_ones_own_stand_beside_and_may_name_what_was_expanded() -> None:
    more = "contrasts: [{reference: target, candidate: target.seqs8, role: calibration}]\n"
    manifest = read(sides(AXES), more)
    assert manifest.contrasts[0].role is Role.calibration
    assert len(manifest.contrasts) == 7


def test_what_the_contrasts_claim_can_be_said_once() -> None:
    manifest = read(sides("  lossless: false\n  audit: true\n" + AXES))
    assert {(c.lossless, c.audit) for c in manifest.contrasts} == {(False, True)}


WIDE = "".join(f"    engine_args.a{i}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n" for i in range(6))
LONG = "".join(f"    engine_args.a_setting_with_a_long_name_{i}: [1, 2]\n" for i in range(4))
ERRORS = {
    "  reference: target\n  candidate: spce\n" + AXES: "sweep.candidate (m.yaml:10): no arm named 'spce'. "
    "Did you mean 'spec'?",
    "  reference: target\n  candidate: target\n"
    + AXES: "sweep.candidate (m.yaml:10): an arm is named twice, "
    "or is the reference too. Write a second arm that extends the first",
    "  reference: target\n  candidate: old\n" + AXES: "sweep.candidate (m.yaml:10): the arm 'old' is outputs "
    "that exist already, which no setting can vary. Name an arm that runs an engine",
    sides("  axes: {max_num_seqs: [1, 8]}\n"): "sweep.axes.max_num_seqs (m.yaml:11): an arm has no key "
    "'max_num_seqs'. Keys of an arm: engine, model, revision, tokenizer, dtype, order, engine_args, "
    "speculative_config, path, format, columns, only, produced_by, environment, python, chat_template, "
    "system_prompt, "
    "chat_template_kwargs, chat_template_date, mixed_batch; an "
    "engine's own is written "
    "engine_args.max_num_seqs",
    sides("  axes:\n    dtype.x: [a, b]\n"): "sweep.axes.dtype.x (m.yaml:12): 'dtype.x' leads nowhere: dtype "
    "holds no keys. Write dtype alone",
    sides(
        "  axes:\n    dtype: [float16]\n"
    ): "sweep.axes.dtype (m.yaml:12): an axis needs two values or more. Write a single value into the arm",
    sides(
        "  axes:\n    dtype: [float16, float16]\n"
    ): "sweep.axes.dtype[1] (m.yaml:12): 'float16' stands there "
    "twice, or is called as another value is. Give labels: {LABEL: VALUE}",
    sides("  axes:\n    engine_args: [{a: 1}, {a: 2}]\n"): "sweep.axes.engine_args[0] (m.yaml:12): a mapping "
    "needs a label. Give it one: {LABEL: VALUE}",
    sides("  axes:\n    engine_args.a: {'../x': 1, y: 2}\n"): "sweep.axes.engine_args.a.../x (m.yaml:12): "
    "'../x' cannot be a label. Use 1 to 40 of the characters A-Z a-z 0-9 . _ - and no dot in front",
    sides(
        "  axes:\n    engine_args.a: [1, 2]\n    engine_args: {x: {}, y: {b: 1}}\n"
    ): "sweep.axes.engine_args "
    "(m.yaml:13): 'engine_args.a' is a part of 'engine_args', and both are varied. Vary the parts, or the "
    "whole with labels",
    "  reference: spec\n  candidate: target\n" + AXES: "sweep.axes.speculative_config.num_speculative_tokens "
    "(m.yaml:13): the arm 'target' does not speculate. Give it a speculative_config",
    sides(
        AXES + "  cover: triples\n"
    ): "sweep.cover (m.yaml:14): must be 'pairwise' or 'full', not 'triples'",
    sides(AXES + "  kover: full\n"): "sweep.kover (m.yaml:14): unknown key 'kover'. Did you mean 'cover'?",
    sides(AXES + "  without: [{engine_args.max_num_seq: 1}]\n"): "sweep.without[0].engine_args.max_num_seq "
    "(m.yaml:14): 'engine_args.max_num_seq' is no axis. Did you mean 'engine_args.max_num_seqs'?",
    sides(AXES + "  without: [{engine_args.max_num_seqs: 2}]\n"): "sweep.without[0].engine_args.max_num_seqs "
    "(m.yaml:14): the axis has no value 2. Values: 64, 1, 8",
    sides(AXES + "  without: [{}]\n"): "sweep.without[0] (m.yaml:14): names no axis. Name at least one",
    sides(
        "  axes:\n    dtype: [a, b]\n  without: [{dtype: a}, {dtype: b}]\n"
    ): "sweep.without (m.yaml:13): no combination is left. Leave fewer combinations out",
    sides(
        "  axes:\n" + WIDE
    ): "sweep.axes (m.yaml:11): 1,000,000 combinations are more than the 100,000 that "
    "are looked at. Take fewer axes or values",
    sides(
        "  cover: full\n  axes:\n" + WIDE[: WIDE.index("    engine_args.a3")]
    ): "sweep.axes (m.yaml:12): 1000 "
    f"contrasts are more than {MOST_CELLS}. Take fewer axes or values, or cover: pairwise",
    sides("  axes: {}\n"): "sweep.axes (m.yaml:11): needs at least 1 entries, not 0",
    "  - a\n": "sweep (m.yaml:8): must be a mapping, not a list",
}


@pytest.mark.parametrize("sweep", ERRORS)
def test_what_cannot_be_is_said_with_line_and_key(sweep: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(sweep)
    assert str(caught.value) == ERRORS[sweep]


def test_a_name_that_is_too_long_asks_for_labels() -> None:
    with pytest.raises(ManifestError, match=r"the name of an arm would have 1\d\d characters.*short labels"):
        read(sides("  axes:\n" + LONG))


def test_an_error_in_an_expanded_arm_names_the_line_of_its_axis() -> None:
    with pytest.raises(ManifestError) as caught:
        read(sides("  axes:\n    engine_args.dtype: [float16, float32]\n"))
    assert "(m.yaml:12): dtype belongs to the arm" in str(caught.value)


def swept_screen(screen: Screen) -> Screen:
    """The fakes, with two settings varied; one value of one leaks."""
    arms: dict[str, Any] = screen.data["arms"]
    arms["target"]["engine_args"] = {"tokens": 12}
    screen.data["sweep"] = {
        "reference": "target",
        "candidate": "spec",
        "axes": {
            "engine_args.batch": [16, 4],
            "speculative_config.num_speculative_tokens": [4, 2],
        },
    }
    screen.data["contrasts"] = screen.data["contrasts"][1:]
    screen.write()
    return screen


@pytest.mark.slow
def test_lock_and_report_hold_the_expanded_arms_and_the_plan_shows_them(
    tais: Tais, screen: Screen, tmp_path: Path
) -> None:
    swept_screen(screen)
    plan = tais("plan", screen.path)
    assert plan.returncode == 0, plan.stderr
    assert "sweep: 4 of 4 combinations" in plan.stdout
    assert "spec.batch4.n2" in plan.stdout
    tais("keygen", "--out", tmp_path / "keys")
    key = tmp_path / "keys" / "tais.key"
    done = tais("run", screen.path, "--out", screen.out, "--key", key, TAIS_UNSIGNED="")
    assert done.returncode == 0, done.stderr
    (run_dir,) = screen.run_dirs()
    lock = json.loads((run_dir / "manifest.lock.json").read_text(encoding="utf-8"))
    assert lock["arms"]["target.batch4"]["engine_args"] == {"batch": 4, "tokens": 12}
    assert {"reference": "target.batch4", "candidate": "spec.batch4.n2", "values": ["4", "2"]} in lock[
        "sweep"
    ]["cells"]
    assert [c["candidate"] for c in lock["contrasts"][2:]] == [
        cell["candidate"] for cell in lock["sweep"]["cells"]
    ]
    assert screen.report()["facts"]["sweep"] == lock["sweep"]
    page = (run_dir / "report.html").read_text(encoding="utf-8")
    assert 'id="plot-sweep"' in page
    assert 'aria-label="Sweep. batch 16: 100.00 % identical, mine/refuse 0.00 pp; batch 4: ' in page
    assert "Sweep by value" in (run_dir / "report.md").read_text(encoding="utf-8")
    checked = tais("verify", run_dir, "--key", tmp_path / "keys" / "tais.pub", "--recompute")
    assert checked.returncode == 0, checked.stderr
