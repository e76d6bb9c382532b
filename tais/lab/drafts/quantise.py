"""A draft in four bits: GPTQ or rounding to nearest, written as compressed-tensors packs it.

Weights of the linear layers inside the blocks alone are quantised; embeddings, norms and the head stay as
they are, and so do activations. Experts that are no linear layers of their own are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tais.common.files import sha256_file
from tais.common.text import first_line
from tais.errors import EngineError, UsageError
from tais.lab.drafts.calibration_data import passages, read_prompts
from tais.lab.drafts.compliance import find_battery, measure_refusals
from tais.lab.drafts.gptq import Rounded, output_error, round_to_nearest, rounded_by_gptq
from tais.lab.drafts.models import (
    load_model,
    load_tokenizer,
    model_files,
    new_folder,
    refuse_existing,
    write_card,
)
from tais.lab.packages import need, torch, transformers

__all__ = ["QuantiseOptions", "Rounding", "make_quantised"]

Say = Callable[[str], None]

Entry = tuple[torch.Tensor, dict[str, object]]
"""What enters a block, and with what settings."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """How weights are rounded."""

    method: Literal["gptq", "rtn"] = "gptq"
    bits: int = 4
    group: int = 128
    """Inputs that share a scale."""
    damping: float = 0.01
    answer: int = 64
    """Tokens of the draft's own answer to each calibration prompt."""
    max_length: int = 512
    """Tokens of a calibration passage."""


@dataclass(frozen=True, slots=True)
class QuantiseOptions:
    """What ``tais draft quantise`` was asked for."""

    model: str
    out: Path
    revision: str | None = None
    calibration: Path | None = None
    """Prompts; gptq needs them."""
    limit: int | None = 128
    rounding: Rounding = Rounding()
    battery: str | None = None
    battery_limit: int | None = None
    max_tokens: int = 64
    device: str | None = None


def make_quantised(options: QuantiseOptions, say: Say) -> dict[str, object]:
    """Quantise the weights of a draft and write it with its card.

    Parameters
    ----------
    options
        What to quantise, and how.
    say
        Takes one line of progress.

    Returns
    -------
    dict
        The card: base, calibration, settings, what rounding changed, sha256 of every file.

    Raises
    ------
    UsageError
        For a model, group or folder that cannot be used, or where compressed-tensors is not installed.
    EngineError
        Where a layer cannot be quantised.
    """
    refuse_existing(options.out)
    rounding = options.rounding
    if rounding.method == "gptq" and options.calibration is None:
        raise UsageError("gptq needs prompts", remedy="Name a file with --calibration, or say --method rtn")
    prompts = [] if options.calibration is None else read_prompts(options.calibration, options.limit)
    battery = None if options.battery is None else find_battery(options.battery, options.battery_limit)
    need("compressed_tensors")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = load_tokenizer(options.model, options.revision)
    model = load_model(options.model, options.revision, device=device).eval()
    if getattr(model.config, "quantization_config", None) is not None:
        raise UsageError(f"{options.model} is quantised already", remedy="Take the model that it was made of")
    stored, model = model.dtype, model.float()
    blocks = _blocks(model, options.model)
    _check_groups(blocks, rounding)
    seen = passages(model, tokenizer, prompts, rounding.answer, rounding.max_length) if prompts else []
    measured: dict[str, object] = {}
    if battery is not None:
        measured["before"] = measure_refusals(model, tokenizer, battery, options.max_tokens).as_dict()
    scales, errors = _round_all(model, blocks, seen, rounding, stored, say)
    if battery is not None:
        measured["after"] = measure_refusals(model, tokenizer, battery, options.max_tokens).as_dict()
    with new_folder(options.out) as folder:
        _write(model, tokenizer, scales, rounding, stored, folder)
        return write_card(folder, "quantised", _content(options, prompts, errors, measured))


def _content(
    options: QuantiseOptions, prompts: list[str], errors: dict[str, float], measured: dict[str, object]
) -> dict[str, object]:
    file = options.calibration
    return {
        "base": {
            "model": options.model,
            "revision": options.revision,
            "files": model_files(options.model),
        },
        "data": file and {"file": file.name, "sha256": sha256_file(file), "rows": len(prompts)},
        "settings": {"format": "compressed-tensors pack-quantized", **asdict(options.rounding)},
        "output_error": errors,
        "refusals": measured or None,
    }


def _blocks(model: transformers.PreTrainedModel, name: str) -> dict[str, torch.nn.Module]:
    """Return the decoder blocks by name, or refuse a model whose blocks cannot be found."""
    depth = int(model.config.get_text_config(decoder=True).num_hidden_layers)
    lists = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList)]
    found = [(prefix, modules) for prefix, modules in lists if len(modules) == depth]
    if not found:
        raise UsageError(f"the blocks of {name} cannot be found", remedy="Take a decoder of transformers")
    prefix, modules = max(found, key=lambda one: sum(p.numel() for p in one[1].parameters()))
    blocks = {f"{prefix}.{index}": module for index, module in enumerate(modules)}
    for path, block in blocks.items():
        linear = {id(p) for m in block.modules() if isinstance(m, torch.nn.Linear) for p in m.parameters()}
        other = [n for n, p in block.named_parameters() if p.ndim > 1 and id(p) not in linear]
        if other:
            what = f"{path}.{other[0]} is no linear layer's"
            raise UsageError(what, remedy="Mixtures of experts and convolutions are not quantised here")
    return blocks


def _linear(block: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Linear]]:
    for name, module in block.named_modules():
        if isinstance(module, torch.nn.Linear):
            yield name, module


def _check_groups(blocks: dict[str, torch.nn.Module], rounding: Rounding) -> None:
    for path, block in blocks.items():
        for name, module in _linear(block):
            if module.in_features % rounding.group:
                sizes = sorted({m.in_features for b in blocks.values() for _, m in _linear(b)})
                fitting = [g for g in (128, 64, 32, 16) if all(size % g == 0 for size in sizes)]
                remedy = f"Say --group {fitting[0]}" if fitting else "Its layers have no common group"
                raise UsageError(
                    f"{path}.{name} has {module.in_features} inputs, which {rounding.group} does not divide",
                    remedy=remedy,
                )


def _round_all(
    model: transformers.PreTrainedModel,
    blocks: dict[str, torch.nn.Module],
    seen: list[torch.Tensor],
    rounding: Rounding,
    stored: torch.dtype,
    say: Say,
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Round block after block, each on what the rounded ones before it give; return scales and errors."""
    scales: dict[str, torch.Tensor] = {}
    errors: dict[str, list[float]] = {rounding.method: [], "rtn": []}
    inputs = _first_inputs(model, next(iter(blocks.values())), seen)
    with torch.no_grad():
        for number, (path, block) in enumerate(blocks.items()):
            say(f"block {number + 1} of {len(blocks)}")
            moments = _moments(block, inputs)
            for name, module in _linear(block):
                weight, known = module.weight.data.clone(), moments.get(name)
                rounded = _rounded(weight, known, rounding, stored)
                module.weight.data = rounded.values
                scales[f"{path}.{name}"] = rounded.scales
                if known is not None:
                    nearest = round_to_nearest(weight, rounding.bits, rounding.group, stored)
                    errors["rtn"].append(output_error(weight, nearest.values, known))
                    if rounding.method != "rtn":
                        errors[rounding.method].append(output_error(weight, rounded.values, known))
            inputs = [(_run(block, states, settings), settings) for states, settings in inputs]
    means = {name: sum(found) / len(found) for name, found in errors.items() if found}
    return scales, means


def _rounded(weight: torch.Tensor, moments: torch.Tensor, rounding: Rounding, stored: torch.dtype) -> Rounded:
    if rounding.method == "rtn":
        return round_to_nearest(weight, rounding.bits, rounding.group, stored)
    return rounded_by_gptq(weight, moments, rounding.bits, rounding.group, stored, rounding.damping)


class _Reached(Exception):
    """Ends a forward pass at the first block."""


def _first_inputs(
    model: transformers.PreTrainedModel, block: torch.nn.Module, seen: list[torch.Tensor]
) -> list[Entry]:
    """Return what enters the first block, and with what settings, for each passage."""
    found: list[Entry] = []

    def catch(module: torch.nn.Module, args: tuple[torch.Tensor, ...], settings: dict[str, object]) -> None:
        settings = dict(settings)
        states = args[0] if args else settings.pop("hidden_states")
        found.append((states, settings))
        raise _Reached

    handle = block.register_forward_pre_hook(catch, with_kwargs=True)
    try:
        for ids in seen:
            try:
                with torch.no_grad():
                    model(input_ids=ids, use_cache=False)
            except _Reached:
                continue
    finally:
        handle.remove()
    return found


def _run(block: torch.nn.Module, states: torch.Tensor, settings: dict[str, object]) -> torch.Tensor:
    try:
        given = block(states, **settings)
    except (RuntimeError, TypeError, ValueError) as error:
        what = first_line(error)
        raise EngineError(f"a block of this model cannot be run by itself: {what}") from error
    return given[0] if isinstance(given, tuple) else given


def _moments(block: torch.nn.Module, inputs: list[Entry]) -> dict[str, torch.Tensor]:
    """Return the mean of x x' (inputs, inputs) over all tokens for each linear layer of a block."""
    sums: dict[str, torch.Tensor] = {}
    handles = []
    for name, module in _linear(block):

        def add(module: torch.nn.Module, args: tuple[torch.Tensor, ...], name: str = name) -> None:
            rows = args[0].reshape(-1, args[0].shape[-1]).float()
            sums[name] = sums.get(name, 0) + rows.T @ rows

        handles.append(module.register_forward_pre_hook(add))
    try:
        for states, settings in inputs:
            _run(block, states, settings)
    finally:
        for handle in handles:
            handle.remove()
    return sums


def _write(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    scales: dict[str, torch.Tensor],
    rounding: Rounding,
    stored: torch.dtype,
    folder: Path,
) -> None:
    """Pack each rounded matrix and write weights, configuration and tokenizer."""
    # Loads compressed_tensors and torch.
    from compressed_tensors.compressors import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
    from safetensors.torch import save_file

    arguments = QuantizationArgs(
        num_bits=rounding.bits, type="int", symmetric=True, strategy="group", group_size=rounding.group
    )
    scheme = QuantizationScheme(targets=["Linear"], weights=arguments, format="pack-quantized")
    tensors: dict[str, torch.Tensor] = {}
    tied = getattr(model.config, "tie_word_embeddings", False)
    for name, tensor in model.state_dict().items():
        path = name.removesuffix(".weight")
        if path in scales and name.endswith(".weight"):
            given = {"weight": tensor, "weight_scale": scales[path].to(tensor.device)}
            packed = PackedQuantizationCompressor.compress(given, scheme)
            packed["weight_scale"] = packed["weight_scale"].to(stored)
            tensors |= {f"{path}.{part}": value.contiguous().cpu() for part, value in packed.items()}
        elif not (tied and name.startswith("lm_head.")):
            tensors[name] = tensor.to(stored).contiguous().cpu()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    config = QuantizationConfig(
        config_groups={"group_0": scheme},
        format="pack-quantized",
        quantization_status="compressed",
        ignore=["lm_head"],
    )
    model.config.dtype = stored
    model.config.save_pretrained(folder)
    path_of_config = folder / "config.json"
    settings = json.loads(path_of_config.read_text(encoding="utf-8"))
    settings["quantization_config"] = json.loads(config.model_dump_json())
    path_of_config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
