"""SI Eq. (27): the logarithm of cosh as a log-sigmoid.

Right: ln 2cosh(x) = x - ln sigma(2x), so that ln rho+- = c + beta sum_l h_l+-
- sum_l E_z ln sigma(2 beta (h_l+- + z)). The paper prints ln cosh(x) = 2x - ln sigma(2x)
and leaves out the linear term, which becomes the bias 2 beta sum_l J_il of the difference.
Chapter 7.
"""

import math

import numpy as np
import pytest
from scipy.special import log_expit

from arnn import replica

BETA, SIZE = 1.1, 12
RNG = np.random.default_rng(3)
TO_SPIN_I, PAST = RNG.normal(0, 0.3, 7), RNG.normal(0, 0.5, 7)  # J_il and xi_il


def test_the_identity():
    x = np.linspace(-30, 30, 601)
    assert x - log_expit(2 * x) == pytest.approx(np.logaddexp(x, -x), abs=1e-12)
    assert abs(2 - log_expit(2) - math.log(math.cosh(1))) > 1.5  # as printed, at x = 1


@pytest.mark.parametrize("q", [0.0, 0.1, 0.4])
def test_the_difference_with_its_bias(q):
    plus, minus = PAST + TO_SPIN_I, PAST - TO_SPIN_I
    exact = replica.log_rho(BETA, plus, SIZE, [q]) - replica.log_rho(BETA, minus, SIZE, [q])
    parts = [replica.gaussian_convolution(h, BETA, q).sum() for h in (plus, minus)]
    bias = 2 * BETA * TO_SPIN_I.sum()
    assert bias - parts[0] + parts[1] == pytest.approx(exact, abs=1e-11)
    assert abs(bias) > 0.5  # what leaving the linear term out would miss


def test_one_logarithm_with_its_constants():
    q = 0.2
    eta = len(PAST) / SIZE
    expected = SIZE * BETA**2 / 4 * (eta - q) ** 2 + BETA * PAST.sum()
    expected -= replica.gaussian_convolution(PAST, BETA, q).sum()
    assert replica.log_rho(BETA, PAST, SIZE, [q]) == pytest.approx(expected, abs=1e-11)
