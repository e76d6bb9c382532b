"""Labels of a selector against the shipped algorithms, every decision walked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch

from tais.errors import UsageError
from tais.lab.verification import VERIFIERS, Draft, SeededRng, Tree, parse_shape
from tais.lab.verification.exact_law import exact_law
from tais.lab.verification.laws import Pair, random_pair
from tais.lab.verification.replay import outcomes
from tais.lab.verification.selector.actions import Grid
from tais.lab.workbench.labels import Labels, Probe, cut_tree, draw_probe

pytestmark = pytest.mark.slow

GRID = Grid(("token", "block", "naive", "specinfer", "kseq", "traversal", "gbv"), (2, 3), 1, 2)


def rows_of(pair: Pair, laws: Sequence[torch.Tensor], tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
    return torch.stack([pair.row(laws, tree.context(node)) for node in nodes])


def probed(pair: Pair, seed: int, grid: Grid = GRID) -> tuple[Probe, torch.Tensor]:
    probe = draw_probe(grid, partial(rows_of, pair, pair.draft), SeededRng(seed))
    return probe, rows_of(pair, pair.target, probe.tree, range(len(probe.tree.tokens)))


def walked(name: str, draft: Draft, ends: set[int]) -> float:
    """Mean of the accepted tokens up to the first that ends a text, by the shipped verifier."""
    mean = 0.0
    for output, chance in outcomes(partial(VERIFIERS[name].load(), draft), 10**6):
        accepted = list(output[:-1])
        stop = next((i for i, token in enumerate(accepted) if token in ends), len(accepted))
        mean += chance * stop
    return mean


@pytest.mark.parametrize("ends", [set(), {1}])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_labels_are_what_the_shipped_verifiers_do_with_these_draws(seed: int, ends: set[int]) -> None:
    pair = random_pair(4, 3, seed)
    probe, p = probed(pair, seed)
    labels = Labels(GRID, probe, p, ends).all()
    q = torch.full_like(p, torch.nan)
    for node, row in probe.q.items():
        q[node] = row
    for action, label in zip(GRID.actions, labels.tolist(), strict=True):
        shape = action.shape
        chain = shape.kind == "chain"
        tree = probe.cut_to(GRID.trunk, 1) if chain else probe.cut_to(shape.trunk, shape.paths)
        draft = cut_tree(Draft(tree, p, q), shape.depth)
        assert label == pytest.approx(walked(action.method, draft, ends), abs=1e-12), str(action)


@pytest.mark.slow
def test_the_mean_over_probes_is_what_the_audit_finds() -> None:
    """An exact expectation on the other side: 400 probes, five sigma."""
    pair = random_pair(3, 3, seed=5)
    found = torch.stack([Labels(GRID, *probed(pair, seed)).all() for seed in range(400)])
    spread = found.std(0) / len(found) ** 0.5
    texts = [str(action) for action in GRID.actions]
    for text in ("traversal delayed:1,2,1", "kseq paths:2x2", "gbv delayed:1,3,1", "block chain:2"):
        method, shape = text.split()
        place = texts.index(text)
        exact = exact_law(method, VERIFIERS[method].load(), pair, parse_shape(shape), bound=False).accepted
        assert abs(float(found[:, place].mean()) - exact) < 5 * float(spread[place]), text


def test_nothing_behind_the_end_of_a_text_counts() -> None:
    pair = random_pair(4, 3, seed=4)
    probe, p = probed(pair, 4)
    assert float(Labels(GRID, probe, p, range(4)).all().abs().max()) < 1e-12


def test_each_choice_is_there_once_and_an_algorithm_of_one_path_has_chains_only() -> None:
    assert len(set(GRID.actions)) == len(GRID.actions)
    assert {a.shape.kind for a in GRID.actions if a.method == "block"} == {"chain"}
    # Chains of 0 to 3; two numbers of paths, two trunks, two lengths.
    assert len(GRID.only("gbv")) == 4 + 2 * 2 * 2
    assert Grid.from_json(GRID.to_json()) == GRID


@pytest.mark.parametrize(
    "arguments",
    [
        {"methods": ("typical",)},
        {"methods": ("greedy",)},
        {"methods": ()},
        {"paths": (1,)},
        {"paths": (2, 2)},
        {"length": 0},
        {"trunk": 30},
    ],
)
def test_a_choice_that_cannot_be_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Grid(**arguments)  # type: ignore[arg-type]
