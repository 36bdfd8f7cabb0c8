"""SI Eq. (38): with ln 2 cosh t = t - ln sigma(2 t) the nested integral holds a log-sigmoid.

Corrected: m beta h + int dP_z ln int dP_y exp[m beta y - m ln sigma(2 beta (h + z + y))]. The paper
prints beta h (without m), beta^2 m y, and sigma(beta (...)) without the 2. Chapter 8.
"""

import math

import numpy as np
import pytest
from blocks import CASES, mean_log_block_integral
from scipy.special import log_expit, logsumexp

from arnn.quadrature import gaussian_rule


def log_sigmoid_form(m, q0, q1, beta, field, *, power=1, slope=2.0):
    """The corrected integral of SI Eq. (38); `power` and `slope` let the misprints in.

    The exponent is m beta^power y - m ln sigma(slope beta (h + z + y)).
    """
    difference = q1 - q0
    z, weights = gaussian_rule(2 * beta * math.sqrt(q0))
    y, inner = gaussian_rule(2 * beta * math.sqrt(difference), 3 * m * beta * math.sqrt(difference))
    y = math.sqrt(difference) * y
    argument = field + math.sqrt(q0) * z[:, None] + y
    exponent = m * beta**power * y - m * log_expit(slope * beta * argument)
    return float(weights @ logsumexp(exponent, b=inner, axis=1))


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
@pytest.mark.parametrize("factor", [1.0, 0.2])
def test_against_the_powers_of_cosh(n, m, q0, q1, beta, field, factor):
    m = factor * m
    found = m * beta * field + log_sigmoid_form(m, q0, q1, beta, field)
    assert found == pytest.approx(mean_log_block_integral(m, q0, q1, beta, field), abs=1e-11)


def test_what_each_misprint_costs():
    _, _, q0, q1, beta, field = CASES[0]
    m = 0.5
    truth = mean_log_block_integral(m, q0, q1, beta, field)
    right = log_sigmoid_form(m, q0, q1, beta, field)
    without_m = beta * field + right - truth
    power = m * beta * field + log_sigmoid_form(m, q0, q1, beta, field, power=2) - truth
    slope = m * beta * field + log_sigmoid_form(m, q0, q1, beta, field, slope=1.0) - truth
    assert without_m == pytest.approx((1 - m) * beta * field)
    found = [without_m, power, slope]
    assert np.all(np.abs(found) > 0.01)


def test_the_difference_of_rho_plus_and_rho_minus_keeps_the_linear_term():
    # ln rho+ - ln rho- gets beta (h+ - h-) = 2 beta J_il from the term before the integral: a
    # constant that the printed network leaves to its biases.
    _, _, q0, q1, beta, field = CASES[0]
    m, coupling = 0.5, 0.3
    fields = field + coupling, field - coupling
    whole = [mean_log_block_integral(m, q0, q1, beta, h) / m for h in fields]
    part = [log_sigmoid_form(m, q0, q1, beta, h) / m for h in fields]
    difference = (whole[0] - whole[1]) - (part[0] - part[1])
    assert difference == pytest.approx(2 * beta * coupling, abs=1e-11)
