from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.conformance.conformance import Conformance, ConformanceResult, against_control
from tais.stats.conformance.e_value import EProcess
from tais.stats.conformance.laws import TokenLaws
from tais.stats.conformance.score_tests import Drift, cell_ratios, cell_scores, excess_tests, score_tests
from tais.stats.proportions import FloatArray
from tais.stats.simulation.conformance import draw, simulate, toy_pair

# Two laws over three tokens, by the token before; the draft's last cell of row 1 is one that p excludes.
P = np.array([[0.5, 0.3, 0.2], [0.6, 0.4, 0.0], [0.1, 0.1, 0.8]])
Q = np.array([[0.2, 0.3, 0.5], [0.3, 0.3, 0.4], [0.4, 0.5, 0.1]])


def paths(length: int) -> list[tuple[float, list[int], list[int]]]:
    """Every text of this length that starts after token 0: probability, rows, tokens."""
    found = []
    for tokens in itertools.product(range(3), repeat=length):
        rows = [0, *tokens[:-1]]
        found.append((float(np.prod(P[rows, tokens])), rows, list(tokens)))
    return found


def drift(rows: list[int], tokens: list[int], name: str) -> Drift:
    p, q = P[rows], Q[rows]
    return Drift().add(p, cell_scores(p, q, p**2)[name], np.array(tokens))


@pytest.mark.parametrize("name", ["argmax", "surprise", "draft_ratio", "leak", "own"])
def test_scores_are_martingales_by_enumeration_of_all_texts(name: str) -> None:
    """Stopping at the first token 2 (an EOS) included: the length then depends on the tokens."""
    mean = square = variance = 0.0
    for probability, rows, tokens in paths(4):
        if probability == 0:
            continue
        end = tokens.index(2) + 1 if 2 in tokens else len(tokens)
        d = drift(rows[:end], tokens[:end], name)
        mean += probability * d.total
        square += probability * d.total**2
        variance += probability * d.variance
    assert mean == pytest.approx(0, abs=1e-12)
    assert square == pytest.approx(variance, rel=1e-12)
    assert variance > 0.01


def test_the_e_value_has_mean_at_most_1_and_exactly_1_where_nothing_is_excluded() -> None:
    for start, length, expected in ((P, 4, None), (np.maximum(P, 0.05), 3, 1.0)):
        law = start / start.sum(axis=1, keepdims=True)
        mean = 0.0
        for tokens in itertools.product(range(3), repeat=length):
            rows = [0, *tokens[:-1]]
            probability = float(np.prod(law[rows, tokens]))
            if probability > 0:
                ratios = cell_ratios(law, Q)[rows, tokens]
                mean += probability * float(np.exp(EProcess().add(ratios).log_e))
        assert mean <= 1 + 1e-12
        if expected is not None:
            assert mean == pytest.approx(expected, rel=1e-12)


def test_the_e_process_is_the_mixture_and_finds_its_crossing() -> None:
    ratios = np.concatenate([np.full(70, 1.2), np.full(170, 0.6)])
    process = EProcess(alpha=0.05, leaks=(0.1, 0.5))
    direct = np.log(np.mean([np.cumprod(1 + e * (ratios - 1)) for e in (0.1, 0.5)], axis=0))
    for part in np.array_split(ratios, 7):
        value = process.add(part)
    assert (direct >= np.log(20)).argmax() > 240 / 7  # not in the first part
    assert value.log_e == pytest.approx(direct[-1])
    assert value.log_e_sup == pytest.approx(direct.max())
    assert value.crossed_at == int((direct >= np.log(20)).argmax()) + 1
    assert value.p == pytest.approx(np.exp(-direct.max()))


@pytest.mark.slow
def test_the_e_process_crosses_in_at_most_alpha_of_correct_runs() -> None:
    results = simulate(toy_pair(), 2000, 150, seed=4)
    crossed = sum(r.e_value is not None and r.e_value.crossed_at is not None for r in results)
    # Ville: at most 0.05 of 150 runs, 7.5; 15 would come by chance with probability 0.008.
    assert crossed <= 14


def test_nothing_depends_on_how_tokens_are_cut_into_chunks() -> None:
    laws = draw(toy_pair(), 4000, np.random.RandomState(0), leak=0.1)
    whole, parts = Conformance(seed=3), Conformance(seed=3)
    whole.update(laws)
    for cut in np.array_split(np.arange(4000), [1, 1, 700, 3999]):
        parts.update(rows(laws, cut))
    a, b = whole.result(), parts.result()
    assert (a.n, a.samples, a.clusters, a.impossible) == (4000, 200, 50, 0)
    assert (a.n, a.samples, a.clusters, a.impossible) == (b.n, b.samples, b.clusters, b.impossible)
    assert a.uniform == b.uniform
    assert a.leak is not None
    assert b.leak is not None
    assert a.leak.ci == pytest.approx(b.leak.ci)
    assert [t.z for t in a.tests] == pytest.approx([t.z for t in b.tests])
    assert a.e_value is not None
    assert b.e_value is not None
    assert a.e_value.log_e == pytest.approx(b.e_value.log_e)


def rows(laws: TokenLaws, chosen: Any) -> TokenLaws:
    """Some rows of the laws."""
    arrays = ((field.name, getattr(laws, field.name)) for field in fields(laws))
    parts: dict[str, Any] = {name: None if array is None else array[chosen] for name, array in arrays}
    return TokenLaws(**parts)


def test_an_impossible_token_is_counted_and_breaks_nothing() -> None:
    listed = np.log(np.array([[0.6, 0.4 - 1e-9], [0.5, 0.5 - 1e-9]] * 50) + 0.0)
    laws = TokenLaws(
        np.concatenate([listed, np.full((100, 1), -np.inf)], axis=1),
        np.array([2, 0] + [0, 1] * 49),
        np.zeros(100, np.int64),
        np.zeros(100, np.int64),
        np.log(np.full((100, 3), 0.3)),
    )
    conformance = Conformance(seed=0)
    conformance.update(rows(laws, slice(1, None)))
    conformance.update(rows(laws, slice(0, 1)))
    result = conformance.result()
    assert (result.n, result.impossible, result.impossible_at) == (99, 1, (99,))
    assert np.isfinite([t.z for t in result.tests]).all()
    assert result.leak is not None
    assert np.isfinite(result.leak.e)


def test_without_a_token_there_is_no_result() -> None:
    with pytest.raises(TaisError, match="no token to test: 0 given"):
        Conformance(seed=0).result()
    only_impossible = TokenLaws(
        np.array([[0.0, -np.inf]]),
        np.array([1]),
        np.array([0]),
        np.array([0]),
        rest_logprobs=np.array([-np.inf]),
    )
    conformance = Conformance(seed=0)
    conformance.update(only_impossible)
    with pytest.raises(TaisError, match="1 impossible"):
        conformance.result()


def test_chunks_with_and_without_a_draft_do_not_mix() -> None:
    laws = draw(toy_pair(), 400, np.random.RandomState(0))
    conformance = Conformance(seed=0)
    conformance.update(laws)
    with pytest.raises(TaisError, match="draft's law"):
        conformance.update(replace(laws, draft_logprobs=None, draft_rest_logprobs=None))


def test_a_draft_without_a_law_has_no_leak() -> None:
    laws = draw(toy_pair(), 400, np.random.RandomState(0))
    conformance = Conformance(seed=0)
    conformance.update(replace(laws, draft_logprobs=None, draft_rest_logprobs=None))
    result = conformance.result()
    assert result.leak is None
    assert result.e_value is None
    assert [t.name for t in result.tests] == ["argmax", "surprise"]


def test_correct_runs_stay_small_and_typical_acceptance_does_not() -> None:
    """A note on 20,000 tokens of chains at TV 0.21: correct methods |Z| <= 2, typical acceptance Z = +13."""
    correct = simulate(toy_pair(), 20_000, 8, seed=1)
    assert max(abs(t.z) for r in correct for t in r.tests) < 3.5
    lossy = simulate(toy_pair(), 20_000, 2, rule="typical", seed=1)
    for result in lossy:
        z = {t.name: t.z for t in result.tests}
        assert 9 < z["draft_ratio"] < 16
        assert result.uniform.ks_p < 1e-20
        assert result.p < 1e-20
        assert result.e_value is not None
        assert result.e_value.p < 1e-6


def size(results: list[ConformanceResult], name: str) -> FloatArray:
    return np.array([next(t.p for t in r.tests if t.name == name) for r in results])


@pytest.mark.slow
def test_p_values_are_uniform_over_correct_runs() -> None:
    """Oracle: scipy.stats.kstest against the uniform law."""
    from scipy.stats import kstest

    results = simulate(toy_pair(), 4000, 300, seed=2)
    for name in ("argmax", "surprise", "draft_ratio", "leak"):
        assert kstest(size(results, name), "uniform").pvalue > 1e-3
    assert kstest([r.uniform.ks_p for r in results], "uniform").pvalue > 1e-3
    # 0.05 of 300 with four standard deviations.
    assert sum(min(t.p_holm for t in r.tests) < 0.05 for r in results) <= 30


@pytest.mark.slow
def test_a_bias_of_the_scoring_pass_is_the_controls_too() -> None:
    """Drawn from the law, scored by one a little off: plain tests fail, those beyond the control do not."""
    pair = toy_pair()
    off = pair.target * np.exp(0.08 * np.random.RandomState(5).standard_normal(pair.target.shape))
    off /= off.sum(axis=1, keepdims=True)
    scored = []
    for seed in (0, 1):
        state = replace(pair, draft=off)
        laws = draw(state, 200_000, np.random.RandomState(seed), listed=7)
        assert laws.draft_logprobs is not None
        arm = Conformance(seed=seed)
        swapped: dict[str, Any] = {
            "listed_logprobs": laws.draft_logprobs,
            "rest_logprobs": laws.draft_rest_logprobs,
            "draft_logprobs": laws.listed_logprobs,
            "draft_rest_logprobs": laws.rest_logprobs,
        }
        arm.update(replace(laws, **swapped))
        scored.append(arm.result())
    candidate, control = scored
    assert min(t.p_holm for t in candidate.tests) < 1e-4
    comparison = against_control(candidate, control)
    assert min(t.p_holm for t in comparison.tests) > 0.01
    assert comparison.leak_excess_p is not None
    assert comparison.leak_excess_p > 0.01


def test_excess_over_the_control_by_hand() -> None:
    (test,) = excess_tests({"own": Drift(100, 30.0, 50.0)}, {"own": Drift(400, 40.0, 90.0)})
    assert test.mean_drift == pytest.approx(0.2)
    assert test.z == pytest.approx(0.2 / np.sqrt(50 / 100**2 + 90 / 400**2))
    with pytest.raises(TaisError, match="share no score"):
        excess_tests({"own": Drift(1, 1, 1)}, {"leak": Drift(1, 1, 1)})


def test_a_sum_that_could_not_move_is_no_evidence() -> None:
    (test,) = score_tests({"argmax": Drift(10, 0.0, 0.0)})
    assert (test.z, test.p, test.p_holm) == (0.0, 1.0, 1.0)
