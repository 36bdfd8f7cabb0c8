"""SI Eq. (24): E_z (2 cosh)^n = exp(n E_z ln 2cosh) for n -> 0.

Right with the measure e^(-z^2 / 2q) and beta (h + z); the error of the logarithm is
n^2 Var(ln 2cosh)/2. With the printed measure the left side tends to 1/sqrt(2). Chapter 7.
"""

import math

import numpy as np
import pytest

from arnn.quadrature import gaussian_rule

BETA, Q = 1.4, 0.6


@pytest.mark.parametrize("field", [0.0, 0.5, -2.0])
def test_corrected(field):
    slope = BETA * math.sqrt(Q)
    z, weights = gaussian_rule(slope, slope)
    values = np.logaddexp(BETA * field + slope * z, -BETA * field - slope * z)
    mean = weights @ values
    variance = weights @ (values - mean) ** 2
    for n in (0.1, 0.01, 0.001):
        left = math.log(weights @ np.exp(n * values))
        assert left - n * mean == pytest.approx(n**2 * variance / 2, abs=n**3)
    assert math.log(weights @ np.exp(values)) - mean > 0.1 * variance  # not at n = 1


def test_as_printed_the_left_side_does_not_tend_to_one():
    z, step = np.linspace(-12, 12, 4001, retstep=True)
    measure = np.exp(-(z**2) / Q) / math.sqrt(2 * math.pi * Q) * step
    n = 1e-6
    left = measure @ (2 * np.cosh(BETA * (0.5 + BETA * z))) ** n
    assert left == pytest.approx(1 / math.sqrt(2), abs=1e-5)
