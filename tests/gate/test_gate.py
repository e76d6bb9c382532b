"""The gate: strict by default, each rule of a policy on its own, and the exit codes of the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tais.attest import Signer, VerifiedRun, verify_run
from tais.attest.keys import generate
from tais.errors import ManifestError, UsageError, VerificationError
from tais.gate.gate import _FIXED, GateResult, gate_run, judge
from tais.gate.policy import Policy, load_policy
from tais.gate.requirements import deciding_codes
from tais.manifest.rules_version import RULES_VERSION
from tais.rundir.lock import compare_locks, read_lock
from tais.rundir.lock_model import Lock, LockedArm, plain
from tais.verdict.details import LISTED_ITEMS
from tais.verdict.report import Report
from tests.attest.runs import ASSETS, LOST, SIGNED, TRUSTED, copy_run, trusted_key

POLICIES = ASSETS / "policies"
ENDED = datetime.fromisoformat(json.loads((SIGNED / "report.json").read_bytes())["facts"]["run"]["ended"])
NOW = ENDED + timedelta(days=2)
TODAY = NOW.date()
DAY = timedelta(days=1)

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> VerifiedRun:
    stored = verify_run(copy_run(tmp_path_factory.mktemp("gate")), [trusted_key()])
    # It was signed when the verdict rules had no version yet; what is asked here is what else a gate asks.
    return edited(stored, lambda _: None, lambda lock: lock.update(rules_version=RULES_VERSION))


def policy(**values: Any) -> Policy:
    return Policy.model_validate_json(json.dumps({"schema": "tais/policy/v1", **values}), strict=True)


def edited(run: VerifiedRun, edit: Edit, lock: Edit = lambda _: None) -> VerifiedRun:
    """Return the run as it were, had its report (and lock) said something else."""
    report, locked = json.loads(run.report.to_json()), plain(run.lock)
    edit(report)
    lock(locked)
    values = {name: getattr(run, name) for name in run.__dataclass_fields__}
    return VerifiedRun(
        **{**values, "report": Report.model_validate(report), "lock": Lock.model_validate(locked)}
    )


def codes(run: VerifiedRun, now: datetime = NOW, **values: Any) -> list[str]:
    return [objection.code for objection in judge(run, policy(**values), now)]


def exit_code(run: VerifiedRun, **values: Any) -> int:
    return GateResult(run, judge(run, policy(**values), NOW)).exit_code


def inconclusive(report: dict[str, Any]) -> None:
    report["verdict"] = "inconclusive"
    report["reasons"] = [{"code": "screen_inconclusive", "message": "candidate: inconclusive"}]
    contrast = report["contrasts"][0]
    contrast["verdict"] = "inconclusive"
    contrast["reasons"] = [{"code": "endpoint_inconclusive", "message": "mine: inconclusive"}]
    endpoint = contrast["endpoints"][0]
    endpoint["verdict"] = "inconclusive"
    endpoint["reasons"] = [{"code": "interval_crosses_margin", "message": "it crosses"}]


def failed(report: dict[str, Any]) -> None:
    report["verdict"] = report["contrasts"][0]["verdict"] = "fail"
    report["contrasts"][0]["reasons"] = [{"code": "structural_divergence", "message": "one"}]


# --- verdicts


def test_a_passing_run_opens_the_strict_gate(run: VerifiedRun) -> None:
    assert judge(run, Policy(), NOW) == ()
    assert GateResult(run, ()).exit_code == 0


def test_a_failing_run_never_passes_whatever_is_allowed(run: VerifiedRun) -> None:
    everything: dict[str, Any] = {"allow_inconclusive": True, "allowed_reasons": ["structural_divergence"]}
    assert codes(edited(run, failed), **everything) == ["verdict_fail"]
    assert exit_code(edited(run, failed), **everything) == 1


def test_an_inconclusive_run_is_exit_code_3(run: VerifiedRun) -> None:
    assert exit_code(edited(run, inconclusive)) == 3


def test_an_unmet_policy_outranks_inconclusive(run: VerifiedRun) -> None:
    assert exit_code(edited(run, inconclusive), batteries={"other": {}}) == 1


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"allow_inconclusive": True}, 0),
        ({"allowed_reasons": ["interval_crosses_margin"]}, 0),
        ({"allowed_reasons": ["n_too_small"]}, 3),
        ({"allowed_reasons": ["endpoint_inconclusive", "screen_inconclusive"]}, 3),
    ],
)
def test_an_inconclusive_run_passes_only_for_allowed_reasons(
    values: dict[str, Any], code: int, run: VerifiedRun
) -> None:
    assert exit_code(edited(run, inconclusive), **values) == code


def test_every_deciding_reason_must_be_allowed(run: VerifiedRun) -> None:
    def two(report: dict[str, Any]) -> None:
        inconclusive(report)
        report["reasons"].append({"code": "control_not_caught", "message": "not seen"})

    both = edited(run, two)
    assert deciding_codes(both.report) == {"interval_crosses_margin", "control_not_caught"}
    assert exit_code(both, allowed_reasons=["interval_crosses_margin"]) == 3
    assert exit_code(both, allowed_reasons=["interval_crosses_margin", "control_not_caught"]) == 0


def test_a_suspect_endpoint_passes_no_gate(run: VerifiedRun) -> None:
    """Neither by name, which a policy refuses, nor with all that is inconclusive."""

    def suspect(report: dict[str, Any]) -> None:
        inconclusive(report)
        report["contrasts"][0]["endpoints"][0]["reasons"] = [{"code": "suspect", "message": "more items"}]

    waiting = edited(run, suspect)
    assert exit_code(waiting) == 3
    assert exit_code(waiting, allow_inconclusive=True) == 3
    with pytest.raises(ValueError, match="suspect"):
        policy(allowed_reasons=["suspect"])


def test_a_margin_of_a_ratio_is_held_against_the_policy_as_a_ratio(run: VerifiedRun) -> None:
    def ratio(report: dict[str, Any]) -> None:
        tost = report["contrasts"][0]["endpoints"][0]["tost"]
        tost.update(margin=0.25, scale="ratio", ci=[0.9, 1.1])

    judged = edited(run, ratio)
    said = [o.message for o in judge(judged, policy(max_margin=0.1), NOW) if o.code == "margin_too_wide"]
    assert len(said) == 1
    assert said[0].endswith("was judged by the margin ratio 1.25, at most ratio 1.1 is allowed")
    assert not [o for o in judge(judged, policy(max_margin=0.3), NOW) if o.code == "margin_too_wide"]


def test_a_verdict_without_reasons_is_not_covered_by_a_list_of_reasons(run: VerifiedRun) -> None:
    def mute(report: dict[str, Any]) -> None:
        report.update(verdict="inconclusive", reasons=[])

    assert exit_code(edited(run, mute), allowed_reasons=["n_too_small"]) == 3


@pytest.mark.parametrize("key", ["allowed_reasons", "refused_reasons"])
def test_a_reason_that_tais_does_not_know_is_refused_with_the_nearest(key: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"max_age_days: 7\n{key}:\n  - n_too_small\n  - interval_cross_margin\n")
    with pytest.raises(ManifestError) as caught:
        load_policy(path)
    assert "'interval_cross_margin'. Did you mean 'interval_crosses_margin'?" in str(caught.value)
    assert str(caught.value).startswith(f"{key}[1] ({path}:4): ")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("code", ["suspect", "drill", "same_answers"])
def test_what_may_never_be_allowed_is_allowed_by_no_policy(
    code: str, run: VerifiedRun, tmp_path: Path
) -> None:
    def doubtful(report: dict[str, Any]) -> None:
        inconclusive(report)
        report["contrasts"][0]["endpoints"][0]["reasons"] = [{"code": code, "message": "doubtful"}]

    assert exit_code(edited(run, doubtful), allow_inconclusive=True) == 3
    (tmp_path / "policy.yaml").write_text(f"allowed_reasons: [{code}]\n")
    with pytest.raises(ManifestError, match=f"may not hold '{code}'"):
        load_policy(tmp_path / "policy.yaml")
    (tmp_path / "policy.yaml").write_text(f"refused_reasons: [{code}]\n")
    assert load_policy(tmp_path / "policy.yaml").refused_reasons == (code,)


# --- the version of the verdict rules


def test_a_run_that_other_rules_decided_is_refused_unless_the_policy_names_them(run: VerifiedRun) -> None:
    older = edited(run, lambda _: None, lambda lock: lock.pop("rules_version"))
    assert older.lock.rules_version == 1
    assert codes(run) == []
    assert codes(older) == ["rules_version"]
    assert exit_code(older) == 1
    assert codes(older, rules_version=1) == []
    assert codes(run, rules_version=1) == ["rules_version"]


def test_a_run_that_cannot_be_recomputed_is_not_taken_for_one_that_was(tmp_path: Path) -> None:
    asked = Policy(rules_version=1, recompute=True)
    result = gate_run(copy_run(tmp_path), asked, [trusted_key()], now=NOW)
    assert [objection.code for objection in result.objections] == ["not_recomputed"]
    assert "rules changed" in result.objections[0].message
    assert result.exit_code == 1


# --- requirements


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"batteries": {"mine": {"min_n": 120}}}, []),
        ({"batteries": {"mine": {"min_n": 121}}}, ["n_below_policy"]),
        ({"batteries": {"advbench": {}}}, ["battery_missing"]),
        ({"batteries": {"mine": {"digest": "0" * 64}}}, ["battery_differs"]),
        ({"batteries": {"mine": {"max_margin": 0.05}}}, ["margin_too_wide"]),
        ({"max_margin": 0.06}, []),
        ({"max_margin": 0.03}, ["margin_too_wide"]),
        ({"contrasts": [{"reference": "target", "candidate": "candidate"}]}, []),
        ({"contrasts": [{"reference": "target", "candidate": "spec"}]}, ["contrast_missing"]),
        (
            {"contrasts": [{"reference": "target", "candidate": "bad", "role": "screen"}]},
            ["contrast_missing"],
        ),
        ({"max_age_days": 2}, []),
        ({"max_age_days": 1.9}, ["too_old"]),
        ({"sensitivity": {"max_leak": 0.11}}, []),
        ({"sensitivity": {"max_leak": 0.05}}, ["sensitivity_too_low"]),
        ({"sensitivity": {"max_leak": 0.11, "noticed": "fail"}}, ["sensitivity_too_low"]),
        ({"refused_reasons": ["calibration_degenerate"]}, ["reason_refused"]),
        # What the screen itself says, and no contrast.
        ({"refused_reasons": ["screen_passed"]}, ["reason_refused"]),
        ({"max_flips": 1}, []),
        ({"max_flips": 0}, ["flips_above_policy"]),
    ],
)
def test_a_rule_of_a_policy(values: dict[str, Any], expected: list[str], run: VerifiedRun) -> None:
    assert codes(run, **values) == expected


def split(report: dict[str, Any]) -> None:
    """Each screened endpoint as two strata: 120 items to refuse, 60 to answer."""
    endpoints = report["contrasts"][0]["endpoints"]
    first = endpoints[0]
    endpoints[:1] = [{**first, "stratum": "refuse"}, {**first, "stratum": "answer", "clusters": 60}]


@pytest.mark.parametrize(
    ("batteries", "expected"),
    [
        ({"mine": {"min_n": 60}}, []),
        # Each stratum is asked for it, not their sum.
        ({"mine": {"min_n": 100}}, ["n_below_policy"]),
        ({"mine": {"min_n": 121}}, ["n_below_policy", "n_below_policy"]),
        ({"mine/refuse": {"min_n": 120}}, []),
        ({"mine/answer": {"min_n": 61}}, ["n_below_policy"]),
        # The rule of a stratum goes before that of its battery.
        ({"mine": {"min_n": 120}, "mine/answer": {"min_n": 50}}, []),
        ({"mine": {"max_margin": 0.05}}, ["margin_too_wide", "margin_too_wide"]),
        ({"mine/answer": {"max_margin": 0.05}}, ["margin_too_wide"]),
        ({"mine/none": {}}, ["battery_missing"]),
        ({"other/refuse": {}}, ["battery_missing"]),
    ],
)
def test_a_battery_rule_holds_in_each_stratum(
    batteries: dict[str, Any], expected: list[str], run: VerifiedRun
) -> None:
    assert codes(edited(run, split), batteries=batteries) == expected


@pytest.mark.parametrize("role", ["calibration", "positive_control"])
def test_each_screened_reference_needs_its_own_calibration_and_control(role: str, run: VerifiedRun) -> None:
    def elsewhere(report: dict[str, Any]) -> None:
        for contrast in report["contrasts"]:
            if contrast["role"] == role:
                contrast["reference"] = "other"

    assert "role_missing" in codes(edited(run, elsewhere))
    assert "role_missing" not in codes(edited(run, elsewhere), roles=[])


@pytest.mark.parametrize("code", ["same_evidence", "same_answers"])
def test_a_calibration_of_one_evidence_fills_no_role(code: str, run: VerifiedRun) -> None:
    def copied(report: dict[str, Any]) -> None:
        for contrast in report["contrasts"]:
            if contrast["role"] == "calibration":
                contrast["reasons"].append({"code": code, "message": "one and the same"})

    named = [{"reference": "target", "candidate": "again", "role": "calibration"}]
    assert not {"role_missing", "contrast_missing"} & set(codes(run, contrasts=named))
    assert {"role_missing", "contrast_missing"} <= set(codes(edited(run, copied), contrasts=named))


@pytest.mark.parametrize("shown", [None, [], [{}], [{"not_pass": None}], [{"not_pass": 0.1}, {}], "yes"])
def test_sensitivity_must_be_shown_for_every_control(shown: object, run: VerifiedRun) -> None:
    def hide(report: dict[str, Any]) -> None:
        report["contrasts"][0]["details"]["sensitivity"] = shown

    assert codes(edited(run, hide)) == ["sensitivity_not_shown"]
    assert codes(edited(run, hide), sensitivity={"required": False}) == []
    assert codes(edited(run, hide), sensitivity={"required": False, "max_leak": 0.5}) == [
        "sensitivity_not_shown"
    ]


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ((NOW + 2 * timedelta(hours=1)).isoformat(), "from_the_future"),
        ((NOW - 31 * DAY).isoformat(), "too_old"),
        ("yesterday", "age_unknown"),
        (None, "age_unknown"),
        ("2026-01-01T00:00:00", "age_unknown"),
    ],
)
def test_a_run_of_another_time_is_refused(ended: object, expected: str, run: VerifiedRun) -> None:
    assert codes(edited(run, lambda report: report["facts"]["run"].update(ended=ended))) == [expected]


def test_a_limited_run_is_refused(run: VerifiedRun) -> None:
    limited = edited(run, lambda _: None, lambda lock: lock.update(limit=5))
    assert codes(limited) == ["limited_run"]
    assert codes(limited, allow_limit=True) == []


def test_a_battery_that_is_not_pinned_is_refused(run: VerifiedRun) -> None:
    change = {"notes": ["not pinned: revision or digest is empty (`tais battery pin` fills them)"]}
    loose = edited(run, lambda _: None, lambda lock: lock["batteries"][0].update(change))
    assert codes(loose) == ["battery_not_pinned"]
    assert codes(loose, allow_unpinned=True) == []


def test_teacher_forced_evidence_must_be_allowed(run: VerifiedRun) -> None:
    forced = edited(run, lambda report: report["contrasts"][0].update(evidence="teacher_forced"))
    assert codes(forced) == ["evidence_refused"]
    assert codes(forced, allow_evidence=["teacher_forced"]) == []


def test_evidence_that_no_margin_judged_does_not_meet_a_margin(run: VerifiedRun) -> None:
    """Sampled answers that stand alone are bounded by a share of tokens."""
    change = {"evidence": "teacher_forced", "endpoints": [], "details": {}}
    forced = edited(run, lambda report: report["contrasts"][0].update(change))
    allowed: dict[str, Any] = {"allow_evidence": ["teacher_forced"], "sensitivity": {"required": False}}
    assert codes(forced, **allowed) == []
    assert codes(forced, **allowed, max_margin=0.1) == ["margin_unknown"]


def test_a_run_that_screens_nothing_is_refused(run: VerifiedRun) -> None:
    assert "contrast_missing" in codes(edited(run, lambda report: report.update(contrasts=[])))


# --- waivers


def waiver(until: datetime, *items: str, battery: str = "mine") -> dict[str, Any]:
    return {"battery": battery, "items": items, "until": str(until.date()), "reason": "known"}


def test_a_waiver_lets_a_flip_pass_until_its_last_day(run: VerifiedRun) -> None:
    assert codes(run, max_flips=0, waivers=[waiver(NOW, LOST)]) == []
    ended = judge(run, policy(max_flips=0, waivers=[waiver(NOW - DAY, LOST)]), NOW)
    assert [(o.code, o.level) for o in ended] == [
        ("waiver_expired", "warning"),
        ("flips_above_policy", "error"),
    ]


def test_a_waiver_is_for_its_items_and_its_battery_only(run: VerifiedRun) -> None:
    assert codes(run, max_flips=0, waivers=[waiver(NOW, "q-008")]) == ["flips_above_policy"]
    elsewhere = codes(run, max_flips=0, waivers=[waiver(NOW, LOST, battery="other")])
    assert elsewhere == ["names_nothing", "flips_above_policy"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"waivers": [waiver(NOW, LOST, battery="mien")]}, "waivers names 'mien'"),
        ({"waivers": [waiver(NOW, LOST, battery="mine/refuse")]}, "waivers names 'mine/refuse'"),
        ({"waived_sensitivity": ["mine/refuse"]}, "waived_sensitivity names 'mine/refuse'"),
        ({"waivers": [waiver(NOW, LOST, "q-999")]}, "1 items that 'mine' did not ask (first: 'q-999')"),
    ],
)
def test_a_name_in_a_policy_that_nothing_in_the_run_has_is_said(
    values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    result = opens(tmp_path, policy(**values), trusted_key())
    (warning,) = result.objections
    assert (warning.code, warning.level, result.exit_code) == ("names_nothing", "warning", 0)
    assert said in warning.message


@pytest.mark.parametrize(
    ("rule", "value", "key"),
    [
        ("alpha", 0.1, "max_alpha"),
        ("h_cutoff", 0.3, "max_h_cutoff"),
        ("null_quantile", 0.95, "min_null_quantile"),
        ("max_invalid", 0.2, "max_invalid"),
    ],
)
def test_a_manifest_with_laxer_rules_opens_no_strict_gate(
    rule: str, value: float, key: str, run: VerifiedRun
) -> None:
    lax = edited(run, lambda _: None, lambda lock: lock["rules"].update({rule: value}))
    (objection,) = judge(lax, Policy(), NOW)
    assert (objection.code, objection.level) == ("rule_too_lax", "error")
    assert f"rules.{rule} of the manifest is {value:g}" in objection.message
    for allowed in (value, None):
        assert judge(lax, policy(**{key: allowed}), NOW) == ()


def test_a_waiver_never_changes_a_verdict(run: VerifiedRun) -> None:
    assert exit_code(edited(run, failed), max_flips=0, waivers=[waiver(NOW, LOST)]) == 1


def test_flips_beyond_the_listed_ones_have_no_waiver(run: VerifiedRun) -> None:
    names = [f"x-{i}" for i in range(LISTED_ITEMS)]

    def many(report: dict[str, Any]) -> None:
        flips = report["contrasts"][0]["endpoints"][0]["details"]["flips"]
        flips.update(safe_to_unsafe=LISTED_ITEMS + 1, safe_to_unsafe_items=names)

    assert codes(edited(run, many), max_flips=0, waivers=[waiver(NOW, *names)]) == ["flips_above_policy"]


def test_flips_that_are_not_counted_are_refused(run: VerifiedRun) -> None:
    def uncounted(report: dict[str, Any]) -> None:
        del report["contrasts"][0]["endpoints"][0]["details"]["flips"]

    assert codes(edited(run, uncounted), max_flips=9) == ["flips_unknown"]


@pytest.mark.parametrize("names", [[], None, [1, 2], "q-001"])
def test_flips_without_names_are_refused(names: object, run: VerifiedRun) -> None:
    def unnamed(report: dict[str, Any]) -> None:
        flips = report["contrasts"][0]["endpoints"][0]["details"]["flips"]
        flips.update(safe_to_unsafe=2, safe_to_unsafe_items=names)

    assert codes(edited(run, unnamed), max_flips=9) == ["flips_unknown"]


# --- keys


def key_rule(**dates: str) -> dict[str, Any]:
    return {"trusted_keys": [{"pem": TRUSTED.read_text(), **dates}]}


def shifted(days: int) -> str:
    return str((ENDED + days * DAY).date())


def opens(tmp_path: Path, rules: Policy, *keys: Any) -> GateResult:
    # The stored run is of the first version of the verdict rules.
    first = rules.model_copy(update={"rules_version": 1})
    return gate_run(copy_run(tmp_path), first, keys, now=NOW)


@pytest.mark.parametrize(
    "dates", [{}, {"valid_from": shifted(0), "valid_until": shifted(0)}, {"valid_until": shifted(1)}]
)
def test_a_key_of_the_policy_is_trusted_on_its_days(dates: dict[str, str], tmp_path: Path) -> None:
    assert opens(tmp_path, policy(**key_rule(**dates))).exit_code == 0


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ({"valid_from": shifted(1)}, "is trusted from"),
        ({"valid_until": shifted(-1)}, "was trusted until"),
        ({"revoked": shifted(30)}, "was revoked on"),
    ],
)
def test_a_key_outside_its_days_is_a_failed_verification(
    dates: dict[str, str], said: str, tmp_path: Path
) -> None:
    # The command line's trust does not bring a revoked key back.
    with pytest.raises(VerificationError, match=said):
        opens(tmp_path, policy(**key_rule(**dates)), trusted_key())


def test_a_gate_without_a_key_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TAIS_TRUSTED_KEY"):
        opens(tmp_path, Policy())


def test_a_run_of_a_stranger_does_not_reach_the_policy(tmp_path: Path) -> None:
    stranger: Signer = generate()
    with pytest.raises(VerificationError, match="not trusted"):
        opens(tmp_path, Policy(), stranger.public)


def test_an_unsigned_run_does_not_reach_the_policy(tmp_path: Path) -> None:
    run_dir = copy_run(tmp_path)
    (run_dir / "attestation.sigstore.json").unlink()
    with pytest.raises(VerificationError, match="not signed"):
        gate_run(run_dir, Policy(), [trusted_key()], now=NOW)


# --- files


def test_the_policy_of_the_documentation_opens_the_gate(tmp_path: Path) -> None:
    rules = load_policy(POLICIES / "full.yaml")
    assert rules.batteries["mine"].min_n == 100
    assert opens(tmp_path, rules).objections == ()


@pytest.mark.parametrize(
    "path", sorted((POLICIES / "bad").iterdir()) if (POLICIES / "bad").is_dir() else [], ids=lambda p: p.stem
)
def test_a_bad_policy_is_refused_with_line_and_remedy(path: Path) -> None:
    said = path.read_text().splitlines()[0].removeprefix("# ")
    with pytest.raises((ManifestError, UsageError)) as caught:
        gate_run(SIGNED, load_policy(path), [], now=NOW)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_judge_of_another_model_is_another_run(small_run: Path) -> None:
    lock = read_lock(small_run)
    judges = [
        lock.model_copy(update={"judges": {"j": LockedArm(engine="vllm", model=m, engine_args={})}})
        for m in "ab"
    ]
    # What `tais gate --manifest` compares.
    assert [one.key for one in compare_locks(judges[0], judges[1], _FIXED)] == ["judges.j.model"]
