"""The compiled loops of the Monte Carlo: single-spin updates and the swaps of parallel tempering.

Each chain carries the local fields f_i = h_i + sum_j J_ij x_j. A proposal then costs a few
operations, and only an accepted flip costs n more. The rounding errors of the running sums grow
like the root of the number of flips and stay below 1e-10 for 10^9 of them.

Arrays: couplings (n, n), fields (n,), spins x (n,) of +-1.0, local (n,), all float64; rng (4,)
uint64, the state of a xoshiro256++ generator (Blackman and Vigna, 2021), one for each chain, so
that a chain does not depend on how many others there are.
"""

import math

import numpy as np
from numba import njit

from .hamiltonians import as_count

HEAT_BATH, METROPOLIS_RANDOM, METROPOLIS_SEQUENTIAL, HEAT_BATH_RANDOM = range(4)
_TO_UNIT = 1.0 / (1 << 53)


def arrays(H):
    """Couplings (n, n) and fields (n,) of a PairwiseHamiltonian as float64 arrays."""
    couplings = H.couplings.detach().cpu().double().numpy()
    return np.ascontiguousarray(couplings), H.fields.detach().cpu().double().numpy().copy()


def streams(seed, chains):
    """The states (chains, 4) of independent generators; a chain's does not depend on `chains`.

    Raises:
        ValueError: seed is not an integer >= 0.
    """
    parents = np.random.SeedSequence(as_count("seed", seed, at_least=0)).spawn(chains)
    return np.stack([parent.generate_state(4, np.uint64) for parent in parents])


@njit(cache=True)
def _next(rng):
    """The next 64 random bits."""
    s0, s1, s2, s3 = rng[0], rng[1], rng[2], rng[3]
    total = s0 + s3
    result = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
    s2 ^= s0
    s3 ^= s1
    rng[0], rng[1] = s0 ^ s3, s1 ^ s2
    rng[2] = s2 ^ (s1 << np.uint64(17))
    rng[3] = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    return result


@njit(cache=True)
def _uniform(rng):
    """A number in [0, 1) with 53 random bits."""
    return (_next(rng) >> np.uint64(11)) * _TO_UNIT


@njit(cache=True)
def _site(rng, n):
    """A site 0..n-1; 32 random bits leave a bias of n / 2^32."""
    return np.int64(((_next(rng) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True)
def draw_spins(rng, x):
    """Overwrite x with independent fair spins, which is equilibrium at beta = 0."""
    for i in range(len(x)):
        x[i] = 1.0 if _next(rng) >> np.uint64(63) else -1.0


@njit(cache=True)
def local_fields(couplings, fields, x, local):
    """Overwrite `local` with h_i + sum_j J_ij x_j, summed in the order of j."""
    local[:] = fields
    for j in range(len(x)):
        for i in range(len(x)):
            local[i] += couplings[j, i] * x[j]


@njit(cache=True)
def energy(fields, x, local):
    """H(x) from the local fields."""
    total = 0.0
    for i in range(len(x)):
        total -= x[i] * (local[i] + fields[i])
    return 0.5 * total


@njit(cache=True)
def _flip(couplings, x, local, i):
    x[i] = -x[i]
    change, row = 2.0 * x[i], couplings[i]
    for j in range(len(x)):
        local[j] += change * row[j]


@njit(cache=True)
def sweep(couplings, beta, x, local, rng, update):
    """Propose n single-spin updates at inverse temperature beta; return how many spins flipped."""
    n, flips = len(x), 0
    in_order = update in (HEAT_BATH, METROPOLIS_SEQUENTIAL)
    heat_bath = update in (HEAT_BATH, HEAT_BATH_RANDOM)
    for k in range(n):
        i = k if in_order else _site(rng, n)
        exponent = 2.0 * beta * x[i] * local[i]  # beta times the energy that a flip costs
        if heat_bath:  # flips with probability 1 / (1 + e^exponent), whatever x[i] is
            flip = _uniform(rng) * (1.0 + math.exp(exponent)) < 1.0
        else:
            flip = exponent <= 0.0 or _uniform(rng) < math.exp(-exponent)
        if flip:
            _flip(couplings, x, local, i)
            flips += 1
    return flips


@njit(cache=True, nogil=True)
def run_chain(couplings, fields, beta, x, rng, update, burn_in, sweeps, spins, energies):
    """One chain from x, in place; fill spins (samples, n) int8 and energies (samples,).

    Returns the number of flips after the burn-in.
    """
    local = np.empty_like(x)
    local_fields(couplings, fields, x, local)
    for _ in range(burn_in):
        sweep(couplings, beta, x, local, rng, update)
    flips = 0
    for s in range(len(energies)):
        for _ in range(sweeps):
            flips += sweep(couplings, beta, x, local, rng, update)
        energies[s] = energy(fields, x, local)
        for i in range(len(x)):
            spins[s, i] = np.int8(x[i])
    return flips


@njit(cache=True, nogil=True)
def run_ladder(couplings, fields, betas, rng, update, burn_in, sweeps, kept, spins, energies):
    """Parallel tempering of one copy of the ladder, from random spins.

    Args beside those above: betas (temperatures,) increasing from 0; kept (slots,) the indices of
    the temperatures whose spins are stored; spins (slots, kept samples, n) int8; energies
    (samples, temperatures). Spins are stored every samples // kept samples steps.

    Returns the accepted and the proposed swaps of neighbours, (temperatures - 1,) each, and the
    number of round trips from beta = 0 to the last beta and back.
    """
    temperatures, n = len(betas), len(fields)
    x, local = np.empty((temperatures, n)), np.empty((temperatures, n))
    for t in range(temperatures):
        draw_spins(rng, x[t])
        local_fields(couplings, fields, x[t], local[t])
    walker = np.arange(temperatures)  # which configuration is at temperature t
    reached = np.zeros(temperatures, np.int64)  # 1: came from beta = 0; 2: and met the last beta
    current = np.empty(temperatures)
    accepted = np.zeros(temperatures - 1, np.int64)
    proposed = np.zeros(temperatures - 1, np.int64)
    trips = 0
    thin = len(energies) // max(1, spins.shape[1])
    for step in range(-burn_in, len(energies)):
        for t in range(temperatures):
            w = walker[t]
            if t == 0:  # beta = 0 is drawn, not simulated
                draw_spins(rng, x[w])
                local_fields(couplings, fields, x[w], local[w])
            else:
                for _ in range(sweeps):
                    sweep(couplings, betas[t], x[w], local[w], rng, update)
            current[t] = energy(fields, x[w], local[w])
        if step >= 0:
            energies[step] = current
            if (step + 1) % thin == 0 and (step + 1) // thin <= spins.shape[1]:
                for k in range(len(kept)):
                    for i in range(n):
                        spins[k, step // thin, i] = np.int8(x[walker[kept[k]], i])
        # Even pairs at even steps, odd pairs at odd steps: good for quick round trips.
        for t in range(step % 2, temperatures - 1, 2):
            gain = (betas[t + 1] - betas[t]) * (current[t + 1] - current[t])
            swap = gain >= 0.0 or _uniform(rng) < math.exp(gain)
            if swap:
                walker[t], walker[t + 1] = walker[t + 1], walker[t]
            if step >= 0:
                proposed[t] += 1
                accepted[t] += swap
        trips += _mark_ends(walker, reached, step >= 0)
    return accepted, proposed, trips


@njit(cache=True)
def _mark_ends(walker, reached, counting):
    """Note which walkers stand at the ends; return 1 if one of them closed a round trip."""
    hot, cold = walker[0], walker[-1]
    closed = reached[hot] == 2
    reached[hot] = 1
    if reached[cold] == 1:
        reached[cold] = 2
    return 1 if closed and counting else 0


@njit(cache=True, nogil=True)
def run_annealing(couplings, fields, betas, rng, sweeps, log_weights):
    """Cool one chain from random spins; fill log_weights (temperatures,), the first of them 0."""
    n = len(fields)
    x, local = np.empty(n), np.empty(n)
    draw_spins(rng, x)
    local_fields(couplings, fields, x, local)
    log_weights[0] = 0.0
    for t in range(1, len(betas)):
        step = betas[t] - betas[t - 1]
        log_weights[t] = log_weights[t - 1] - step * energy(fields, x, local)
        for _ in range(sweeps):
            sweep(couplings, betas[t], x, local, rng, HEAT_BATH)
