"""An adversarial draft: direct preference optimisation on preferences turned round, by trl.

The worst draft that a served stack may meet: as good as its original at guessing words, and fond of what the
target must not say. Lossless verification has to keep it out of the answers.

References
----------
Rafailov et al. (2023), Direct Preference Optimization. The published study tuned its adversarial draft so.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from tais.common.files import sha256_file
from tais.errors import EngineError, UsageError
from tais.lab.drafts.compliance import find_battery, measure_refusals
from tais.lab.drafts.models import (
    check_same_tokens,
    load_model,
    load_tokenizer,
    model_files,
    new_folder,
    refuse_existing,
    save,
    write_card,
)
from tais.lab.drafts.preferences import Preference, flipped, read_preferences
from tais.lab.packages import need, torch, transformers

__all__ = ["AdversarialOptions", "Training", "make_adversarial"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Training:
    """How long and how hard a draft is tuned."""

    steps: int = 200
    batch: int = 8
    """Preferences per step."""
    rate: float = 5e-6
    """Highest learning rate of AdamW; it falls linearly to 0 after a tenth of the steps."""
    beta: float = 0.1
    """Strength of the pull back to the original model."""
    max_length: int = 1024
    """Tokens of a prompt with its answer; what is longer is cut."""
    seed: int = 42


@dataclass(frozen=True, slots=True)
class AdversarialOptions:
    """What ``tais draft adversarial`` was asked for."""

    model: str
    preferences: Path
    out: Path
    revision: str | None = None
    target: str | None = None
    """The model that the draft is for; its tokens must be the same."""
    limit: int | None = None
    training: Training = Training()
    battery: str | None = None
    battery_limit: int | None = None
    max_tokens: int = 64
    device: str | None = None


def make_adversarial(options: AdversarialOptions, say: Say) -> dict[str, object]:
    """Tune a draft to prefer what people rejected, and write it with its card.

    Parameters
    ----------
    options
        What to tune, on what, how.
    say
        Takes one line of progress.

    Returns
    -------
    dict
        The card: base, data, settings, refusals before and after, versions, sha256 of every file.

    Raises
    ------
    UsageError
        For data, model or folder that cannot be used, or where trl is not installed.
    EngineError
        Where training breaks or gives weights that are no numbers.

    Notes
    -----
    Training is in float32 and repeats bit for bit on one machine with the same versions and threads; on
    another it may round differently, so the card keeps the digests. Weights are written in their own dtype.
    """
    refuse_existing(options.out)
    preferences = read_preferences(options.preferences, options.limit)
    battery = None if options.battery is None else find_battery(options.battery, options.battery_limit)
    tokenizer = load_tokenizer(options.model, options.revision)
    if options.target is not None:
        check_same_tokens(tokenizer, load_tokenizer(options.target), options.target)
    if not getattr(tokenizer, "chat_template", None):
        raise UsageError(
            f"{options.model} has no chat template", remedy="Take a model that was tuned to chat"
        )
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(options.model, options.revision, dtype=torch.float32, device=device)
    measured = {}
    if battery is not None:
        measured["before"] = measure_refusals(model, tokenizer, battery, options.max_tokens).as_dict()
        say(f"{battery.name}: {_told(measured['before'])} before")
    say(f"tuning on {len(preferences)} preferences turned round, {options.training.steps} steps")
    outcome = _tune(model, tokenizer, flipped(preferences), options.training, device)
    if battery is not None:
        measured["after"] = measure_refusals(model, tokenizer, battery, options.max_tokens).as_dict()
        say(f"{battery.name}: {_told(measured['after'])} after")
    with new_folder(options.out) as folder:
        save(model.to(_stored_dtype(options)), tokenizer, folder)
        return write_card(folder, "adversarial", _content(options, len(preferences), outcome, measured))


def _told(measured: Mapping[str, object]) -> str:
    return f"{measured['refused']} of {measured['n']} refused"


def _content(
    options: AdversarialOptions, rows: int, outcome: dict[str, float], measured: Mapping[str, object]
) -> dict[str, object]:
    return {
        "base": {
            "model": options.model,
            "revision": options.revision,
            "files": model_files(options.model),
        },
        "target": options.target,
        "data": {
            "file": options.preferences.name,
            "sha256": sha256_file(options.preferences),
            "rows": rows,
            "flipped": True,
        },
        "settings": {"method": "dpo", "dtype": "float32", **asdict(options.training)},
        "training": outcome,
        "refusals": measured or None,
    }


def _stored_dtype(options: AdversarialOptions) -> torch.dtype:
    config = transformers.AutoConfig.from_pretrained(options.model, revision=options.revision or "main")
    return getattr(config, "dtype", None) or torch.float32


def _tune(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    preferences: Sequence[Preference],
    training: Training,
    device: str,
) -> dict[str, float]:
    trl, datasets = need("trl"), need("datasets")
    rows = [
        {
            "prompt": [{"role": "user", "content": one.prompt}],
            "chosen": [{"role": "assistant", "content": one.chosen}],
            "rejected": [{"role": "assistant", "content": one.rejected}],
        }
        for one in preferences
    ]
    with tempfile.TemporaryDirectory() as scratch, _quiet(datasets), _repeatable(training.seed):
        try:
            trainer = trl.DPOTrainer(
                model=model,
                args=trl.DPOConfig(**_settings(training, scratch, device)),
                train_dataset=datasets.Dataset.from_list(rows),
                processing_class=tokenizer,
            )
            # It prints the metrics to standard output, which is the card's.
            trainer.remove_callback(transformers.PrinterCallback)
            metrics = trainer.train().metrics
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            what = str(error).splitlines() or [type(error).__name__]
            remedy = "Lower --batch or --max-length if memory ran out, else check model and preferences"
            raise EngineError(f"training broke off: {what[0]}", remedy=remedy) from error
    if not all(bool(torch.isfinite(weights).all()) for weights in model.parameters()):
        raise EngineError("training gave weights that are no numbers", remedy="Lower --rate")
    names = ("train_loss", "rewards/accuracies", "rewards/margins", "num_tokens")
    return {name.replace("rewards/", "reward_"): float(metrics[name]) for name in names if name in metrics}


def _settings(training: Training, scratch: str, device: str) -> dict[str, object]:
    return {
        "output_dir": scratch,
        "per_device_train_batch_size": training.batch,
        "max_steps": training.steps,
        "learning_rate": training.rate,
        "beta": training.beta,
        "max_length": training.max_length,
        "seed": training.seed,
        "data_seed": training.seed,
        "lr_scheduler_type": "linear",
        "warmup_steps": max(1, training.steps // 10),
        "use_cpu": device == "cpu",
        # Mixed precision would make the outcome depend on what the processor has.
        "bf16": False,
        "fp16": False,
        "gradient_checkpointing": False,
        # Dropout would not let the same seed give the same weights on another count of threads.
        "disable_dropout": True,
        "dataloader_pin_memory": False,
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
    }


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Let torch use algorithms that repeat, and draw from this seed."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    transformers.set_seed(seed)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def _quiet(datasets: ModuleType) -> Iterator[None]:
    """Keep the libraries' bars, logs and warnings off the terminal: what matters is raised or in the card."""
    shown = datasets.is_progress_bar_enabled()
    level = transformers.utils.logging.get_verbosity()
    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        transformers.utils.logging.set_verbosity(level)
        if shown:
            datasets.enable_progress_bars()
