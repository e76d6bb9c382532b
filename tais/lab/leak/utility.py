"""What protected states are still good for: perplexity, and answers as TAIS's own scorers see them.

Perplexity is that of the unchanged model's own answers, so that it needs no text beside the prompts.

This is the utility for whoever computes on with the protected states (split inference). A draft that receives
them costs acceptance instead: the target's own answers stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from tais.battery.item import Item
from tais.battery.load import LoadedBattery
from tais.errors import UsageError
from tais.lab.batteries import named_battery
from tais.lab.leak.defence import Defence
from tais.lab.leak.model import LeakModel, failing
from tais.lab.packages import torch, transformers
from tais.manifest.model import Role, Rules
from tais.scorers import Scorer, score_unique, scorer_label
from tais.verdict.endpoint import judge_endpoint
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.report import EndpointReport

__all__ = [
    "Answers",
    "Passage",
    "blur",
    "compare_answers",
    "find_battery",
    "generate",
    "own_answers",
    "perplexity",
]

_TOGETHER = 64
# exp of more is no float.
_MOST_NATS = 700.0
Change = Callable[[torch.Tensor], torch.Tensor]


def blur(defence: Defence, seed: int) -> Change:
    """Return the defence as a change of states on their way through the model, without its permutations.

    A rightful receiver knows the permutation and undoes it.
    """
    generator = torch.Generator().manual_seed(seed)
    return lambda states: defence.blur(states, generator).to(states.dtype)


@dataclass(frozen=True, slots=True)
class Passage:
    """A prompt and the unchanged model's own answer to it."""

    tokens: tuple[int, ...]
    start: int
    """Where the answer begins."""


def own_answers(
    model: LeakModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    most: int,
) -> list[Passage]:
    """Return prompts with the model's greedy answers, to their end or at most `most` tokens.

    A prompt that leaves no position for an answer is left out.
    """
    ends, found = _ends(model, tokenizer), []
    for tokens in prompts:
        room = most if model.positions is None else min(most, model.positions - len(tokens))
        if room > 0:
            (new,) = _greedy(model, [tokens], room, ends)
            stop = next((at + 1 for at, token in enumerate(new) if token in ends), len(new))
            found.append(Passage((*tokens, *new[:stop]), len(tokens)))
    return found


def perplexity(
    model: LeakModel, passages: Sequence[Passage], layer: int, change: Change | None = None
) -> float | None:
    """Return the perplexity of answers when states at `layer` are changed.

    Parameters
    ----------
    model
        Teacher-forced on each passage, one at a time.
    passages
        From :func:`own_answers`.
    layer, change
        What is changed where; None leaves the model as it is.

    Returns
    -------
    float or None
        exp of the mean negative log-probability of the answers' tokens; None without any.
    """
    total = sum(_surprise(model, passage, layer, change) for passage in passages)
    count = sum(len(passage.tokens) - passage.start for passage in passages)
    return math.exp(min(total / count, _MOST_NATS)) if count else None


def _surprise(model: LeakModel, passage: Passage, layer: int, change: Change | None) -> float:
    ids, start = model.ids(passage.tokens), passage.start
    with torch.inference_mode(), failing(model.name):
        with nullcontext() if change is None else model.perturbed(layer, change):
            logits = model.model(ids, use_cache=False).logits
        told = torch.nn.functional.cross_entropy(
            logits[0, start - 1 : -1].float(), ids[0, start:], reduction="sum"
        )
    # Changed states can overflow a narrow dtype: nothing is left of the answer then.
    return float(told) if math.isfinite(float(told)) else _MOST_NATS * (len(passage.tokens) - start)


def find_battery(name: str, limit: int | None) -> LoadedBattery:
    """Load a battery by name or file.

    Raises
    ------
    UsageError
        When a model judge would have to score it.
    ManifestError
        When it cannot be loaded.
    """
    battery = named_battery(name, limit)
    if not isinstance(battery.scorer, Scorer):
        remedy = "Name a battery with a scorer that needs no model"
        raise UsageError(f"battery {battery.name!r} is scored by a model judge", remedy=remedy)
    return battery


class Answers:
    """Greedy answers to a battery, and how they change with the states.

    Parameters
    ----------
    model, tokenizer
        Who answers.
    battery
        From :func:`find_battery`.
    chat
        Whether prompts stand in the chat template.
    max_tokens
        Longest answer.
    """

    def __init__(
        self,
        model: LeakModel,
        tokenizer: transformers.PreTrainedTokenizerBase,
        battery: LoadedBattery,
        *,
        chat: bool,
        max_tokens: int,
    ) -> None:
        self.model, self.tokenizer, self.battery = model, tokenizer, battery
        self.max_tokens = max_tokens
        self._prompts = [
            _prompt_ids(tokenizer, item, chat and battery.definition.chat is not False)
            for item in battery.items
        ]
        self._reference: tuple[list[str], list[str]] | None = None

    def reference(self) -> tuple[list[str], list[str]]:
        """Return texts and finish reasons of the unchanged model."""
        if self._reference is None:
            self._reference = self._answer()
        return self._reference

    def changed(self, layer: int, change: Change) -> tuple[list[str], list[str]]:
        """Return texts and finish reasons with states changed at `layer`."""
        with self.model.perturbed(layer, change):
            return self._answer()

    def _answer(self) -> tuple[list[str], list[str]]:
        return generate(self.model, self.tokenizer, self._prompts, self.max_tokens)


def _prompt_ids(tokenizer: transformers.PreTrainedTokenizerBase, item: Item, chat: bool) -> tuple[int, ...]:
    if chat:
        turns = [message.as_dict() for message in item.messages]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    return tuple(tokenizer("\n".join(message.content for message in item.messages))["input_ids"])


def generate(
    model: LeakModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    most: int,
) -> tuple[list[str], list[str]]:
    """Answer prompts greedily; prompts of one length go together, so nothing is padded.

    Returns
    -------
    list of str, list of str
        Texts without special tokens, and finish reasons (``stop`` or ``length``), in order.
    """
    texts, reasons = [""] * len(prompts), ["length"] * len(prompts)
    ends = _ends(model, tokenizer)
    by_length: dict[int, list[int]] = {}
    for index, tokens in enumerate(prompts):
        model.check_length(len(tokens) + most, f"prompt {index} with its answer")
        by_length.setdefault(len(tokens), []).append(index)
    for same in by_length.values():
        for start in range(0, len(same), _TOGETHER):
            group = same[start : start + _TOGETHER]
            for index, new in zip(
                group, _greedy(model, [prompts[i] for i in group], most, ends), strict=True
            ):
                stop = next((at for at, token in enumerate(new) if token in ends), None)
                reasons[index] = "length" if stop is None else "stop"
                texts[index] = tokenizer.decode(new[:stop], skip_special_tokens=True)
    return texts, reasons


def _ends(model: LeakModel, tokenizer: transformers.PreTrainedTokenizerBase) -> set[int]:
    said = getattr(model.model.generation_config, "eos_token_id", None)
    listed = said if isinstance(said, list) else [said]
    return {end for end in (*listed, tokenizer.eos_token_id) if end is not None}


def _greedy(model: LeakModel, prompts: Sequence[Sequence[int]], most: int, ends: set[int]) -> list[list[int]]:
    # Loads transformers.
    from transformers.cache_utils import DynamicCache

    ids = torch.tensor([list(tokens) for tokens in prompts], dtype=torch.long, device=model.device)
    cache, new = DynamicCache(), []
    done = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    end_ids = torch.tensor(sorted(ends), dtype=torch.long, device=model.device)
    with torch.inference_mode(), failing(model.name):
        for _ in range(most):
            logits = model.model(ids, past_key_values=cache, use_cache=True).logits[:, -1]
            ids = logits.argmax(dim=-1, keepdim=True)
            new.append(ids)
            done |= torch.isin(ids[:, 0], end_ids)
            if bool(done.all()):
                break
    found: list[list[int]] = torch.cat(new, dim=1).tolist()
    return found


def compare_answers(answers: Answers, layer: int, change: Change) -> EndpointReport:
    """Judge the endpoint of a battery, unchanged states against changed ones, as a screen would.

    Parameters
    ----------
    answers
        The battery's.
    layer, change
        What is changed where.

    Returns
    -------
    EndpointReport
        Reference: the unchanged model; margin and cutoff at their defaults unless the battery has its own.
    """
    battery = answers.battery
    scorer = battery.scorer
    assert isinstance(scorer, Scorer), "find_battery lets no judge through"
    expects = [item.expect for item in battery.items]
    one, other = (
        score_unique(scorer, texts, expects, reasons)
        for texts, reasons in (answers.reference(), answers.changed(layer, change))
    )
    evidence = EndpointEvidence(
        battery=battery.name,
        scorer=scorer_label(scorer),
        kind=scorer.kind,
        item_ids=np.array([item.id for item in battery.items]),
        clusters=np.array([item.cluster for item in battery.items]),
        reference=one.values,
        candidate=other.values,
        reference_invalid=one.invalid,
        candidate_invalid=other.invalid,
        margin=battery.margin,
    )
    return judge_endpoint(evidence, Rules(), Role.screen).report
