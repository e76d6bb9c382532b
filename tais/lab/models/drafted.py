"""A draft of a model's own: its first blocks, a head that is solved for, and a short time of training.

The head is the linear map from what the kept blocks give to what all blocks would give, by ridge regression,
folded into the matrix of the vocabulary; then blocks and map are trained on the same aim, and the map is
solved for again. The text is the model's own greedy answers to prompts of TAIS.

References
----------
Belrose et al. (2023), Eliciting Latent Predictions from Transformers with the Tuned Lens (the linear map).
Zhang et al. (2024), Draft & Verify (blocks left out as a draft).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import NamedTuple

from pydantic import JsonValue

from tais.engines.prompts import render
from tais.errors import UsageError
from tais.lab.drafts.models import load_model, load_tokenizer, save
from tais.lab.models.kept import check_name, find_kept, keep, kept_models
from tais.lab.models.prompts import own_prompts
from tais.lab.packages import torch, transformers
from tais.plan.model_files import digest_model
from tais.records import Message

__all__ = ["DraftRecipe", "draft_name", "make_draft"]

Say = Callable[[str], None]
_TOGETHER = 32
_HELD_OUT = 8


@dataclass(frozen=True, slots=True)
class DraftRecipe:
    """How a draft is made."""

    layers: int = 8
    """Blocks that are kept, the first ones."""
    prompts: int = 128
    """One in eight is kept apart to measure on."""
    answer: int = 40
    """Tokens of each answer."""
    epochs: int = 2
    rate: float = 3e-4
    ridge: float = 30.0
    seed: int = 42


class _Lesson(NamedTuple):
    """Answers of a batch: rows end together, padding stands before."""

    ids: torch.Tensor
    mask: torch.Tensor
    inner: torch.Tensor
    """What the last kept block gave before each answered token (rows, tokens, width)."""
    aim: torch.Tensor
    """What the whole model gave there, after its last norm."""
    counts: torch.Tensor
    """Which tokens (rows, tokens) come no later than the end of the answer."""


def draft_name(name: str) -> str:
    """Return what the draft of a model is called."""
    return f"{check_name(name)}-draft"


def make_draft(name: str, recipe: DraftRecipe, say: Say) -> bool:
    """Keep a draft of a kept model, unless one of this model and recipe is there; return whether it was made.

    Parameters
    ----------
    name
        Of the model.
    recipe
        How.
    say
        Takes a line of progress.

    Raises
    ------
    UsageError
        For a model that is not there, or is not built of blocks as a Llama is.
    """
    base = find_kept(name).folder
    content: dict[str, JsonValue] = {
        "base": base.name,
        "base_files": dict(digest_model(base, name)),
        "recipe": asdict(recipe),
    }
    made = draft_name(name)
    for kept in kept_models():
        if kept.name == made and all(kept.card.get(key) == value for key, value in content.items()):
            return False
    began = time.process_time()
    tokenizer = load_tokenizer(str(base))
    model = load_model(str(base), dtype=torch.float32).eval()
    _check(model, base.name, recipe.layers)
    lessons, held_out = _answers(model, tokenizer, recipe, say)
    with keep(made, "draft", content) as folder:
        draft, content["agreement"] = _taught(model, lessons, held_out, recipe, say)
        content["cpu_seconds"] = round(time.process_time() - began)
        save(draft.to(torch.bfloat16), tokenizer, folder)
    return True


def _check(model: transformers.PreTrainedModel, name: str, layers: int) -> None:
    if not all(hasattr(getattr(model, "model", None), part) for part in ("layers", "norm", "embed_tokens")):
        remedy = "Take one built as Llama, Mistral or Qwen are"
        raise UsageError(f"{name} is not built of blocks and a norm", remedy=remedy)
    if not 1 <= layers <= (depth := len(model.model.layers)):
        raise UsageError(f"{name} has {depth} blocks, not {layers}", remedy="Say fewer --layers")


def _answers(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    recipe: DraftRecipe,
    say: Say,
) -> tuple[list[_Lesson], list[_Lesson]]:
    """Return batches of the model's own answers: to learn from, and to measure on."""
    prompts = own_prompts(recipe.prompts, recipe.seed)
    cut = max(1, len(prompts) // _HELD_OUT)
    found: list[list[_Lesson]] = []
    for part in (prompts[cut:], prompts[:cut]):
        rendered = sorted((render(tokenizer, None, [Message("user", p)], True) for p in part), key=len)
        batches = [rendered[first : first + _TOGETHER] for first in range(0, len(rendered), _TOGETHER)]
        found.append([])
        for batch in batches:
            found[-1].append(_lesson(model, batch, recipe))
            say(f"answered {sum(len(lesson.ids) for group in found for lesson in group)} of {len(prompts)}")
    return found[0], found[1]


def _lesson(model: transformers.PreTrainedModel, batch: list[list[int]], recipe: DraftRecipe) -> _Lesson:
    width, ends = max(map(len, batch)), _end_tokens(model)
    padding = ends[0] if ends else 0
    ids = torch.tensor([[padding] * (width - len(row)) + row for row in batch])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch])
    inner: list[torch.Tensor] = []
    aim: list[torch.Tensor] = []
    blocks = model.model.layers
    with _watched(blocks[recipe.layers - 1], inner), _watched(model.model.norm, aim), torch.no_grad():
        made = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=recipe.answer,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=padding,
        )
    answers = made[:, width:]
    ended = torch.isin(answers, torch.tensor(ends)).int().cumsum(dim=1)
    # The end itself counts, what is padded after it does not.
    counts = (ended - torch.isin(answers, torch.tensor(ends)).int()) == 0
    whole = torch.cat([mask, torch.ones_like(answers)], dim=1)
    return _Lesson(made, whole, torch.stack(inner, dim=1), torch.stack(aim, dim=1), counts)


def _end_tokens(model: transformers.PreTrainedModel) -> list[int]:
    told = model.generation_config.eos_token_id
    if told is None:
        return []
    return list(told) if isinstance(told, list) else [told]


@contextmanager
def _watched(module: torch.nn.Module, found: list[torch.Tensor]) -> Iterator[None]:
    """Take down what a module gives at the last place of each call."""

    def take(module: torch.nn.Module, args: object, given: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        states = given[0] if isinstance(given, tuple) else given
        found.append(states[:, -1].clone())

    handle = module.register_forward_hook(take)
    try:
        yield
    finally:
        handle.remove()


def _taught(
    model: transformers.PreTrainedModel,
    lessons: list[_Lesson],
    held_out: list[_Lesson],
    recipe: DraftRecipe,
    say: Say,
) -> tuple[transformers.PreTrainedModel, JsonValue]:
    """Return the draft, and how often its best token was the model's, before and after training."""
    vocabulary = model.get_output_embeddings().weight.data
    draft = _first_blocks(model, recipe.layers)
    given = [lesson.inner for lesson in lessons]
    solved = _solve(given, lessons, draft, recipe.ridge)
    agreement = {
        "solved": _agreement([lesson.inner for lesson in held_out], held_out, draft, solved, vocabulary)
    }
    say(f"{agreement['solved']:.1%} of tokens are the model's, before training")
    if recipe.epochs:
        solved = _train(draft, solved, lessons, recipe, say)
        with torch.no_grad():
            solved = _solve([_given(draft, one) for one in lessons], lessons, draft, recipe.ridge)
            given = [_given(draft, one) for one in held_out]
        agreement["trained"] = _agreement(given, held_out, draft, solved, vocabulary)
        say(f"{agreement['trained']:.1%} after it")
    draft.model.norm.weight.data.fill_(1.0)
    draft.lm_head.weight.data = vocabulary @ solved.T
    return draft, dict(agreement)


def _first_blocks(model: transformers.PreTrainedModel, layers: int) -> transformers.PreTrainedModel:
    """Return a copy with the first blocks alone, and a head of its own."""
    config = copy.deepcopy(model.config)
    config.num_hidden_layers, config.tie_word_embeddings = layers, False
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    draft = type(model)(config).float()
    # What is left out are the later blocks.
    draft.load_state_dict(model.state_dict(), strict=False)
    draft.generation_config = copy.deepcopy(model.generation_config)
    return draft


def _scaled(states: torch.Tensor, draft: transformers.PreTrainedModel) -> torch.Tensor:
    """Return states as the last norm gives them, without its weights."""
    return states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + draft.config.rms_norm_eps)


def _solve(
    given: list[torch.Tensor], lessons: list[_Lesson], draft: transformers.PreTrainedModel, ridge: float
) -> torch.Tensor:
    """Return the map (width of the aim, width) from scaled states to the aim, by ridge regression."""
    rows = torch.cat([_scaled(states, draft)[one.counts] for states, one in zip(given, lessons, strict=True)])
    aims = torch.cat([one.aim[one.counts] for one in lessons])
    moments = rows.T @ rows + ridge * torch.eye(rows.shape[1])
    return torch.linalg.solve(moments, rows.T @ aims).T


def _given(draft: transformers.PreTrainedModel, lesson: _Lesson) -> torch.Tensor:
    """Return what the draft's last block gives before each answered token."""
    found: list[torch.Tensor] = []

    def take(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        found.append(args[0])

    handle = draft.model.norm.register_forward_pre_hook(take)
    try:
        places = (lesson.mask.cumsum(dim=1) - 1).clamp(min=0)
        draft.model(lesson.ids, attention_mask=lesson.mask, position_ids=places, use_cache=False)
    finally:
        handle.remove()
    answered = lesson.counts.shape[1]
    return found[0][:, -answered - 1 : -1]


def _train(
    draft: transformers.PreTrainedModel,
    solved: torch.Tensor,
    lessons: list[_Lesson],
    recipe: DraftRecipe,
    say: Say,
) -> torch.Tensor:
    """Train blocks and map to give what the model gives; return the map."""
    solved = torch.nn.Parameter(solved.clone())
    parameters = [*draft.model.layers.parameters(), solved]
    steps = recipe.epochs * len(lessons) * 2
    optimizer = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=steps)
    order = torch.Generator().manual_seed(recipe.seed)
    for epoch in range(recipe.epochs):
        losses = []
        for index in torch.randperm(len(lessons), generator=order).tolist():
            for part in _halves(lessons[index]):
                error = _scaled(_given(draft, part), draft) @ solved.T - part.aim
                loss = error.pow(2).sum(-1)[part.counts].mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
        say(f"epoch {epoch + 1} of {recipe.epochs}: error {sum(losses) / len(losses):.3g}")
    return solved.detach()


def _halves(lesson: _Lesson) -> list[_Lesson]:
    middle = (len(lesson.ids) + 1) // 2
    parts = (_Lesson(*(t[:middle] for t in lesson)), _Lesson(*(t[middle:] for t in lesson)))
    return [part for part in parts if len(part.ids)]


def _agreement(
    given: list[torch.Tensor],
    lessons: list[_Lesson],
    draft: transformers.PreTrainedModel,
    solved: torch.Tensor,
    vocabulary: torch.Tensor,
) -> float:
    """Return the share of answered tokens whose best guess is the model's own."""
    right = asked = 0
    for states, lesson in zip(given, lessons, strict=True):
        rows, aims = _scaled(states, draft)[lesson.counts] @ solved.T, lesson.aim[lesson.counts]
        right += int(((rows @ vocabulary.T).argmax(-1) == (aims @ vocabulary.T).argmax(-1)).sum())
        asked += len(rows)
    return right / asked
