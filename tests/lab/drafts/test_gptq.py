"""GPTQ against the exact solution of what it does step by step, and against rounding to nearest."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tais.errors import EngineError
from tais.lab.drafts.gptq import output_error, round_to_nearest, rounded_by_gptq, scales_of

pytestmark = pytest.mark.slow


def seen(columns: int, rows: int = 400, seed: int = 0) -> Any:
    """Moments of inputs that hang together."""
    torch.manual_seed(seed)
    mixed = torch.randn(rows, columns) @ (torch.eye(columns) + 0.4 * torch.randn(columns, columns))
    return mixed.T @ mixed / rows


def exact(weight: Any, moments: Any, bits: int, group: int, damping: float) -> Any:
    """The same walk in float64 by least squares: after each column the rest is set to its optimum.

    With the first columns S fixed at q and the rest F free, the error (w - v)' H (w - v) is least at
    v_F = w_F - H_FF^-1 H_FS (q - w)_S: no Cholesky factor, no updates.
    """
    original, moments = weight.double(), moments.double().clone()
    moments.diagonal().add_(damping * moments.diagonal().mean())
    fixed = torch.zeros_like(original)
    scale = None
    for at in range(original.shape[1]):
        now = original.clone()
        if at:
            free = slice(at, None)
            pull = torch.linalg.solve(moments[free, free], moments[free, :at])
            now[:, free] -= (fixed[:, :at] - original[:, :at]) @ pull.T
        if at % group == 0:
            scale = scales_of(now[:, at : at + group].float(), bits, torch.float32).double()
        bound = 2 ** (bits - 1)
        fixed[:, at] = (torch.clamp(torch.round(now[:, at : at + 1] / scale), -bound, bound - 1) * scale)[
            :, 0
        ]
    return fixed.float()


# Columns beyond one block, groups that divide a block, fill it and straddle its end.
@pytest.mark.parametrize(("columns", "group"), [(12, 4), (160, 32), (160, 80), (192, 192)])
@pytest.mark.parametrize("bits", [3, 4])
def test_gptq_is_the_walk_by_least_squares(columns: int, group: int, bits: int) -> None:
    torch.manual_seed(1)
    weight, moments = torch.randn(6, columns), seen(columns)
    found = rounded_by_gptq(weight, moments, bits, group, torch.float32, 0.01)
    wanted = exact(weight, moments, bits, group, 0.01)
    # A tie may be rounded the other way in float32, and moves all that follows in its row.
    same = (torch.isclose(found.values, wanted, atol=1e-4)).all(dim=1)
    assert int(same.sum()) >= 5
    assert found.scales.shape == (6, columns // group)


def test_gptq_changes_outputs_less_than_rounding_to_nearest() -> None:
    torch.manual_seed(2)
    weight, moments = torch.randn(64, 128), seen(128)
    by_gptq = rounded_by_gptq(weight, moments, 4, 32, torch.bfloat16).values
    nearest = round_to_nearest(weight, 4, 32, torch.bfloat16).values
    assert output_error(weight, by_gptq, moments) < 0.7 * output_error(weight, nearest, moments)


def test_inputs_that_never_differ_make_it_rounding_to_nearest() -> None:
    torch.manual_seed(4)
    weight = torch.randn(8, 64)
    found = rounded_by_gptq(weight, torch.eye(64), 4, 32, torch.float32)
    assert torch.equal(found.values, round_to_nearest(weight, 4, 32, torch.float32).values)


def test_output_error_is_that_of_the_outputs() -> None:
    torch.manual_seed(5)
    weight, values, inputs = torch.randn(4, 8), torch.randn(4, 8), torch.randn(100, 8)
    before, after = inputs @ weight.T, inputs @ values.T
    wanted = float(((after - before) ** 2).sum() / (before**2).sum())
    assert output_error(weight, values, inputs.T @ inputs) == pytest.approx(wanted, rel=1e-4)


def test_a_row_of_zeros_and_an_input_that_never_came() -> None:
    torch.manual_seed(6)
    weight, moments = torch.randn(4, 32), seen(32)
    weight[1] = 0
    moments[3, :] = moments[:, 3] = 0
    found = rounded_by_gptq(weight, moments, 4, 16, torch.float16)
    assert bool(torch.isfinite(found.values).all())
    assert not found.values[1].any()


def test_moments_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(EngineError, match="span too little"):
        rounded_by_gptq(torch.randn(4, 8), torch.full((8, 8), float("nan")), 4, 8, torch.float32)
