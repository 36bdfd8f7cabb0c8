"""Annealed importance sampling (Neal 2001): ln Z along a ladder of temperatures, without a net."""

from dataclasses import dataclass

import numpy as np

from . import spin_kernels as kernels
from .hamiltonians import as_count
from .temperatures import as_ladder, index_of


@dataclass(frozen=True)
class Annealed:
    """What annealed importance sampling found at the temperatures `betas`, the first beta = 0."""

    betas: np.ndarray  # (temperatures,)
    log_partition: np.ndarray  # (temperatures,), of the whole system
    log_partition_error: np.ndarray
    effective_chains: np.ndarray  # (temperatures,), (sum w)^2 / sum w^2
    n: int

    def at(self, beta):
        """The index of a temperature in the ladder.

        Raises:
            ValueError: the ladder does not hold this beta.
        """
        return index_of(beta, self.betas)

    def f(self, beta):
        """The free energy per spin, -ln Z / (beta n), and its standard error."""
        row = self.at(beta)
        scale = 1 / (self.betas[row] * self.n)
        return -self.log_partition[row] * scale, self.log_partition_error[row] * scale


def annealed_importance(H, betas, *, chains=1000, sweeps=1, seed=0):
    """ln Z by chains that are cooled from beta = 0, each with the weight of its way.

    At beta = 0 the spins are independent and Z = 2^n. When a chain goes from one beta to the next,
    its weight is multiplied by exp(-(difference) H(x)) before x is moved; the mean weight is then
    Z(beta) / 2^n at every beta of the way, however far the chains are from equilibrium.

    Args:
        H: a PairwiseHamiltonian of n spins.
        betas: inverse temperatures, increasing from 0.
        chains: independent chains.
        sweeps: heat-bath sweeps at each temperature.
        seed: the same one gives the same numbers.

    Returns:
        `Annealed`. The error is that of the mean weight to first order; as with all weights it can
        be trusted only where `effective_chains` is large.

    Raises:
        ValueError: the ladder does not increase from 0, or another argument is out of its range.
    """
    betas, chains = as_ladder(betas), as_count("chains", chains, at_least=2)
    sweeps = as_count("sweeps", sweeps)
    couplings, fields = kernels.arrays(H)
    log_weights = np.empty((chains, len(betas)))
    for row, stream in zip(log_weights, kernels.streams(seed, chains), strict=True):
        kernels.run_annealing(couplings, fields, betas, stream, sweeps, row)
    largest = log_weights.max(0)
    weights = np.exp(log_weights - largest)
    mean = weights.mean(0)
    return Annealed(
        betas,
        H.n * np.log(2) + largest + np.log(mean),
        weights.std(0, ddof=1) / mean / np.sqrt(chains),
        chains * mean**2 / (weights**2).mean(0),
        H.n,
    )
