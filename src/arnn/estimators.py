"""Estimates from samples of a net, each with its statistical error.

Samples of an autoregressive net are independent, so the error of a mean is the standard deviation
over the square root of their number; only `neural_mcmc`, which makes chains of them, needs an
autocorrelation time. ln Q of a sample is known, so that each sample has a weight by which
averages over Q become averages over the Boltzmann distribution: `reweighted`.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from .hamiltonians import as_count, as_finite, as_positive
from .time_series import autocorrelation_time


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

    Variational: f = < ln Q / beta + H > / n over x ~ Q (Paper Eq. (1)). Importance-sampled:
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
    parts = [part[1:] for part in _draws(net, H, samples, batch, generator)]
    energy, log_prob = (torch.cat(values) for values in zip(*parts, strict=True))
    return _estimate(energy, log_prob, beta, H.n)


def _draws(net, H, samples, batch, generator):
    """Samples of a net, a batch at a time: spins, H(x) and ln Q(x), the two in float64."""
    if net.n != H.n:
        raise ValueError(f"the net has {net.n} spins and the Hamiltonian {H.n}")
    for start in range(0, samples, as_count("batch", batch)):
        x, log_prob = net.sample(min(batch, samples - start), generator)
        yield x, H.energy(x).double().cpu(), log_prob.double().cpu()


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


class Reweighted(NamedTuple):
    """Averages over the Boltzmann distribution from weighted samples of a net, with their errors.

    Per spin, energies in units of the couplings, the entropy in nats; tensors have shape (n,).
    """

    f: float
    f_error: float
    energy: float
    energy_error: float
    entropy: float
    entropy_error: float
    magnetisation: torch.Tensor
    magnetisation_error: torch.Tensor
    gap: float  # second-order estimate of f[Q] - f
    gap_error: float
    effective_samples: float
    samples: int


def reweighted(net, H, beta, samples=20_000, *, batch=2_000, generator=None):
    """Averages that no error of the net biases: each sample counts w = exp(-beta H) / Q times.

    < O > = < w O >_Q / < w >_Q and Z = < w >_Q, which hold for every Q that is nowhere zero. As a
    ratio of two means the first has a bias of order 1 / samples, far below its error. The
    errors are those of these ratios to first order, sqrt(sum w^2 (O - < O >)^2) / sum w, and can be
    trusted only if `effective_samples`, (sum w)^2 / sum w^2, is large: what the net never draws
    shows in no weight.

    The gap is the variance of ln w over 2 beta n. To second order in ln w it is f[Q] - f: for a
    Gaussian ln w of variance s^2 the divergence is s^2 / 2.

    Arguments and errors are those of `free_energy`.
    """
    beta, samples = as_positive("beta", beta), as_count("samples", samples, at_least=2)
    parts = list(_draws(net, H, samples, batch, generator))
    energy, log_prob = (torch.cat([part[k] for part in parts]) for k in (1, 2))
    log_weight = -beta * energy - log_prob
    scale = 1 / (beta * H.n)
    estimate = _estimate(energy, log_prob, beta, H.n)
    log_z = -estimate.f_importance / scale
    weight = torch.exp(log_weight - log_z)  # of mean one
    mean_energy, energy_error = _ratio(weight, energy)
    # S = beta <H> + ln Z, whose first-order fluctuations are those of both parts together.
    fluctuation = beta * weight * (energy - mean_energy) + weight - 1
    moments = [_moments(weight, part[0], start) for start, part in _starts(parts)]
    magnetisation = sum(first for first, _ in moments) / samples
    # sum w^2 (x - m)^2 = (1 + m^2) sum w^2 - 2 m sum w^2 x, since x^2 = 1.
    squares, crossed = (weight**2).sum(), sum(second for _, second in moments)
    spread = (1 + magnetisation**2) * squares - 2 * magnetisation * crossed
    variance = log_weight.var()
    fourth = ((log_weight - log_weight.mean()) ** 4).mean()
    return Reweighted(
        f=estimate.f_importance,
        f_error=estimate.f_importance_error,
        energy=mean_energy / H.n,
        energy_error=energy_error / H.n,
        entropy=(beta * mean_energy + log_z) / H.n,
        entropy_error=float(fluctuation.std()) / math.sqrt(samples) / H.n,
        magnetisation=magnetisation,
        magnetisation_error=spread.clamp(min=0).sqrt() / samples,
        gap=float(variance) / 2 * scale,
        gap_error=float((fourth - variance**2).clamp(min=0).sqrt())
        / math.sqrt(samples)
        / 2
        * scale,
        effective_samples=estimate.effective_samples,
        samples=samples,
    )


def _starts(parts):
    """Each part with the place of its first sample."""
    start = 0
    for part in parts:
        yield start, part
        start += len(part[1])


def _moments(weight, x, start):
    """sum w x and sum w^2 x over one batch, (n,) each."""
    w, x = weight[start : start + len(x)], x.double().cpu()
    return w @ x, w**2 @ x


def _ratio(weight, values):
    """The weighted mean of values, with weights of mean one, and its first-order error."""
    mean = float((weight * values).mean())
    return mean, float((weight * (values - mean)).square().sum().sqrt()) / len(values)


class NeuralChains(NamedTuple):
    """Chains whose proposals are samples of a net; see `neural_mcmc`."""

    x: torch.Tensor  # (chains, samples, n), +-1
    energy: np.ndarray  # (chains, samples), H(x) of the whole system
    acceptance: float
    autocorrelation_time: float  # of the energy, in steps; 1/2 if no step remembers another


def neural_mcmc(net, H, beta, samples, *, chains=32, burn_in=100, generator=None):
    """Metropolis chains that propose whole configurations, drawn from the net.

    A proposal x' is accepted with probability min(1, w(x') / w(x)), w = exp(-beta H) / Q. Whatever
    the net, the Boltzmann distribution is stationary, and the chains converge to it as long as Q is
    nowhere zero; a good net makes them fast (Nicoli et al. 2020; McNaughton et al. 2020).

    Args:
        net: an AutoregressiveNet of H.n spins.
        H: a PairwiseHamiltonian.
        beta: inverse temperature.
        samples: recorded steps of each chain, one proposal each.
        chains: independent chains.
        burn_in: steps before the record.
        generator: torch.Generator on the net's device, for proposals and acceptances; the global
            one if None.

    Raises:
        ValueError: beta is not positive, a count is out of its range, or the sizes differ.
    """
    beta, samples = as_positive("beta", beta), as_count("samples", samples, at_least=4)
    chains, burn_in = as_count("chains", chains), as_count("burn_in", burn_in, at_least=0)
    steps = samples + burn_in + 1  # the first proposal is where a chain starts
    x, energy, log_prob = zip(*_draws(net, H, steps * chains, 2_000, generator), strict=True)
    x = torch.cat(x).cpu().reshape(steps, chains, H.n)
    energy, log_prob = (torch.cat(v).reshape(steps, chains).numpy() for v in (energy, log_prob))
    log_weight = -beta * energy - log_prob
    uniform = torch.rand(steps, chains, generator=generator, dtype=torch.float64, device=net.device)
    threshold = np.log(uniform.cpu().numpy())
    at, every, accepted = np.zeros((steps, chains), int), np.arange(chains), 0
    for step in range(1, steps):
        now = at[step - 1]
        moves = threshold[step] < log_weight[step] - log_weight[now, every]
        at[step] = np.where(moves, step, now)
        accepted += moves.sum() if step > burn_in else 0
    kept = at[burn_in + 1 :]
    energies = energy[kept, every].T
    varies = energies.std() > 0
    return NeuralChains(
        x[torch.from_numpy(kept), torch.from_numpy(every)].transpose(0, 1),
        energies,
        float(accepted) / (samples * chains),
        autocorrelation_time(energies).tau if varies else math.inf,
    )


def forward_divergence(net, H, beta, x, log_partition):
    """D_KL(P_B || Q) in nats, of the whole system, from equilibrium samples; and its error.

    It is large where the net gives too little probability to what occurs, which an average over Q
    does not see: a mode of share p that the net has lost costs -ln(1 - p) in the variational
    divergence, and any amount here.

    Args:
        net, H, beta: as in `reweighted`.
        x: independent equilibrium samples (samples, n) of +-1.
        log_partition: ln Z at this beta.

    Raises:
        ValueError: beta is not positive, log_partition is not finite, or x has another shape.
    """
    beta, log_partition = as_positive("beta", beta), as_finite("log_partition", log_partition)
    if x.ndim != 2 or x.shape[1] != H.n or len(x) < 2:
        raise ValueError(f"samples must have shape (2 or more, {H.n}), not {tuple(x.shape)}")
    with torch.no_grad():
        log_prob = net.log_prob(x.to(net.dtype)).double()
    excess = -beta * H.energy(x.to(H.dtype)).double() - log_partition - log_prob
    return float(excess.mean()), float(excess.std()) / math.sqrt(len(x))


def mirror_distance(probability, error):
    """How far a law on values symmetric about zero is from its mirror image.

    Without a field the laws of the overlap and of the magnetisation are even; a net that has lost
    one of two modes related by a flip of all spins has one that is not.

    Args:
        probability, error: the law and its standard errors, tensors (values,), as of
            `OverlapDistribution`; neither is checked, and nothing is raised.

    Returns:
        The total variation distance between the law and its mirror image, 0 to 1, and the one that
        the errors alone would make, on average, if they were independent.
    """
    probability, error = torch.as_tensor(probability), torch.as_tensor(error)
    distance = (probability - probability.flip(0)).abs().sum() / 2
    noise = (error**2 + error.flip(0) ** 2).sqrt().sum() * math.sqrt(2 / math.pi) / 2
    return float(distance), float(noise)


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
