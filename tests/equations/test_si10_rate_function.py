"""SI Eq. (10): by Stirling's formula the integrand is exp{-N rho g(m)} e^{-+ beta J m} with, for
p = (1 + m/rho)/2, g = p ln p + (1-p) ln(1-p) - beta J m^2 / 2 rho + beta J m S/(N-i).

The paper prints both terms of the entropy with a minus, and no J. Chapter 4.
"""

import math

import numpy as np
import pytest
from scipy.special import xlogy
from systems import exponent, log_sum

from arnn import exact

BETA = 1.3


def rate(n, i, total, m, sign_of_entropy=1, coupling=1.0):
    rho = (n - i) / n
    p = (1 + m / rho) / 2
    entropy = sign_of_entropy * (xlogy(p, p) + xlogy(1 - p, 1 - p))
    return entropy - BETA * coupling * (m**2 / (2 * rho) - m * total / (n - i))


@pytest.mark.parametrize("m", [-0.4, -0.2, 0.1, 0.45])
def test_it_is_the_exponent_of_the_integrand_for_each_later_spin(m):
    gaps = []
    for n in (2_000, 20_000):
        i, total = n // 2, round(0.3 * n)
        without_sign = exponent(n, i, BETA, 0, total, m)
        gaps.append(abs(without_sign / (n - i) + rate(n, i, total, m)))
        printed = rate(n, i, total, m, sign_of_entropy=-1)
        assert abs(without_sign / (n - i) + printed) > 0.3
    assert gaps[0] < 5e-3
    assert gaps[1] < gaps[0] / 7  # ln N / N


def test_its_minimum_gives_rho_and_the_printed_one_does_not():
    n, i = 20_000, 10_000
    total = round((i - 1) * exact.curie_weiss_magnetisation(BETA))
    truth = log_sum(n, i, BETA, 1, total) / (n - i)
    m = np.linspace(-0.5, 0.5, 20_001)
    assert -rate(n, i, total, m).min() == pytest.approx(truth, abs=1e-3)
    printed = rate(n, i, total, m, sign_of_entropy=-1)
    assert abs(-printed.min() - truth) > 0.1
    # The printed exponent is largest at the edge, where all later spins agree.
    assert abs(m[printed.argmin()]) == pytest.approx(0.5, abs=1e-12)


def test_the_coupling_belongs_in_both_terms():
    n, i, m, coupling = 20_000, 10_000, -0.3, 1.2
    total = 0.3 * n
    # A model of coupling J at beta is one of coupling 1 at beta J.
    truth = -exponent(n, i, BETA * coupling, 0, total, m) / (n - i)
    assert rate(n, i, total, m, coupling=coupling) == pytest.approx(truth, abs=1e-3)
    difference = rate(n, i, total, m) - truth
    expected = BETA * 0.2 * (m**2 + 0.6 * abs(m))
    assert difference == pytest.approx(expected, abs=1e-3)
    assert math.isclose(total / (n - i), 0.6)
