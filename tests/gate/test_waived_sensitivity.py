"""A waiver of the exchange control opens no gate unless its policy names the same endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from tais.attest import VerifiedRun
from tests.gate.test_gate import codes, edited, run

__all__ = ["run"]


def waived(report: dict[str, Any]) -> None:
    for endpoint in report["contrasts"][0]["endpoints"]:
        endpoint.update(stratum="refuse", sensitivity={"shown_by": [], "minimum_leak": None, "waived": True})


def rules(value: object) -> Any:
    return lambda lock: lock["rules"].update(sensitivity=value)


NAMED = {"waived": ["mine/refuse"]}


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({}, "sensitivity_waived"),
        ({"waived_sensitivity": ["mine"]}, "sensitivity_waived"),
        ({"waived_sensitivity": ["mine/answer"]}, "sensitivity_waived"),
        ({"waived_sensitivity": ["mine/refuse"]}, "sensitivity_waived_allowed"),
    ],
)
def test_the_policy_must_name_the_endpoint(run: VerifiedRun, policy: dict[str, Any], found: str) -> None:
    said = codes(edited(run, waived, rules(NAMED)), **policy)
    assert [code for code in said if code.startswith("sensitivity_waived")] == [found]


def test_a_waiver_of_all_is_accepted_by_no_policy(run: VerifiedRun) -> None:
    every = edited(run, lambda _: None, rules("waived"))
    assert "sensitivity_waived" in codes(every, waived_sensitivity=["mine/refuse"])


def test_an_endpoint_that_was_shown_needs_no_waiver(run: VerifiedRun) -> None:
    assert not [code for code in codes(edited(run, lambda _: None, rules(NAMED))) if "waived" in code]
