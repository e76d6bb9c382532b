"""Antidistillation sampling: prefer tokens that teach a student badly.

A token is drawn with probability proportional to exp(log p_T(x) / tau + strength * increase(x)), where
increase(x) is how fast the loss of a proxy student grows when it takes a gradient step on x:
<grad loss, grad log p(x)>. The product is symmetric, so it is also the derivative of log p(x) along the
loss gradient, which two perturbed copies of the proxy give for all tokens at once.

References
----------
Savani et al. (2025), Antidistillation Sampling, arXiv 2504.13146. The released code scales before the
temperature and keeps the copies in half precision; here the paper's formula is followed, in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tais.errors import UsageError

if TYPE_CHECKING:
    import transformers

__all__ = [
    "Gradient",
    "Proxies",
    "completion_loss",
    "decode",
    "fitted",
    "increase",
    "law",
    "loss_gradient",
    "perturbed",
]

Loss = Callable[["transformers.PreTrainedModel"], torch.Tensor]
Gradient = dict[str, torch.Tensor]
"""Gradient of the proxy's loss by parameter name, float32."""


def completion_loss(examples: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Loss:
    """Return the mean loss per completion token, in nats, as a function of a causal language model.

    Parameters
    ----------
    examples
        Token ids of prompt and completion; prompts are not scored.
    """
    kept = [(list(prompt), list(completion)) for prompt, completion in examples]
    if not kept or not all(prompt and completion for prompt, completion in kept):
        raise UsageError("each example needs a prompt and a completion of at least one token")

    def loss(model: transformers.PreTrainedModel) -> torch.Tensor:
        total, count = torch.zeros(()), 0
        for prompt, completion in kept:
            ids = torch.tensor([prompt + completion], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
            total = total + torch.nn.functional.cross_entropy(
                logits.float(), ids[0, len(prompt) :], reduction="sum"
            )
            count += len(completion)
        return total / count

    return loss


def loss_gradient(model: transformers.PreTrainedModel, loss: Loss) -> Gradient:
    """Return the gradient of `loss` at the model's parameters. Leaves no gradient in the model."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss(model), [parameter for _, parameter in named], allow_unused=True)
    return {
        name: gradient.detach()
        for (name, _), gradient in zip(named, found, strict=True)
        if gradient is not None
    }


def perturbed(
    model: transformers.PreTrainedModel, gradient: Gradient, epsilon: float
) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedModel]:
    """Return copies of the model with ``+ epsilon`` and ``- epsilon`` times the gradient added.

    Raises
    ------
    UsageError
        For parameters in half precision, in which the step would be rounded away.
    """
    if any(parameter.dtype in (torch.float16, torch.bfloat16) for parameter in model.parameters()):
        raise UsageError("the proxy is in half precision, which loses the step", remedy="Load it in float32")
    copies = []
    for sign in (1.0, -1.0):
        made = copy.deepcopy(model)
        parameters = dict(made.named_parameters())
        with torch.no_grad():
            for name, step in gradient.items():
                parameters[name].add_(step, alpha=sign * epsilon)
        copies.append(made.eval())
    return copies[0], copies[1]


def increase(plus: torch.Tensor, minus: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return the loss's growth per token by central finite difference, shape of the logits (..., V).

    Parameters
    ----------
    plus, minus
        Logits of the two perturbed proxies.
    epsilon
        Their step. The error is of order epsilon squared until rounding takes over.

    Notes
    -----
    The mean over the unperturbed proxy's law is 0: what one token adds, others take away.
    """
    difference = torch.log_softmax(plus, -1) - torch.log_softmax(minus, -1)
    return difference / (2 * epsilon)


def fitted(grown: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Return growths for a teacher's vocabulary, shape (..., vocabulary).

    Models of one tokenizer pad their vocabularies to different sizes: what the proxy has too much is left
    out, and what it lacks is not steered.
    """
    return torch.nn.functional.pad(grown, (0, vocabulary - grown.shape[-1]))


def law(
    teacher: torch.Tensor, grown: torch.Tensor, strength: float, temperature: float = 1.0
) -> torch.Tensor:
    """Return softmax(log p_T / temperature + strength * grown), shape (..., V)."""
    return torch.softmax(torch.log_softmax(teacher, -1) / temperature + strength * grown, -1)


@dataclass(slots=True, eq=False)
class Proxies:
    """Two perturbed copies of a proxy, and how strongly they steer.

    Attributes
    ----------
    plus, minus
        See :func:`perturbed`.
    epsilon, strength
        Step, and lambda of the paper. Lambda is in units of one over the growth, so it carries over to
        another proxy or loss only together with `norm`.
    norm
        Length of the loss gradient.
    """

    plus: transformers.PreTrainedModel
    minus: transformers.PreTrainedModel
    epsilon: float
    strength: float
    norm: float

    @classmethod
    def build(
        cls, model: transformers.PreTrainedModel, loss: Loss, epsilon: float, strength: float
    ) -> Proxies:
        """Differentiate once and make the copies."""
        gradient = loss_gradient(model, loss)
        norm = float(torch.sqrt(sum((g.double().square().sum() for g in gradient.values()), torch.zeros(()))))
        return cls(*perturbed(model, gradient, epsilon), epsilon, strength, norm)

    def generate(
        self,
        teacher: transformers.PreTrainedModel,
        prompts: Sequence[Sequence[int]],
        *,
        max_tokens: int,
        temperature: float,
        ends: frozenset[int],
        seed: int,
    ) -> list[list[int]]:
        """Answer several prompts at once: per token one pass of the teacher and one of each copy.

        Parameters
        ----------
        teacher
            A transformers causal language model with the proxies' vocabulary.
        prompts
            Token ids, B lists of different lengths.
        max_tokens, temperature, ends, seed
            How tokens are drawn, and the tokens that end an answer.

        Returns
        -------
        list of list of int
            One answer per prompt, its end included.
        """
        # Without strength the copies would say nothing, at the price of their passes.
        models = (teacher, self.plus, self.minus) if self.strength else (teacher,)
        generator = torch.Generator().manual_seed(seed)

        def choose(logits: Sequence[torch.Tensor]) -> torch.Tensor:
            grown = logits[0].new_zeros(())
            if self.strength:
                grown = fitted(increase(logits[1], logits[2], self.epsilon), logits[0].shape[-1])
            weights = law(logits[0], grown, self.strength, temperature)
            return torch.multinomial(weights, 1, generator=generator)

        return decode(models, choose, prompts, max_tokens=max_tokens, ends=ends)


def decode(
    models: Sequence[transformers.PreTrainedModel],
    choose: Callable[[Sequence[torch.Tensor]], torch.Tensor],
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    ends: frozenset[int],
) -> list[list[int]]:
    """Answer several prompts at once, each model with a cache of its own.

    Parameters
    ----------
    models
        transformers causal language models with one vocabulary.
    choose
        Takes the logits of each model, shape (B, V), float64, and returns the tokens, shape (B, 1).
    prompts
        Token ids, B lists of different lengths.
    max_tokens, ends
        Longest answer, and the tokens that end one.

    Returns
    -------
    list of list of int
        One answer per prompt, its end included.
    """
    width = max(map(len, prompts))
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    runs = [_Cached(model) for model in models]
    answers: list[list[int]] = [[] for _ in prompts]
    open_rows = set(range(len(prompts)))
    for _ in range(max_tokens):
        drawn = choose([run.step(ids, mask) for run in runs])
        for row in sorted(open_rows):
            answers[row].append(int(drawn[row]))
            if int(drawn[row]) in ends:
                open_rows.discard(row)
        if not open_rows:
            break
        ids, mask = drawn, torch.cat([mask, torch.ones_like(drawn)], 1)
    return answers


class _Cached:
    """A model with its own cache over a batch that is padded on the left."""

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        # Loads transformers.
        from transformers import DynamicCache

        self.model = model
        self.cache = DynamicCache(config=model.config)

    def step(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the logits behind the last column, shape (B, V), float64."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        device = self.model.device
        with torch.no_grad():
            out = self.model(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                position_ids=positions.to(device),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return out.logits[:, -1].double().cpu()
