"""SI Eq. (9): for N >> 1 the sum over m_i becomes an integral, of the same corrected summand and
with the factor N/2, since m_i moves in steps of 2/N.

The paper prints e^{N rho_i beta J S/(N-i)}, again without m_i, and no factor. Chapter 4.
"""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from systems import exponent, log_sum


def log_integral(n, i, beta, sign, total, coupled=True, points=40_001):
    rho = (n - i) / n
    m = np.linspace(-rho, rho, points)
    values = exponent(n, i, beta, sign, total, m)
    if not coupled:  # as printed
        values += beta * m * total + n * rho * beta * total / (n - i)
    values[[0, -1]] -= math.log(2)
    return logsumexp(values) + math.log(m[1] - m[0])


@pytest.mark.parametrize("n", [100, 400])
def test_the_integral_is_the_sum_with_a_factor(n):
    i, beta = n // 2, 1.3
    for total in (0, round(0.75 * i)):
        for sign in (1, -1):
            integral = log_integral(n, i, beta, sign, total) + math.log(n / 2)
            assert integral == pytest.approx(log_sum(n, i, beta, sign, total), abs=0.2 / n)


def test_without_the_factor_it_would_be_off_by_its_logarithm():
    n, i, beta, total = 400, 200, 1.3, 150
    gap = log_sum(n, i, beta, 1, total) - log_integral(n, i, beta, 1, total)
    assert gap == pytest.approx(math.log(200), abs=1e-3)


def test_as_printed_the_past_would_not_matter():
    n, i, beta, total = 400, 200, 1.3, 150

    def difference(coupled):
        up, down = (log_integral(n, i, beta, sign, total, coupled) for sign in (1, -1))
        return up - down

    truth = log_sum(n, i, beta, 1, total) - log_sum(n, i, beta, -1, total)
    assert truth > 0.9
    assert difference(coupled=True) == pytest.approx(truth, abs=1e-4)
    assert difference(coupled=False) == pytest.approx(0, abs=1e-6)
