"""Replicas in blocks: the overlap matrices of Parisi, and brute-force sums over replicated spins.

Everything here is done at an integer number n of replicas, a multiple of the block size m, where
nothing has been continued to n = 0 and each side of an equation can be computed by itself.
"""

import itertools
import math

import numpy as np
from scipy.special import logsumexp
from systems import spins

from arnn.quadrature import gaussian_rule

# Replicas, block size, q0, q1, beta, field: every term acts in each of them.
CASES = [(4, 2, 0.2, 0.6, 1.3, 0.4), (6, 3, 0.1, 0.5, 0.8, -0.7), (6, 2, 0.3, 0.35, 1.1, 0.2)]


def block_matrix(n, m, q0, q1):
    """SI Eq. (29) with the diagonal that SI Eq. (31) implies, Q_aa = 0; blocks of m replicas."""
    block = np.arange(n) // m
    overlaps = np.where(block[:, None] == block[None, :], q1, q0)
    return overlaps * (1.0 - np.eye(n))


def block_sums(x, m):
    """The sum of the replicas of each block, for replicas x of one spin, a tuple."""
    return [sum(x[start : start + m]) for start in range(0, len(x), m)]


def pair_sum(Q, x):
    """sum_{a<b} Q_ab x_a x_b, term by term."""
    pairs = itertools.combinations(range(len(x)), 2)
    return math.fsum(Q[a, b] * x[a] * x[b] for a, b in pairs)


def log_replica_sum(Q, beta, field):
    """ln of the square bracket of SI Eq. (18): one spin, n replicas, overlaps Q, by brute force."""
    terms = [beta * field * sum(x) + beta**2 * pair_sum(Q, x) for x in spins(len(Q))]
    return float(logsumexp(terms))


def log_block_integral(u, m, beta, difference):
    """ln int dP_y [2 cosh beta (u + y)]^m, y of variance q1 - q0; u (any shape), m real."""
    slope = beta * math.sqrt(difference)
    y, weights = gaussian_rule(slope, m * slope)
    argument = beta * np.asarray(u)[..., None] + slope * y
    return logsumexp(m * np.logaddexp(argument, -argument), b=weights, axis=-1)


def log_nested_integral(n, m, q0, q1, beta, field):
    """ln int dP_z {int dP_y [2 cosh beta (h + z + y)]^m}^(n/m) for real n and m."""
    slope = beta * math.sqrt(q0)
    z, weights = gaussian_rule(slope, n * slope)
    blocks = log_block_integral(field + math.sqrt(q0) * z, m, beta, q1 - q0)
    return float(logsumexp(n / m * blocks, b=weights))


def mean_log_block_integral(m, q0, q1, beta, field):
    """int dP_z ln int dP_y [2 cosh beta (h + z + y)]^m."""
    z, weights = gaussian_rule(beta * math.sqrt(q0))
    return float(weights @ log_block_integral(field + math.sqrt(q0) * z, m, beta, q1 - q0))


def log_constant(n, beta, size, later):
    """What the average over the couplings leaves besides the squares of SI Eq. (16), as ln.

    The first factor of c(n, N, i), for n replicas of the `later` = N - i spins among `size` = N.
    """
    return beta**2 * later / (4 * size) * (later * n - n**2)


def log_rho(beta, fields, size, q0, q1, m):
    """The 1RSB ln rho at given order parameters, SI Eq. (35) with all its constants.

    `fields` are the h_l of the later spins, whose couplings have variance 1 / size.
    """
    eta = len(fields) / size
    quadratic = size * beta**2 / 4 * ((eta - q1) ** 2 - m * (q1**2 - q0**2))
    return quadratic + sum(mean_log_block_integral(m, q0, q1, beta, h) for h in fields) / m
