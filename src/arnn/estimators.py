"""Estimates from samples of a net, each with its statistical error.

Samples of an autoregressive net are independent, so the error of a mean is the standard deviation
over the square root of their number; nothing here needs an autocorrelation time.
"""

import math
from typing import NamedTuple

import torch

from .hamiltonians import as_count, as_positive


class FreeEnergyEstimate(NamedTuple):
    """Estimates per spin, in units of the couplings (entropy in nats), from `samples` samples."""

    f: float  # variational: an upper bound of the true free energy in expectation
    f_error: float
    energy: float
    entropy: float
    f_importance: float  # importance-sampled: converges to the true free energy
    f_importance_error: float
    effective_samples: float
    samples: int


def free_energy(net, H, beta, samples=20_000, *, batch=2_000, generator=None):
    """The free energy per spin of a net, from fresh samples x with ln Q(x).

    Variational: f = < ln Q / beta + H > / n over x ~ Q (Paper Eq. 1). Importance-sampled:
    Z = < w >, w = exp(-beta H) / Q, hence f = -ln < w > / (beta n); its error is that of < w >
    to first order and can be trusted only if `effective_samples`, (sum w)^2 / sum w^2, is large.

    Args:
        net: an AutoregressiveNet of H.n spins.
        H: a PairwiseHamiltonian.
        beta: inverse temperature.
        samples, batch: how many samples, and how many are held in memory at once.
        generator: torch.Generator on the net's device; the global one if None.

    Raises:
        ValueError: beta is not positive, samples < 2 or batch < 1, or the sizes differ.
    """
    beta, samples = as_positive("beta", beta), as_count("samples", samples, at_least=2)
    if net.n != H.n:
        raise ValueError(f"the net has {net.n} spins and the Hamiltonian {H.n}")
    energies, log_probs = [], []
    for start in range(0, samples, as_count("batch", batch)):
        x, log_prob = net.sample(min(batch, samples - start), generator)
        energies.append(H.energy(x).double().cpu())
        log_probs.append(log_prob.double().cpu())
    energy, log_prob = torch.cat(energies), torch.cat(log_probs)
    return _estimate(energy, log_prob, beta, H.n)


def _estimate(energy, log_prob, beta, n):
    samples = len(energy)
    cost = log_prob + beta * energy
    log_mean_weight = float(torch.logsumexp(-cost, 0)) - math.log(samples)
    weights = torch.exp(-cost - log_mean_weight)  # of mean one
    scale = 1 / (beta * n)
    return FreeEnergyEstimate(
        f=float(cost.mean()) * scale,
        f_error=float(cost.std()) / math.sqrt(samples) * scale,
        energy=float(energy.mean()) / n,
        entropy=-float(log_prob.mean()) / n,
        f_importance=-log_mean_weight * scale,
        f_importance_error=float(weights.std()) / math.sqrt(samples) * scale,
        effective_samples=samples / float((weights**2).mean()),
        samples=samples,
    )


class OverlapDistribution(NamedTuple):
    """The law of the overlap of two samples on its n+1 possible values; all tensors (n+1,)."""

    q: torch.Tensor
    probability: torch.Tensor
    error: torch.Tensor


def overlap_distribution(x, *, blocks=20):
    """The distribution of q = sum_i a_i b_i / n over pairs of different samples a, b.

    The samples are cut into blocks; all pairs within a block are counted, self-overlaps left out,
    and the error is that of the mean over the independent blocks.

    Args:
        x: independent samples (batch, n) of +-1.
        blocks: number of blocks, each of at least two samples.

    Raises:
        ValueError: x is not a batch of +-1 spins, or too small for so many blocks.
    """
    if not torch.is_tensor(x) or x.ndim != 2 or not bool((x.abs() == 1).all()):
        raise ValueError("samples must be a (batch, n) tensor of +1 and -1")
    size = len(x) // as_count("blocks", blocks, at_least=2)
    if size < 2:
        raise ValueError(f"{len(x)} samples are too few for {blocks} blocks of at least two")
    n = x.shape[1]
    pairs = torch.triu_indices(size, size, offset=1, device=x.device)
    laws = []
    for block in x[: size * blocks].float().reshape(blocks, size, n):
        agreeing = ((block @ block.T)[pairs[0], pairs[1]] + n) / 2
        counts = torch.bincount(agreeing.round().long(), minlength=n + 1)
        laws.append(counts.double() / pairs.shape[1])
    laws = torch.stack(laws)
    q = 2 * torch.arange(n + 1, dtype=torch.float64) / n - 1
    return OverlapDistribution(q, laws.mean(0).cpu(), (laws.std(0) / math.sqrt(blocks)).cpu())
