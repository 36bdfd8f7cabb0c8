"""SI Eq. (36): the integral over z of the logarithm of the integral over y, one for each spin.

With 2 cosh for cosh, and beta (h + z + y) for the printed beta (h + beta z + beta y). For a whole m
the inner integral is the partition function of the m replicas of one block. Chapter 8.
"""

import math

import numpy as np
import pytest
from blocks import CASES, block_matrix, log_replica_sum, mean_log_block_integral
from scipy.integrate import quad


def by_blocks(m, q0, q1, beta, field):
    """The left side for integer m: the inner integral as a sum over the spins of one block."""
    Q = block_matrix(m, m, 0.0, q1 - q0)
    constant = m * beta**2 * (q1 - q0) / 2

    def integrand(z):
        density = math.exp(-(z**2) / (2 * q0)) / math.sqrt(2 * math.pi * q0)
        return density * (log_replica_sum(Q, beta, field + z) + constant)

    width = 10 * math.sqrt(q0)
    return quad(integrand, -width, width, epsabs=1e-10, limit=200)[0]


def by_quadrature(m, q0, q1, beta, field, factor=1.0):
    """The left side for real m by two plain integrals; `factor` multiplies z and y."""

    def cosh_power(z, y):
        return (2 * math.cosh(beta * (field + factor * (z + y)))) ** m

    def gaussian(t, variance):
        return math.exp(-(t**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)

    width = 10 * math.sqrt(q1 - q0)
    z = 9 * math.sqrt(q0) * np.linspace(-1, 1, 401)
    inner = [
        quad(lambda y, z=value: gaussian(y, q1 - q0) * cosh_power(z, y), -width, width)[0]
        for value in z
    ]
    outer = np.array([gaussian(value, q0) for value in z]) * (z[1] - z[0])
    return float(outer @ np.log(inner))


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_whole_blocks(n, m, q0, q1, beta, field):
    found = mean_log_block_integral(m, q0, q1, beta, field)
    assert found == pytest.approx(by_blocks(m, q0, q1, beta, field), abs=1e-9)


@pytest.mark.parametrize("m", [0.2, 0.7])
def test_blocks_of_less_than_one_replica(m):
    _, _, q0, q1, beta, field = CASES[0]
    truth = by_quadrature(m, q0, q1, beta, field)
    assert mean_log_block_integral(m, q0, q1, beta, field) == pytest.approx(truth, abs=1e-9)


def test_a_further_beta_before_the_variables_is_one_too_many():
    _, _, q0, q1, beta, field = CASES[0]
    right = by_quadrature(0.7, q0, q1, beta, field)
    printed = by_quadrature(0.7, q0, q1, beta, field, factor=beta)
    assert printed - right > 0.1
