"""engine.json: what an engine resolved its configuration to, and where it ran; read, and compared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from tais.common.differences import Difference, leaf_differences
from tais.common.files import read_ordinary
from tais.common.machine import release_of
from tais.common.models import Open
from tais.errors import Place, StoreError
from tais.rundir.layout import ENGINE

__all__ = ["UNKNOWN", "EngineRecord", "compare_resolved", "read_engine"]

UNKNOWN = "unknown"
# Where an engine does not say how deep its model is.
_LAYERS = 32

JsonObject = dict[str, JsonValue]


class EngineRecord(Open):
    """One engine.json. Every engine has words of its own, so what is read of it is read here."""

    resolved: JsonObject = Field(default_factory=dict)
    environment: JsonObject = Field(default_factory=dict)
    other_environments: tuple[JsonObject, ...] = ()
    """Of an arm in shards that ran on several machines."""

    @property
    def started(self) -> bool:
        """Whether the engine ever said anything."""
        return bool(self.model_fields_set)

    @property
    def dtype(self) -> str:
        """The dtype that it runs, without the library's name in front."""
        found = self._of_the_model("dtype")
        return str(found).removeprefix("torch.") if found else UNKNOWN

    @property
    def layers(self) -> int:
        """How deep the model is."""
        config = _object(_object(self.resolved.get("model_config")).get("hf_text_config"))
        found = config.get("num_hidden_layers")
        return found if isinstance(found, int) and found > 0 else _LAYERS

    @property
    def sequences(self) -> int | None:
        """Answers that it computes at once at most; None where it does not say."""
        scheduler = _object(self.resolved.get("scheduler_config"))
        found = self.resolved.get("batch_size", scheduler.get("max_num_seqs"))
        return found if isinstance(found, int) and found > 0 else None

    @property
    def speculation(self) -> JsonObject | str | None:
        """The speculation that it runs: with its settings, or in a word; None where it runs none."""
        found = self.resolved.get("speculative_config", UNKNOWN)
        return found if found is None or isinstance(found, dict) else str(found)

    @property
    def rejection_sample_method(self) -> JsonValue:
        """How drafts are verified, where the running engine says so."""
        return _object(self.resolved.get("runtime")).get("rejection_sample_method")

    @property
    def scores_are_logprobs(self) -> bool:
        """Whether the scores of an audit are log-probabilities and not logits."""
        return self.resolved.get("scores") == "logprobs"

    @property
    def has_no_template(self) -> bool:
        """Whether the engine found no chat template, so that prompts went as bare text."""
        prompts = self.resolved.get("prompts")
        return isinstance(prompts, dict) and prompts.get("chat_template", "") is None

    @property
    def refusal_onset(self) -> list[int]:
        """Tokens that open a refusal."""
        return self._tokens("refusal_onset")

    @property
    def end_tokens(self) -> list[int]:
        """Tokens that end an answer; of an audit's stack."""
        return self._tokens("end_tokens")

    def _tokens(self, key: str) -> list[int]:
        found = self.resolved.get(key)
        return [token for token in found if isinstance(token, int)] if isinstance(found, list) else []

    @property
    def machines(self) -> list[str]:
        """The machines on which it ran, in words."""
        places = (self.environment, *self.other_environments)
        return [_shown_machine(_object(place.get("hardware"))) for place in places]

    @property
    def devices(self) -> tuple[str, ...]:
        """The kinds of device that it ran on: names of GPUs, else the CPU; empty where it does not say."""
        found = set()
        for place in (self.environment, *self.other_environments):
            hardware = _object(place.get("hardware"))
            listed = hardware.get("gpus")
            gpus = {str(_object(gpu).get("name")) for gpu in (listed if isinstance(listed, list) else ())}
            found |= (gpus or {"CPU"}) if hardware else set()
        return tuple(sorted(found))

    @property
    def versions(self) -> dict[str, JsonValue]:
        """The packages that compute, by name; of a server the version that it told."""
        found = _object(self.environment.get("libraries"))
        server = _object(self.resolved.get("server")).get("version")
        return {**found, **({"server": server} if server is not None else {})}

    @property
    def engine_versions(self) -> dict[str, str]:
        """Versions of what answers: the engine, what it computes with, and what a server tells of itself."""
        found = {name: release_of(name, self.versions) for name in _ENGINES}
        return {name: str(version) for name, version in found.items() if version is not None}

    def _of_the_model(self, key: str) -> JsonValue:
        inner = self.resolved.get("model_config", self.resolved)
        return _object(inner).get(key)


def read_engine(folder: Path) -> EngineRecord:
    """Read the engine.json in the folder of an arm or of an audit's stack; empty where nothing started.

    Raises
    ------
    StoreError
        When it is damaged.
    """
    path = folder / ENGINE
    try:
        return EngineRecord.model_validate_json(read_ordinary(path))
    except FileNotFoundError:
        return EngineRecord()
    except OSError as error:
        # The folder, where that is what cannot be read: a link in a circle, a file, no permission.
        blamed = path if folder.is_dir() and os.access(folder, os.X_OK) else folder
        why = (error.strerror or str(error)).lower()
        raise StoreError(
            f"this cannot be read ({why})",
            place=Place(file=str(blamed)),
            remedy="Let it be read, or take the run directory from its backup",
        ) from error
    except ValidationError as error:
        raise StoreError(
            "this file does not say what the engine resolved to",
            place=Place(file=str(path)),
            remedy="Take the run directory from its backup, or run the screen again",
        ) from error


def _shown_machine(hardware: Mapping[str, JsonValue]) -> str:
    """Return a machine in words: processor, cores, memory, GPUs with their driver."""
    gpus = list(_gpus(hardware.get("gpus")))
    counted = [f"{gpus.count(gpu)} x {gpu}" for gpu in dict.fromkeys(gpus)]
    memory = hardware.get("memory_bytes")
    gib = memory / 2**30 if isinstance(memory, int | float) else 0.0
    size = f"{hardware.get('logical_cores')} cores, {gib:.0f} GiB"
    return ", ".join([f"{hardware.get('cpu') or hardware.get('machine') or UNKNOWN} ({size})", *counted])


def _gpus(listed: JsonValue) -> Iterator[str]:
    for gpu in map(_object, listed if isinstance(listed, list) else ()):
        yield f"{gpu.get('name')} ({gpu.get('memory')}, driver {gpu.get('driver')})"


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


# Packages that an arm's answers come from.
_ENGINES = ("vllm", "torch", "transformers", "llama-cpp-python", "server")

# Names of one process, not settings: they differ between any two runs.
_VOLATILE = re.compile(
    r"instance_id|.*\b(port|_port|rpc_port|master_port|port_list|store_port)$|.*compilation_time|"
    r"parallel_config\.(_.*|.*port.*)|.*debug_dump_path|variables\.(TAIS_.*|(CUDA|HIP|ROCR)_VISIBLE_DEVICES)|"
    r"compilation_config\.(static_forward_context|traced_files|local_cache_dir|static_all_moe_layers|"
    r"enabled_custom_ops|disabled_custom_ops)(\..*)?"
)

# What a setting brings with it. Measured on vLLM 0.32: arms that differ in the key on the left (a dotted
# manifest key) also resolve to other values of the keys on the right.
_MEMORY = r"cache_config\.(num_gpu_blocks|num_cpu_blocks|kv_cache_(size_tokens|max_concurrency|memory_bytes))"

_CONSEQUENCES: tuple[tuple[str, str], ...] = (
    (
        # The draft's weights and cache take memory, and drafts take scheduler slots.
        r"speculative_config(\..*)?",
        rf"{_MEMORY}|speculative_config(\..*)?|observability_config\.per_request_spec_decode_metrics|"
        r"scheduler_config\.(max_num_scheduled_tokens|max_num_batched_tokens)|runtime\.(drafter|batch_size|rejection_sample.*)|"
        r"compilation_config\.(cudagraph_.*|max_cudagraph_capture_size|compile_sizes)",
    ),
    # Other packages, and another place where they lie.
    (r"environment", r"libraries(\..*)?|variables\.LD_PRELOAD"),
    # Two engines say what they are in words of their own.
    (r"engine", r".*"),
    (r"model|revision|tokenizer", rf"model_config(\..*)?|{_MEMORY}|quant_config(\..*)?|load_config(\..*)?"),
    (r"model|revision|tokenizer|chat_template", r"prompts(\..*)?"),
    (r"dtype", rf"model_config\.dtype|cache_config\..*dtype|mamba_config\..*dtype|{_MEMORY}"),
    (r"engine_args\.max_num_seqs", rf"scheduler_config\.max_num_seqs|compilation_config\..*|{_MEMORY}"),
    (
        r"engine_args\.max_num_batched_tokens",
        rf"scheduler_config\.max_.*|compilation_config\..*|{_MEMORY}",
    ),
    (r"engine_args\.max_model_len", rf"model_config\.max_model_len|scheduler_config\..*|{_MEMORY}"),
    (r"engine_args\.antidistillation(\..*)?", r"antidistillation(\..*)?"),
    (r"engine_args\.enforce_eager", r"model_config\.enforce_eager|compilation_config\..*|kernel_config\..*"),
)


def _expected(key: str, declared: tuple[str, ...]) -> bool:
    leaf = key.rsplit(".", 1)[-1]
    for name in declared:
        if name.startswith("engine_args.") and leaf == name.rsplit(".", 1)[-1]:
            return True
        for cause, consequence in _CONSEQUENCES:
            if re.fullmatch(cause, name) and re.fullmatch(consequence, key):
                return True
    return False


def compare_resolved(
    reference: Mapping[str, object], candidate: Mapping[str, object], declared: tuple[str, ...]
) -> list[Difference]:
    """Return the differences between two resolved configurations that the manifest does not account for.

    Parameters
    ----------
    reference, candidate
        Resolved configurations as nested mappings.
    declared
        Dotted manifest keys in which the two arms differ, e.g. ``speculative_config.method``.

    Returns
    -------
    list of Difference
        Sorted by key; empty when the declared difference and its known consequences explain all.
    """
    found = leaf_differences(reference, candidate)
    return [d for d in found if not _VOLATILE.fullmatch(d.key) and not _expected(d.key, declared)]
