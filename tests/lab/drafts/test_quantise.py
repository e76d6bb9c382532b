"""A draft in four bits: what is written is what was measured, and other tools read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tais.errors import UsageError
from tais.lab.drafts.quantise import QuantiseOptions, Rounding, make_quantised
from tais.lab.packages import torch, transformers
from tests.lab.drafts.models import small_model, write_prompts

# The packing is that of compressed-tensors, which comes with vLLM.
compressed_tensors = pytest.importorskip("compressed_tensors")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A small model by GPTQ, and its card."""
    folder = tmp_path_factory.mktemp("quantised")
    model = small_model(folder / "model")
    rounding = Rounding(group=32, answer=8)
    options = QuantiseOptions(
        str(model), folder / "int4", calibration=write_prompts(folder / "p.jsonl", 24), rounding=rounding
    )
    return folder, make_quantised(options, quiet)


def unpacked(folder: Path) -> dict[str, Any]:
    """Every matrix as compressed-tensors unpacks it."""
    from compressed_tensors.compressors import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationScheme
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    scheme = QuantizationScheme.model_validate(config["config_groups"]["group_0"])
    stored = load_file(folder / "model.safetensors")
    found = {}
    for name in [name for name in stored if name.endswith(".weight_packed")]:
        stem = name.removesuffix("_packed")
        parts = {f"weight{kind}": stored[f"{stem}{kind}"] for kind in ("_packed", "_scale", "_shape")}
        # Products are rounded to the scale's dtype.
        parts["weight_scale"] = parts["weight_scale"].float()
        found[stem] = PackedQuantizationCompressor.decompress(parts, scheme)["weight"]
    return found


def test_gptq_loses_less_than_rounding_to_nearest(made: tuple[Path, dict[str, Any]]) -> None:
    _, card = made
    errors = card["output_error"]
    assert 0 < errors["gptq"] < errors["rtn"] < 0.1


def test_weights_take_four_bits_and_little_else(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    from safetensors.torch import load_file

    stored = load_file(folder / "int4" / "model.safetensors")
    packed = [name for name in stored if name.endswith("weight_packed")]
    # Two blocks of q, k, v, o, gate, up, down.
    assert len(packed) == 14
    assert all(stored[name].dtype == torch.int32 for name in packed)
    assert stored["model.layers.0.mlp.up_proj.weight_packed"].shape == (64, 64 // 8)
    assert stored["model.layers.0.mlp.up_proj.weight_scale"].shape == (64, 2)
    assert "lm_head.weight" not in stored


def test_transformers_reads_the_numbers_that_were_written(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    load = transformers.AutoModelForCausalLM.from_pretrained
    read = load(folder / "int4", dtype=torch.float32).eval()
    plain = load(folder / "model", dtype=torch.float32).eval()
    matrices = unpacked(folder / "int4")
    for name, parameter in plain.named_parameters():
        if name in matrices:
            parameter.data = matrices[name]
    ids = torch.tensor([[0, 2, 300, 301, 302, 3]])
    with torch.no_grad():
        wanted, found = plain(ids).logits, read(ids).logits.float()
    assert torch.allclose(found, wanted, atol=1e-5)


def test_the_card_names_what_went_in_and_what_came_out(made: tuple[Path, dict[str, Any]]) -> None:
    folder, card = made
    from tais.common.files import sha256_file

    assert card == json.loads((folder / "int4" / "draft-card.json").read_text())
    assert card["data"]["sha256"] == sha256_file(folder / "p.jsonl")
    assert card["files"]["model.safetensors"] == sha256_file(folder / "int4" / "model.safetensors")
    assert card["base"]["files"]["model.safetensors"] == sha256_file(folder / "model" / "model.safetensors")
    assert card["versions"]["compressed-tensors"]
    assert sorted(path.name for path in folder.iterdir()) == ["int4", "model", "p.jsonl"]


def test_rounding_to_nearest_needs_no_prompts(tmp_path: Path) -> None:
    options = QuantiseOptions(
        str(small_model(tmp_path / "m")), tmp_path / "int4", rounding=Rounding("rtn", group=32)
    )
    card = make_quantised(options, quiet)
    assert card["data"] is None
    assert card["output_error"] == {}


def test_a_group_that_does_not_fit_is_refused_with_one_that_does(tmp_path: Path) -> None:
    model = str(small_model(tmp_path / "m", intermediate=96))
    with pytest.raises(UsageError, match=r"has 64 inputs, which 128 does not divide\. Say --group 32"):
        make_quantised(QuantiseOptions(model, tmp_path / "out", rounding=Rounding("rtn")), quiet)
    assert not (tmp_path / "out").exists()


def test_what_is_quantised_already_is_refused(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = made
    options = QuantiseOptions(str(folder / "int4"), tmp_path / "out", rounding=Rounding("rtn", group=32))
    with pytest.raises(UsageError, match="is quantised already"):
        make_quantised(options, quiet)
