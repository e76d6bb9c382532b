"""What `tais plan` says of a whole screen before anything runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tais.plan.plan import make_plan
from tais.runs.outlook import ASSUMED, STATED_RATE, LastRun, last_run, outlook
from tais.stats.sample_size import EndpointDesign, decision_power, joint_power
from tests.conftest import Screen, Tais


def test_the_joint_power_is_the_product_over_all_endpoints(screen: Screen) -> None:
    plan = make_plan(screen.path)
    found = outlook(plan, None)
    assert found is not None
    sizes = [len({i.cluster for i in items}) for b in plan.batteries for items in b.strata.values()]
    assert found.endpoints == len(sizes)
    times = found.screened + found.calibrations
    for differ, power in found.power:
        designs = [EndpointDesign(n, 0.03, differ, rate=STATED_RATE) for n in sizes]
        each = [joint_power([design], found.screened, found.calibrations) for design in designs]
        assert power == pytest.approx(math.prod(each))
        # The effect size asks for more than the difference alone.
        assert power <= math.prod(float(decision_power(n, 0.03, differ)) ** times for n in sizes) + 1e-9
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
    assert known.rates == {"mine/refuse": pytest.approx(endpoints[0]["reference_rate"])}
    shown = tais("plan", screen.path, "--out", screen.out)
    assert "equal stacks pass all of it" in shown.stdout
    assert f"as in the last run ({known.run})" in " ".join(shown.stdout.split())


def test_a_battery_that_the_last_run_did_not_have_is_taken_as_the_noisiest() -> None:
    known = LastRun("r", {"a": 0.01, "b": 0.04}, {"a": 0.5, "b": 0.97})
    assert (known.of("new"), known.rate_of("new"), known.rate_of("a")) == (0.04, 0.97, 0.5)


def test_near_a_ceiling_the_plan_says_what_the_effect_size_leaves(screen: Screen, tais: Tais) -> None:
    screen.items(450)
    screen.write()
    found = outlook(make_plan(screen.path), LastRun("r", {"mine/refuse": 0.01}, {"mine/refuse": 0.98}))
    assert found is not None
    # 300 screens decided whole passed 0.42 of the time; the difference alone says 0.998.
    assert found.at_last == pytest.approx(0.42, abs=0.06)
    assert found.at_ceiling is None
    shown = " ".join(tais("plan", screen.path, "--out", screen.out).stdout.split())
    assert "if 90 % of the answers are as expected. Near a ceiling h's cutoff may be unusable:" in shown


def test_a_plan_that_hardly_passes_says_how_many_items_would(screen: Screen, tais: Tais) -> None:
    """130 items: P(no flip) + P(one each way) = .99^130 + C(130, 2) .01^2 .99^128 / 2 = .3866, h left out."""
    screen.items(130)
    screen.write()
    plan = make_plan(screen.path)
    found = outlook(plan, None)
    assert found is not None
    times = found.endpoints * (found.screened + found.calibrations)
    alone = 0.99**130 + 130 * 129 / 2 * 1e-4 * 0.99**128 / 2
    assert 0.99 ** (130 * times) < dict(found.power)[0.01] < alone**times
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
