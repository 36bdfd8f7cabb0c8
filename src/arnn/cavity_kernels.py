"""The hot loops of the cavity network, compiled for the CPU in float32: all but matrix products.

An iteration of the TAP equations is two matrix products, which PyTorch does, and a dozen operations
on each entry, which one loop does here in one pass. The slopes of a logit in the gains are found as
in automatic differentiation, backwards through the iterations, again with one loop and two products
each. `Cavity` calls `logit` in place of its plain torch form, which stays the reference.

Products with what is known to be zero are left out: m(0) = 0, so the first iteration needs none,
and the reaction term is there from the third on.
"""

import numpy as np
import torch
from numba import njit, prange

from .compiled import FUSED, compile_in_another_process, use_threads_of_torch

CHUNK = 512  # pasts whose magnetisations of all iterations are in memory together
TILE = 128  # pasts that are treated together; rows are filled up to a multiple of it
_F = np.float32
# Lambert's continued fraction of tanh, cut off after the seventh level: v(1 + ...)/(1 + ...).
_N1, _N2, _N3 = (np.array((17325, 378, 1)) / 135135).astype(_F)
_D1, _D2, _D3 = (np.array((62370, 3150, 28)) / 135135).astype(_F)


@njit(inline="always")
def _tanh(u):
    """tanh u with errors of 2e-7: of u/2, then doubled, so that one division is enough."""
    v = _F(0.5) * min(max(u, _F(-9)), _F(9))
    w = v * v
    above = v * (_F(1) + w * (_N1 + w * (_N2 + w * _N3)))
    below = _F(1) + w * (_D1 + w * (_D2 + w * _D3))
    return _F(2) * above * below / (above * above + below * below)


@njit(inline="always")
def _inside(field, coupling, onsager, local, product, reaction, before, out):
    """out = what the tanh is taken of."""
    for b in range(out.shape[0]):
        out[b] = field * local[b] + coupling * product[b] - onsager * reaction[b] * before[b]


@njit(inline="always")
def _mix(memory, m, inside, after):
    """inside = its tanh; after = memory m + (1 - memory) tanh."""
    for b in range(m.shape[0]):
        inside[b] = _tanh(inside[b])
        after[b] = memory * m[b] + (_F(1) - memory) * inside[b]


@njit(inline="always")
def _variance(m, out):
    """out = 1 - m^2."""
    for b in range(out.shape[0]):
        out[b] = _F(1) - m[b] * m[b]


@njit(parallel=True, **FUSED)
def _iterate(beta, gains, local, product, reaction, before, m, fresh, after, variance):
    """One iteration of the later spins, all (spins, pasts): m(t+1) = `after`, and 1 - after^2.

    `product` is J m(t), `reaction` is J^2 (1 - m(t)^2), `before` is m(t-1), and `fresh` the tanh
    that enters into `after`.
    """
    field, coupling, onsager = beta * gains[0], beta * gains[1], beta * beta * gains[2]
    for tile in prange(local.shape[1]):
        for spin in range(local.shape[0]):
            new, mixed = fresh[spin, tile], after[spin, tile]
            near, first, second = local[spin, tile], product[spin, tile], reaction[spin, tile]
            _inside(field, coupling, onsager, near, first, second, before[spin, tile], new)
            _mix(gains[3], m[spin, tile], new, mixed)
            _variance(mixed, variance[spin, tile])


@njit(inline="always")
def _collect(own, by_product, by_reaction, after):
    """own = the slope of the logit in m(t+1), from its three parts."""
    for b in range(own.shape[0]):
        own[b] += by_product[b] - _F(2) * after[b] * by_reaction[b]


@njit(inline="always")
def _by_memory(whole, old, new, slope):
    """Add to the slope in the memory, which mixes old and new."""
    for b in range(slope.shape[0]):
        slope[b] += whole[b] * (old[b] - new[b])


@njit(inline="always")
def _through_tanh(scale, whole, new, out):
    """out = the slope of the logit in what the tanh is taken of, with the factors in `scale`."""
    for b in range(out.shape[0]):
        out[b] = scale * whole[b] * (_F(1) - new[b] * new[b])


@njit(inline="always")
def _add_product(a, c, out):
    """out += a c."""
    for b in range(out.shape[0]):
        out[b] += a[b] * c[b]


@njit(inline="always")
def _add_product_of_three(scale, a, c, d, out):
    """out += scale a c d."""
    for b in range(out.shape[0]):
        out[b] += scale * a[b] * c[b] * d[b]


@njit(inline="always")
def _to_earlier(memory, onsager, inside, reaction, own, left):
    """own = the slope in m(t) without products, and left = that in m(t-1) by the reaction."""
    for b in range(own.shape[0]):
        own[b] = memory * own[b] + left[b]
    for b in range(own.shape[0]):
        left[b] = -onsager * inside[b] * reaction[b]


@njit(inline="always")
def _to_products(coupling, onsager, inside, before, by_coupling, by_square):
    """What is to be multiplied by the couplings and by their squares."""
    for b in range(inside.shape[0]):
        by_coupling[b] = coupling * inside[b]
    for b in range(inside.shape[0]):
        by_square[b] = -onsager * inside[b] * before[b]


@njit(parallel=True, **FUSED)
def _go_back(beta, gains, local, product, reaction, before, m, fresh, after, grads, slopes):
    """The same iteration backwards: slopes (4, pasts) of the logit in its gains.

    The first of `grads` is its slope in m(t+1), as far as that acts in the iteration after this one
    by its memory and by its reaction; the second and third are to be added, one as it is and one
    times -2 m(t+1), from the products of that iteration. It leaves the same for m(t): the first,
    and in the fourth and fifth what is to be multiplied. The last is what m(t-1) gets by the
    reaction of this iteration.
    """
    coupling, onsager, memory = gains[1], beta * gains[2], gains[3]
    scale = beta * (_F(1) - memory)
    for tile in prange(local.shape[1]):
        sums, inside = np.zeros((4, TILE), _F), np.empty(TILE, _F)
        for spin in range(local.shape[0]):
            new, old, older = fresh[spin, tile], m[spin, tile], before[spin, tile]
            v, grad = reaction[spin, tile], grads[0, spin, tile]
            _collect(grad, grads[1, spin, tile], grads[2, spin, tile], after[spin, tile])
            _by_memory(grad, old, new, sums[3])
            _through_tanh(scale, grad, new, inside)
            _add_product(inside, local[spin, tile], sums[0])
            _add_product(inside, product[spin, tile], sums[1])
            _add_product_of_three(-beta, inside, v, older, sums[2])
            _to_earlier(memory, onsager, inside, v, grad, grads[5, spin, tile])
            _to_products(
                coupling, onsager, inside, older, grads[3, spin, tile], grads[4, spin, tile]
            )
        slopes[:, tile] = sums


def logit(couplings, squares, row, fields, beta, gains, readout, with_slopes):
    """The logit of a spin from the fields on it and on the later ones, and its slopes.

    Args:
        couplings, squares: (l, l) among the later spins, and squared; float32 on the CPU like all
            tensors here, and in sparse form if that is faster.
        row: (l,), the couplings of the spin to the later ones.
        fields: (1 + l, pasts), external and of the past, on the spin and on the later ones.
        beta: inverse temperature, a number.
        gains, readout: (depth, 4) and (2,), the parameters of this conditional.
        with_slopes: whether the slopes are wanted.

    Returns:
        The logit, (pasts,), and its slopes by the gains and the readout, (4 depth + 2, pasts), or
        None.
    """
    use_threads_of_torch()
    given = (couplings, squares, row, beta, gains, readout, with_slopes)
    pasts = fields.shape[1]
    filled = torch.nn.functional.pad(fields, (0, -pasts % TILE))
    chunks = [_chunk(part.contiguous(), *given) for part in filled.split(CHUNK, 1)]
    logits, slopes = zip(*chunks, strict=True)
    return torch.cat(logits)[:pasts], torch.cat(slopes, 1)[:, :pasts] if with_slopes else None


class _Tape:
    """What the iterations leave behind: each of them if they are to be gone back, else the last."""

    def __init__(self, local, depth, to_go_back):
        kept, states = (depth, depth + 2) if to_go_back else (1, 3)
        self._product, self._reaction, fresh = torch.zeros(3, kept, *local.shape)
        self._m = torch.zeros(states, *local.shape)  # m(t) in place t + 1
        arrays = map(_in_tiles, (local, self._product, self._reaction, fresh, self._m))
        self._local, *self._of_iteration, self._states = arrays

    def products(self, t):
        """Where the products of iteration t go: by the couplings, and by their squares."""
        now = t % len(self._product)
        return self._product[now], self._reaction[now]

    def magnetisations(self, t):
        """m(t), (spins, pasts)."""
        return self._m[(t + 1) % len(self._m)]

    def arrays(self, t):
        """What the loops of iteration t work with, in tiles."""
        product, reaction, fresh = (part[t % len(part)] for part in self._of_iteration)
        before, m, after = (self._states[(t + s) % len(self._states)] for s in range(3))
        return self._local, product, reaction, before, m, fresh, after


def _chunk(fields, couplings, squares, row, beta, gains, readout, with_slopes):
    """As `logit`, for pasts that are few enough and a multiple of TILE."""
    own, local = fields[0], fields[1:]
    tape, gains = _Tape(local, len(gains), with_slopes), gains.numpy()
    _go_forward(tape, couplings, squares, _F(beta), gains, torch.empty_like(local))
    by_readout = 2 * beta * torch.stack((own, row @ tape.magnetisations(len(gains))))
    value = readout @ by_readout
    if not with_slopes:
        return value, None
    grads = torch.zeros(6, *local.shape)
    grads[0] = 2 * beta * readout[1] * row[:, None]
    by_gains = torch.empty(4 * len(gains), len(own))
    _return(tape, couplings, squares, _F(beta), gains, grads, _in_tiles(by_gains))
    return value, torch.cat((by_gains, by_readout))


def _go_forward(tape, couplings, squares, beta, gains, variance):
    """All iterations; `variance` is a place for 1 - m^2."""
    into = _in_tiles(variance)
    for t, own in enumerate(gains):
        by_couplings, by_squares = tape.products(t)
        if t > 0:
            torch.mm(couplings, tape.magnetisations(t), out=by_couplings)
        if t > 1:
            torch.mm(squares, variance, out=by_squares)
        _iterate(beta, own, *tape.arrays(t), into)


def _return(tape, couplings, squares, beta, gains, grads, slopes):
    """All iterations backwards, from the slope of the logit in the last m in `grads`."""
    in_tiles = _in_tiles(grads)
    for t in reversed(range(len(gains))):
        _go_back(beta, gains[t], *tape.arrays(t), in_tiles, slopes[4 * t : 4 * t + 4])
        if t > 0:
            torch.mm(couplings, grads[3], out=grads[1])
        if t > 1:
            torch.mm(squares, grads[4], out=grads[2])
        else:
            grads[2] = 0


def _in_tiles(tensor):
    """The tensor (..., pasts) as an array (..., tiles, TILE), without a copy."""
    return tensor.unflatten(-1, (-1, TILE)).numpy()


def compile_loops():
    """Use each loop once, on a system of two spins."""
    one = torch.ones(1, 1)
    logit(one, one, one[0], torch.ones(2, 1), 1.0, torch.ones(1, 4), torch.ones(2), True)


compile_in_another_process(__name__, _iterate)
