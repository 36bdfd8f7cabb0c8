"""SI Eq. (32): dP_z = e^(-z^2/(2 q0)) dz / sqrt(2 pi q0), the field that all replicas share.

The paper prints e^(+z^2/(2 q0)), which has no integral. Chapter 8.
"""

import math

import numpy as np
import pytest
from blocks import CASES
from scipy.integrate import quad
from systems import spins


def density(z, variance, sign=-1):
    return math.exp(sign * z**2 / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def gaussian_average(g, variance, sign=-1, cut=12):
    width = cut * math.sqrt(variance)
    return quad(lambda z: density(z, variance, sign) * g(z), -width, width, limit=200)[0]


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_it_linearises_the_square_of_the_sum_over_all_replicas(n, m, q0, q1, beta, field):
    for total in {sum(x) for x in spins(n)}:
        found = gaussian_average(lambda z, s=total: math.exp(beta * z * s), q0, cut=25)
        assert found == pytest.approx(math.exp(beta**2 * q0 * total**2 / 2), rel=1e-8)


def test_moments():
    q0 = CASES[0][2]
    moments = [gaussian_average(lambda z, k=k: z**k, q0) for k in (0, 1, 2, 4)]
    assert moments == pytest.approx([1, 0, q0, 3 * q0**2], abs=1e-10)


def test_the_printed_sign_has_no_integral():
    q0 = CASES[0][2]
    masses = [gaussian_average(lambda z: 1.0, q0, sign=1, cut=cut) for cut in (2, 4, 8)]
    assert np.all(np.diff(np.log(masses)) > 4)
    assert masses[-1] > 1e12
