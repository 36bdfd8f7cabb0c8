"""Ladders of temperatures for parallel tempering, and ln Z along a ladder by Bennett's ratio."""

import math
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from . import spin_kernels as kernels
from .hamiltonians import as_count, as_finite, as_positive
from .time_series import mean_with_error

# Neighbours at a distance of SPACING / (standard deviation of the energy) swap with probability
# erfc(SPACING / 2), about 0.4, if their energies are Gaussian.
SPACING = 1.2


def as_beta(beta):
    """An inverse temperature >= 0 as a float, or a ValueError."""
    if as_finite("beta", beta) < 0:
        raise ValueError(f"beta must not be negative, not {beta!r}")
    return float(beta)


def as_ladder(betas):
    """An array of inverse temperatures that increase from 0, or a ValueError."""
    try:
        betas = np.array(betas, dtype=float)
    except (TypeError, ValueError):
        raise ValueError("betas must be numbers") from None
    if betas.ndim != 1 or len(betas) < 2 or not np.isfinite(betas).all():
        raise ValueError("betas must be at least two finite numbers, 0 the first of them")
    if (betas < 0).any():
        raise ValueError(f"betas must not be negative, but hold {betas.min():g}")
    if (np.diff(betas) <= 0).any():
        raise ValueError("betas must be increasing")
    if betas[0] != 0:
        raise ValueError(f"betas must begin at 0, where ln Z is known, not at {betas[0]:g}")
    return betas


def index_of(beta, betas):
    """The place of a temperature in a ladder, or a ValueError."""
    nearest = int(np.argmin(np.abs(betas - as_finite("beta", beta))))
    if not math.isclose(betas[nearest], beta, rel_tol=1e-9, abs_tol=1e-12):
        raise ValueError(f"beta = {beta:g} is not in the ladder; the nearest is {betas[nearest]:g}")
    return nearest


def ladder(n, beta_max, *, include=()):
    """Inverse temperatures from 0 to beta_max for an SK-like model of n spins, an array.

    The variance of the energy per spin is taken as 1/2 down to T = 0.77, the value of the SK model
    above its transition, and as 1.44 T^4 below, from the full solution at low temperature. A
    Hamiltonian of another kind wants `adapted_ladder`.

    Args:
        n: number of spins.
        beta_max: the last temperature.
        include: betas that the ladder shall hold; others are put between them where needed.

    Raises:
        ValueError: n is not a positive integer, beta_max not positive, or an included beta is not
            between 0 and beta_max.
    """
    n, beta_max = as_count("n", n), as_positive("beta_max", beta_max)
    fixed = _fixed(beta_max, include)
    hot, crossover = math.sqrt(0.5), math.sqrt(1.2 / math.sqrt(0.5))

    def length(beta):  # the integral of the standard deviation of H
        cold = 1.2 * (1 / crossover - 1 / np.maximum(beta, crossover))
        return math.sqrt(n) * (hot * np.minimum(beta, crossover) + cold)

    return _subdivided(fixed, length)


def adapted_ladder(H, beta_max, *, include=(), chains=64, sweeps=20, seed=0):
    """A ladder for a Hamiltonian of any kind, from a short pilot run that cools `chains` chains.

    At each temperature of the pilot the chains make `sweeps` heat-bath sweeps, and the standard
    deviation of their energies sets the distance to the next temperature.

    Args:
        H: a PairwiseHamiltonian.
        beta_max, include: as for `ladder`.
        chains, sweeps, seed: of the pilot run; at least 8 chains.

    Raises:
        ValueError: as for `ladder`, or chains or sweeps are too few.
    """
    fixed = _fixed(as_positive("beta_max", beta_max), include)
    chains, sweeps = as_count("chains", chains, at_least=8), as_count("sweeps", sweeps)
    couplings, fields = kernels.arrays(H)
    states, x = kernels.streams(seed, chains), np.empty((chains, H.n))
    for state, row in zip(states, x, strict=True):
        kernels.draw_spins(state, row)
    beta, betas, lengths = 0.0, [0.0], [0.0]
    spins, energies = np.empty((sweeps, H.n), np.int8), np.empty((chains, sweeps))
    while beta < beta_max:
        for c in range(chains):
            kernels.run_chain(
                *(couplings, fields, beta, x[c], states[c], kernels.HEAT_BATH),
                *(0, 1, spins, energies[c]),
            )
        deviation = float(energies[:, sweeps // 2 :].std())
        # Frozen chains have no variance left; a tenth of the way is then no step too small.
        step = min(SPACING / max(deviation, 1e-12), beta_max / 10, beta_max - beta)
        beta = beta_max if beta_max - beta - step < 1e-9 * beta_max else beta + step
        betas.append(beta)
        lengths.append(lengths[-1] + deviation * step)
    return _subdivided(fixed, lambda b: np.interp(b, betas, lengths))


def _fixed(beta_max, include):
    include = [as_finite("include", beta) for beta in include]
    for beta in include:
        if not 0 <= beta <= beta_max:
            raise ValueError(f"include must lie between 0 and beta_max, but holds {beta:g}")
    return np.unique([0.0, *include, beta_max])


def _subdivided(fixed, length):
    """The fixed betas, and between two of them as many as keep each step within SPACING."""
    pieces = [np.zeros(1)]
    for a, b in pairwise(fixed):
        steps = max(1, math.ceil((length(b) - length(a)) / SPACING))
        grid = np.linspace(a, b, 257)
        targets = np.linspace(length(a), length(b), steps + 1)[1:-1]
        pieces += [np.interp(targets, length(grid), grid), np.array([b])]
    return np.concatenate(pieces)


def bennett(colder_minus_hotter, energies_hot, energies_cold):
    """ln of the ratio Z(cold) / Z(hot) from as many energies at either temperature.

    With w = (beta_cold - beta_hot) H the ratio e^D solves
    < 1/(1 + e^(w + D)) >_hot = < 1/(1 + e^(-w - D)) >_cold, which is exact for exact averages and
    has the smallest variance that such an equation can have (Bennett 1976).

    Args:
        colder_minus_hotter: beta_cold - beta_hot > 0.
        energies_hot, energies_cold: H(x) of the whole system, arrays of one shape.

    Returns:
        D, and the series of that shape whose mean is the error of D to first order.

    Raises:
        ValueError: the shapes differ, or the difference is not positive.
    """
    step = as_positive("colder_minus_hotter", colder_minus_hotter)
    hot, cold = np.asarray(energies_hot, dtype=float), np.asarray(energies_cold, dtype=float)
    if hot.shape != cold.shape or hot.size == 0:
        raise ValueError(f"energies must have one shape, not {hot.shape} and {cold.shape}")

    def excess(d):
        return expit(-step * hot - d).mean() - expit(step * cold + d).mean()

    highest, lowest = step * max(hot.max(), cold.max()), step * min(hot.min(), cold.min())
    d = brentq(excess, -highest - 1, -lowest + 1, xtol=1e-12)
    forward, backward = expit(-step * hot - d), expit(step * cold + d)
    slope = (forward * (1 - forward)).mean() + (backward * (1 - backward)).mean()
    return d, (forward - backward) / slope


def log_z(n, betas, energies):
    """ln Z and its standard error, (temperatures,) each, from energies along a ladder.

    Args:
        n: number of spins; ln Z(0) = n ln 2.
        betas: (temperatures,), increasing from 0.
        energies: H(x), (replicas, samples, temperatures), of one run: the correlations of the
            temperatures among each other count for the error.
    """
    values, errors = [n * math.log(2)], [0.0]
    influence = np.zeros(energies.shape[:2])
    for t, step in enumerate(np.diff(betas)):
        d, series = bennett(step, energies[:, :, t], energies[:, :, t + 1])
        influence += series
        values.append(values[-1] + d)
        errors.append(mean_with_error(influence).error)
    return np.array(values), np.array(errors)
