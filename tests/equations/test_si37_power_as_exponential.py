"""SI Eq. (37): cosh^m = e^(m ln cosh), correct up to the 2 before cosh; m need not be whole.

What it buys is a meaning for 0 < m < 1, and a form that does not overflow. Chapter 8.
"""

import math

import pytest
from blocks import CASES, log_block_integral, mean_log_block_integral
from scipy.integrate import quad

_, _, Q0, Q1, BETA, FIELD = CASES[0]


def exponential_form(u, m, beta, twos=True):
    """ln int dP_y e^(m ln [2] cosh beta (u + y)) by a plain integral."""
    difference = Q1 - Q0

    def integrand(y):
        log_cosh = math.log(math.cosh(beta * (u + y))) + twos * math.log(2)
        return math.exp(m * log_cosh - y**2 / (2 * difference))

    width = 12 * math.sqrt(difference)
    integral = quad(integrand, -width, width, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
    return math.log(integral / math.sqrt(2 * math.pi * difference))


@pytest.mark.parametrize("m", [0.05, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("u", [-0.8, 0.0, 1.5])
def test_inner_integral_at_any_real_m(u, m):
    found = float(log_block_integral(u, m, BETA, Q1 - Q0))
    assert found == pytest.approx(exponential_form(u, m, BETA), abs=1e-10)


def test_the_missing_two_is_a_constant():
    with_twos, without = exponential_form(0.3, 0.5, BETA), exponential_form(0.3, 0.5, BETA, False)
    assert with_twos - without == pytest.approx(0.5 * math.log(2), abs=1e-12)


def test_between_its_limits_m_interpolates_from_the_mean_to_the_logarithm_of_the_mean():
    # m -> 0: E ln 2 cosh; m = 1: ln E 2 cosh = ln 2 cosh(beta u) + beta^2 (q1 - q0)/2; and
    # (1/m) ln E (2 cosh)^m grows with m in between.
    values = [mean_log_block_integral(m, Q0, Q1, BETA, FIELD) / m for m in (1e-6, 0.3, 0.6, 1.0)]
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.1
    at_one = mean_log_block_integral(1e-9, Q0, Q0 + 1e-15, BETA, FIELD) / 1e-9
    assert values[-1] == pytest.approx(at_one + BETA**2 * (Q1 - Q0) / 2, abs=1e-6)
    to_zero = mean_log_block_integral(1e-9, Q1, Q1 + 1e-15, BETA, FIELD) / 1e-9
    assert values[0] == pytest.approx(to_zero, abs=1e-5)


def test_a_strong_field_does_not_overflow():
    m, field = 0.5, 1000.0
    with pytest.raises(OverflowError):
        math.cosh(BETA * field)
    aligned = m * BETA * field + (m * BETA) ** 2 * (Q1 - Q0) / 2
    assert mean_log_block_integral(m, Q0, Q1, BETA, field) == pytest.approx(aligned, rel=1e-12)
