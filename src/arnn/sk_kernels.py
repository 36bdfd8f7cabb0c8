"""The hot loops of the k-RSB networks, compiled for the CPU: fused, tiled, float32.

`SKRSB` calls `logits` and `draw` in place of its plain torch form, which stays the reference. Both
work on the transposed batch, spins (n, batch), so that the innermost loops run over samples and
vectorise. Nothing of size (batch, n, n) is ever stored: the forward pass keeps the fields xi of a
chunk of samples and updates them by the recurrence of Paper Eq. (10); the backward pass treats one
spin l after the other, whose field xi_il for all i < l is again a recurrence, and computes each
log-sigmoid once more.

What conditional i works out depends on the spins before i alone, the past. Samples with the same
past share the work: their fields are kept once, and their gradients are summed first. There are at
most 2^i pasts, and at low temperatures fewer, so the first conditionals cost little.

Inside, all is in base 2: a log-sigmoid is log2 sigma = min(u, 0) - log2(1 + 2^-|u|), with u in
units of ln 2, which saves a multiplication for each. 2^f and log2(1 + e) are polynomials with
errors of 3e-6, since ln Q is wanted to 1e-5 and gradients to 1e-4. No estimate is biased by that:
sampling and likelihood use the same function, so Q stays an exactly normalised distribution. The
loops use no library function, since those would not vectorise.
"""

import numpy as np
import torch
from numba import njit, prange
from numpy.polynomial import Chebyshev, Polynomial

from .compiled import FUSED, as_array, compile_in_another_process, use_threads_of_torch

CHUNK = 1024  # samples that are told apart by their pasts
TILE = 512  # pasts whose rows of numbers stay in the first-level cache
VECTOR = 32  # rows are filled up to a multiple of this, so that vectors leave no rest
_F = np.float32
_LOG2E, _LN2 = _F(1 / np.log(2)), _F(np.log(2))


def _polynomial(function, low, high, degree):
    """float32 coefficients of the Chebyshev interpolant of `function` on [low, high]."""
    fit = Chebyshev.interpolate(lambda t: function(t), degree, domain=[low, high])
    return fit.convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1]).coef.astype(np.float32)


_E0, _E1, _E2, _E3, _E4 = _polynomial(np.exp2, -0.5, 0.5, 4)
# Zero is one of the points of interpolation, so the constant of the logarithm vanishes.
_LOWEST_NODE = -np.cos(np.pi / 14)
_, _L0, _L1, _L2, _L3, _L4, _L5 = _polynomial(
    lambda t: np.log2(1 + t), (1 + _LOWEST_NODE) / (_LOWEST_NODE - 1), 1, 6
)


# The float32 numbers about 1.5 * 2^23 are the integers, and their last bits count them.
_ROUNDER = _F(1.5 * 2**23)
_ROUNDER_BITS = np.int32(_ROUNDER.view(np.int32))


@njit(inline="always")
def _exp2_minus(t):
    """2^-t for t >= 0, as 2^r 2^f with an integer r, added to the exponent, and |f| <= 1/2."""
    y = max(-t, _F(-126))
    r = np.int32(_F(y + _ROUNDER).view(np.int32) - _ROUNDER_BITS)
    f = y - _F(r)
    p = _E0 + f * (_E1 + f * (_E2 + f * (_E3 + f * _E4)))
    return np.int32(_F(p).view(np.int32) + np.int32(r << np.int32(23))).view(np.float32)


@njit(inline="always")
def _log2_1p(e):
    """log2(1 + e) for 0 <= e <= 1."""
    return e * (_L0 + e * (_L1 + e * (_L2 + e * (_L3 + e * (_L4 + e * _L5)))))


@njit(inline="always")
def _slope(u, e):
    """sigma(-u ln 2) from e = 2^-|u|."""
    return (_F(1) if u < _F(0) else e) / (_F(1) + e)


@njit(inline="always")
def _log2_sigmoid(below, bias, weight, out):
    """out = log2 sigma(ln 2 (bias + weight * below)); the two rows must not overlap."""
    for b in range(out.shape[0]):
        u = bias + weight * below[b]
        out[b] = (u if u < _F(0) else _F(0)) - _log2_1p(_exp2_minus(abs(u)))


@njit(inline="always")
def _add_log2_sigmoid(below, bias, weight, scale, out):
    """The same, times scale, added to out: the outermost layer."""
    for b in range(out.shape[0]):
        u = bias + weight * below[b]
        out[b] += scale * ((u if u < _F(0) else _F(0)) - _log2_1p(_exp2_minus(abs(u))))


@njit(inline="always")
def _log2_sigmoid_and_slope(below, bias, weight, out, slope):
    """As `_log2_sigmoid`, and its derivative in bias + weight * below."""
    for b in range(out.shape[0]):
        u = bias + weight * below[b]
        e = _exp2_minus(abs(u))
        out[b] = (u if u < _F(0) else _F(0)) - _log2_1p(e)
        slope[b] = _slope(u, e)


@njit(inline="always")
def _outermost(below, bias, weight, grad, out):
    """out = grad * slope, of the outermost layer.

    Returns:
        The sums of grad * log2 sigma(ln 2 (bias + weight * below)), of out, and of out * below.
    """
    with_value, total, with_below = _F(0), _F(0), _F(0)
    for b in range(out.shape[0]):
        u = bias + weight * below[b]
        e = _exp2_minus(abs(u))
        value = grad[b] * _slope(u, e)
        out[b] = value
        with_value += grad[b] * ((u if u < _F(0) else _F(0)) - _log2_1p(e))
        total += value
        with_below += value * below[b]
    return with_value, total, with_below


@njit(inline="always")
def _add_scaled(row, scale, out):
    """Add as many entries as `out` has."""
    for b in range(out.shape[0]):
        out[b] += scale * row[b]


@njit(inline="always")
def _dot(a, c):
    """The sum of products over as many entries as `a` has."""
    total = _F(0)
    for b in range(a.shape[0]):
        total += a[b] * c[b]
    return total


@njit(inline="always")
def _times_slope(upstream, slope, below, out):
    """out = upstream * slope; the sums of out and of out * below."""
    total, with_below = _F(0), _F(0)
    for b in range(upstream.shape[0]):
        value = upstream[b] * slope[b]
        out[b] = value
        total += value
        with_below += value * below[b]
    return total, with_below


@njit(inline="always")
def _total(row):
    total = _F(0)
    for b in range(row.shape[0]):
        total += row[b]
    return total


@njit(inline="always")
def _first_contact(first, learned):
    """The first spin that acts on each, (n,): no later conditional has a field of zero on it.

    Up to there the field is the same, zero, in every sample, and its log-sigmoids are worked out
    once instead of for each sample. On a lattice most fields are of this kind. Not for a first
    layer that is learned, whose gradient needs every sample.
    """
    n = first.shape[0]
    if learned:
        return np.full(n, -1)
    contact = np.zeros(n, np.int64)
    for later in range(n):
        while contact[later] < later and first[contact[later], later] == 0:
            contact[later] += 1
    return contact


@njit(inline="always")
def _padded(count):
    """The length of a row for `count` pasts; what stands beyond them in a row acts on nothing."""
    return (count + VECTOR - 1) // VECTOR * VECTOR


@njit(inline="always")
def _one_past(past, all_differ):
    """Put all samples into past 0, or each into its own; returns the number of pasts."""
    for b in range(past.shape[0]):
        past[b] = b if all_differ else 0
    return past.shape[0] if all_differ else 1


@njit(inline="always")
def _split(spin, count, past, parent, side, child):
    """Tell `count` pasts apart by one more spin of the samples; returns how many there are then.

    Of a past with both values one keeps its number, and the other becomes a new past at the end.

    Args:
        spin: the spin of each sample.
        past: the past of each sample, (samples,); updated.
        parent: the past that each one was a part of; filled for the new ones.
        side: filled with the spin of each past.
        child: room for as many integers as there are samples.
    """
    for g in range(count):
        side[g], child[g] = _F(0), -1
    new = count
    for b in range(spin.shape[0]):
        g = past[b]
        if side[g] == _F(0):
            side[g] = spin[b]
        elif side[g] != spin[b]:
            if child[g] < 0:
                child[g], parent[new], side[new] = new, g, spin[b]
                new += 1
            past[b] = child[g]
    return new


@njit(inline="always")
def _extend(row, count, parent, new):
    """Copy the field of each past to those that were split from it."""
    for g in range(count, new):
        row[g] = row[parent[g]]


@njit(inline="always")
def _add_hidden(i, low, high, xi, contact, weights, biases, offset, rows, logit):
    """Add the nested log-sigmoids of conditional i to the logits of the pasts low to high."""
    layers = biases.shape[0]
    constant = np.zeros(1, _F)
    for later in range(i + 1, xi.shape[0]):
        p = offset + later - i - 1
        varies = contact[later] < i
        width = high - low if varies else 1
        for s in range(2):
            below = xi[later, low : low + width]
            unit = _LOG2E  # the field is in natural units, the rows above it in units of ln 2
            for j in range(layers - 1, 0, -1):
                above = rows[j % 2, :width]
                _log2_sigmoid(below, _LOG2E * biases[j, s, p], unit * weights[j + 1, s, p], above)
                below, unit = above, _F(1)
            bias, weight, scale = biases[0, s, p], unit * weights[1, s, p], _LN2 * weights[0, s, p]
            out = logit[low:high] if varies else constant
            _add_log2_sigmoid(below, _LOG2E * bias, weight, scale, out)
    for g in range(low, high):
        logit[g] += constant[0]


@njit(parallel=True, **FUSED)
def _forward(first, learned, omega, base, weights, biases, x, noise, logits):
    """Fill logits (n, batch); where there is noise, of one sample at least, draw x from it too."""
    n, batch = x.shape
    contact = _first_contact(first, learned)
    for chunk in prange((batch + CHUNK - 1) // CHUNK):
        start = np.int64(chunk) * CHUNK  # prange counts in uint64
        size = min(CHUNK, batch - start)
        past, parent, child = np.empty((3, size), np.int32)
        count = _one_past(past, learned)
        xi, rows = np.zeros((n, _padded(size)), _F), np.empty((2, TILE), _F)
        logit, side = np.empty(_padded(size), _F), np.zeros(_padded(size), _F)
        offset = 0
        for i in range(n):
            width = _padded(count)
            for g in range(width):
                logit[g] = base[i] + omega[i] * xi[i, g]
            for low in range(0, width, TILE):
                high = min(width, low + TILE)
                _add_hidden(i, low, high, xi, contact, weights, biases, offset, rows, logit)
            offset += n - 1 - i
            for b in range(size):
                logits[i, start + b] = logit[past[b]]
            if noise.shape[1]:
                for b in range(start, start + size):
                    x[i, b] = np.copysign(_F(1), logits[i, b] - noise[i, b])
            new = _split(x[i, start : start + size], count, past, parent, side, child)
            for later in range(i + 1, n):
                _extend(xi[later], count, parent, new)
                if first[i, later] != 0:
                    _add_scaled(side, first[i, later], xi[later, : _padded(new)])
            count = new


@njit(inline="always")
def _add_pair(p, grad, xi, rows, numbers, d_xi):
    """Add the gradients of the numbers of pair p, given its logit's, and of its field xi.

    All rows have one entry a past. d_xi may be empty.
    """
    values, slopes, t = rows
    weights, biases, d_weights, d_biases = numbers
    layers, width = biases.shape[0], len(grad)
    for s in range(2):
        below, unit = xi, _LOG2E
        for j in range(layers - 1, 0, -1):
            bias, weight = _LOG2E * biases[j, s, p], unit * weights[j + 1, s, p]
            _log2_sigmoid_and_slope(below, bias, weight, values[j, :width], slopes[j, :width])
            below, unit = values[j, :width], _F(1)
        bias, weight, scale = _LOG2E * biases[0, s, p], unit * weights[1, s, p], weights[0, s, p]
        with_value, total, with_below = _outermost(below, bias, weight, grad, t[0, :width])
        d_weights[0, s, p] += _LN2 * with_value
        for j in range(layers):
            if j > 0:
                below = values[j + 1, :width] if j + 1 < layers else xi
                upstream, slope = t[(j - 1) % 2, :width], slopes[j, :width]
                total, with_below = _times_slope(upstream, slope, below, t[j % 2, :width])
            unit = _LN2 if j + 1 < layers else _F(1)
            d_biases[j, s, p] += scale * total
            d_weights[j + 1, s, p] += scale * unit * with_below
            scale *= weights[j + 1, s, p]
        _add_scaled(t[(layers - 1) % 2], scale, d_xi)


@njit(parallel=True, **FUSED)
def _gather(x, grad, learned, counts, parents, sides, grads):
    """Fill what the backward pass wants to know of the pasts, one row of them for each chunk.

    Args:
        counts: (chunks, n+1): how many pasts each conditional tells apart.
        parents: (chunks, CHUNK): the past that each one was split from.
        sides: (chunks, n, CHUNK): the spin that follows each past.
        grads: (chunks, n, CHUNK): the gradients of the logits, summed over the samples of each
            past; zero where there is no past.
    """
    n, batch = x.shape
    for chunk in prange(counts.shape[0]):
        start = np.int64(chunk) * CHUNK
        end = min(batch, start + CHUNK)
        past, child = np.empty((2, end - start), np.int32)
        counts[chunk, 0] = _one_past(past, learned)
        for i in range(n):
            for b in range(end - start):
                grads[chunk, i, past[b]] += grad[i, start + b]
            spin, parent, side = x[i, start:end], parents[chunk], sides[chunk, i]
            counts[chunk, i + 1] = _split(spin, counts[chunk, i], past, parent, side, child)


@njit(parallel=True, **FUSED)
def _backward(first, learned, omega, weights, biases, pasts, d_weights, d_biases, d_omega, d_first):
    """Add the gradients, from what `_gather` found; d_first if the first layer is learned."""
    counts, parents, sides, grads = pasts
    chunks, n = sides.shape[:2]
    layers = biases.shape[0]
    contact = _first_contact(first, learned)
    totals = np.zeros(n, np.float32)
    for chunk in range(chunks):
        for i in range(n):
            totals[i] += _total(grads[chunk, i])
    # The work on spin l grows with l. One of the last half and one of the first half together are
    # the same work for each turn of the loop, so the threads end at the same time.
    for index in prange((n + 1) // 2):
        turn = np.int64(index)  # prange counts in uint64, which Numba turns into floats
        field, d_field = np.empty(CHUNK, _F), np.empty(CHUNK * learned, _F)
        rows = (np.empty((layers, TILE), _F), np.empty((layers, TILE), _F), np.empty((2, TILE), _F))
        numbers = (weights, biases, d_weights, d_biases)
        for half in range(1 if turn == n - 1 - turn else 2):
            later = turn if half else n - 1 - turn
            for chunk in range(chunks):
                parent = parents[chunk]
                field[:], d_field[:] = 0, 0  # d_field is summed over the conditionals up to i
                for i in range(later):
                    p = i * (n - 1) - i * (i - 1) // 2 + later - i - 1
                    count, new = counts[chunk, i], counts[chunk, i + 1]
                    side = sides[chunk, i, : _padded(new)]
                    if contact[later] < i:
                        for low in range(0, _padded(count), TILE):
                            high = min(_padded(count), low + TILE)
                            upstream, d_xi = grads[chunk, i, low:high], d_field[low:high]
                            _add_pair(p, upstream, field[low:high], rows, numbers, d_xi)
                    elif chunk == 0:
                        _add_pair(p, totals[i : i + 1], field[:1], rows, numbers, d_field)
                    if learned:
                        d_first[i, later] -= _dot(side, d_field)
                    _extend(field, count, parent, new)
                    if first[i, later] != 0:
                        _add_scaled(side, first[i, later], field[: _padded(new)])
                grad_later = grads[chunk, later]
                d_omega[later] += _dot(grad_later, field)
                if learned:
                    # W_sl acts in the conditionals s < i <= l: the sum over all i, less that up
                    # to s, which is subtracted above.
                    _add_scaled(grad_later, omega[later], d_field)
                    for i in range(later):
                        d_first[i, later] += _dot(sides[chunk, i], d_field)


class _Network(torch.autograd.Function):
    """(spins, logits), both (n, batch), of given spins or of spins drawn from noise."""

    @staticmethod
    def forward(ctx, spins, noise, first, omega, base, weights, biases):
        use_threads_of_torch()
        spins = spins.clone(memory_format=torch.contiguous_format)
        logits = torch.empty_like(spins)
        numbers = map(as_array, (omega, base, weights, biases, spins, noise, logits))
        _forward(as_array(first), ctx.needs_input_grad[2], *numbers)
        ctx.save_for_backward(spins, first, omega, weights, biases)
        ctx.mark_non_differentiable(spins)
        return spins, logits

    @staticmethod
    def backward(ctx, _, grad):
        spins, first, omega, weights, biases = ctx.saved_tensors
        use_threads_of_torch()
        learned = ctx.needs_input_grad[2]
        d_first = torch.zeros_like(first) if learned else first.new_empty(0, 0)
        d_weights, d_biases, d_omega = map(torch.zeros_like, (weights, biases, omega))
        pasts = _pasts(spins, grad, learned)
        given = map(as_array, (omega, weights, biases))
        found = map(as_array, (d_weights, d_biases, d_omega, d_first))
        _backward(as_array(first), learned, *given, pasts, *found)
        d_first = d_first if learned else None
        return None, None, d_first, d_omega, grad.sum(1), d_weights, d_biases


def _pasts(spins, grad, learned):
    """The pasts of a batch as `_backward` takes them; a learned first layer wants every sample."""
    n, batch = spins.shape
    chunks = -(-batch // CHUNK)
    counts = np.empty((chunks, n + 1), np.int64)
    parents = np.empty((chunks, CHUNK), np.int32)
    sides, grads = np.zeros((2, chunks, n, CHUNK), _F)
    _gather(as_array(spins), as_array(grad), learned, counts, parents, sides, grads)
    return counts, parents, sides, grads


def logits(spins, layers):
    """The logits (n, batch) of spins (n, batch), differentiable in the layers.

    Args:
        spins: float32 on the CPU.
        layers: float32 on the CPU: couplings (n, n), of which row s acts on l > s; omega (n,) and
            base (n,), whose sum omega_i xi_ii + base_i is the direct term; weights (k+2, 2, P) and
            biases (k+1, 2, P) over the P = n(n-1)/2 pairs i < l, sorted by i.
    """
    return _Network.apply(spins, spins.new_empty(len(spins), 0), *layers)[1]


def draw(noise, layers):
    """Spins (n, batch) and their logits: x_i = +1 where the logistic noise (n, batch) is smaller.

    The logits are differentiable in the layers, so training needs no second forward pass.
    """
    return _Network.apply(torch.empty_like(noise), noise, *layers)


def compile_loops():
    """Use every loop once, on a system of three spins."""
    rows, pairs = torch.ones(3, 3), torch.ones(2, 2, 3)
    numbers = (rows[0], rows[0], torch.ones(3, 2, 3), pairs)
    numbers = [number.clone().requires_grad_() for number in numbers]
    draw(torch.zeros(3, 2), (rows, *numbers))[1].sum().backward()


compile_in_another_process(__name__, _forward)
