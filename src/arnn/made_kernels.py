"""The hot loops of MADE and 1L, compiled for the CPU in float32: samples spin by spin.

`MADE` calls `draw` in place of its plain torch form, which stays the reference and asks PyTorch for
a dozen small products at each site. Here a tile of samples goes through all sites while its units
stay in the cache, and each acting weight is used once. The innermost loops run over the samples and
vectorise. The gradient is matrix products, which PyTorch does, with a loop for what lies between
them. They are of the units that the samples have left behind, so that training needs no second
forward pass.
"""

from itertools import pairwise

import numpy as np
import torch
from numba import njit, prange
from torch.nn.functional import prelu

from .compiled import FUSED, as_array, compile_in_another_process, use_threads_of_torch

TILE = 64  # samples that go through all sites together
_F = np.float32


@njit(inline="always")
def _weighted_sum(weights, values, bias, out):
    """out = bias + sum_s weights_s values_s, four rows of values at a time."""
    for b in range(TILE):
        out[b] = bias
    fours = len(weights) - len(weights) % 4
    for s in range(0, fours, 4):
        w0, w1, w2, w3 = weights[s], weights[s + 1], weights[s + 2], weights[s + 3]
        for b in range(TILE):
            left = w0 * values[s, b] + w1 * values[s + 1, b]
            out[b] += left + (w2 * values[s + 2, b] + w3 * values[s + 3, b])
    for s in range(fours, len(weights)):
        for b in range(TILE):
            out[b] += weights[s] * values[s, b]


@njit(inline="always")
def _put(source, target, low):
    """Copy a row of a tile that begins at sample `low` to its place in the batch."""
    for b in range(min(TILE, len(target) - low)):
        target[low + b] = source[b]


@njit(inline="always")
def _finish(i, n, units, weights, biases, slopes, values, low, hidden, own):
    """Finish the hidden units of site i in a tile's `values`; its logits are left in `own`.

    `below`, `first` and `behind` are where a layer's inputs, weights and outputs begin. Where
    `hidden` has columns, the hidden units before their PReLU go into it.
    """
    below, first, behind = 0, 0, 0
    for layer in range(len(units) - 1):
        inputs, outputs = units[layer], units[layer + 1]
        # Of the first layer the inputs are the spins before i, of others also i's own.
        seen = i if layer == 0 else (i + 1) * inputs
        for unit in range(i * outputs, (i + 1) * outputs):
            start = first + unit * n * inputs
            acting, given = weights[start : start + seen], values[below : below + seen]
            _weighted_sum(acting, given, biases[behind + unit], own)
            if layer < len(units) - 2:
                _put(own, hidden[behind + unit], low)
                slope, above = slopes[behind + unit], values[below + n * inputs + unit]
                for b in range(TILE):
                    above[b] = own[b] if own[b] > _F(0) else slope * own[b]
        below += n * inputs
        first += n * n * inputs * outputs
        behind += n * outputs


@njit(parallel=True, **FUSED)
def _draw(noise, units, weights, biases, slopes, spins, hidden, logits):
    """Fill spins and logits (n, batch), and `hidden` if it has columns, as `_finish` says."""
    n, batch = noise.shape
    for tile in prange(-(-batch // TILE)):
        low = tile * TILE
        values = np.zeros((n * units[:-1].sum(), TILE), _F)  # what goes into each layer
        own, spin = np.empty((2, TILE), _F)
        for i in range(n):
            _finish(i, n, units, weights, biases, slopes, values, low, hidden, own)
            for b in range(min(TILE, batch - low)):
                spin[b] = _F(1) if own[b] >= noise[i, low + b] else _F(-1)
                values[i, b] = spin[b]
            _put(own, logits[i], low)
            _put(spin, spins[i], low)


@njit(parallel=True, **FUSED)
def _return_through_prelu(grad, hidden, slopes, d_slopes):
    """Take grad (units, batch) back to before a PReLU, in place; d_slopes are of its slopes."""
    for unit in prange(len(slopes)):
        total, slope = _F(0), slopes[unit]
        for b in range(grad.shape[1]):
            z, g = hidden[unit, b], grad[unit, b]
            total += g * min(z, _F(0))
            grad[unit, b] = g if z > _F(0) else slope * g
        d_slopes[unit] = total


class _Network(torch.autograd.Function):
    """Spins and their logits, (n, batch) both, from noise, with a gradient in the layers."""

    @staticmethod
    def forward(ctx, noise, units, weights, biases, slopes):
        use_threads_of_torch()
        spins, logits = torch.empty_like(noise), torch.empty_like(noise)
        kept = noise.shape[1] if any(ctx.needs_input_grad) else 0
        hidden = noise.new_empty(len(slopes), kept)
        numbers = map(as_array, (weights, biases, slopes, spins, hidden, logits))
        _draw(as_array(noise), np.array(units), *numbers)
        ctx.units = units
        ctx.save_for_backward(spins, hidden, weights, slopes)
        ctx.mark_non_differentiable(spins)
        return spins, logits

    @staticmethod
    def backward(ctx, _, grad):
        use_threads_of_torch()
        spins, hidden, weights, slopes = ctx.saved_tensors
        rows = [len(spins) * units for units in ctx.units]
        d_weights, d_biases, d_slopes = [], [], torch.empty_like(slopes)
        weights = weights.split([inputs * outputs for inputs, outputs in pairwise(rows)])
        parts = zip(*(each.split(rows[1:-1]) for each in (hidden, slopes, d_slopes)), strict=True)
        for weight, (z, slope, d_slope) in reversed(list(zip(weights[1:], parts, strict=True))):
            # The layer whose inputs are the hidden units that were z before their PReLU.
            d_weights.insert(0, (grad @ prelu(z[None], slope)[0].T).flatten())
            d_biases.insert(0, grad.sum(1))
            grad = weight.view(len(grad), len(z)).T @ grad
            _return_through_prelu(*map(as_array, (grad, z, slope, d_slope)))
        d_weights.insert(0, (grad @ spins.T).flatten())
        d_biases.insert(0, grad.sum(1))
        return None, None, torch.cat(d_weights), torch.cat(d_biases), d_slopes


def draw(noise, units, weights, biases, slopes):
    """Spins (n, batch) and their logits: x_i = +1 where the logistic noise (n, batch) is no larger.

    The logits are differentiable in the layers, so training needs no second forward pass.

    Args:
        noise: float32 on the CPU.
        units: how many each site has of the spins (1), of each hidden layer, and of the logits (1).
        weights, biases, slopes: float32 on the CPU, of all layers one behind the other, a weight
            matrix row by row; the acausal weights must be zero, and slopes are of the hidden units.
    """
    return _Network.apply(noise, units, weights, biases, slopes)


def compile_loops():
    """Use both loops once, on a system of one spin."""
    one, two = torch.ones(1), torch.ones(2, requires_grad=True)
    draw(one[None], (1, 1, 1), two, two, one)[1].sum().backward()


compile_in_another_process(__name__, _draw)
