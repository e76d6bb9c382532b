"""Decoding with any verifier and any shape of draft; ``batched.py`` takes several texts."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from tais.lab.verification.cached import TreeModel
from tais.lab.verification.draft import Draft, Tree, Verifier
from tais.lab.verification.policy import Policy, Tap, Watch
from tais.lab.verification.rng import Rng
from tais.lab.verification.shapes import Shape, growing
from tais.lab.verification.warp import Warp

__all__ = ["Ask", "Decoder", "Speculation", "Step", "Talk", "Text"]


@dataclass(frozen=True, slots=True, eq=False)
class Speculation:
    """How tokens are proposed and judged.

    Attributes
    ----------
    draft
        The small model.
    warp
        How its tokens are drawn.
    shape
        What it drafts.
    verifier
        Who decides.
    policy
        Chooses shape and verifier anew at each root, in place of these two.
    taps
        Hidden states of target and draft for the policy; one text at a time, as they hold the last pass only.
    """

    draft: TreeModel
    warp: Warp
    shape: Shape
    verifier: Verifier
    policy: Policy | None = None
    taps: tuple[Tap, Tap] | None = None


@dataclass(slots=True, eq=False)
class _Drafted:
    """A drafted tree, its laws, the draft's cache row of each node that has one, and who judges it."""

    verifier: Verifier
    unseen: int
    """Tokens of the text, the root last, that the draft's cache had not seen."""
    tree: Tree = field(default_factory=Tree)
    q: dict[int, torch.Tensor] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one pass of the target gave.

    Attributes
    ----------
    tokens
        Accepted tokens and the one behind them.
    logits
        The target's, before any warp, that each was judged by: shape (tokens, V).
    drafted, accepted
        Tokens; None for the pass over the prompt, which drafts nothing.
    """

    tokens: Sequence[int]
    logits: torch.Tensor
    drafted: int | None
    accepted: int | None


@dataclass(frozen=True, slots=True)
class Ask:
    """What one text wants of a model: to begin with a prompt, to look at drafted rows, or to keep some.

    The fields are the arguments of the method of that name of ``TreeModel`` in ``cached.py``.
    """

    side: Literal["target", "draft"]
    method: Literal["begin", "feed", "commit"]
    tokens: Sequence[int]
    parents: Sequence[int] = ()


Talk = Generator["Ask | Step", "torch.Tensor | None", None]
"""Decodes one text: yields steps, and asks that are answered with logits (with None where rows are kept)."""


class Decoder:
    """Target, and perhaps a draft.

    Parameters
    ----------
    target
        The model whose law is to be kept.
    warp
        How tokens are drawn from it.
    speculation
        None decodes token by token.
    """

    def __init__(self, target: TreeModel, warp: Warp, speculation: Speculation | None = None) -> None:
        self.target = target
        self.warp = warp
        self.speculation = speculation
        self._stopped = -1

    def steps(self, prompt: Sequence[int], room: int, rng: Rng) -> Iterator[Step]:
        """Yield steps until `room` tokens are there; the last step may bring more.

        Parameters
        ----------
        prompt
            Token ids, at least one.
        room
            Tokens that the context can still take, at least 1. No draft is deeper than what is left.
        rng
            Takes every decision.
        """
        talk = Text(self.warp, self.speculation, prompt, room, rng).talk()
        said = next(talk, None)
        while said is not None:
            answer = None
            if isinstance(said, Step):
                yield said
            else:
                answer = self._ask(said)
            try:
                said = talk.send(answer)
            except StopIteration:
                return

    def run(self, texts: Iterable[tuple[Sequence[int], int, Rng]]) -> Iterator[tuple[int, Step | None]]:
        """Decode one text after the other; see :meth:`tais.lab.verification.batched.BatchDecoder.run`."""
        for number, text in enumerate(texts):
            for step in self.steps(*text):
                yield number, step
                if self._stopped == number:
                    break
            else:
                yield number, None

    def stop(self, number: int) -> None:
        """End the text that is being decoded, by its number."""
        self._stopped = number

    def _ask(self, ask: Ask) -> torch.Tensor | None:
        assert ask.side == "target" or self.speculation is not None
        model = self.speculation.draft if ask.side == "draft" and self.speculation else self.target
        if ask.method == "commit":
            model.commit(ask.tokens)
            return None
        return model.begin(ask.tokens) if ask.method == "begin" else model.feed(ask.tokens, ask.parents)


class Text:
    """One text under decoding, whoever passes its asks to the models.

    Parameters
    ----------
    warp, speculation
        As of :class:`Decoder`; the models are not touched here.
    prompt, room, rng
        As of :meth:`Decoder.steps`.
    """

    def __init__(
        self, warp: Warp, speculation: Speculation | None, prompt: Sequence[int], room: int, rng: Rng
    ) -> None:
        self.warp = warp
        self.speculation = speculation
        self.text = list(prompt)
        self.limit = len(prompt) + room
        self.rng = rng
        self._vocabulary = 0
        # Tokens of the text in the draft's cache.
        self._seen = 0
        self._watch: Watch | None = None

    def talk(self) -> Talk:
        """Decode; see :data:`Talk`."""
        prompt = tuple(self.text)
        logits = _answer((yield Ask("target", "begin", prompt)))[None]
        self._vocabulary = logits.shape[-1]
        self.text.append(self.rng.categorical(self.warp.law(logits)[0]))
        yield Step(self.text[-1:], logits, None, None)
        if self.speculation is not None and self.limit - len(prompt) > 1:
            yield from self._begin_draft(self.speculation, prompt, logits)
        while (room := self.limit - len(self.text)) > 0:
            step = yield from self._step(room)
            self.text.extend(step.tokens)
            yield step

    def _begin_draft(
        self, how: Speculation, prompt: Sequence[int], logits: torch.Tensor
    ) -> Generator[Ask | Step, torch.Tensor | None, None]:
        first = _answer((yield Ask("draft", "begin", prompt)))[None]
        self._seen = len(prompt)
        if how.policy is not None:
            self._watch = Watch(how.taps)
            self._watch.target(logits, 0)
            self._watch.draft([0], first)
            self._watch.accepted(0)

    def _step(self, room: int) -> Generator[Ask | Step, torch.Tensor | None, Step]:
        if self.speculation is None or room < 2:
            logits = _answer((yield Ask("target", "feed", self.text[-1:], [-1])))
            yield Ask("target", "commit", [0])
            return Step([self.rng.categorical(self.warp.law(logits)[0])], logits, None, None)
        made = yield from self._draft(self.speculation, room - 1)
        tree = made.tree
        # One pass over the pending token, which is the root, and all that was drafted.
        tokens = [self.text[-1], *tree.tokens[1:]]
        logits = _answer((yield Ask("target", "feed", tokens, tree.parent)))
        p = self.warp.law(logits)
        law = torch.full_like(p, torch.nan)
        for node, row in made.q.items():
            law[node] = row
        out = list(made.verifier(Draft(tree, p, law, logits), self.rng))
        path = _path(tree, out[:-1])
        if self._watch is not None:
            self._watch.target(logits, path[-1])
            self._watch.accepted(path[-1])
        yield Ask("target", "commit", path)
        kept = [*range(made.unseen - 1), *(made.rows[n] for n in path if n in made.rows)]
        yield Ask("draft", "commit", kept)
        self._seen += len(kept)
        return Step(out, logits[path], len(tree.tokens) - 1, len(out) - 1)

    def _draft(self, how: Speculation, room: int) -> Generator[Ask | Step, torch.Tensor | None, _Drafted]:
        """Draft at most `room` tokens deep."""
        unseen = self.text[self._seen :]
        first = _answer((yield Ask("draft", "feed", unseen, range(-1, len(unseen) - 1))))
        shape, verifier = how.shape, how.verifier
        if how.policy is not None and self._watch is not None:
            # Nothing of this draft exists yet, so whatever the policy looks at lies in the past.
            shape, verifier = how.policy.choose(self._watch.root(len(self.text), first))
            self._watch.draft([0], first)
        made = _Drafted(verifier, len(unseen), rows={0: len(unseen) - 1})
        asking, laws = growing(shape.cut(room), self.rng), None
        while True:
            try:
                tree, nodes = asking.send(laws)
            except StopIteration as done:
                made.tree, made.q = done.value
                return made
            logits = first[-1:]
            if nodes[0] != 0:
                count, above = len(unseen) - 1 + len(made.rows), [made.rows[tree.parent[n]] for n in nodes]
                logits = _answer((yield Ask("draft", "feed", [tree.tokens[n] for n in nodes], above)))
                made.rows.update((node, count + i) for i, node in enumerate(nodes))
                if self._watch is not None:
                    self._watch.draft(nodes, logits)
            law = how.warp.law(logits[:, : self._vocabulary])
            # Vocabularies are padded to different sizes; what one model lacks it never draws.
            laws = torch.nn.functional.pad(law, (0, self._vocabulary - law.shape[-1]))


def _answer(logits: torch.Tensor | None) -> torch.Tensor:
    assert logits is not None
    return logits


def _path(tree: Tree, tokens: Sequence[int]) -> list[int]:
    """Return the nodes of accepted tokens, the root first."""
    nodes = [0]
    for token in tokens:
        nodes.append(next(child for child in tree.draws[nodes[-1]] if tree.tokens[child] == token))
    return nodes
