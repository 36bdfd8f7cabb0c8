"""The later spins of the SK model, replicated: averages over their couplings, and what they become.

Three later spins have three couplings among them, so that every average over J_ll' is a Gaussian
integral in three dimensions, which a product rule does to rounding. Nothing is sampled.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from systems import spins

from arnn.quadrature import gaussian_rule


class Later(NamedTuple):
    """Later spins of a system of `size` = N, in fields h_l, with couplings of variance 1/N."""

    beta: float
    size: int
    fields: tuple

    @property
    def count(self):
        """N - i."""
        return len(self.fields)

    def pairs(self):
        return list(itertools.combinations(range(self.count), 2))

    def log_rho(self, couplings):
        """ln rho for couplings (..., pairs), by the sum over all configurations."""
        x = np.array(list(spins(self.count)))
        first, second = np.array(self.pairs()).T
        exponent = couplings @ (x[:, first] * x[:, second]).T + x @ np.array(self.fields)
        return logsumexp(self.beta * exponent, axis=-1)

    def couplings(self):
        """Nodes (M, pairs) and weights (M,) of the law of the couplings."""
        z, weights = _hermite(40)
        grid = np.stack(np.meshgrid(*[z] * len(self.pairs())), -1).reshape(-1, len(self.pairs()))
        product = np.prod(np.meshgrid(*[weights] * len(self.pairs())), 0).ravel()
        return grid / math.sqrt(self.size), product

    def log_average(self, n):
        """ln E rho^n over the couplings, for any real n."""
        nodes, weights = self.couplings()
        return float(logsumexp(n * self.log_rho(nodes), b=weights))

    def mean_log_rho(self):
        """E ln rho over the couplings."""
        nodes, weights = self.couplings()
        return float(weights @ self.log_rho(nodes))

    def replicas(self, n):
        """All configurations of n replicas, (2^(n (N-i)), n, N-i)."""
        return np.array(list(spins(n * self.count))).reshape(-1, n, self.count)

    def log_replica_sum(self, n, exponent):
        """ln of the sum over n replicas of exp(beta sum_l h_l sum_a x_l^a + exponent(x))."""
        x = self.replicas(n)
        return float(logsumexp(self.beta * (x.sum(1) @ np.array(self.fields)) + exponent(x)))

    def squares(self, x):
        """sum_{a<b} (sum_l x_l^a x_l^b)^2, of replicas x."""
        overlaps = x @ x.transpose(0, 2, 1)
        first, second = np.triu_indices(x.shape[1], 1)
        return (overlaps[:, first, second] ** 2).sum(1)

    def log_constant(self, n):
        """beta^2 (N-i)/(4N) [(N-i) n - n^2], what SI Eq. (16) has in front of the sum."""
        return self.beta**2 * self.count / (4 * self.size) * (self.count * n - n**2)

    def log_one_spin(self, n, Q, field):
        """ln of the square bracket of SI Eq. (18): n replicas of one spin, Q_ab for a < b."""
        first, second = np.triu_indices(n, 1)
        terms = [
            self.beta * field * sum(x)
            + self.beta**2 * sum(q * x[a] * x[b] for q, a, b in zip(Q, first, second, strict=True))
            for x in spins(n)
        ]
        return logsumexp(np.array(np.broadcast_arrays(*terms)), axis=0)

    def log_overlap_integral(self, n):
        """ln of the integral over all Q_ab of SI Eq. (18), without c(n, N, i).

        The integrand is a sum of Gaussians of variance 1/(N beta^2) centred where
        N Q_ab = sum_l x_l^a x_l^b, so an even grid up to some ten deviations beyond them is exact
        to rounding.
        """
        width = 1 / (self.beta * math.sqrt(self.size))
        reach = self.count / self.size + 9 * width
        axis, step = np.linspace(-reach, reach, round(2 * reach / (0.6 * width)) + 1, retstep=True)
        pairs = n * (n - 1) // 2
        Q = np.meshgrid(*[axis] * pairs)
        exponent = -self.size / 2 * self.beta**2 * sum(q**2 for q in Q)
        exponent = exponent + sum(self.log_one_spin(n, Q, h) for h in self.fields)
        return float(logsumexp(exponent)) + pairs * math.log(step)

    def log_hubbard_factor(self, n):
        """ln of (N beta^2 / 2 pi)^(n(n-1)/4), one square root for each pair of replicas."""
        return n * (n - 1) / 4 * math.log(self.size * self.beta**2 / (2 * math.pi))

    def symmetric_exponent(self, n, q, one_spin):
        """The exponent of SI Eq. (19) at one q: the weight, and `one_spin(n, q, h)` for each l."""
        weight = -n * (n - 1) * self.size / 4 * self.beta**2 * q**2
        return weight + sum(one_spin(n, q, h) for h in self.fields)

    def log_one_spin_symmetric(self, n, q, field):
        """SI Eq. (19): ln of the sum over n replicas of one spin when all Q_ab are q."""
        return self.log_one_spin(n, [q] * (n * (n - 1) // 2), field)

    def log_one_spin_power(self, n, q, field):
        """SI Eq. (22), corrected, any real n: e^(-n beta^2 q/2) E_z [2 cosh beta (h + z)]^n."""
        slope = self.beta * math.sqrt(q)
        z, weights = gaussian_rule(slope, abs(n) * slope)
        argument = self.beta * field + slope * z
        log_power = n * np.logaddexp(argument, -argument)
        return -n * self.beta**2 * q / 2 + float(logsumexp(log_power, b=weights))


def _hermite(nodes):
    z, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return z, weights / weights.sum()


EXAMPLE = Later(1.2, 5, (0.3, -0.5, 0.4))
OTHER_FIELDS = Later(1.2, 5, (-0.7, 0.1, 0.9))
EXAMPLES = [EXAMPLE, OTHER_FIELDS, Later(0.6, 4, (0.0, 1.2, -0.3)), Later(1.7, 9, (0.2, 0.2, 0.2))]
