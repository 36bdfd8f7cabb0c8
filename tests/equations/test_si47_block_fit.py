"""SI Eq. (47) and Fig. S2: the convolution over a block and its fit by six numbers.

Corrected: ln E_y exp[m beta sqrt(D) y - m ln sigma(2 beta (x + sqrt(D) y))], D = q_1 - q_0. The
paper prints the measure e^{-z^2/D}, the exponent beta^2 m z and ln sigma(beta x + beta^2 z); the
last two do not belong to one power of cosh, so that the symmetry under x -> -x is lost. Chapter 9.
"""

import math

import numpy as np
import pytest
from convolutions import GRID, block, block_printed

from arnn.convolutions import block_convolution
from arnn.log_sigmoids import fit_log_sigmoids

CASES = [
    (beta, variance, m)
    for beta in (0.5, 1.0, 2.0, 3.0)
    for variance in (0.25, 0.75)
    for m in (0.2, 0.5, 0.8)
]


@pytest.mark.parametrize(("beta", "variance", "m"), CASES)
def test_function_and_fits(beta, variance, m):
    truth = block(GRID, beta, variance, m)
    assert block_convolution(GRID, beta, variance, m) == pytest.approx(truth, abs=1e-11)
    four, six = (fit_log_sigmoids(GRID, truth, k) for k in (0, 1))
    assert np.abs(six(GRID) - truth).max() == pytest.approx(six.max_error, abs=1e-12)
    assert 7e-5 < six.max_error < 3.3e-3
    assert 1.2 < four.max_error / six.max_error < 4.3


@pytest.mark.parametrize(("beta", "variance", "m"), [(1.0, 0.5, 0.5), (2.0, 0.25, 0.8)])
def test_the_printed_function_is_lopsided(beta, variance, m):
    # Far to the right exp(beta^2 m z) averages to a constant, far to the left nothing is left of z.
    far = 40.0
    right, left = block_printed(np.array([far, -far]), beta, variance, m)
    mass = math.log(math.sqrt(0.5))
    assert right - mass == pytest.approx(m**2 * beta**4 * variance / 4, abs=1e-9)
    assert left - m * beta * far - mass == pytest.approx(0, abs=1e-9)
    both = block(np.array([far, -far]), beta, variance, m) + m * beta * np.array([far, -far])
    assert both[0] == pytest.approx(both[1], abs=1e-9)
