"""The hot loops of the k-RSB networks, compiled for the CPU: fused, tiled, float32.

`SKRSB` calls `logits` and `draw` in place of its plain torch form, which stays the reference. Both
work on the transposed batch, spins (n, batch), so that the innermost loops run over samples and
vectorise. Nothing of size (batch, n, n) is ever stored: the forward pass keeps the fields xi of a
tile of samples and updates them by the recurrence of Paper Eq. (10); the backward pass treats one
spin l after the other, whose field xi_il for all i < l is again a recurrence, and computes each
log-sigmoid once more.

ln sigma(u) = min(u, 0) - ln(1 + e^-|u|), with polynomials for 2^f and ln(1 + e)/e whose error is
that of float32. The loops use no library function, since those would not vectorise.
"""

import numpy as np
import torch
from numba import get_num_threads, njit, prange, set_num_threads
from numpy.polynomial import Chebyshev, Polynomial

TILE = 256  # samples whose fields stay in cache
_F = np.float32
_LOG2E = _F(1 / np.log(2))


def _polynomial(function, low, high, degree):
    """float32 coefficients of the Chebyshev interpolant of `function` on [low, high]."""
    fit = Chebyshev.interpolate(lambda t: function(t), degree, domain=[low, high])
    return fit.convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1]).coef.astype(np.float32)


_E0, _E1, _E2, _E3, _E4, _E5, _E6 = _polynomial(np.exp2, -0.5, 0.5, 6)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = _polynomial(lambda t: np.log1p(t) / t, 0, 1, 8)

# Sums may be reordered, which vectors need; NaN and infinity keep their meaning. Without the NumPy
# error model every division would hide a branch. The helpers are inlined by Numba itself: linked as
# functions of their own they would round differently when compiled and when loaded from the cache.
_fused = {"fastmath": {"reassoc", "contract", "nsz", "arcp"}, "error_model": "numpy", "cache": True}


@njit(inline="always")
def _exp_minus(t):
    """e^-t for t >= 0, as 2^r 2^f with an integer r and |f| <= 1/2."""
    y = max(-t * _LOG2E, _F(-126))
    r = np.floor(y + _F(0.5))
    f = y - r
    p = _E0 + f * (_E1 + f * (_E2 + f * (_E3 + f * (_E4 + f * (_E5 + f * _E6)))))
    return p * np.int32((np.int32(r) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(inline="always")
def _log1p(e):
    """ln(1 + e) for 0 <= e <= 1."""
    p = _L3 + e * (_L4 + e * (_L5 + e * (_L6 + e * (_L7 + e * _L8))))
    return e * (_L0 + e * (_L1 + e * (_L2 + e * p)))


@njit(inline="always")
def _log_sigmoid(below, bias, weight, out):
    """out = ln sigma(bias + weight * below); the two rows must not overlap."""
    for b in range(out.shape[0]):
        u = bias + weight * below[b]
        out[b] = min(u, _F(0)) - _log1p(_exp_minus(abs(u)))


@njit(inline="always")
def _log_sigmoid_and_slope(below, bias, weight, out, slope):
    """The same, and its derivative in u, sigma(-u)."""
    for b in range(out.shape[0]):
        u = bias + weight * below[b]
        e = _exp_minus(abs(u))
        out[b] = min(u, _F(0)) - _log1p(e)
        half = _F(1) / (_F(1) + e)
        slope[b] = half if u <= _F(0) else _F(1) - half


@njit(inline="always")
def _add_scaled(row, scale, out):
    for b in range(out.shape[0]):
        out[b] += scale * row[b]


@njit(inline="always")
def _dot(a, c):
    total = _F(0)
    for b in range(a.shape[0]):
        total += a[b] * c[b]
    return total


@njit(inline="always")
def _times_slope(t, slope, below):
    """t *= slope; the sums of t and of t * below."""
    total, with_below = _F(0), _F(0)
    for b in range(t.shape[0]):
        value = t[b] * slope[b]
        t[b] = value
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
def _add_hidden(i, xi, contact, weights, biases, offset, rows, logit):
    """Add the nested log-sigmoids of conditional i to its logits (tile,)."""
    layers = biases.shape[0]
    constant = _F(0)
    for later in range(i + 1, xi.shape[0]):
        p = offset + later - i - 1
        varies = contact[later] < i
        width = xi.shape[1] if varies else 1
        for s in range(2):
            below = xi[later, :width]
            for j in range(layers - 1, -1, -1):
                above = rows[j % 2, :width]
                _log_sigmoid(below, biases[j, s, p], weights[j + 1, s, p], above)
                below = above
            if varies:
                _add_scaled(below, weights[0, s, p], logit)
            else:
                constant += weights[0, s, p] * below[0]
    for b in range(logit.shape[0]):
        logit[b] += constant


@njit(parallel=True, **_fused)
def _forward(first, learned, omega, base, weights, biases, x, noise, logits):
    """Fill logits (n, batch); where there is noise, of one sample at least, draw x from it too."""
    n, batch = x.shape
    contact = _first_contact(first, learned)
    for tile in prange((batch + TILE - 1) // TILE):
        low = tile * TILE
        high = min(batch, low + TILE)
        xi = np.zeros((n, high - low), np.float32)
        rows = np.empty((2, high - low), np.float32)
        offset = 0
        for i in range(n):
            logit, spin = logits[i, low:high], x[i, low:high]
            for b in range(high - low):
                logit[b] = base[i] + omega[i] * xi[i, b]
            _add_hidden(i, xi, contact, weights, biases, offset, rows, logit)
            offset += n - 1 - i
            if noise.shape[1]:
                for b in range(high - low):
                    spin[b] = np.copysign(_F(1), logit[b] - noise[i, low + b])
            for later in range(i + 1, n):
                if first[i, later] != 0:
                    _add_scaled(spin, first[i, later], xi[later])


@njit(parallel=True, **_fused)
def _backward(first, omega, weights, biases, x, grad, d_weights, d_biases, d_omega, d_first):
    """Gradients, given those of the logits, grad (n, batch); d_first only if it has rows."""
    n, batch = x.shape
    layers = biases.shape[0]
    learned = d_first.shape[0] > 0
    contact = _first_contact(first, learned)
    totals = np.empty(n, np.float32)
    for i in range(n):
        totals[i] = _total(grad[i])
    # The work on spin l grows with l. One of the last half and one of the first half together are
    # the same work for each turn of the loop, so the threads end at the same time.
    for index in prange((n + 1) // 2):
        turn = np.int64(index)  # prange counts in uint64, which Numba turns into floats
        for half in range(1 if turn == n - 1 - turn else 2):
            later = turn if half else n - 1 - turn
            xi, t = np.zeros(batch, np.float32), np.empty(batch, np.float32)
            values = np.empty((layers + 1, batch), np.float32)
            slopes = np.empty((layers, batch), np.float32)
            d_xi = np.zeros(batch, np.float32)  # summed over the conditionals up to i
            for i in range(later):
                p = i * (n - 1) - i * (i - 1) // 2 + later - i - 1
                width = batch if contact[later] < i else 1
                grad_i = grad[i] if width == batch else totals[i : i + 1]
                values[layers, :width] = xi[:width]
                for s in range(2):
                    for j in range(layers - 1, -1, -1):
                        bias, weight = biases[j, s, p], weights[j + 1, s, p]
                        below, value = values[j + 1, :width], values[j, :width]
                        _log_sigmoid_and_slope(below, bias, weight, value, slopes[j, :width])
                    d_weights[0, s, p] = _dot(grad_i, values[0, :width])
                    t[:width] = grad_i
                    scale = weights[0, s, p]
                    for j in range(layers):
                        below = values[j + 1, :width]
                        total, with_below = _times_slope(t[:width], slopes[j, :width], below)
                        d_biases[j, s, p] = scale * total
                        d_weights[j + 1, s, p] = scale * with_below
                        scale *= weights[j + 1, s, p]
                    if learned:
                        _add_scaled(t, scale, d_xi)
                if learned:
                    d_first[i, later] = -_dot(x[i], d_xi)
                if first[i, later] != 0:
                    _add_scaled(x[i], first[i, later], xi)
            d_omega[later] = _dot(grad[later], xi)
            if learned:
                # W_sl acts in the conditionals s < i <= l: the sum over all i less that up to s.
                _add_scaled(grad[later], omega[later], d_xi)
                for i in range(later):
                    d_first[i, later] += _dot(x[i], d_xi)


class _Network(torch.autograd.Function):
    """(spins, logits), both (n, batch), of given spins or of spins drawn from noise."""

    @staticmethod
    def forward(ctx, spins, noise, first, omega, base, weights, biases):
        _use_threads_of_torch()
        spins = spins.clone(memory_format=torch.contiguous_format)
        logits = torch.empty_like(spins)
        numbers = map(_array, (omega, base, weights, biases, spins, noise, logits))
        _forward(_array(first), ctx.needs_input_grad[2], *numbers)
        ctx.save_for_backward(spins, first, omega, weights, biases)
        ctx.mark_non_differentiable(spins)
        return spins, logits

    @staticmethod
    def backward(ctx, _, grad):
        spins, first, omega, weights, biases = ctx.saved_tensors
        _use_threads_of_torch()
        learned = ctx.needs_input_grad[2]
        d_first = torch.zeros_like(first) if learned else first.new_empty(0, 0)
        d_weights, d_biases, d_omega = map(torch.empty_like, (weights, biases, omega))
        given = (first, omega, weights, biases, spins, grad)
        _backward(*map(_array, (*given, d_weights, d_biases, d_omega, d_first)))
        d_first = d_first if learned else None
        return None, None, d_first, d_omega, grad.sum(1), d_weights, d_biases


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


def _start_threads():
    """Start Numba's threads and return their number; PyTorch's own number stays what it was.

    Both may share one OpenMP library, whose number Numba sets when it starts.
    """
    chosen = torch.get_num_threads()
    most = get_num_threads()
    torch.set_num_threads(chosen)
    return most


_MOST_THREADS = _start_threads()


def _use_threads_of_torch():
    set_num_threads(min(torch.get_num_threads(), _MOST_THREADS))


def _array(tensor):
    return tensor.detach().contiguous().numpy()
