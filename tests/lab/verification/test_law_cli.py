"""``tais law``: verdict, exit code, and failures that name the verifier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Tais

# Importing torch takes longer than a unit test may; `make lab` and CI run the file.
pytestmark = pytest.mark.slow

OWN = '''
import math
import random

def token(draft, rng):
    """The shipped rule, written by a user."""
    node, out = 0, []
    while draft.draws(node):
        child = draft.draws(node)[0]
        token = draft.tokens[child]
        p, q = draft.p[node], draft.q[node]
        if not rng.flip(min(1.0, float(p[token] / q[token]))):
            return [*out, rng.categorical((p - q).clamp(min=0))]
        out.append(token)
        node = child
    return [*out, rng.categorical(draft.p[node])]

def lossy(draft, rng):
    out = token(draft, rng)
    return [*out[:-1], 0]

def raises(draft, rng):
    raise KeyError("no such thing")

def leaves(draft, rng):
    raise SystemExit(0)

def nothing(draft, rng):
    return None

def empty(draft, rng):
    return []

def fraction(draft, rng):
    return [0.5]

def outside(draft, rng):
    return [99]

def fly_of_p(draft, rng):
    """An engine's rule that reads raw logits, ported by someone who had draft.p alone."""
    path, node = [], 0
    while draft.draws(node):
        path.append((node, draft.draws(node)[0]))
        node = path[-1][1]
    ratios = [draft.p[above][draft.tokens[c]] / draft.q[above][draft.tokens[c]] for above, c in path]
    passed = [rng.flip(min(1.0, float(ratio))) for ratio in ratios]
    out = []
    for i, (above, child) in enumerate(path):
        law = RAW(draft)[above]
        unsure = -sum(float(p) * math.log(float(p)) for p in law if p > 0) > 0.3
        if not passed[i] and not (unsure and passed[i + 1 : i + 2] == [True]):
            return [*out, rng.categorical((draft.p[above] - draft.q[above]).clamp(min=0))]
        out.append(draft.tokens[child])
    return [*out, rng.categorical(draft.p[node])]

def RAW(draft):
    return draft.p

def likeliest(draft, rng):
    """The longest match with the likeliest tokens; needs no law before temperature."""
    node, out = 0, []
    while draft.draws(node) and draft.tokens[draft.draws(node)[0]] == int(draft.p[node].argmax()):
        node = draft.draws(node)[0]
        out.append(draft.tokens[node])
    return [*out, int(draft.p[node].argmax())]

def reads_raw(draft, rng):
    out = likeliest(draft, rng)
    return out if draft.raw_p[0].max() < 2 else []

def undrafted(draft, rng):
    return [*[1 - draft.tokens[1]] * 3, 0]

def impossible(draft, rng):
    return [int(rng.flip(1.5))]

def no_law(draft, rng):
    return [rng.categorical(draft.p[0] * 0)]

def writes(draft, rng):
    draft.p[0] = draft.p[0].flip(0)
    return [rng.categorical(draft.p[0])]

def own_chance(draft, rng):
    return [random.randrange(2)]

def endless(draft, rng):
    while True:
        rng.flip(1.0)

no_function = 3
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


QUICK = ("--shape", "chain:2", "--laws", 1, "--vocabulary", 3)


def test_a_lossless_rule_exits_0_and_prints_json(tais: Tais) -> None:
    done = tais("law", "--verifier", "block", *QUICK)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verdict"] == "lossless"
    assert [made["finding"] for made in said["audits"]] == ["lossless", "lossless"]
    toy = said["audits"][0]
    assert toy["accepted"] == pytest.approx(11 / 9)
    assert toy["bound"] == pytest.approx(11 / 9)
    assert "block" in done.stderr


def test_a_lossy_rule_exits_1_and_names_the_place(tais: Tais) -> None:
    done = tais("law", "--verifier", "block", "--verifier", "typical", *QUICK)
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert said["verdict"] == "lossy"
    assert said["audits"][-1]["breaks"][0]["node"] == []
    assert "at the root, token" in done.stderr


def test_a_greedy_rule_is_lossless_at_temperature_0_only(tais: Tais) -> None:
    assert tais("law", "--verifier", "greedy", *QUICK).returncode == 1
    assert tais("law", "--verifier", "greedy", *QUICK, "--temperature", 0).returncode == 0


@pytest.mark.parametrize(
    ("function", "code"), [("fly_of_p", 3), ("likeliest", 0), ("reads_raw", 0), ("token", 0)]
)
def test_a_rule_that_saw_one_token_only_is_not_acquitted(
    tais: Tais, own: str, function: str, code: int
) -> None:
    """Of p at temperature 0 nothing can be read that an engine's rule would read of its own logits."""
    done = tais("law", "--verifier", f"{own}:{function}", *QUICK[:2], "--temperature", 0)
    assert done.returncode == code, done.stderr
    assert ("raw_p" in done.stderr) is (code == 3)


def test_fly_is_lossy_at_temperature_0_where_its_entropy_is_that_of_the_raw_law(tais: Tais) -> None:
    for shape in ("chain:2", "chain:3"):
        done = tais("law", "--verifier", "fly", "--shape", shape, "--laws", 1, "--temperature", 0)
        assert done.returncode == 1, done.stderr


def test_an_audit_that_was_cut_off_exits_3_unless_the_sample_convicts(tais: Tais) -> None:
    cut = ("--limit", 5, "--samples", 4000)
    done = tais("law", "--verifier", "token", *QUICK, *cut)
    assert done.returncode == 3
    said = json.loads(done.stdout)
    assert said["verdict"] == "undecided"
    assert said["audits"][0]["exact"] is False
    # The toy accepts 10/9 tokens of two; five standard errors.
    made = said["audits"][0]
    assert abs(made["accepted"] - 10 / 9) < 5 * made["accepted_error"]
    assert tais("law", "--verifier", "accept_all", *QUICK, *cut).returncode == 1


def test_every_lossless_member_is_audited_by_default(tais: Tais) -> None:
    done = tais("law", "--shape", "paths:2x1", "--laws", 1, "--vocabulary", 3, "--no-bound")
    assert done.returncode == 0, done.stderr
    names = {made["verifier"] for made in json.loads(done.stdout)["audits"]}
    assert {"token", "block", "kseq", "traversal", "gbv"} <= names
    assert not names & {"typical", "accept_all", "greedy"}


def test_a_users_rule_is_audited_like_ours(tais: Tais, own: str) -> None:
    assert tais("law", "--verifier", f"{own}:token", *QUICK).returncode == 0
    done = tais("law", "--verifier", f"{own}:lossy", *QUICK)
    assert done.returncode == 1
    assert json.loads(done.stdout)["audits"][0]["breaks"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raises", "raised KeyError"),
        ("leaves", "raised SystemExit"),
        ("nothing", "no sequence of tokens"),
        ("empty", "tokens lie in 0 to 1"),
        ("fraction", "is no token"),
        ("outside", "tokens lie in 0 to 1"),
        ("undrafted", "were not drafted"),
        ("impossible", "probability outside 0 to 1"),
        ("no_law", "weights that are no law"),
        ("writes", "writes into the laws"),
        ("own_chance", "another source of chance"),
        ("endless", "more than 10000 decisions"),
    ],
)
def test_a_users_rule_that_fails_is_named_in_one_line(tais: Tais, own: str, function: str, said: str) -> None:
    done = tais("law", "--verifier", f"{own}:{function}", *QUICK)
    assert done.returncode == 4
    assert said in done.stderr
    assert f"{own}:{function}" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--verifier", "tokn"), "Did you mean 'token'?"),
        (("--verifier", "no_such_module:verify"), "cannot import no_such_module:verify"),
        (("--verifier", "json:no_such"), "cannot import json:no_such"),
        (("--verifier", "token", "--shape", "paths:2"), "no shape 'paths:2'"),
        (("--verifier", "token", "--shape", "chain:0"), "out of 1 to"),
        (("--verifier", "gbv", "--shape", "tree:2,2"), "gbv makes no claim for tree:2,2"),
        (("--vocabulary", "1"), "--vocabulary"),
    ],
)
def test_a_wrong_question_exits_2(tais: Tais, arguments: tuple[str, ...], said: str) -> None:
    done = tais("law", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_module_that_ends_the_program_is_no_pass(tais: Tais, tmp_path: Path) -> None:
    (tmp_path / "leaves_at_import.py").write_text("raise SystemExit(0)")
    done = tais("law", "--verifier", "leaves_at_import:verify", *QUICK)
    assert done.returncode == 2
    assert "cannot import leaves_at_import:verify: SystemExit" in done.stderr


def test_what_is_no_callable_is_named(tais: Tais, own: str) -> None:
    done = tais("law", "--verifier", f"{own}:no_function")
    assert done.returncode == 2
    assert "is not callable" in done.stderr


def test_help_has_an_example(tais: Tais) -> None:
    assert "tais law --verifier block" in tais("law", "--help").stdout
