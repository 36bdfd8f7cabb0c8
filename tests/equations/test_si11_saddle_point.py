"""SI Eq. (11): the saddle point of the corrected exponent, m_i / rho_i = tanh beta J (m_i - S/N);
m_i has the sign opposite to S, since it is minus the magnetisation of the later spins.

The paper prints m_i / rho_i and S/(N-i) inside the tanh, both too large by 1/rho_i; SI I.B then
ends with ln rho+ - ln rho- = -2 beta J |m_i| sgn S, whose sign is the other one. Chapter 4.
"""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import logsumexp
from systems import exponent, log_sum

from arnn import exact

BETA = 1.3
M_BETA = exact.curie_weiss_magnetisation(BETA)


def corrected(m, rho, past):
    """Zero at a solution; `past` is S/N."""
    return math.tanh(BETA * (m - past)) - m / rho


def printed(m, rho, past):
    return math.tanh(BETA * (m - past) / rho) - m / rho


def mean_of_the_future(n, i, total):
    """The exact mean of m_i given the sum of the past, and the sign of spin i averaged out."""
    m = (2 * np.arange(n - i + 1) - (n - i)) / n
    log_weights = exponent(n, i, BETA, 0, total, m)
    return float(np.exp(log_weights - logsumexp(log_weights)) @ m)


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.8])
def test_its_solution_is_the_mean_over_the_later_spins(fraction):
    n = 4000
    i = round(fraction * n)
    rho, total = (n - i) / n, round((i - 1) * M_BETA)
    truth = mean_of_the_future(n, i, total)
    solution = brentq(corrected, -rho, 0, (rho, total / n))
    assert solution < 0 < total
    assert solution == pytest.approx(truth, abs=1e-3)
    assert solution == pytest.approx(-rho * M_BETA, abs=1e-3)
    wrong = brentq(printed, -rho, 0, (rho, total / n))
    assert abs(wrong - truth) > 0.02


def test_the_printed_equation_is_off_by_a_tenth_halfway():
    solution = brentq(printed, -0.5, 0, (0.5, M_BETA / 2))
    assert solution + 0.5 * M_BETA == pytest.approx(-0.113, abs=1e-3)


@pytest.mark.parametrize("past", [0.1, 0.3, -0.2])
def test_it_is_where_the_rate_function_is_stationary(past):
    n, i = 10**7, 4 * 10**6
    rho, total = (n - i) / n, past * n
    solution = brentq(corrected, *((-rho, 0) if past > 0 else (0, rho)), (rho, past))
    step = 1e-4
    around = [exponent(n, i, BETA, 0, total, solution + d) / n for d in (-step, 0, step)]
    slope, curvature = around[2] - around[0], around[0] - 2 * around[1] + around[2]
    assert abs(slope / (2 * step)) < 1e-5
    assert curvature < 0


def test_the_difference_of_the_logarithms_has_the_sign_of_the_past():
    n, i = 4000, 2000
    total = round((i - 1) * M_BETA)
    found = log_sum(n, i, BETA, 1, total) - log_sum(n, i, BETA, -1, total)
    size = 2 * BETA * (1 - i / n) * M_BETA
    assert found == pytest.approx(size, abs=5e-3)
    assert found - (-size) > 1.9
