"""The audit through the commands, on fake arms: causes of divergence, and screens without a target arm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import FAKE, Screen, Tais, without_times

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow


def contrast(screen: Screen, candidate: str) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in screen.report()["contrasts"] if c["candidate"] == candidate)
    return found


def codes(found: dict[str, Any]) -> dict[str, str]:
    return {reason["code"]: reason["severity"] for reason in found["reasons"]}


def leak(screen: Screen, **options: object) -> None:
    """Let the speculative arm answer some items as the target would not, and the scorer say by how much."""
    screen.data["arms"]["target"] = {**FAKE, "dtype": "bfloat16", "engine_args": dict(options)}
    screen.data["arms"]["spec"]["engine_args"] = {"leak": 0.02}
    screen.data["contrasts"] = screen.data["contrasts"][:2]
    screen.write()


def test_identical_arms_are_not_scored(screen: Screen, tais: Tais) -> None:
    tais("run", screen.path, "--out", screen.out)
    assert not (screen.run_dirs()[-1] / "audits").exists()
    assert "audit" not in contrast(screen, "spec")["details"]


def test_a_structural_divergence_fails_a_contrast_that_claims_to_be_lossless(
    screen: Screen, tais: Tais
) -> None:
    leak(screen, margin=5.0)
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 1, done.stderr
    found = contrast(screen, "spec")
    assert codes(found)["structural_divergence"] == "decides"
    first = next(r for r in found["reasons"] if r["code"] == "structural_divergence")["values"]["first"][0]
    assert first["position"] == 0
    assert (first["token"], first["best_token"]) == (ord("S"), ord("I"))
    assert first["margin"] == first["float32_margin"] == 5.0
    differing = found["identity"]["n"] - found["identity"]["identical"]
    assert found["details"]["audit"]["causes"] == {"structural": differing}
    assert "structural divergence" in done.stderr
    page, short = ((screen.run_dirs()[-1] / name).read_text() for name in ("report.html", "report.md"))
    assert "Why answers diverge" in page
    assert "Diverging tokens" in page
    assert "Why answers diverge" in short


def test_float32_clears_what_rounding_made(screen: Screen, tais: Tais) -> None:
    leak(screen, margin=5.0, margin_float32=0.0)
    tais("run", screen.path, "--out", screen.out)
    found = contrast(screen, "spec")
    assert set(found["details"]["audit"]["causes"]) == {"numerical"}
    assert "structural_divergence" not in codes(found)


@pytest.mark.parametrize(("margin", "cause"), [(0.0, "tie"), (0.05, "numerical")])
def test_small_margins_are_explained(screen: Screen, tais: Tais, margin: float, cause: str) -> None:
    leak(screen, margin=margin)
    tais("run", screen.path, "--out", screen.out)
    found = contrast(screen, "spec")
    assert set(found["details"]["audit"]["causes"]) == {cause}
    assert codes(found)["divergences_explained"] == "note"


def test_what_float32_cannot_check_is_reported_and_decides_nothing(screen: Screen, tais: Tais) -> None:
    leak(screen, margin=5.0, refuse_float32="no memory for it")
    done = tais("run", screen.path, "--out", screen.out)
    found = contrast(screen, "spec")
    assert set(found["details"]["audit"]["causes"]) == {"unconfirmed"}
    assert codes(found)["divergences_unconfirmed"] == "note"
    assert "no memory for it" in found["details"]["audit"]["unavailable"]
    assert done.returncode in (0, 3), done.stderr


def test_a_contrast_that_is_lossy_by_design_must_show_it(screen: Screen, tais: Tais) -> None:
    screen.data["contrasts"][0]["lossless"] = False
    screen.write()
    tais("run", screen.path, "--out", screen.out)
    assert codes(contrast(screen, "spec"))["lossy_treatment_not_shown"] == "decides"
    leak(screen, margin=5.0)
    screen.data["contrasts"][0]["lossless"] = False
    screen.write()
    tais("run", screen.path, "--out", screen.out)
    found = contrast(screen, "spec")
    assert codes(found)["structural_divergence"] == "note"
    assert "lossy_treatment_not_shown" not in codes(found)


def test_a_full_audit_scores_equal_answers_once(screen: Screen, tais: Tais) -> None:
    leak(screen, margin=5.0)
    screen.data["contrasts"][0]["audit"] = True
    screen.write()
    tais("run", screen.path, "--out", screen.out)
    found = contrast(screen, "spec")["details"]["audit"]
    differing = sum(found["causes"].values())
    assert found["scope"] == "full"
    assert found["candidate"]["tokens"] == tokens_of(screen, "spec")
    assert found["candidate"]["beyond"] == differing
    assert found["batteries"][0]["items"] == 120
    assert found["batteries"][0]["items_beyond"] == differing


def test_too_many_misses_inside_the_band_are_suspect(screen: Screen, tais: Tais) -> None:
    leak(screen, margin=0.05)
    screen.data["arms"]["spec"]["engine_args"] = {"leak": 0.3}
    screen.data["contrasts"][0] |= {"audit": True, "lossless": True}
    screen.write()
    tais("run", screen.path, "--out", screen.out)
    found = contrast(screen, "spec")
    assert set(found["details"]["audit"]["causes"]) == {"numerical"}
    drift = found["details"]["audit"]["drift"]
    assert drift["p"] < 1e-6
    (control,) = drift["controls"]
    # The candidate verifies drafted tokens, and no control computes so many at once.
    assert (control["arm"], control["covers"], control["misses"]) == ("target", False, 0)
    assert codes(found)["law_drift_suspect"] == "decides"


def tokens_of(screen: Screen, arm: str) -> int:
    tokens: int = screen.report()["facts"]["arms"][arm]["tokens"]
    return tokens


def audit_only(screen: Screen, *, accepted: bool, leaked: float = 0.0) -> None:
    screen.data["arms"]["spec"]["engine_args"] = {"leak": leaked}
    screen.data["contrasts"] = [{"reference": "target", "candidate": "spec", "audit": "only"}]
    screen.data["rules"] = {"accept_evidence": ["teacher_forced"] if accepted else []}
    screen.write()


@pytest.mark.parametrize(("accepted", "code"), [(True, 0), (False, 3)])
def test_a_screen_without_a_target_arm(screen: Screen, tais: Tais, accepted: bool, code: int) -> None:
    audit_only(screen, accepted=accepted)
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == code, done.stderr
    found = contrast(screen, "spec")
    assert found["evidence"] == "teacher_forced"
    assert found["endpoints"] == []
    assert not (screen.run_dirs()[-1] / "arms" / "target").exists()
    # No miss in 120 answers: 1 - 0.05^(1/120).
    assert found["details"]["audit"]["batteries"][0]["bound"] == pytest.approx(0.0246556, abs=1e-6)
    assert codes(found)["difference_bounded"] == "note"


def test_a_screen_without_a_target_arm_sees_a_leak(screen: Screen, tais: Tais) -> None:
    audit_only(screen, accepted=True, leaked=0.05)
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 1, done.stderr
    assert codes(contrast(screen, "spec"))["structural_divergence"] == "decides"


def test_too_few_answers_bound_nothing(screen: Screen, tais: Tais) -> None:
    audit_only(screen, accepted=True)
    done = tais("run", screen.path, "--out", screen.out, "--limit", "40")
    assert done.returncode == 3, done.stderr
    assert codes(contrast(screen, "spec"))["difference_not_bounded"] == "decides"


def test_outputs_that_exist_already_are_audited(screen: Screen, tais: Tais) -> None:
    tais("run", screen.path, "--out", screen.out)
    import pyarrow.dataset as ds

    arm = screen.run_dirs()[-1] / "arms" / "spec"
    rows = (
        ds.dataset(sorted(arm.glob("part-*"))).to_table(columns=["item_id", "text", "token_ids"]).to_pylist()
    )
    (screen.folder / "old.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    screen.data["arms"]["old"] = {"engine": "import", "path": "old.jsonl"}
    screen.data["contrasts"] = [{"reference": "target", "candidate": "old", "audit": "only"}]
    screen.data["rules"] = {"accept_evidence": ["teacher_forced"]}
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 0, done.stderr


def test_an_audit_is_recomputed_from_what_is_stored(screen: Screen, tais: Tais) -> None:
    leak(screen, margin=5.0)
    tais("run", screen.path, "--out", screen.out)
    again = tais("report", screen.run_dirs()[-1], "--format", "json")
    assert without_times(json.loads(again.stdout)) == without_times(screen.report())


def test_an_audit_that_dies_is_resumed(screen: Screen, tais: Tais) -> None:
    leak(screen, margin=5.0)
    whole = tais("run", screen.path, "--out", screen.out)
    assert whole.returncode == 1
    wanted = contrast(screen, "spec")
    screen.data["arms"]["target"]["engine_args"]["fail_score_at"] = 10
    screen.data["name"] = "dying"
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 4
    assert "target audit" in done.stderr
    done = tais("run", screen.path, "--out", screen.out, "--resume", TAIS_FAKE_UNBROKEN="1")
    assert done.returncode == 1, done.stderr
    assert contrast(screen, "spec")["details"]["audit"] == wanted["details"]["audit"]


def test_a_reference_that_cannot_score_is_refused(screen: Screen, tais: Tais) -> None:
    (screen.folder / "old.jsonl").write_text('{"item_id": "m-000", "text": "no"}\n', encoding="utf-8")
    screen.data["arms"]["old"] = {"engine": "import", "path": "old.jsonl"}
    screen.data["contrasts"] = [{"reference": "old", "candidate": "spec", "audit": True}]
    screen.write()
    done = tais("plan", screen.path)
    assert done.returncode == 2
    assert "cannot score" in done.stderr


def run_then_audit(screen: Screen, tais: Tais, *arguments: object) -> Any:
    tais("run", screen.path, "--out", screen.out)
    run_dir = screen.run_dirs()[-1]
    given = ("--manifest", screen.path, "--reference", "target", "--out", screen.out)
    return tais("audit", run_dir, *given, *arguments)


def test_a_finished_run_is_audited_in_a_run_of_its_own(screen: Screen, tais: Tais) -> None:
    done = run_then_audit(screen, tais)
    assert done.returncode == 0, done.stderr
    run_dir = done.stdout.split("\t")[1].strip()
    assert "/fakes-audit/" in run_dir
    report = json.loads((screen.folder / run_dir / "report.json").read_text())
    (found,) = report["contrasts"]
    assert found["candidate"] == "spec"
    assert found["details"]["audit"]["scope"] == "full"
    assert found["details"]["audit"]["candidate"]["rate"] == 1.0
    # Nothing was generated again.
    stored = screen.run_dirs()[-1] / "arms" / "spec" / "part-00000.parquet"
    assert (screen.folder / run_dir / "arms/spec/part-00000.parquet").read_bytes() == stored.read_bytes()


def test_an_audit_is_verified_like_a_run(screen: Screen, tais: Tais) -> None:
    tais("keygen", "--out", screen.folder)
    tais("run", screen.path, "--out", screen.out)
    done = tais(
        *("audit", screen.run_dirs()[-1], "--manifest", screen.path, "--reference", "target"),
        *("--out", screen.out, "--key", screen.folder / "tais.key", "-q"),
        TAIS_UNSIGNED="",
    )
    assert done.returncode == 0, done.stderr
    run_dir = done.stdout.split("\t")[1].strip()
    verified = tais("verify", run_dir, "--key", screen.folder / "tais.pub", "--recompute")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--candidate", "spock"], "no arm named 'spock'"),
        (["--candidate", "target"], "is the reference"),
    ],
)
def test_an_audit_of_what_is_not_there_is_refused(
    screen: Screen, tais: Tais, arguments: list[str], said: str
) -> None:
    done = run_then_audit(screen, tais, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_audit_by_another_manifest_is_refused(screen: Screen, tais: Tais) -> None:
    tais("run", screen.path, "--out", screen.out)
    run_dir = screen.run_dirs()[-1]
    screen.options("spec", leak=0.5)
    done = tais("audit", run_dir, "--manifest", screen.path, "--reference", "target")
    assert done.returncode == 2
    assert "arms.spec.engine_args" in done.stderr
