"""SI Eq. (34): ln rho of the 1RSB ansatz is the limit n -> 0 of (1/n) ln E rho^n.

For the ansatz E rho^n is the corrected integrand below SI Eq. (31), taken at its saddle point in
q0, q1 and m. Chapter 8.
"""

import math

import numpy as np
import pytest
from blocks import log_constant, log_nested_integral, log_rho
from scipy.special import logsumexp

import arnn

BETA, SIZE, FIELDS = 1.4, 6, (0.3, -0.5, 0.4, 0.1)
Q0, Q1 = 0.1, 0.5


def log_replicated(n, m):
    """ln of c(n, N, i) times the integrand at (Q0, Q1), for real n; the power of 2 pi left out."""
    later = len(FIELDS)
    squares = n**2 * Q0**2 + n * m * (Q1**2 - Q0**2) - n * Q1**2
    weight = -SIZE * BETA**2 / 4 * squares - n * later * BETA**2 * Q1 / 2
    spins = sum(log_nested_integral(n, m, Q0, Q1, BETA, h) for h in FIELDS)
    return log_constant(n, BETA, SIZE, later) + weight + spins


@pytest.mark.parametrize("m", [0.3, 0.8])
def test_the_limit_is_the_expression_of_si_35(m):
    limit = log_rho(BETA, FIELDS, SIZE, Q0, Q1, m)
    errors = [log_replicated(n, m) / n - limit for n in (1e-2, 1e-3, 1e-4)]
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.05)
    assert abs(errors[2]) < 1e-4


@pytest.mark.parametrize("n", [1, 2, 4])
def test_at_integer_n_one_block_holds_all_replicas(n):
    # m = n: only q1 is left, and the integrand is that of replica symmetry with q = q1.
    symmetric = [log_nested_integral(n, 1.0, Q1, Q1, BETA, h) for h in FIELDS]
    one_block = [log_nested_integral(n, float(n), 0.0, Q1, BETA, h) for h in FIELDS]
    assert one_block == pytest.approx(symmetric, abs=1e-11)


def test_the_limit_of_the_exact_powers_is_the_mean_of_the_logarithm():
    # The left side: (1/n) ln E rho^n -> E ln rho, over couplings drawn once and enumerated.
    generator = np.random.default_rng(1)
    x = arnn.exact.configurations(len(FIELDS)).numpy()
    pairs = np.triu_indices(len(FIELDS), 1)
    products = x[:, pairs[0]] * x[:, pairs[1]]
    couplings = generator.normal(0, 1 / math.sqrt(SIZE), (2000, products.shape[1]))
    log_rhos = logsumexp(BETA * (couplings @ products.T + x @ np.array(FIELDS)), axis=1)
    for n, tolerance in ((1e-1, 2e-2), (1e-3, 2e-4)):
        power_mean = float(logsumexp(n * log_rhos) - math.log(len(log_rhos))) / n
        assert 0 < power_mean - log_rhos.mean() < tolerance
