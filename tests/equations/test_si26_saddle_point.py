"""SI Eq. (26): the replica-symmetric ln rho.

Right: N beta^2/4 (eta - q0)^2 + sum_l E_z ln 2cosh beta (h_l + sqrt(q0) z) with eta = (N-i)/N,
which is c'' = e^(N eta^2 beta^2/4) and - N eta beta^2 q0/2 where the paper prints - N beta^2 q0/2.
Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLES
from scipy.optimize import brentq
from scipy.special import logsumexp

from arnn import replica
from arnn.exact import configurations
from arnn.quadrature import gaussian_rule

BETA, SIZE = 0.9, 24
FIELDS = np.random.default_rng(1).normal(0, 0.6, 12)


def average(g, q):
    """sum_l E_z g(beta (h_l + sqrt(q) z))."""
    z, weights = gaussian_rule(BETA * math.sqrt(q))
    return float((g(BETA * (FIELDS[:, None] + math.sqrt(q) * z)) @ weights).sum())


def log_two_cosh(t):
    return np.logaddexp(t, -t)


def corrected(q):
    eta = len(FIELDS) / SIZE
    return SIZE * BETA**2 / 4 * (eta - q) ** 2 + average(log_two_cosh, q)


@pytest.fixture(scope="module")
def exact():
    """E ln rho over the couplings among the later spins, and its standard error, by enumeration."""
    generator = np.random.default_rng(2)
    x = configurations(len(FIELDS)).numpy()
    first, second = np.triu_indices(len(FIELDS), 1)
    couplings = generator.normal(0, 1 / math.sqrt(SIZE), (500, len(first)))
    values = logsumexp(BETA * (couplings @ (x[:, first] * x[:, second]).T + x @ FIELDS), axis=1)
    return values.mean(), values.std() / math.sqrt(len(values))


def test_the_library_has_it():
    for later in EXAMPLES:
        for q in (0.0, 0.3):
            z, weights = gaussian_rule(later.beta * math.sqrt(q))
            eta = later.count / later.size
            expected = later.size * later.beta**2 / 4 * (eta - q) ** 2
            for h in later.fields:
                expected += weights @ log_two_cosh(later.beta * (h + math.sqrt(q) * z))
            found = replica.log_rho(later.beta, later.fields, later.size, [q])
            assert found == pytest.approx(expected, abs=1e-12)
    found = replica.log_rho(BETA, FIELDS, SIZE, [0.2])
    assert found == pytest.approx(corrected(0.2), abs=1e-12)


def test_it_is_stationary_where_q_is_the_mean_square_magnetisation():
    found = replica.subsystem(BETA, FIELDS, SIZE)
    q = brentq(lambda q: average(lambda t: np.tanh(t) ** 2, q) / SIZE - q, 1e-6, 1, xtol=1e-14)
    assert found.q[0] == pytest.approx(q, abs=1e-12)
    step = 1e-4
    assert abs(corrected(q + step) - corrected(q - step)) / (2 * step) < 1e-8
    assert corrected(q + step) + corrected(q - step) > 2 * corrected(q)  # a minimum
    assert found.log_rho == pytest.approx(corrected(q), abs=1e-11)


def test_it_is_above_the_mean_over_the_couplings_and_close(exact):
    mean, error = exact
    value = replica.subsystem(BETA, FIELDS, SIZE).log_rho
    assert mean - 4 * error < value < mean + 0.2


def test_the_printed_constant_is_far_off(exact):
    """Stationary or not: - N beta^2 q0/2 instead of - N eta beta^2 q0/2, the rest corrected."""
    mean, _ = exact
    eta = len(FIELDS) / SIZE

    def printed(q):
        quadratic = SIZE * BETA**2 * (eta**2 / 4 + q**2 / 4 - q / 2)
        return quadratic + average(log_two_cosh, q)

    q = np.linspace(0, 1, 201)
    values = np.array([printed(v) for v in q])
    # Its minimum is where q = 1 - eta + sum_l E tanh^2 / N, an overlap larger than eta allows.
    assert q[values.argmin()] > eta
    assert values.min() < mean - 1
