"""GPTQ: rounding a matrix column by column, each time moving what is lost into the columns that are left."""

from __future__ import annotations

from typing import NamedTuple

from tais.errors import EngineError
from tais.lab.packages import torch

__all__ = ["Rounded", "output_error", "round_to_nearest", "rounded_by_gptq", "scales_of"]

# Columns that are settled together before the rest of the matrix hears of it: the same numbers, less memory.
_BLOCK = 128


class Rounded(NamedTuple):
    """A matrix of whole numbers times a scale per row and group of columns."""

    values: torch.Tensor
    """float32 (rows, columns): what the packed matrix stands for."""
    scales: torch.Tensor
    """(rows, groups) in the dtype that is stored."""


def scales_of(weight: torch.Tensor, bits: int, dtype: torch.dtype) -> torch.Tensor:
    """Return symmetric scales so that the largest number of each row is kept.

    Parameters
    ----------
    weight
        float32 (rows, columns) of one group.
    bits
        Of each number.
    dtype
        That scales are stored in; what is returned is rounded to it.

    Returns
    -------
    tensor
        (rows, 1), never 0. The range is -2^(bits - 1) to 2^(bits - 1) - 1, so the scale is the largest
        magnitude over (2^bits - 1) / 2, as compressed-tensors has it.
    """
    largest = weight.abs().amax(dim=1, keepdim=True)
    scale = (largest / ((2**bits - 1) / 2)).to(dtype)
    # A row of zeros, or a scale too small for the dtype.
    return torch.where(scale == 0, torch.finfo(dtype).eps * torch.ones_like(scale), scale)


def _nearest(weight: torch.Tensor, scale: torch.Tensor, bits: int) -> torch.Tensor:
    scale = scale.float()
    return torch.clamp(torch.round(weight / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * scale


def round_to_nearest(weight: torch.Tensor, bits: int, group: int, dtype: torch.dtype) -> Rounded:
    """Round each number to the nearest that can be stored; parameters as of :func:`rounded_by_gptq`."""
    values, scales = [], []
    for part in weight.float().split(group, dim=1):
        scale = scales_of(part, bits, dtype)
        scales.append(scale)
        values.append(_nearest(part, scale, bits))
    return Rounded(torch.cat(values, dim=1), torch.cat(scales, dim=1))


def rounded_by_gptq(
    weight: torch.Tensor,
    moments: torch.Tensor,
    bits: int,
    group: int,
    dtype: torch.dtype,
    damping: float = 0.01,
) -> Rounded:
    """Round a matrix so that its outputs change least on the inputs that were seen.

    Parameters
    ----------
    weight
        (rows, columns): outputs by inputs.
    moments
        (columns, columns): sum or mean of x x' over inputs x, in any unit.
    bits, group
        Of a number, and columns that share a scale; `group` divides the columns.
    dtype
        Of the scales.
    damping
        Added to the diagonal, as a share of its mean.

    Raises
    ------
    EngineError
        Where the moments are no numbers, or so flat that they cannot be inverted.

    Notes
    -----
    Columns are taken in their order, without sorting by activation. Greedy: not the least error possible.

    References
    ----------
    Frantar et al. (2023), GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers.
    """
    work, upper = weight.float().clone(), _upper_inverse(moments.float(), damping)
    values, scales = torch.zeros_like(work), []
    columns = work.shape[1]
    scale = None
    for first in range(0, columns, _BLOCK):
        last = min(first + _BLOCK, columns)
        lost = torch.zeros_like(work[:, first:last])
        for at in range(first, last):
            if at % group == 0:
                # Groups may reach beyond this block, whose losses the rest has not heard of yet.
                ahead = work[:, at : at + group].clone()
                if at + group > last:
                    ahead[:, last - at :] -= lost[:, : at - first] @ upper[first:at, last : at + group]
                scale = scales_of(ahead, bits, dtype)
                scales.append(scale)
            values[:, at] = _nearest(work[:, at : at + 1], scale, bits)[:, 0]
            loss = (work[:, at] - values[:, at]) / upper[at, at]
            work[:, at + 1 : last] -= loss[:, None] * upper[at, at + 1 : last]
            lost[:, at - first] = loss
        work[:, last:] -= lost @ upper[first:last, last:]
    return Rounded(values, torch.cat(scales, dim=1))


def _upper_inverse(moments: torch.Tensor, damping: float) -> torch.Tensor:
    """Return the upper Cholesky factor of the inverse moments."""
    moments = moments.clone()
    diagonal = moments.diagonal()
    # An input that never came does no harm, whatever its weights become.
    diagonal[diagonal == 0] = 1.0
    diagonal += damping * diagonal.mean()
    try:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(moments))
        upper = torch.linalg.cholesky(inverse, upper=True)
    except RuntimeError as error:
        remedy = "Give more calibration prompts, or a larger --damping"
        raise EngineError("the inputs of a layer span too little to quantise it", remedy=remedy) from error
    return upper


def output_error(weight: torch.Tensor, values: torch.Tensor, moments: torch.Tensor) -> float:
    """Return the mean squared change of the outputs over their mean square, on the inputs that were seen."""
    change, moments = values.float() - weight.float(), moments.float()
    size = torch.einsum("oi,ij,oj->", weight.float(), moments, weight.float())
    lost = torch.einsum("oi,ij,oj->", change, moments, change)
    return float(lost / size) if float(size) > 0 else 0.0
