"""The four lines below SI Eq. (31): E rho^n with the 1RSB matrix, at integer n and m.

Corrected: e^(-N beta^2/4 [n^2 q0^2 + n m (q1^2 - q0^2) - n q1^2]) from the Gaussian weight, where
the paper prints e^(+N beta^2/2 [...]); the constant -n q1 of SI Eq. (30) gives
e^(-n (N-i) beta^2 q1/2), where the paper prints N in place of N-i; 2 cosh
instead of cosh; the fields beta (h + z + y), since z and y carry the variances; and no additive c'
in the last line. Chapter 8.
"""

import itertools
import math

import numpy as np
import pytest
from blocks import (
    CASES,
    block_matrix,
    block_sums,
    log_block_integral,
    log_constant,
    log_nested_integral,
    log_replica_sum,
    mean_log_block_integral,
)
from scipy.special import logsumexp
from systems import spins

BETA, SIZE, FIELDS = 1.2, 5, (0.3, -0.5, 0.4)  # three later spins among five


def log_average(n):
    """ln E rho^n over the couplings of the later spins (variance 1/SIZE), by brute force."""
    later = list(spins(len(FIELDS)))
    terms = []
    for replicas in itertools.product(later, repeat=n):
        x = np.array(replicas)
        overlap_of_spins = x.T @ x
        pairs = np.triu_indices(len(FIELDS), 1)
        coupled = BETA**2 / (2 * SIZE) * (overlap_of_spins[pairs] ** 2).sum()
        terms.append(coupled + BETA * (x @ np.array(FIELDS)).sum())
    return float(logsumexp(terms))


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_first_line_squares_of_sums(n, m, q0, q1, beta, field):
    terms = []
    for x in spins(n):
        inside = sum(s**2 for s in block_sums(x, m))
        square = q0 * sum(x) ** 2 + (q1 - q0) * inside - n * q1
        terms.append(beta * field * sum(x) + beta**2 / 2 * square)
    truth = log_replica_sum(block_matrix(n, m, q0, q1), beta, field)
    assert float(logsumexp(terms)) == pytest.approx(truth, abs=1e-11)


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_second_and_third_line_are_exact_for_a_given_matrix(n, m, q0, q1, beta, field):
    truth = log_replica_sum(block_matrix(n, m, q0, q1), beta, field)
    nested = log_nested_integral(n, m, q0, q1, beta, field) - n * beta**2 * q1 / 2
    assert nested == pytest.approx(truth, abs=1e-10)


def test_what_the_misprints_cost():
    n, m, q0, q1, beta, field = CASES[0]
    truth = log_replica_sum(block_matrix(n, m, q0, q1), beta, field)
    right = log_nested_integral(n, m, q0, q1, beta, field) - n * beta**2 * q1 / 2
    without_twos = right - n * math.log(2)
    factor_beta_too_many = log_nested_integral(n, m, beta**2 * q0, beta**2 * q1, beta, field)
    factor_beta_too_many -= n * beta**2 * q1 / 2
    assert without_twos - truth == pytest.approx(-2.7726, abs=1e-4)
    assert factor_beta_too_many - truth > 1.5


@pytest.mark.parametrize("m", [1, 2])
def test_two_replicas_give_the_exact_average(m):
    # For n = 2 the matrix has one entry, and the ansatz is no assumption: the whole display,
    # with c(2, N, i) and the integral over this entry, is the average itself.
    n, later = 2, len(FIELDS)
    q = np.linspace(-6, 6, 4001)
    weight = -SIZE * BETA**2 / 4 * 2 * q**2  # n^2 q0^2 + n m (q1^2 - q0^2) - n q1^2 = 2 q^2
    sums = np.array([_two_replicas(value, h) for value in q for h in FIELDS])
    exponent = weight + sums.reshape(len(q), later).sum(1)
    constant = log_constant(n, BETA, SIZE, later) + 0.5 * math.log(SIZE * BETA**2 / (2 * math.pi))
    integral = float(logsumexp(exponent)) + math.log(q[1] - q[0])
    assert constant + integral == pytest.approx(log_average(n), abs=1e-10)
    # With the printed e^(+N beta^2/2 ...) the integrand grows without bound.
    printed = exponent - 3 * weight
    assert printed[-1] > printed[len(q) // 2] + 100


def _two_replicas(q, field):
    return log_replica_sum(np.array([[0, q], [q, 0]]), BETA, field)


def test_the_nested_form_of_two_replicas_at_either_block_size():
    for q, h in itertools.product((0.1, 0.7), FIELDS):
        truth = _two_replicas(q, h)
        constant = -(BETA**2) * q
        one_block = log_nested_integral(2, 2, 0.0, q, BETA, h) + constant
        blocks_of_one = log_nested_integral(2, 1, q, q, BETA, h) + constant
        assert one_block == pytest.approx(truth, abs=1e-11)
        assert blocks_of_one == pytest.approx(truth, abs=1e-11)


def test_last_line_few_replicas():
    # E_z exp{(n/m) ln I(z)} = exp{(n/m) E_z ln I(z)} up to order n^2: the mean of the logarithm.
    _, _, q0, q1, beta, field = CASES[0]
    m = 0.4
    deviations = []
    for n in (1e-2, 1e-3):
        exact = log_nested_integral(n, m, q0, q1, beta, field)
        deviations.append(exact - n / m * mean_log_block_integral(m, q0, q1, beta, field))
    assert deviations[0] / deviations[1] == pytest.approx(100, rel=0.02)
    assert 0 < deviations[1] < 1e-6


def test_a_block_integral_is_a_sum_over_the_replicas_of_one_block():
    _, m, q0, q1, beta, field = CASES[1]
    block = log_replica_sum(block_matrix(m, m, 0.0, q1 - q0), beta, field)
    integral = float(log_block_integral(field, m, beta, q1 - q0))
    assert integral - m * beta**2 * (q1 - q0) / 2 == pytest.approx(block, abs=1e-11)
