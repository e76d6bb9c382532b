"""Training: from features to the expected accepted tokens of each choice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch

from tais.errors import UsageError
from tais.lab.verification.selector.facts import SelectorFacts
from tais.lab.verification.selector.latency_table import Latency
from tais.lab.verification.selector.net import make_net
from tais.lab.verification.selector.store import FAR, Selector
from tais.lab.workbench.baselines import EntropyRule, best_choice, entropy_rules
from tais.lab.workbench.training_data import Data

__all__ = ["Trained", "Training", "train"]

_BATCH = 64
_FEWEST_PROMPTS = 6


@dataclass(frozen=True, slots=True)
class Training:
    """How a selector is trained.

    Attributes
    ----------
    objective
        ``ratio`` or ``rate``, see :mod:`tais.lab.verification.selector.store`.
    hidden
        Width of both hidden layers.
    epochs
        At most.
    held_out
        Share of the prompts that training does not see: half of them end it, half judge it.
    seed
        The same seed gives the same selector.
    rate
        Step size of Adam.
    decay
        Weight decay.
    dropout
        Share of inputs of each layer that a training step leaves out; on the demo pair a network without it
        learns its prompts by heart.
    patience
        Epochs without a better loss on held-out prompts before training ends.
    """

    objective: str = "ratio"
    hidden: int = 64
    epochs: int = 200
    held_out: float = 0.2
    seed: int = 0
    rate: float = 1e-3
    decay: float = 1e-2
    dropout: float = 0.5
    patience: int = 20


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A selector and how it did on prompts that it never saw.

    Attributes
    ----------
    selector
        What was trained.
    outcomes
        Policy, tokens per step, and tokens per second by exact labels and measured times.
    """

    selector: Selector
    outcomes: list[tuple[str, float, float]]

    def to_json(self) -> dict[str, object]:
        """Return a summary as JSON-ready data."""
        rows = [{"policy": n, "tokens_per_step": t, "tokens_per_second": s} for n, t, s in self.outcomes]
        return {"training": self.selector.facts["training"], "held_out": rows}


def train(
    data: Data, latency: Latency, how: Training, tell: Callable[[str], None] = lambda line: None
) -> Trained:
    """Fit by least squares, keep the weights with the least loss on held-out prompts.

    Parameters
    ----------
    data
        Roots with exact labels.
    latency
        Of the grid that they are of.
    how
        Numbers of the training.
    tell
        Told how it goes.

    Raises
    ------
    UsageError
        When there are too few prompts to hold some out.
    """
    fit, stop, test = _split(data.prompts, how)
    x_mean, x_spread = data.features[fit].mean(0), data.features[fit].std(0)
    y_mean, y_spread = data.labels[fit].mean(0), data.labels[fit].std(0)
    scales = {
        "x_mean": x_mean,
        "x_scale": torch.where(x_spread > 1e-6, 1 / x_spread, 0.0),
        "y_mean": y_mean,
        "y_scale": y_spread,
    }
    facts: SelectorFacts = {"pair": data.facts["pair"], "collected": data.facts["collected"]}
    net = make_net(data.features.shape[1], how.hidden, data.labels.shape[1], how.seed)
    selector = Selector(data.grid, net, scales, latency, how.objective, {}, how.hidden, facts)
    losses = _descend(selector, data, fit, stop, how, tell)
    selector.rates.update(_rates(selector, data, fit))
    plain = float(((data.labels[test] - y_mean) ** 2).mean())
    left = float(((data.labels[test] - selector.expected(data.features[test])) ** 2).mean())
    selector.facts["training"] = {
        "objective": how.objective,
        "hidden": how.hidden,
        "epochs": how.epochs,
        "held_out": how.held_out,
        "seed": how.seed,
        "rate": how.rate,
        "decay": how.decay,
        "dropout": how.dropout,
        "patience": how.patience,
        "roots": {"fitted": len(fit), "stopped_by": len(stop), "judged_by": len(test)},
        "epochs_taken": len(losses),
        "held_out_loss": left,
        "held_out_loss_of_the_mean": plain,
    }
    return Trained(selector, list(_outcomes(selector, data, fit, test)))


def _split(prompts: list[str], how: Training) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the rows to fit, to stop by and to judge by; a prompt's rows stay together."""
    names = sorted(set(prompts), key=lambda name: hashlib.sha256(f"{how.seed}/{name}".encode()).digest())
    if len(names) < _FEWEST_PROMPTS:
        said = f"{len(names)} prompts are too few to hold some out"
        raise UsageError(said, remedy=f"Collect roots of at least {_FEWEST_PROMPTS} prompts")
    some = max(1, round(len(names) * how.held_out / 2))
    parts = {name: 1 if i < some else 2 if i < 2 * some else 0 for i, name in enumerate(names)}
    places = torch.tensor([parts[name] for name in prompts])
    fit, stop, test = (torch.nonzero(places == part)[:, 0] for part in range(3))
    return fit, stop, test


def _descend(
    selector: Selector,
    data: Data,
    fit: torch.Tensor,
    stop: torch.Tensor,
    how: Training,
    tell: Callable[[str], None],
) -> list[float]:
    """Train in place and return the loss on the prompts that stop it, by epoch."""
    net, generator = selector.net, torch.Generator().manual_seed(how.seed)
    kept = 1 - how.dropout
    adam = torch.optim.AdamW(net.parameters(), lr=how.rate, weight_decay=how.decay)
    x = ((data.features[fit] - selector.scales["x_mean"]) * selector.scales["x_scale"]).clamp(-FAR, FAR)
    wanted = data.labels[fit] - selector.scales["y_mean"]
    best, losses, since = deepcopy(net.state_dict()), [float("inf")], 0
    for epoch in range(how.epochs):
        for batch in torch.randperm(len(fit), generator=generator).split(_BATCH):
            y = x[batch]
            for layer in net:
                if isinstance(layer, torch.nn.Linear):
                    y = y * torch.bernoulli(torch.full_like(y, kept), generator=generator) / kept
                y = layer(y)
            loss = ((y * selector.scales["y_scale"] - wanted[batch]) ** 2).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        found = float(((selector.expected(data.features[stop]) - data.labels[stop]) ** 2).mean())
        since = 0 if found < min(losses) else since + 1
        if since == 0:
            best = deepcopy(net.state_dict())
        losses.append(found)
        if epoch % 20 == 0:
            tell(f"epoch {epoch + 1}: loss {found:.4f} on held-out prompts")
        if since >= how.patience:
            break
    net.load_state_dict(best)
    return losses[1:]


def _rates(selector: Selector, data: Data, fit: torch.Tensor) -> dict[str, float]:
    """Return the tokens per second of the best use of each method's choices, as predicted.

    A choice that takes s seconds gives up what those bring elsewhere, rate times s; the rate itself follows
    from the choices (Dinkelbach 1967, Management Science 13, 492-498).
    """
    tokens = selector.expected(data.features[fit]).double() + 1
    seconds = selector.latency.seconds(selector.grid) + selector.latency.choosing
    found = {}
    for method in ("auto", *selector.grid.methods):
        every = range(len(selector.grid.actions)) if method == "auto" else selector.grid.only(method)
        mine = torch.tensor(list(every))
        rate = 0.0
        for _ in range(50):
            chosen = mine[(tokens[:, mine] - rate * seconds[mine]).argmax(1)]
            before, rate = rate, float(tokens.gather(1, chosen[:, None]).sum() / seconds[chosen].sum())
            if abs(rate - before) <= 1e-9 * rate:
                break
        found[method] = rate
    return found


def _outcomes(
    selector: Selector, data: Data, fit: torch.Tensor, test: torch.Tensor
) -> list[tuple[str, float, float]]:
    """Return how fixed choices, entropy rules, the selector and one that knew the labels do.

    All are judged on prompts not seen; the best fixed choice and the best entropy rule of each method are
    those of the prompts that were fitted.
    """
    seconds = selector.latency.seconds(selector.grid)
    tokens = data.labels[test].double() + 1
    seen, unsure = data.labels[fit].double() + 1, data.entropies[fit]

    def speed(rule: EntropyRule) -> float:
        chosen = rule.choose(data.grid, unsure)
        return float(seen.gather(1, chosen[:, None]).sum() / seconds[chosen].sum())

    def outcome(name: str, chosen: torch.Tensor, more: float = 0.0) -> tuple[str, float, float]:
        got = tokens.gather(1, chosen[:, None])
        return name, float(got.mean()), float(got.sum() / (seconds[chosen] + more).sum())

    found = []
    for method in selector.grid.methods:
        best = best_choice(seen, seconds, data.grid.only(method))
        found.append(outcome(f"fixed: {selector.grid.actions[best]}", torch.full_like(test, best)))
        if rules := list(entropy_rules(data.grid, method)):
            rule = max(rules, key=speed)
            found.append(outcome(f"entropy: {rule}", rule.choose(data.grid, data.entropies[test])))
        chosen = selector.values(selector.expected(data.features[test]), method).argmax(1)
        found.append(outcome(f"selector: {method}", chosen, selector.latency.choosing))
    chosen = selector.values(selector.expected(data.features[test])).argmax(1)
    found.append(outcome("selector: any", chosen, selector.latency.choosing))
    found.append(outcome("knows the labels", selector.values(data.labels[test]).argmax(1)))
    return found
