from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.conformance.laws import TokenLaws, partition


def laws(**other: object) -> TokenLaws:
    """Three tokens on two listed cells and the rest."""
    listed = np.log(np.array([[0.5, 0.3], [0.6, 0.2], [0.7, 0.1]]))
    plain = TokenLaws(listed, np.array([0, 1, 2]), np.array([0, 0, 1]), np.array([0, 0, 1]))
    return replace(plain, **other)  # type: ignore[arg-type]


def test_the_rest_is_what_the_listed_leave() -> None:
    assert laws().checked().target()[:, 2] == pytest.approx([0.2, 0.2, 0.2])


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("listed_logprobs", np.log(np.full((3, 2), 0.6)), "sums to 1.2"),
        ("listed_logprobs", np.array([[np.nan, -1.0]] * 3), "NaN"),
        ("listed_logprobs", np.zeros(3), "need listed"),
        ("listed_logprobs", np.zeros((3, 0)), "need listed"),
        ("draft_logprobs", np.log(np.full((3, 3), 0.1)), "shape"),
        ("draft_logprobs", np.log(np.full((3, 2), 0.7)), "draft's law of token 0 sums to 1.4"),
        ("rest_logprobs", np.log(np.full(3, 0.5)), "sums to 1.3"),
        ("given", np.array([0, 1, 3]), "outside 0..2"),
        ("given", np.array([0, 1]), "shape"),
        ("scores", np.full((3, 3), np.inf), "scores holds NaN or"),
        ("scores", np.full((3, 3), -np.inf), "not finite"),
    ],
)
def test_a_law_that_is_none_is_refused(field: str, value: object, says: str) -> None:
    def cells() -> None:
        broken = laws(**{field: value}).checked()
        broken.target()
        broken.draft()

    with pytest.raises(TaisError, match=says):
        cells()


def test_rounding_of_float32_is_no_fault_and_gives_the_rest_no_false_precision() -> None:
    listed = np.log(np.array([[0.6, 0.4]], np.float32)).astype(np.float64) + 2e-7
    cells = laws(listed_logprobs=np.repeat(listed, 3, axis=0)).checked().target()
    assert cells.sum(axis=1) == pytest.approx(1.0, abs=1e-15)
    assert cells[0, 2] == pytest.approx(1e-6, rel=1e-3)


def test_a_rest_known_to_be_empty_is_empty() -> None:
    listed = np.log(np.array([[0.6, 0.4]] * 3))
    cells = laws(listed_logprobs=listed, rest_logprobs=np.full(3, -np.inf)).checked().target()
    assert (cells[:, 2] == 0).all()


def test_partition_sums_the_rest_without_cancellation() -> None:
    p = np.array([[0.7, 0.3 - 3e-12, 2e-12, 1e-12]])
    one = np.zeros(1, np.int64)
    made = partition(np.log(p), np.array([3]), 2, cluster=one, sample=one)
    assert made.rest_logprobs is not None
    assert np.exp(made.rest_logprobs[0]) == pytest.approx(3e-12, rel=1e-9)
    assert made.given[0] == 2


def test_partition_follows_token_ids_and_means_scores_over_the_rest() -> None:
    p = np.array([[0.1, 0.6, 0.1, 0.2], [0.4, 0.1, 0.3, 0.2]])
    q = np.array([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    two = np.zeros(2, np.int64)
    made = partition(
        np.log(p), np.array([3, 1]), 2, cluster=two, sample=two, draft_logprobs=np.log(q),
        token_scores=np.array([1.0, 0.0, 0.0, 0.0]),
    )  # fmt: skip
    assert made.given.tolist() == [1, 2]
    draft = made.checked().draft()
    assert draft is not None
    assert draft == pytest.approx(np.array([[0.3, 0.1, 0.6], [0.25, 0.25, 0.5]]))
    assert made.scores == pytest.approx(np.array([[0, 0, 0.5], [1, 0, 0]]))


def test_partition_refuses_tokens_outside_the_vocabulary() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(TaisError, match="inside the vocabulary"):
        partition(np.log(np.full((1, 4), 0.25)), np.array([4]), 2, cluster=one, sample=one)


def test_a_token_outside_the_listed_ones_falls_into_the_rest() -> None:
    two = np.zeros(2, np.int64)
    logprobs = np.log(np.array([[0.5, 0.25, 1e-300], [0.4, 0.3, 0.2]]))
    # The second of the first row, and none of those that the second row lists.
    made = TokenLaws(logprobs, np.array([1, 3]), two, two)
    assert made.checked().target()[:, 3] == pytest.approx([0.25, 0.1])
