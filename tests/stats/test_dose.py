from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.dose import dose_response


def rows(slope: float, prompts: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.RandomState(seed)
    doses = np.array([1.0, 3.0, 5.0, 8.0, 12.0])
    own = random.normal(0.5, 1.0, prompts)[:, None]
    p = 1 / (1 + np.exp(-(own + slope * doses)))
    outcome = (random.random_sample(p.shape) < p).astype(float)
    return np.tile(doses, prompts), outcome.ravel(), np.arange(prompts).repeat(5)


@pytest.mark.slow
def test_slope_and_error_equal_those_of_statsmodels() -> None:
    import statsmodels.api as sm

    dose, outcome, clusters = rows(-0.05)
    result = dose_response(dose, outcome, clusters)
    assert result is not None
    fit = sm.GLM(outcome, sm.add_constant(dose), family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    assert result.slope == pytest.approx(float(fit.params[1]), rel=1e-6)
    # Ours carries the factor sqrt(K / (K - 1)).
    assert result.slope_error == pytest.approx(float(fit.bse[1]) * np.sqrt(300 / 299), rel=1e-5)


def test_a_slope_is_seen_and_is_not_equivalent() -> None:
    result = dose_response(*rows(-0.15))
    assert result is not None
    assert result.p < 0.001
    assert result.change < -0.1
    assert not result.equivalent


def test_identical_answers_at_all_doses_are_flat_with_a_floor() -> None:
    outcome = np.r_[np.ones(80), np.zeros(20)].repeat(5)
    result = dose_response(np.tile([1.0, 3, 5, 8, 12], 100), outcome, np.arange(100).repeat(5))
    assert result is not None
    assert result.slope == pytest.approx(0, abs=1e-9)
    assert result.equivalent
    few = dose_response(
        np.tile([1.0, 3], 50), np.r_[np.ones(40), np.zeros(10)].repeat(2), np.arange(50).repeat(2)
    )
    assert few is not None
    assert not few.equivalent


@pytest.mark.parametrize(
    ("dose", "outcome"),
    [([1.0, 1, 1, 1], [0.0, 1, 0, 1]), ([1.0, 2, 1, 2], [1.0, 1, 1, 1]), ([1.0, 2, 1, 2], [0.0, 1, 0, 1])],
    ids=["one dose", "constant outcome", "separated"],
)
def test_what_cannot_be_fitted_is_none(dose: list[float], outcome: list[float]) -> None:
    assert dose_response(np.array(dose), np.array(outcome), np.array([0, 0, 1, 1])) is None


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(TaisError, match="finite"):
        dose_response(np.array([1.0, np.nan]), np.array([0.0, 1.0]), np.array([0, 1]))


def test_prompts_that_answer_alike_at_every_dose_have_an_error_of_zero() -> None:
    # Here rounding leaves the variance of the slope at -9e-16; warnings are errors.
    dose = np.repeat([4.0, 7.0, 9.0], 50)
    result = dose_response(dose, np.tile(np.arange(50) < 49, 3).astype(float), np.tile(np.arange(50), 3))
    assert result is not None
    assert result.slope_error == 0.0
    assert result.p == 1.0
