"""What `tais plan` says of a whole screen before anything runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tais.plan.plan import make_plan
from tais.runs.outlook import ASSUMED, LastRun, last_run, outlook
from tais.stats.sample_size import decision_power
from tests.conftest import Screen, Tais


def test_the_joint_power_is_the_product_over_all_endpoints(screen: Screen) -> None:
    plan = make_plan(screen.path)
    found = outlook(plan, None)
    assert found is not None
    sizes = [len({i.cluster for i in items}) for b in plan.batteries for items in b.strata.values()]
    assert found.endpoints == len(sizes)
    times = found.screened + found.calibrations
    for rate, power in found.power:
        alone = [float(decision_power(n, plan.manifest.rules.margin, rate)) for n in sizes]
        product = 1.0
        for p in alone:
            product *= p**times
        assert power == pytest.approx(product)
    assert tuple(rate for rate, _ in found.power) == ASSUMED
    assert found.at_last is None


def test_the_last_run_tells_the_noise(screen: Screen, tais: Tais) -> None:
    assert last_run(screen.out / "small") is None
    assert tais("run", screen.path, "--out", screen.out, "-q").returncode in (0, 1, 3)
    (report,) = screen.out.glob("*/*/report.json")
    known = last_run(report.parent.parent)
    assert known is not None
    assert known.run == report.parent.name
    endpoints = [
        e
        for c in json.loads(report.read_bytes())["contrasts"]
        if c["role"] != "positive_control"
        for e in c["endpoints"]
    ]
    for label, share in known.discordance.items():
        own = [e for e in endpoints if label == "/".join(filter(None, (e["battery"], e["stratum"])))]
        assert own
        flips = sum(e["table"]["reference_only"] + e["table"]["candidate_only"] for e in own)
        assert share == pytest.approx(flips / sum(e["n"] for e in own), abs=1e-9)
    shown = tais("plan", screen.path, "--out", screen.out)
    assert "equal stacks pass all of it" in shown.stdout
    assert f"as in the last run ({known.run})" in " ".join(shown.stdout.split())


def test_a_battery_that_the_last_run_did_not_have_is_taken_as_the_noisiest() -> None:
    assert LastRun("r", {"a": 0.01, "b": 0.04}).of("new") == 0.04


def test_a_plan_that_hardly_passes_says_how_many_items_would(screen: Screen, tais: Tais) -> None:
    """130 items: P(no flip) + P(one each way) = .99^130 + C(130, 2) .01^2 .99^128 / 2 = .3866."""
    screen.items(130)
    screen.write()
    plan = make_plan(screen.path)
    found = outlook(plan, None)
    assert found is not None
    times = found.endpoints * (found.screened + found.calibrations)
    alone = 0.99**130 + 130 * 129 / 2 * 1e-4 * 0.99**128 / 2
    assert dict(found.power)[0.01] == pytest.approx(alone**times, rel=1e-3)
    few = dict(found.needed)[0.01]
    assert few is not None
    assert float(decision_power(few, 0.03, 0.01)) ** times >= 0.8
    shown = " ".join(tais("plan", screen.path, "--out", screen.out).stdout.split())
    assert f"if 1 % of the items differ by chance (for 0.80 each endpoint needs {few:,} independent" in shown
    assert "the smallest endpoint has 130 independent items; without a flip 88 pass" in shown
    assert " 0.00 if" not in shown


def test_a_damaged_report_is_passed_over(screen: Screen, tais: Tais) -> None:
    tais("run", screen.path, "--out", screen.out, "-q")
    (report,) = screen.out.glob("*/*/report.json")
    report.write_text("{", encoding="utf-8")
    assert last_run(report.parent.parent) is None


def test_nothing_is_said_of_a_ratio_or_of_a_recording(screen: Screen, tmp_path: Path) -> None:
    plan = make_plan(screen.path)
    rules = plan.manifest.rules.model_copy(update={"margin_scale": "risk_ratio"})
    ratio = replace(plan, manifest=plan.manifest.model_copy(update={"rules": rules}))
    assert outlook(ratio, None) is None
    bare = replace(plan, manifest=plan.manifest.model_copy(update={"contrasts": ()}))
    assert outlook(bare, None) is None
