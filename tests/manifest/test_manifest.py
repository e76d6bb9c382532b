from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.common.yaml12 import loads
from tais.errors import ManifestError
from tais.lab.verification.registry import VERIFIERS, Claim
from tais.manifest.load import find_manifest, load_manifest, resolve
from tais.manifest.lossless import LOSSY_METHODS, why_not_lossless
from tais.manifest.model import Arm, Contrast, Manifest, Role
from tests.support import examples

ROOT = Path(__file__).parents[2]
ASSETS = Path(__file__).parents[1] / "assets" / "manifests"
MESSAGES = dict(line.split(" | ", 1) for line in (ASSETS / "messages.txt").read_text().splitlines())


def read(arms: str, *, base: Path = ASSETS, contrast: str = "{reference: a, candidate: b}") -> Manifest:
    text = (
        f"name: m\narms:\n{arms}\ncontrasts: [{contrast}]\nbatteries: [{{name: mine, path: battery.yaml}}]\n"
    )
    return resolve(loads(text, "m.yaml"), base)


@pytest.fixture(scope="module")
def complete() -> Manifest:
    return load_manifest(ASSETS / "complete.yaml")


def test_every_broken_manifest_has_its_message() -> None:
    assert {file.stem for file in ASSETS.glob("*.yaml")} - {"battery", "complete"} == set(MESSAGES)


@pytest.mark.parametrize("defect", MESSAGES)
def test_a_broken_manifest_is_refused_in_one_line(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ASSETS)
    with pytest.raises(ManifestError) as caught:
        load_manifest(f"{defect}.yaml")
    assert str(caught.value) == MESSAGES[defect]
    assert caught.value.exit_code == 2


def test_a_child_inherits_deeply_and_null_deletes(complete: Manifest) -> None:
    assert complete.arms["target_again"].engine_args == {
        "enforce_eager": True,
        "limits": {"high": 3},
        "sizes": [4],
        "max_num_seqs": 7,
    }
    assert complete.arms["target_again"].order == "shuffled"


def test_a_chain_of_arms_is_followed_to_its_root(complete: Manifest) -> None:
    spec = complete.arms["spec"]
    assert (spec.model, spec.order, spec.engine_args) == ("org/target", "shuffled", {})


def test_strings_stay_strings_in_an_arm(complete: Manifest) -> None:
    assert complete.arms["target"].revision == "0123456"
    assert complete.arms["other_pinned"].revision == "1_000"
    assert complete.sampling.stop == ("no", "yes")


def test_another_model_drops_the_inherited_revision_and_tokenizer(complete: Manifest) -> None:
    other = complete.arms["other"]
    assert (other.revision, other.tokenizer, other.dtype) == (None, None, "float16")


def test_the_same_model_written_again_keeps_them() -> None:
    arms = "  a: {engine: fake, model: m, revision: r, tokenizer: t}\n  b: {extends: a, model: m}"
    assert read(arms).arms["b"].revision == "r"


def test_inheriting_leaves_the_parent_as_it_was() -> None:
    arms = "  a: {engine: fake, model: m, engine_args: {x: {y: 1}}}\n"
    arms += "  b: {extends: a, engine_args: {x: {y: 2}}}"
    assert read(arms).arms["a"].engine_args == {"x": {"y": 1}}


def test_a_null_reaches_the_engine_where_nothing_is_inherited() -> None:
    arms = "  a: {engine: fake, model: m, dtype: null, engine_args: {x: null}}\n"
    arms += "  b: {extends: a, engine_args: {y: 1}}"
    manifest = read(arms)
    assert manifest.arms["a"].engine_args == {"x": None}
    assert manifest.arms["b"].engine_args == {"x": None, "y": 1}


def test_paths_are_relative_to_the_manifest_and_kept_as_written(complete: Manifest) -> None:
    assert complete.arms["old"].path == str(ASSETS / "outputs.jsonl")
    assert complete.arms["target"].chat_template == str(ASSETS / "template.jinja")
    assert complete.batteries[1].path == str(ASSETS / "battery.yaml")
    assert (complete.arms["spec"].speculative_config or {})["model"] == str(ASSETS / "draft")
    assert complete.arms["target"].model == "org/target"
    assert complete.source["arms"]["spec"]["speculative_config"]["model"] == "./draft"
    assert complete.source["batteries"][0] == "demo_refuse"


def test_a_folder_beside_the_manifest_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "org" / "model").mkdir(parents=True)
    (tmp_path / "battery.yaml").touch()
    arms = (
        "  a: {engine: vllm, model: org/model, tokenizer: org/model}\n"
        "  b: {engine: openai, model: org/model, engine_args: {base_url: 'http://localhost:8000'}}\n"
        "  c: {engine: openai, model: org/model, engine_args: {serve: {}}}"
    )
    manifest = read(arms, base=tmp_path)
    assert manifest.arms["a"].model == manifest.arms["a"].tokenizer == str(tmp_path / "org" / "model")
    # What a running server calls its model is no path; a server that TAIS starts loads it from one.
    assert manifest.arms["b"].model == "org/model"
    assert manifest.arms["c"].model == str(tmp_path / "org" / "model")


def test_a_name_too_long_for_a_file_is_the_name_of_a_model() -> None:
    name = "x" * 5000
    assert read(f"  a: {{engine: fake, model: {name}}}\n  b: {{extends: a}}").arms["a"].model == name


def test_batteries_are_names_or_mappings(complete: Manifest) -> None:
    first, second = complete.batteries
    assert (first.name, first.path, first.limit) == ("demo_refuse", None, None)
    assert (second.name, second.limit, second.margin) == ("mine", 200, 0.05)


def test_a_fake_engine_takes_any_arguments() -> None:
    arms = "  a: {engine: fake, model: m, engine_args: {dtype: x, crash: [1]}}\n  b: {extends: a}"
    assert read(arms).arms["b"].engine_args == {"dtype": "x", "crash": [1]}


@pytest.mark.parametrize(
    ("change", "lossless"),
    [
        ("speculative_config: {method: ngram}", True),
        ("engine_args: {max_num_seqs: 7}", True),
        ("model: other", False),
        ("revision: other", False),
        ("dtype: float32", False),
        ("engine: transformers", False),
        ("engine_args: {quantization: fp8}", False),
        # What rounds or adds in another order, and rules that are meant to be lossy, claim nothing unasked.
        ("engine_args: {tensor_parallel_size: 2}", False),
        ("engine_args: {tensor_parallel_size: 1}", True),
        ("engine_args: {pipeline_parallel_size: 2}", False),
        ("engine_args: {attention_backend: TRITON_ATTN}", False),
        ("engine_args: {kv_cache_dtype: fp8}", False),
        ("engine_args: {kv_cache_dtype: auto}", True),
        ("engine_args: {device: cuda}", False),
        ("speculative_config: {method: ngram, rejection_sample_method: block}", True),
        ("speculative_config: {method: ngram, rejection_sample_method: synthetic}", False),
        ("speculative_config: {method: ngram, rejection_sample_method: fly}", False),
    ],
)
def test_the_same_target_in_the_same_dtype_claims_to_be_lossless(change: str, lossless: bool) -> None:
    manifest = read(f"  a: {{engine: fake, model: m, dtype: float16}}\n  b: {{extends: a, {change}}}")
    assert manifest.is_lossless(manifest.contrasts[0]) is lossless


def test_a_claim_that_is_not_made_says_why() -> None:
    manifest = read(
        "  a: {engine: fake, model: m, dtype: float16}\n  b: {extends: a, model: n, dtype: float32, "
        "engine_args: {kv_cache_dtype: fp8}, speculative_config: {rejection_sample_method: fly}}"
    )
    assert why_not_lossless(manifest.arms["a"], manifest.arms["b"]) == (
        "model differs",
        "dtype differs",
        "engine_args.kv_cache_dtype differs",
        "the candidate speculates by a rule that is meant to be lossy (rejection_sample_method: fly)",
    )


def test_the_methods_known_to_be_lossy_are_those_that_claim_so_themselves() -> None:
    assert {name for name, member in VERIFIERS.items() if member.claim is Claim.lossy} == LOSSY_METHODS


def test_a_contrast_that_says_so_itself_is_believed(complete: Manifest) -> None:
    assert [complete.is_lossless(contrast) for contrast in complete.contrasts] == [True, True, False, True]


_ARMS = "  a: {engine: fake, model: m}\n" + "".join(f"  {x}: {{extends: a}}\n" for x in "bcd")


def test_a_calibration_may_name_several_aa_arms() -> None:
    screen = "{reference: a, candidate: d}"
    found = read(_ARMS, contrast=f"{{reference: a, candidate: [b, c], role: calibration}}, {screen}")
    assert [(c.reference, c.candidate, c.role.value) for c in found.contrasts] == [
        ("a", "b", "calibration"),
        ("a", "c", "calibration"),
        ("a", "d", "screen"),
    ]
    # The lock keeps what was written.
    assert found.source["contrasts"][0]["candidate"] == ["b", "c"]


@pytest.mark.parametrize(
    ("contrast", "said"),
    [
        ("{reference: a, candidate: [b, c]}", "several candidates are the A/A arms of one calibration"),
        ("{reference: a, candidate: [], role: calibration}", "names no arm"),
        ("{reference: a, candidate: [b, b], role: calibration}", "given twice"),
        ("{reference: a, candidate: [b, [c]], role: calibration}", "contrasts[1].candidate"),
        ("{reference: a, candidate: [b, x], role: calibration}", "no arm named 'x'"),
    ],
)
def test_a_list_of_candidates_is_for_calibrations_alone(contrast: str, said: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(said)) as caught:
        read(_ARMS, contrast=f"{contrast}, {{reference: a, candidate: d}}")
    # What stands after a list keeps its line.
    assert "m.yaml:8" in str(caught.value)


def test_imported_outputs_claim_nothing() -> None:
    manifest = read("  a: {engine: import, path: outputs.jsonl}\n  b: {extends: a}")
    assert not manifest.is_lossless(manifest.contrasts[0])


def test_differences_are_deep_and_ignore_the_order_of_keys(complete: Manifest) -> None:
    assert complete.differences("target", "target_again") == [
        ("engine_args.limits.high", 2, 3),
        ("engine_args.limits.low", 1, None),
        ("engine_args.max_num_seqs", None, 7),
        ("engine_args.sizes", [1, 2], [4]),
        ("order", "battery", "shuffled"),
    ]
    assert complete.differences("target", "target") == []


def arm(name: str, **settings: Any) -> Arm:
    return Arm(name=name, engine="fake", model="m", **settings)


def manifest_of(*arms: Arm) -> Manifest:
    return Manifest(name="m", arms={one.name: one for one in arms}, contrasts=(), batteries=())


def test_differences_tell_true_from_1_and_a_new_mapping_by_its_keys() -> None:
    manifest = manifest_of(
        arm("a", engine_args={"x": {"k": 1}, "y": 1}),
        arm("b", engine_args={"y": True, "x": {"k": 1}}, speculative_config={"method": "ngram"}),
    )
    assert manifest.differences("a", "b") == [
        ("engine_args.y", 1, True),
        ("speculative_config.method", None, "ngram"),
    ]


def test_an_empty_mapping_differs_from_none() -> None:
    manifest = manifest_of(arm("a"), arm("b", speculative_config={}))
    assert manifest.differences("a", "b") == [("speculative_config", None, {})]


def test_the_models_can_be_built_without_a_file() -> None:
    contrast = Contrast(reference="a", candidate="b")
    assert (contrast.role, contrast.lossless) == (Role.screen, None)


def test_a_manifest_is_found_by_file_before_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped"
    (tmp_path / "here" / "demo").mkdir(parents=True)
    shipped.mkdir()
    (shipped / "demo.yaml").touch()
    monkeypatch.setattr("tais.manifest.load.share", lambda kind: shipped)
    monkeypatch.setattr("tais.manifest.load.names", lambda kind: ["demo"])
    monkeypatch.chdir(tmp_path / "here")
    for name in ("demo", "demo.yaml", "manifests/demo.yaml"):
        assert find_manifest(name) == shipped / "demo.yaml"
    Path("demo.yaml").touch()
    assert find_manifest("demo.yaml") == Path("demo.yaml")
    with pytest.raises(ManifestError) as caught:
        find_manifest("manifests/dmo.yaml")
    assert str(caught.value) == "manifests/dmo.yaml: no such manifest. Did you mean 'demo'?"


KEYS = st.sampled_from(["name", "arms", "contrasts", "batteries", "sampling", "rules", "a", "b", "extends"])
KEYS |= st.sampled_from(["engine", "model", "reference", "candidate", "engine_args", "dtype", "path", "role"])
VALUES = st.sampled_from(
    ["a", "b", "fake", "1", "true", "null", "~", "no", "[]", "{}", ".inf", "battery.yaml"]
)
TREES = st.recursive(
    VALUES,
    lambda inner: (
        st.dictionaries(KEYS, inner, max_size=4).map(
            lambda tree: "{" + ", ".join(f"{key}: {value}" for key, value in tree.items()) + "}"
        )
        | st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
    ),
    max_leaves=20,
)


@settings(max_examples=examples(200), deadline=None)
@given(TREES, TREES, TREES)
def test_any_manifest_is_read_or_refused_in_one_line(arms: str, contrasts: str, batteries: str) -> None:
    text = f"name: m\narms: {arms}\ncontrasts: {contrasts}\nbatteries: {batteries}\n"
    said = "m.yaml:"
    try:
        resolve(loads(text, "m.yaml"), ASSETS)
    except ManifestError as error:
        said = str(error)
    assert "m.yaml:" in said
    assert said.isprintable()


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "manifest.md").read_text()
    (tmp_path / "m.yaml").write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    assert load_manifest(tmp_path / "m.yaml").arms["spec"].speculative_config is not None


def test_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "manifest.md").read_text()
    models = [
        Manifest,
        Arm,
        Contrast,
        *(Manifest.model_fields[key].annotation for key in ("rules", "sampling")),
    ]
    keys = {key for model in models for key in getattr(model, "model_fields", {})}
    # What TAIS fills in itself.
    keys -= {"source", "start_of"}
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_importing_the_models_reads_no_yaml_library() -> None:
    code = "import sys, tais.manifest.model; sys.exit('ruamel.yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ("alpha", 0.5, "less than 0.5"),
        ("conformance_alpha", 0, "greater than 0"),
        ("h_cutoff", 1e300, "must be at most 10"),
        ("null_quantile", 0.5, "greater than 0.5"),
        ("max_invalid", 1, "less than 1"),
    ],
)
def test_a_rule_that_cannot_mean_anything_is_refused_with_its_range(
    rule: str, value: float, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "lax.yaml"
    rest = (ASSETS / "margin_too_large.yaml").read_text()
    path.write_text(rest.replace("{margin: 3}", f"{{{rule}: {value!r}}}"))
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    assert f"rules.{rule} (" in str(caught.value)
    assert "lax.yaml:5)" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("least", "said"),
    [
        ("[]", "min_acceptance names no position"),
        ("[0.1, 0.1, 0.1]", "min_acceptance names 3 positions, and arm 'b' drafts 2 tokens"),
    ],
)
def test_a_least_acceptance_of_positions_that_nothing_drafts_is_refused(
    least: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "screen.yaml"
    path.write_text(
        "name: m\narms:\n  a: {engine: fake, model: m}\n"
        "  b: {extends: a, speculative_config: {method: ngram, num_speculative_tokens: 2}}\n"
        "contrasts: [{reference: a, candidate: b}]\nbatteries: [demo_refuse]\n"
        f"rules: {{min_acceptance: {least}}}\n"
    )
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    assert str(caught.value).startswith(f"rules.min_acceptance ({path}:7): {said}")
    path.write_text(path.read_text().replace(least, "[0.1, 0.1]"))
    load_manifest(path)


@pytest.mark.parametrize("path", ["/" + "a" * 5000, "/a\0b"])
@pytest.mark.parametrize("several", [False, True])
def test_outputs_at_a_path_that_no_system_takes_are_no_file(path: str, several: bool) -> None:
    given = json.dumps([path] if several else path)
    with pytest.raises(ManifestError, match="no file"):
        read(f"  a: {{engine: import, path: {given}}}\n  b: {{extends: a}}")
