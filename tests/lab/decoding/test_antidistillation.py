"""Antidistillation sampling: closed forms on three tokens, and the batched sampler on tiny models.

The closed forms: proxy logits log(.5, .3, .2) as its only parameters, loss -log p(0). Then the loss
gradient is p - e_0, grad log p(x) is e_x - p, and their product is worked out by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tais.errors import UsageError
from tais.lab.decoding.antidistillation import (
    Proxies,
    completion_loss,
    fitted,
    increase,
    law,
    loss_gradient,
    perturbed,
)
from tests.lab.threads import one_thread
from tests.lab.verification.models import tiny_llama

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

EXACT = torch.tensor([-0.38, 0.42, 0.32], dtype=torch.float64)
TEACHER = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64).log()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


class Table(torch.nn.Module):  # type: ignore[misc]
    """A model whose logits are its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log())


def loss(model: Any) -> torch.Tensor:
    return -torch.log_softmax(model.logits, -1)[0]


def test_the_gradient_of_the_loss() -> None:
    model = Table()
    assert loss_gradient(model, loss)["logits"].tolist() == pytest.approx([-0.5, 0.3, 0.2], abs=1e-12)
    assert model.logits.grad is None


@pytest.mark.parametrize(("epsilon", "error"), [(0.1, 2.2e-6), (0.01, 2.2e-8), (0.001, 2.2e-10)])
def test_the_finite_difference_errs_by_the_square_of_its_step(epsilon: float, error: float) -> None:
    plus, minus = perturbed(Table(), loss_gradient(Table(), loss), epsilon)
    grown = increase(plus.logits.detach(), minus.logits.detach(), epsilon)
    worst = float((grown - EXACT).abs().max())
    # 2.2e-6 at 0.1, and a hundredth of that per tenth of the step.
    assert worst == pytest.approx(error, rel=0.05)


def test_the_growth_is_that_of_a_students_loss_after_one_step() -> None:
    """Signs and size against training itself: [loss(theta + eta grad log p(x)) - loss(theta)] / eta."""
    eta = 1e-4
    for token, expected in enumerate((-0.37999, 0.42001, 0.32001)):
        model = Table()
        before = loss(model)
        (step,) = torch.autograd.grad(torch.log_softmax(model.logits, -1)[token], [model.logits])
        with torch.no_grad():
            model.logits += eta * step
        assert float((loss(model) - before).detach()) / eta == pytest.approx(expected, abs=1e-5)


def test_the_mean_growth_over_the_proxys_law_is_zero() -> None:
    assert float((torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64) * EXACT).sum()) == pytest.approx(
        0, abs=1e-15
    )


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        (0.0, (0.6, 0.3, 0.1)),
        (1.0, (0.40843068, 0.45448959, 0.13707973)),
        (2.0, (0.24082558, 0.59640844, 0.16276598)),
        (5.0, (0.02956977, 0.80722749, 0.16320274)),
    ],
)
def test_the_law_moves_from_the_teachers_to_what_teaches_badly(
    strength: float, expected: tuple[float, ...]
) -> None:
    assert law(TEACHER, EXACT, strength).tolist() == pytest.approx(list(expected), abs=1e-8)


def test_what_teaches_best_loses_mass_as_the_strength_grows() -> None:
    """An exponential family: d p(x) / d strength = p(x) (growth(x) - mean growth)."""
    step, before = 1e-5, 1.0
    for strength in (0.0, 0.5, 1.0, 3.0, 10.0):
        now = law(TEACHER, EXACT, strength)
        slope = (law(TEACHER, EXACT, strength + step) - now) / step
        expected = now * (EXACT - (now * EXACT).sum())
        assert slope.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
        # The first token is the one that the loss wants learned.
        assert float(now[0]) < before
        before = float(now[0])


def test_a_vocabulary_padded_to_another_size_is_cut_or_left_alone() -> None:
    grown = torch.tensor([[1.0, 2.0, 3.0]])
    assert fitted(grown, 2).tolist() == [[1.0, 2.0]]
    assert fitted(grown, 4).tolist() == [[1.0, 2.0, 3.0, 0.0]]


def test_temperature_divides_the_teacher_and_not_the_growth() -> None:
    expected = torch.softmax(TEACHER / 2 + 3 * EXACT, -1)
    assert law(TEACHER + 7, EXACT, 3.0, 2.0).tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_half_precision_would_lose_the_step() -> None:
    with pytest.raises(UsageError, match="half precision"):
        perturbed(Table().to(torch.bfloat16), {}, 0.01)


def test_examples_need_prompt_and_completion() -> None:
    bad: list[list[tuple[list[int], list[int]]]] = [[], [([], [1])], [([1], [])]]
    for examples in bad:
        with pytest.raises(UsageError, match="prompt and a completion"):
            completion_loss(examples)


EXAMPLES = [([1, 2], [3, 4, 1]), ([0, 5], [2, 2])]


def test_the_loss_counts_completions_only() -> None:
    model = tiny_llama(6, seed=1)
    total = 0.0
    for prompt, completion in EXAMPLES:
        text = list(prompt)
        for token in completion:
            with torch.no_grad():
                total -= float(
                    torch.log_softmax(model(torch.tensor([text])).logits[0, -1].float(), -1)[token]
                )
            text.append(token)
    assert float(completion_loss(EXAMPLES)(model).detach()) == pytest.approx(total / 5, abs=1e-5)


def proxies(strength: float) -> Proxies:
    return Proxies.build(tiny_llama(6, seed=2), completion_loss(EXAMPLES), 1e-3, strength)


def test_the_proxies_follow_the_derivative_along_the_gradient() -> None:
    """Against an inner product of two gradients, which needs no copies; the error falls as the square."""
    model = tiny_llama(6, seed=2)
    gradient = loss_gradient(model, completion_loss(EXAMPLES))
    ids = torch.tensor([[1, 4, 2]])
    exact = []
    for token in range(6):
        score = torch.log_softmax(model(ids).logits[0, -1], -1)[token]
        steps = torch.autograd.grad(score, [dict(model.named_parameters())[name] for name in gradient])
        exact.append(sum(float((g * s).sum()) for g, s in zip(gradient.values(), steps, strict=True)))
    worst = []
    for epsilon in (1e-2, 1e-3):
        plus, minus = perturbed(model, gradient, epsilon)
        grown = increase(plus(ids).logits[0, -1], minus(ids).logits[0, -1], epsilon).detach()
        worst.append(float((grown - torch.tensor(exact)).abs().max()))
    assert worst[1] < 1e-3 * max(map(abs, exact))
    # Below 1e-3 rounding takes over: the model's norms compute in float32 whatever its dtype.
    assert worst[0] / worst[1] == pytest.approx(100, rel=0.2)
    norm = float(torch.cat([g.flatten() for g in gradient.values()]).norm())
    assert proxies(1.0).norm == pytest.approx(norm, rel=1e-6)


def test_a_batch_draws_from_the_law_that_plain_passes_give() -> None:
    """First tokens of 4,000 copies of two prompts of different length: five sigma per token."""
    teacher, made = tiny_llama(6, seed=3), proxies(0.5)
    prompts, copies = [[1, 4, 2, 5], [3]], 4000
    drawn = made.generate(
        teacher,
        [p for p in prompts for _ in range(copies)],
        max_tokens=1,
        temperature=0.8,
        ends=frozenset(),
        seed=1,
    )
    for i, prompt in enumerate(prompts):
        with torch.no_grad():
            logits, plus, minus = (
                model(torch.tensor([prompt])).logits[0, -1] for model in (teacher, made.plus, made.minus)
            )
        expected = law(logits, increase(plus, minus, made.epsilon), made.strength, 0.8)
        seen = Counter(answer[0] for answer in drawn[i * copies : (i + 1) * copies])
        for token, chance in enumerate(expected.tolist()):
            assert abs(seen[token] - copies * chance) < 5 * (copies * chance * (1 - chance)) ** 0.5 + 9


def test_an_answer_in_a_batch_goes_on_as_it_would_alone() -> None:
    """Cache, padding and positions: without temperature a batch gives the argmax of plain passes."""
    teacher, made = tiny_llama(6, seed=3), proxies(0.0)
    prompts = [[1, 4, 2, 5], [3], [0, 2]]
    together = made.generate(teacher, prompts, max_tokens=6, temperature=1e-6, ends=frozenset(), seed=1)
    for prompt, answer in zip(prompts, together, strict=True):
        text = list(prompt)
        for token in answer:
            with torch.no_grad():
                assert int(teacher(torch.tensor([text])).logits[0, -1].argmax()) == token
            text.append(token)


def test_without_strength_a_batch_is_plain_sampling_at_tau_draw_for_draw() -> None:
    """Against whole passes without cache or padding, from a generator of the same seed; no copy is asked."""
    teacher = tiny_llama(6, seed=3)
    prompts = [[1, 4, 2, 5], [3], [0, 2]]
    made = Proxies(plus=None, minus=None, epsilon=1e-3, strength=0.0, norm=1.0)
    found = made.generate(teacher, prompts, max_tokens=8, temperature=0.7, ends=frozenset(), seed=5)
    generator, texts = torch.Generator().manual_seed(5), [list(p) for p in prompts]
    for _ in range(8):
        with torch.no_grad():
            rows = [teacher(torch.tensor([text])).logits[0, -1] for text in texts]
        drawn = torch.multinomial(torch.softmax(torch.stack(rows) / 0.7, -1), 1, generator=generator)
        for text, token in zip(texts, drawn.flatten().tolist(), strict=True):
            text.append(token)
    assert found == [text[len(p) :] for text, p in zip(texts, prompts, strict=True)]


def test_a_token_costs_one_pass_of_each_model_over_one_column() -> None:
    teacher, made = tiny_llama(6, seed=3), proxies(0.5)
    widths: dict[str, list[int]] = {"teacher": [], "plus": [], "minus": []}
    for name, model in (("teacher", teacher), ("plus", made.plus), ("minus", made.minus)):
        model.register_forward_pre_hook(
            lambda _, __, given, seen=widths[name]: seen.append(given["input_ids"].shape[1]), with_kwargs=True
        )
    made.generate(teacher, [[1, 4, 2], [5]], max_tokens=5, temperature=1.0, ends=frozenset(), seed=1)
    assert widths == {name: [3, 1, 1, 1, 1] for name in widths}


def test_an_answer_stops_at_its_end() -> None:
    teacher, made = tiny_llama(6, seed=3), proxies(0.0)
    answers = made.generate(teacher, [[1]] * 40, max_tokens=30, temperature=1.0, ends=frozenset({4}), seed=2)
    assert any(answer[-1] == 4 for answer in answers)
    assert all(4 not in answer[:-1] for answer in answers)
