"""Exact results: enumeration of all 2^n configurations, and the Curie-Weiss closed forms.

Everything here is the truth that the networks are compared with. Enumeration works in the log
domain with float64; the closed forms use log-gamma functions and hold up to n = 10^5 and beyond.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp, xlogy

from .hamiltonians import as_count, as_finite, as_positive

MAX_ENUMERATED_SPINS = 24


class Thermodynamics(NamedTuple):
    """Exact equilibrium values of a whole system of n spins (totals, not per spin)."""

    log_partition: float
    energy: float
    entropy: float
    magnetisations: torch.Tensor  # (n,)
    correlations: torch.Tensor  # (n, n), <x_i x_j>


class VariationalFreeEnergy(NamedTuple):
    """The dimensionless variational free energy beta F of a net, and its divergence from P_B.

    Both are scalar tensors for the whole system, which add up: beta F = kl - ln Z (Paper Eq. (1)).
    """

    beta_free_energy: torch.Tensor
    kl: torch.Tensor


def configurations(n, *, dtype=torch.float64, device=None):
    """All 2^n configurations, (2^n, n), spin 0 the slowest to change, -1 before +1.

    Raises:
        ValueError: n is not an integer from 1 to 24.
    """
    if as_count("n", n) > MAX_ENUMERATED_SPINS:
        raise ValueError(f"enumeration is limited to {MAX_ENUMERATED_SPINS} spins, not {n}")
    codes = torch.arange(2**n, device=device)
    bits = torch.stack([(codes >> (n - 1 - i)) & 1 for i in range(n)], dim=1)
    return (2 * bits - 1).to(dtype)


def log_weights(H, beta):
    """-beta H of every configuration, (2^n,), in the order of `configurations`.

    Raises:
        ValueError: as `log_partition`.
    """
    beta = as_positive("beta", beta)
    return -beta * H.energy(configurations(H.n, device=H.device))


def log_partition(H, beta):
    """ln Z by enumeration, a float. Free energy per spin: f = -ln Z / (beta n).

    Raises:
        ValueError: beta is not positive and finite, or n > 24.
    """
    return float(torch.logsumexp(log_weights(H, beta), 0))


def probabilities(H, beta):
    """The Boltzmann probability of every configuration, (2^n,), ordered as `configurations`.

    Raises:
        ValueError: as `log_partition`.
    """
    return torch.softmax(log_weights(H, beta), 0)


def thermodynamics(H, beta):
    """`Thermodynamics` by enumeration: ln Z, energy, entropy, magnetisations and correlations.

    Raises:
        ValueError: as `log_partition`.
    """
    weights = log_weights(H, beta)
    p, x = torch.softmax(weights, 0), configurations(H.n, device=H.device)
    log_z = float(torch.logsumexp(weights, 0))
    energy = float(p @ H.energy(x))
    return Thermodynamics(log_z, energy, beta * energy + log_z, p @ x, x.T @ (p[:, None] * x))


def conditional_logits(H, beta, x):
    """The exact logits ln P(x_i=+1|x_<i) - ln P(x_i=-1|x_<i) of spins x (batch, n), by enumeration.

    This is Paper Eq. (4) with f of Eq. (3) summed without any rearrangement, so it is independent
    of every network in the package. Returns (batch, n); logit i depends on x[:, :i] only.

    Raises:
        ValueError: as `log_partition`.
    """
    H._require_spins(x)
    prefix_weights = [log_weights(H, beta)]
    while len(prefix_weights[0]) > 1:  # sum over the last spin still present, one at a time
        prefix_weights.insert(0, torch.logsumexp(prefix_weights[0].reshape(-1, 2), 1))
    bits = (x > 0).long()
    prefix = torch.zeros(len(x), dtype=torch.long, device=x.device)
    logits = []
    for i in range(H.n):
        down, up = prefix_weights[i + 1].reshape(-1, 2)[prefix].T
        logits.append(up - down)
        prefix = 2 * prefix + bits[:, i]
    return torch.stack(logits, dim=1)


def variational_free_energy(net, H, beta):
    """beta F of a net (Paper Eq. (1), second term on the right) and its KL divergence, exactly.

    Both are scalars for the whole system and differentiable in the net's parameters, which gives
    the gradient that the score-function estimator must agree with.

    Raises:
        ValueError: as `log_partition`.
    """
    x = configurations(H.n, dtype=net.dtype, device=net.device)
    log_q = net.log_prob(x)
    beta_free_energy = (log_q.exp() * (log_q + beta * H.energy(x))).sum()
    return VariationalFreeEnergy(beta_free_energy, beta_free_energy + log_partition(H, beta))


# ---- Curie-Weiss -------------------------------------------------------------------------------


def log_binomial(n, k):
    """ln C(n, k) by log-gamma functions: exact to rounding where C itself overflows (n > 1029)."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def _curie_weiss_log_weights(n, beta, coupling, field):
    """ln of the summands of SI Eq. (13), corrected, over k = 0..n spins down; and M = n - 2k."""
    n, beta = as_count("n", n), as_positive("beta", beta)
    coupling, field = as_finite("coupling", coupling), as_finite("field", field)
    k = np.arange(n + 1.0)
    total = n - 2 * k
    weights = log_binomial(n, k) + beta * coupling * total**2 / (2 * n) + beta * field * total
    return weights - beta * coupling / 2, total


def curie_weiss_log_partition(n, beta, coupling=1.0, field=0.0):
    """ln Z of the Curie-Weiss model at finite n, a float (SI Eq. (12), SI Eq. (13), corrected).

    Raises:
        ValueError: n is not a positive integer, beta not positive, coupling or field not finite.
    """
    return float(logsumexp(_curie_weiss_log_weights(n, beta, coupling, field)[0]))


def curie_weiss_free_energy(n, beta, coupling=1.0, field=0.0):
    """The exact free energy per spin, f = -ln Z / (beta n), a float in units of the coupling.

    Raises:
        ValueError: as `curie_weiss_log_partition`.
    """
    return -curie_weiss_log_partition(n, beta, coupling, field) / (beta * n)


def curie_weiss_sum_distribution(n, beta, coupling=1.0, field=0.0):
    """Values of the sum M of all spins, ascending (n+1,), and their exact probabilities (n+1,).

    Raises:
        ValueError: as `curie_weiss_log_partition`.
    """
    weights, total = _curie_weiss_log_weights(n, beta, coupling, field)
    return total[::-1], np.exp(weights - logsumexp(weights))[::-1]


def curie_weiss_thermodynamics(n, beta, coupling=1.0, field=0.0):
    """Exact values of the Curie-Weiss model at finite n, as a dict.

    `log_partition`, `energy` and `entropy` are for the whole system, `abs_magnetisation` is
    <|M|>/n.

    Raises:
        ValueError: as `curie_weiss_log_partition`.
    """
    log_z = curie_weiss_log_partition(n, beta, coupling, field)
    total, p = curie_weiss_sum_distribution(n, beta, coupling, field)
    energy = float(p @ (-coupling / (2 * n) * (total**2 - n) - field * total))
    return {
        "log_partition": log_z,
        "energy": energy,
        "entropy": beta * energy + log_z,
        "abs_magnetisation": float(p @ np.abs(total)) / n,
    }


def curie_weiss_overlap_distribution(n, beta, coupling=1.0, field=0.0):
    """The exact law of the overlap q = sum_i a_i b_i / n of two independent samples a and b.

    Given their numbers of up spins (Ka, Kb), the number t of sites where both are up is
    hypergeometric, and q = 2A/n - 1 with A = n - Ka - Kb + 2t agreeing sites.

    Returns:
        q (n+1,) ascending from -1 to 1, and its probabilities (n+1,).

    Raises:
        ValueError: as `curie_weiss_log_partition`.
    """
    _, p = curie_weiss_sum_distribution(n, beta, coupling, field)  # p[K], K spins up
    up = np.arange(n + 1)
    agreeing_law = np.zeros(n + 1)
    kb, t = up[:, None], up[None, :]
    for ka in up:
        allowed = (t <= ka) & (t <= kb) & (kb - t <= n - ka)
        both, only_b = np.where(allowed, t, 0), np.where(allowed, kb - t, 0)
        log_law = log_binomial(ka, both) + log_binomial(n - ka, only_b) - log_binomial(n, kb)
        mass = np.where(allowed, p[ka] * p[kb] * np.exp(log_law), 0.0)
        agreeing = np.where(allowed, n - ka - kb + 2 * t, 0)
        agreeing_law += np.bincount(agreeing.ravel(), weights=mass.ravel(), minlength=n + 1)
    return 2 * up / n - 1, agreeing_law


def curie_weiss_magnetisation(beta, coupling=1.0, field=0.0):
    """The magnetisation per spin in the limit n -> infinity, m = tanh beta(h + J m), a float.

    The stable solution on the side of the field; at zero field the non-negative one, which is
    zero for beta * coupling <= 1.

    Raises:
        ValueError: beta is not positive, or coupling or field not finite.
    """
    beta, coupling = as_positive("beta", beta), as_finite("coupling", coupling)
    field = as_finite("field", field)
    if field == 0 and beta * coupling <= 1:
        return 0.0
    side = -1.0 if field < 0 else 1.0

    def excess(m):
        return np.tanh(beta * (abs(field) + coupling * m)) - m

    # Just above m = 0 the excess is positive in every case left, and at m = 1 it is not.
    return side * float(brentq(excess, 1e-12 if field == 0 else 0.0, 1.0, xtol=1e-15))


def curie_weiss_free_energy_limit(beta, coupling=1.0, field=0.0):
    """The free energy per spin for n -> infinity, -s(m)/beta - J m^2/2 - h m; s(m): entropy.

    A float in units of the coupling; m is `curie_weiss_magnetisation`, and so are the errors.
    """
    m = curie_weiss_magnetisation(beta, coupling, field)
    entropy = -xlogy((1 + m) / 2, (1 + m) / 2) - xlogy((1 - m) / 2, (1 - m) / 2)
    return -float(entropy / beta + coupling * m**2 / 2 + field * m)
