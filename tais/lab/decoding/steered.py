"""Antidistillation as a target of the reference engine: three models that decode as one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tais.errors import UsageError
from tais.lab.decoding.antidistillation import Proxies, completion_loss, fitted, increase
from tais.lab.verification.cached import CachedModel, TreeModel
from tais.manifest.steering_options import SteeringOptions

if TYPE_CHECKING:
    import transformers

__all__ = ["SteeredModel", "Steering", "read_examples", "weights_digest"]

Encode = Callable[[str], list[int]]


def read_examples(path: Path, render: Encode, encode: Encode) -> Iterator[tuple[list[int], list[int]]]:
    """Yield prompts and completions, as token ids, of a JSONL file with these two keys.

    Raises
    ------
    UsageError
        With the line that cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the examples {path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            yield render(str(row["prompt"])), encode(str(row["completion"]))
        except (ValueError, KeyError, TypeError) as error:
            remedy = 'One object per line: {"prompt": ..., "completion": ...}'
            raise UsageError(f"{path}:{number}: no example", remedy=remedy) from error


def weights_digest(model: transformers.PreTrainedModel) -> str:
    """Return the sha256 (hex) of a model's parameters: name, dtype, shape and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
        digest.update(parameter.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Steering:
    """How an arm steers, once its proxy is there.

    Attributes
    ----------
    options
        As the manifest gives them.
    proxies
        None where the strength is 0, and the temperature is all that may differ.
    facts
        What the proxy and its examples turned out to be.
    """

    options: SteeringOptions
    proxies: Proxies | None
    facts: dict[str, object]

    @classmethod
    def build(
        cls,
        options: SteeringOptions,
        load: Callable[[str, str | None], transformers.PreTrainedModel],
        render: Encode,
        encode: Encode,
    ) -> Steering:
        """Load the proxy, differentiate its loss once and make the copies.

        Parameters
        ----------
        options
            Checked by :func:`tais.manifest.steering_options.wrong_steering`.
        load
            Returns a model by name and revision.
        render, encode
            Token ids of a prompt as the arm renders it, and of a completion.

        Raises
        ------
        UsageError
            When an example cannot be read.
        """
        if not options.strength:
            return cls(options, None, {})
        path = Path(str(options.examples))
        examples = list(read_examples(path, render, encode))
        # In half precision the step would be rounded away, whatever the teacher runs in.
        proxy = load(str(options.proxy), options.proxy_revision).float()
        made = Proxies.build(proxy, completion_loss(examples), options.epsilon, options.strength)
        weights = sum(float(p.detach().double().square().sum()) for p in proxy.parameters()) ** 0.5
        facts = {
            "proxy_sha256": weights_digest(proxy),
            "examples": len(examples),
            "examples_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "gradient_norm": made.norm,
            # Far below 1e-6 float32 rounds the step away; near 1 it is no derivative any more.
            "step_over_weights": options.epsilon * made.norm / weights,
        }
        return cls(options, made, facts)

    def resolved(self) -> dict[str, object]:
        """Return what goes into engine.json; the temperature is that of the options, None where unsaid."""
        return {
            "strength": self.options.strength,
            "epsilon": self.options.epsilon,
            "temperature": self.options.temperature,
            "proxy": self.options.proxy if self.proxies else None,
            **self.facts,
        }

    def target(self, teacher: CachedModel, temperature: float) -> TreeModel:
        """Return the target that is decoded at the sampling temperature."""
        own = self.options.temperature or temperature
        if self.proxies is None and own == temperature:
            return teacher
        return SteeredModel(teacher, self.proxies, temperature, own)


class SteeredModel:
    """A teacher whose logits carry the steering; holds trees as a plain model does.

    Parameters
    ----------
    teacher
        With its cache.
    proxies
        The two copies and their strength; None to change the temperature alone.
    temperature
        Of sampling, above 0. What is drawn at it follows softmax(log p / own + strength x growth): the
        growth is added after the temperature, so its share of these logits grows with it.
    own
        Tau of the law; None takes `temperature`.
    """

    def __init__(
        self, teacher: CachedModel, proxies: Proxies | None, temperature: float, own: float | None = None
    ) -> None:
        self.teacher = teacher
        self.proxies = proxies
        self.temperature = temperature
        self.own = own or temperature
        self._copies = [CachedModel(model) for model in ((proxies.plus, proxies.minus) if proxies else ())]

    @property
    def committed(self) -> int:
        """Rows of the text in the cache."""
        return self.teacher.committed

    def begin(self, tokens: Sequence[int]) -> torch.Tensor:
        """See :meth:`tais.lab.verification.cached.CachedModel.begin`."""
        return self._steer(self.teacher.begin(tokens), [copy.begin(tokens) for copy in self._copies])

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        """See :meth:`tais.lab.verification.cached.CachedModel.feed`."""
        copies = [copy.feed(tokens, parents) for copy in self._copies]
        return self._steer(self.teacher.feed(tokens, parents), copies)

    def commit(self, rows: Sequence[int]) -> None:
        """See :meth:`tais.lab.verification.cached.CachedModel.commit`."""
        for model in (self.teacher, *self._copies):
            model.commit(rows)

    def _steer(self, teacher: torch.Tensor, copies: Sequence[torch.Tensor]) -> torch.Tensor:
        # Exactly 1 where the two temperatures are one.
        logits = torch.log_softmax(teacher.double(), -1) * (self.temperature / self.own)
        if self.proxies is None:
            return logits
        grown = increase(copies[0].double(), copies[1].double(), self.proxies.epsilon)
        return logits + self.temperature * self.proxies.strength * fitted(grown, logits.shape[-1])
