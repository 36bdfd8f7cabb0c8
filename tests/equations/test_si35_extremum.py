"""SI Eq. (35): the 1RSB ln rho with its constants, stationary in q0, q1 and m.

The right form is N beta^2/4 [(eta - q1)^2 - m (q1^2 - q0^2)] + (1/m) sum_l int dP_z ln int dP_y
[2 cosh beta (h_l + z + y)]^m with eta = (N - i)/N. The paper leaves the first term open, takes the
extremum over q0 and q1 alone, and has cosh. By Guerra's theorem the expression is never below the
mean of ln rho over the couplings, so that the extremum is a minimum. Chapter 8.
"""

import itertools
import math

import numpy as np
import pytest
from blocks import log_rho
from scipy.special import logsumexp

import arnn
from arnn import replica

BETA, SIZE = 1.6, 10
FIELDS = (0.3, -0.5, 0.4, 0.1, -0.2, 0.6, -0.1, 0.2)
ETA = len(FIELDS) / SIZE
GRID = [(0.1, 0.4, 0.3), (0.2, 0.5, 0.6), (0.35, 0.5, 0.9), (0.0, 0.7, 0.2), (0.45, 0.45, 0.5)]


def test_the_library_has_this_expression():
    for q0, q1, m in GRID:
        expected = log_rho(BETA, FIELDS, SIZE, q0, q1, m)
        found = replica.log_rho(BETA, FIELDS, SIZE, (q0, q1), (m,))
        assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("beta", [3.0, 5.0])
def test_the_extremum_is_stationary_and_a_minimum_in_all_three(beta):
    # L = N = 1 without field is the SK model itself, per spin.
    solution = replica.free_energy(beta, 1)
    best = np.array([*solution.q, *solution.m])

    def functional(parameters):
        return log_rho(beta, (0.0,), 1, *parameters)

    value = functional(best)
    assert value == pytest.approx(-beta * solution.f, abs=1e-10)
    step = 1e-4
    for direction in np.eye(3):
        ahead, behind = functional(best + step * direction), functional(best - step * direction)
        assert abs(ahead - behind) / (2 * step) < 1e-6
        assert ahead + behind - 2 * value > 0


def test_without_the_extremum_over_m_the_value_is_free():
    # Extr over q0 and q1 alone, as printed, leaves a family: the value depends on m.
    solution = replica.free_energy(5.0, 1)
    values = [log_rho(5.0, (0.0,), 1, *solution.q, m) for m in (*solution.m, 0.1, 0.6)]
    assert values[0] < values[1] - 1e-3
    assert values[0] < values[2] - 1e-3


@pytest.fixture(scope="module")
def mean_log_rho():
    """E ln rho over the couplings among the later spins, enumerated, and its standard error."""
    generator = np.random.default_rng(3)
    x = arnn.exact.configurations(len(FIELDS)).numpy()
    first, second = np.triu_indices(len(FIELDS), 1)
    couplings = generator.normal(0, 1 / math.sqrt(SIZE), (2000, len(first)))
    exponent = couplings @ (x[:, first] * x[:, second]).T + x @ np.array(FIELDS)
    values = logsumexp(BETA * exponent, axis=1)
    return values.mean(), values.std() / math.sqrt(len(values))


def test_it_is_an_upper_bound_on_the_mean_at_every_size(mean_log_rho):
    mean, error = mean_log_rho
    for q0, q1, m in GRID:
        assert log_rho(BETA, FIELDS, SIZE, q0, q1, m) > mean - 3 * error
    symmetric = replica.subsystem(BETA, np.array(FIELDS), SIZE).log_rho
    assert mean < symmetric < mean + 1
    # Without the 2 of 2 cosh, as printed, it would be far below.
    assert symmetric - len(FIELDS) * math.log(2) < mean - 3


def test_a_step_of_breaking_never_raises_the_minimum():
    fields = np.array(FIELDS)
    symmetric, broken = (replica.subsystem(4.0, 0.3 * fields, 10, steps) for steps in (0, 1))
    assert broken.log_rho <= symmetric.log_rho + 1e-12
    grid = itertools.product((0.1, 0.3), (0.5, 0.7), (0.2, 0.5))
    for q0, q1, m in grid:
        assert log_rho(4.0, 0.3 * fields, 10, q0, q1, m) > broken.log_rho - 1e-12
