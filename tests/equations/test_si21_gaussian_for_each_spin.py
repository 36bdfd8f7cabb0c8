"""SI Eq. (21): the square of each spin's replicas made linear by a Gaussian z of variance q.

Right: measure e^(-z^2 / 2q) / sqrt(2 pi q) and exponent beta (h + z) sum_a x_a. The paper prints
e^(-z^2 / q), which is not normalised, and beta (h + beta z). Chapter 7.
"""

import math

import pytest
from scipy.integrate import quad

BETA, Q = 1.4, 0.6


def integral(total, exponent, slope):
    """int dz / sqrt(2 pi q) e^(-z^2 / exponent) e^(slope z total)."""
    integrand = lambda z: math.exp(-(z**2) / exponent + slope * z * total)  # noqa: E731
    return quad(integrand, -15, 15, epsabs=1e-13, epsrel=1e-13)[0] / math.sqrt(2 * math.pi * Q)


@pytest.mark.parametrize("total", [-4, -1, 0, 2, 3])
def test_corrected(total):
    expected = math.exp(BETA**2 * Q / 2 * total**2)
    assert integral(total, 2 * Q, BETA) == pytest.approx(expected, rel=1e-11)


def test_the_printed_measure_is_not_normalised():
    assert integral(0, Q, BETA) == pytest.approx(1 / math.sqrt(2), rel=1e-11)


@pytest.mark.parametrize("total", [-4, 2, 3])
def test_the_printed_field_has_a_beta_too_many(total):
    """With both as printed, and the normalisation mended, beta^4 q/4 stands for beta^2 q/2."""
    printed = math.sqrt(2) * integral(total, Q, BETA**2)
    assert printed == pytest.approx(math.exp(BETA**4 * Q / 4 * total**2), rel=1e-11)
    assert abs(math.log(printed) / total**2 - BETA**2 * Q / 2) > 0.01
