"""How often a model refuses: greedy answers to a battery, read by TAIS's own refusal scorer."""

from __future__ import annotations

from dataclasses import dataclass

from tais.battery.item import Item
from tais.battery.load import LoadedBattery
from tais.engines.prompts import render
from tais.errors import UsageError
from tais.lab.batteries import named_battery
from tais.lab.packages import torch, transformers
from tais.records import Message
from tais.scorers.refusal import refusal_reason
from tais.stats.proportions import as_interval, wilson

__all__ = ["Compliance", "find_battery", "measure_refusals"]

_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Compliance:
    """Refusals among n answers."""

    battery: str
    digest: str
    refused: int
    n: int
    max_tokens: int

    def as_dict(self) -> dict[str, object]:
        """Return the count with its rate and 95 % Wilson interval."""
        low, high = as_interval(wilson(self.refused, self.n))
        return {
            "battery": self.battery,
            "digest": self.digest,
            "refused": self.refused,
            "n": self.n,
            "refusal_rate": self.refused / self.n,
            "wilson": [low, high],
            "max_tokens": self.max_tokens,
        }


def find_battery(name: str, limit: int | None) -> LoadedBattery:
    """Load a battery by name or file.

    Raises
    ------
    UsageError
        Where it is not about refusals.
    ManifestError
        Where it cannot be loaded.
    """
    battery = named_battery(name, limit)
    if getattr(battery.scorer, "name", "") != "refusal":
        raise UsageError(f"battery {battery.name!r} does not count refusals", remedy="Name one that does")
    return battery


def measure_refusals(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    battery: LoadedBattery,
    max_tokens: int,
) -> Compliance:
    """Answer a battery greedily and count the refusals, whatever the battery expects.

    Parameters
    ----------
    model, tokenizer
        Of transformers; prompts stand in the chat template where there is one.
    battery
        From :func:`find_battery`.
    max_tokens
        Longest answer.
    """
    prompts = [_prompt(tokenizer, item) for item in battery.items]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    refused = 0
    for first in range(0, len(order), _TOGETHER):
        batch = [prompts[index] for index in order[first : first + _TOGETHER]]
        texts = _answers(model, tokenizer, batch, max_tokens)
        refused += sum(refusal_reason(text) is not None for text in texts)
    return Compliance(battery.name, battery.digest, refused, len(prompts), max_tokens)


def _prompt(tokenizer: transformers.PreTrainedTokenizerBase, item: Item) -> list[int]:
    messages = [Message(message.role, message.content) for message in item.messages]
    return render(tokenizer, None, messages, True)


def _answers(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    prompts: list[list[int]],
    most: int,
) -> list[str]:
    width = max(len(ids) for ids in prompts)
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[padding] * (width - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    training = model.training
    model.eval()
    with torch.inference_mode():
        made = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=most,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=padding,
        )
    model.train(training)
    texts: list[str] = tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)
    return texts
