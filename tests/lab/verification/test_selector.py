"""A selector: what it may look at, what it learns, and that a text it drafts for keeps its law."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.errors import StoreError, UsageError
from tais.lab.verification import VERIFIERS, Draft, Rng, SeededRng, Tree
from tais.lab.verification.cached import CachedModel
from tais.lab.verification.decode import Decoder, Speculation
from tais.lab.verification.draft import Verifier
from tais.lab.verification.exact_law import all_runs, checked
from tais.lab.verification.laws import Pair, random_pair
from tais.lab.verification.policy import Root, Tap
from tais.lab.verification.replay import outcomes
from tais.lab.verification.selector.actions import Grid
from tais.lab.verification.selector.choose import Chooser
from tais.lab.verification.selector.facts import (
    DataFacts,
    MachineFacts,
    ModelFacts,
    SelectorFacts,
    TrainingFacts,
)
from tais.lab.verification.selector.features import SCALARS, describe, width
from tais.lab.verification.selector.latency_table import Latency
from tais.lab.verification.selector.net import make_net
from tais.lab.verification.selector.store import Selector
from tais.lab.verification.shapes import Shape, grow
from tais.lab.verification.tally import Tally
from tais.lab.verification.warp import Warp
from tais.lab.workbench.baselines import EntropyRule, entropy_rules
from tais.lab.workbench.train import Training, train
from tais.lab.workbench.training_data import Data
from tests.lab.verification.models import tiny_llama

pytestmark = pytest.mark.slow

GRID = Grid(("block", "specinfer", "kseq", "traversal", "gbv"), (2, 3), 1, 1)
EMPTY = torch.empty(0)
HERE: MachineFacts = {"device": "cpu", "threads": 1, "hardware": {}, "system": {}, "libraries": {}}


def timed(grid: Grid, cost: float = 0.2) -> Latency:
    """A step takes 1 second and `cost` for each token on a path, and all algorithms the same."""
    passes = {str(shape): 1 + cost * shape.depth for shape in grid.shapes}
    free = {name: {str(shape): 0.0 for shape in grid.shapes} for name in grid.methods}
    return Latency(passes, free, 0.0, 1, "wall", HERE)


def trained_facts() -> TrainingFacts:
    """Facts of a training that never was."""
    settings = Training()
    return {
        "objective": settings.objective, "hidden": settings.hidden, "epochs": settings.epochs,
        "held_out": settings.held_out, "seed": settings.seed, "rate": settings.rate, "decay": settings.decay,
        "dropout": settings.dropout, "patience": settings.patience, "roots": {}, "epochs_taken": 0,
        "held_out_loss": 0.0, "held_out_loss_of_the_mean": 0.0,
    }  # fmt: skip


def facts_of(target: int, draft: int) -> DataFacts:
    """What a data file says of a pair with hidden states of these sizes."""

    def model(size: int) -> ModelFacts:
        return {"model": "m", "architecture": "A", "vocabulary": 8, "hidden_size": size, "parameters": 1}

    return {
        "pair": {"target": model(target), "draft": model(draft), "dtype": "float32", "device": "cpu"},
        "collected": {
            "temperatures": [1.0], "top_k": 0, "top_p": 1.0, "seed": 0, "probes": 1, "every": 1,
        },
    }  # fmt: skip


def wild(grid: Grid, sizes: tuple[int, int], seed: int) -> Selector:
    """A selector that was never trained: its choices follow the features in no sensible way."""
    features = width(*sizes)
    depths = torch.tensor([float(action.shape.depth) for action in grid.actions])
    scales = {
        "x_mean": torch.tensor([1, 1, 1, 0.8, 0.8, 0.8, 2, 1, 1] + [0] * (features - len(SCALARS))),
        "x_scale": torch.full((features,), 2.0),
        "y_mean": depths / 2,
        "y_scale": depths / 3,
    }
    facts: SelectorFacts = {**facts_of(*sizes), "training": trained_facts()}
    net = make_net(features, 16, len(grid.actions), seed)
    for name, weight in net.named_parameters():
        weight.data *= 0 if name.endswith("bias") else 3
    rates = dict.fromkeys(("auto", *grid.methods), 1.0)
    return Selector(grid, net, scales, timed(grid, 0.6), "ratio", rates, 16, facts)


def logs(pair: Pair, side: Sequence[torch.Tensor], context: Sequence[int]) -> torch.Tensor:
    return pair.row(side, context).log()


def root_of(pair: Pair, text: Sequence[int]) -> Root:
    """What both models know at the end of a text."""
    now, before = tuple(text), tuple(text[:-1])
    p, q = logs(pair, pair.target, before), logs(pair, pair.draft, before)
    return Root(len(text), p, q, logs(pair, pair.draft, now), EMPTY, EMPTY, EMPTY)


def drafted(pair: Pair, text: Sequence[int], chooser: Chooser, rng: Rng) -> Draft:
    """Draft behind a text what the policy chooses there."""

    def rows(side: Sequence[torch.Tensor], tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
        return torch.stack([pair.row(side, (*text, *tree.context(node))) for node in nodes])

    shape, _ = chooser.choose(root_of(pair, text))
    tree, laws = grow(shape, partial(rows, pair.draft), rng)
    p = rows(pair.target, tree, range(len(tree.tokens)))
    q = torch.full_like(p, torch.nan)
    for node, row in laws.items():
        q[node] = row
    return Draft(tree, p, q)


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), length=st.integers(1, 2))
def test_the_choice_does_not_move_when_the_future_is_another(seed: int, length: int) -> None:
    """Other laws behind the text, but for the draft's own next one, and other draws: the same choice."""
    pair, other = random_pair(4, 4, seed), random_pair(4, 4, seed + 5000)
    text = [seed % 4, (seed // 4) % 4][:length]
    # The target has not passed over the last token, so its law behind the text is the future too.
    mixed = Pair(
        "changed",
        (*pair.target[:length], *other.target[length:]),
        (*pair.draft[: length + 1], *other.draft[length + 1 :]),
    )
    selector = wild(GRID, (0, 0), seed % 7)
    made = [Chooser(selector, Warp()) for _ in range(2)]
    one = drafted(pair, text, made[0], SeededRng(1))
    two = drafted(mixed, text, made[1], SeededRng(2))
    assert made[0].chosen == made[1].chosen
    assert len(one.tree.paths) == len(two.tree.paths)


def test_a_wild_selector_makes_many_choices() -> None:
    """Without this the tests beside would say little."""
    chooser = Chooser(wild(GRID, (0, 0), 4), Warp())
    for seed in range(60):
        chooser.choose(root_of(random_pair(4, 2, seed), [seed % 4]))
    assert len({text.split()[0] for text in chooser.chosen}) >= 3
    assert len({text.split()[1] for text in chooser.chosen}) >= 4


@pytest.mark.parametrize("seed", [2, 4])
def test_what_is_put_out_has_the_targets_law_at_every_root(seed: int) -> None:
    """Exact, over all draws and decisions, with the method and shape that a wild selector picks there."""
    pair = random_pair(3, 4, seed)
    selector, used = wild(GRID, (0, 0), seed), Counter[str]()
    for text in itertools.product(range(3), repeat=2):
        chooser = Chooser(selector, Warp())
        shape, verifier = chooser.choose(root_of(pair, text))
        used.update(chooser.chosen)
        behind = Pair("behind", *(_behind(side, text) for side in (pair.target, pair.draft)))
        tally = Tally(behind, shape.depth)
        drafts = list(outcomes(lambda rng, t=text, c=chooser: drafted(pair, t, c, rng), 10**5))  # type: ignore[misc]
        all_runs(str(shape), checked("chosen", verifier, 3), drafts, tally, 10**6)
        assert tally.total_variation() < 1e-12
    assert len(used) >= 2


def _behind(side: Sequence[torch.Tensor], text: Sequence[int]) -> tuple[torch.Tensor, ...]:
    """Laws after a text, by what follows it."""
    place = 0
    for token in text:
        place = 3 * place + token
    return tuple(rows[place * 3**d : (place + 1) * 3**d] for d, rows in enumerate(side[len(text) :]))


def pair_of_models(size: int) -> tuple[Speculation, CachedModel, Chooser]:
    target, draft = CachedModel(tiny_llama(size, 3)), CachedModel(tiny_llama(size, 4, layers=1))
    chooser = Chooser(wild(GRID, (16, 16), 4), Warp())
    taps = Tap(target.model), Tap(draft.model)
    token = VERIFIERS["token"].load()
    return Speculation(draft, Warp(), Shape("chain"), token, chooser, taps), target, chooser


@pytest.mark.nightly
@pytest.mark.slow
def test_a_text_that_the_selector_drafts_for_has_the_targets_law() -> None:
    """Three tokens by 1,200 runs on a tiny model against the target's own law: five sigma."""
    size, runs, prompt = 3, 1200, [1, 2, 0]
    how, target, chooser = pair_of_models(size)
    exact: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(3):
        longer: dict[tuple[int, ...], float] = defaultdict(float)
        for text, chance in exact.items():
            ids = torch.tensor([[*prompt, *text]])
            with torch.no_grad():
                law = torch.softmax(target.model(input_ids=ids, use_cache=False).logits[0, -1], -1)
            for token in range(size):
                longer[*text, token] = chance * float(law[token])
        exact = longer
    decoder, rng, seen = Decoder(target, Warp(), how), SeededRng(0), Counter[tuple[int, ...]]()
    for _ in range(runs):
        drawn = [token for step in decoder.steps(prompt, 4, rng) for token in step.tokens]
        seen[tuple(drawn[:3])] += 1
    assert sum(exact.values()) == pytest.approx(1, abs=1e-12)
    for text, probability in exact.items():
        spread = math.sqrt(runs * probability * (1 - probability))
        # Bernstein's term for cells that expect a handful.
        assert abs(seen[text] - runs * probability) < 5 * spread + 25 / 3, text
    assert len(chooser.chosen) >= 2


@pytest.mark.slow
def test_features_at_a_root_are_those_of_plain_passes() -> None:
    """Whatever was accepted before: hidden states and laws are what passes without a cache give."""
    size, prompt, asked = 7, [1, 3, 2, 0, 1], []
    how, target, chooser = pair_of_models(size)

    class Watched:
        def choose(self, root: Root) -> tuple[Shape, Verifier]:
            asked.append(describe(root, Warp(0.8)))
            return chooser.choose(root)

    decoder = Decoder(target, Warp(0.8), replace(how, policy=Watched()))
    text, ends = list(prompt), []
    for step in decoder.steps(prompt, 24, SeededRng(4)):
        text.extend(step.tokens)
        ends.append(len(text))
    assert len(asked) >= 8
    for end, found in zip(ends, asked, strict=False):
        p, p_state = plain(target.model, text[: end - 1])
        q, q_state = plain(how.draft.model, text[: end - 1])  # type: ignore[attr-defined]
        now, now_state = plain(how.draft.model, text[:end])  # type: ignore[attr-defined]
        wanted = describe(Root(end, p, q, now, p_state, q_state, now_state), Warp(0.8))
        assert float((found - wanted).abs().max()) < 1e-5


def plain(model: torch.nn.Module, text: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        out = model(input_ids=torch.tensor([list(text)]), use_cache=False, output_hidden_states=True)
    return out.logits[0, -1], out.hidden_states[-1][0, -1]


def test_features_of_known_laws() -> None:
    # H(.5, .5) = ln 2; KL(p|q) of (.5, .5) and (.25, .75) is .5 ln 2 + .5 ln(2/3).
    p, q = (torch.tensor(law, dtype=torch.float64).log() for law in ((0.5, 0.5), (0.25, 0.75)))
    found = dict(
        zip(SCALARS, describe(Root(9, p, q, p, EMPTY, EMPTY, EMPTY), Warp(1.0)).tolist(), strict=True)
    )
    assert found["entropy_p_before"] == pytest.approx(math.log(2))
    assert found["entropy_q"] == pytest.approx(math.log(2))
    assert found["kl_p_q_before"] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert found["kl_q_p_before"] == pytest.approx(0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2))
    assert found["l1_before"] == pytest.approx(0.5)
    assert (found["length"], found["temperature"], found["top_p"]) == (9, 1, 1)


def known(rows: int = 160, noise: float = 0.2) -> tuple[Data, torch.Tensor]:
    """Roots at which one feature says whether deep or no drafts pay, under noise."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(rows, width(0, 0), generator=generator)
    good = features[:, SCALARS.index("entropy_q")] < 0
    features[:, SCALARS.index("entropy_q")] = torch.where(good, -1.5, 1.5)
    depths = torch.tensor([float(action.shape.depth) for action in GRID.actions])
    labels = torch.where(good[:, None], 0.95 * depths, 0.02 * depths)
    labels += noise * torch.randn(labels.shape, generator=generator)
    prompts = [f"p/{i // 4}" for i in range(rows)]
    return Data(prompts, features, labels, torch.zeros(rows, GRID.trunk + 1), GRID, facts_of(0, 0)), good


@pytest.mark.parametrize("objective", ["ratio", "rate"])
def test_training_finds_the_choice_that_is_best(objective: str) -> None:
    data, good = known()
    made = train(data, timed(GRID), Training(objective, hidden=16, epochs=60, seed=1, rate=1e-2, dropout=0.2))
    best = made.selector.values(made.selector.expected(data.features)).argmax(1)
    depths = torch.tensor([GRID.actions[i].shape.depth for i in best])
    # 2.9 tokens for 1.4 seconds against 1 for 1 second; at the other roots 1.04 for 1.4.
    assert float((depths[good] == 2).double().mean()) > 0.95
    assert float((depths[~good] == 0).double().mean()) > 0.95
    speeds = {name: speed for name, _, speed in made.outcomes}
    fixed = max(speed for name, speed in speeds.items() if name.startswith("fixed"))
    assert fixed < speeds["selector: any"]


def test_the_entropy_rule_parts_where_the_draft_is_unsure() -> None:
    grid = Grid(("traversal",), (2,), 2, 3)
    entropies = torch.tensor([[0.2, 0.9, 2.0], [1.5, 0.1, 0.1], [0.1, 0.2, 0.3]])
    whole = EntropyRule("traversal", 2, 0.8, 3, 0).choose(grid, entropies)
    assert [str(grid.actions[i].shape) for i in whole] == ["delayed:1,2,2", "paths:2x3", "chain:3"]
    tail = EntropyRule("traversal", 2, 0.8, 0, 2).choose(grid, entropies)
    assert [str(grid.actions[i].shape) for i in tail] == ["delayed:1,2,2", "paths:2x2", "chain:4"]
    rules = list(entropy_rules(grid, "traversal"))
    assert len(rules) == 5 * (3 + 3)
    for rule in rules:
        assert len(rule.choose(grid, entropies)) == 3
    assert not list(entropy_rules(Grid(("block",), (2,), 2, 3), "block"))


def test_training_is_the_same_for_the_same_seed() -> None:
    data, _ = known(80)
    how = Training(hidden=8, epochs=5)
    one, two = (train(data, timed(GRID), how).selector.digest() for _ in "ab")
    assert one == two
    assert train(data, timed(GRID), replace(how, seed=1)).selector.digest() != one


def test_too_few_prompts_cannot_be_held_out() -> None:
    data, _ = known(16)
    with pytest.raises(UsageError, match="4 prompts are too few"):
        train(data, timed(GRID), Training(hidden=4, epochs=2))


def test_a_selector_is_read_as_it_was_written(tmp_path: Path) -> None:
    selector = wild(GRID, (3, 2), 5)
    selector.save(tmp_path / "s")
    again = Selector.load(tmp_path / "s")
    assert again.digest() == selector.digest()
    features = torch.randn(20, width(3, 2), generator=torch.Generator().manual_seed(1))
    assert torch.equal(again.expected(features), selector.expected(features))
    with pytest.raises(UsageError, match="hidden states of 3 and 2"):
        again.check([3, 4])


def test_only_the_method_that_is_asked_for_is_chosen() -> None:
    selector = wild(GRID, (0, 0), 5)
    features = torch.randn(50, width(0, 0), generator=torch.Generator().manual_seed(1))
    chosen = selector.values(selector.expected(features), "gbv").argmax(1)
    assert {GRID.actions[i].method for i in chosen} == {"gbv"}


def test_rate_counts_the_time_that_is_taken_from_the_rest() -> None:
    """A step of 2 tokens in 1 second has the better ratio, one of 5 tokens in 3 seconds the better rate."""
    grid = Grid(("block",), (), 0, 2)
    free = {"block": {str(shape): 0.0 for shape in grid.shapes}}
    latency = Latency({"chain:0": 9.0, "chain:1": 1.0, "chain:2": 3.0}, free, 0.0, 1, "wall", HERE)
    selector = replace(wild(grid, (0, 0), 0), latency=latency)
    expected = torch.tensor([0.0, 1.0, 4.0])
    assert int(selector.values(expected).argmax()) == 1
    slow = replace(selector, objective="rate", rates={"auto": 1.0, "block": 1.0})
    assert int(slow.values(expected).argmax()) == 2


@pytest.mark.parametrize("broken", ["weights", "json", "version", "missing", "grid"])
def test_a_selector_that_is_none_is_refused_in_one_line(tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "s"
    wild(GRID, (3, 2), 5).save(folder)
    facts = folder / "selector.json"
    plain = json.loads(facts.read_text())
    if broken == "weights":
        (folder / "selector.safetensors").write_bytes(b"no weights")
    elif broken == "json":
        facts.write_text("{")
    elif broken == "missing":
        facts.unlink()
    else:
        changed = {"version": 99} if broken == "version" else {"grid": {"methods": ["typical"]}}
        facts.write_text(json.dumps(plain | changed))
    with pytest.raises(StoreError):
        Selector.load(folder)
