"""SI Eq. (39): the function that is to be mapped, ln of a Gaussian average over a block.

Corrected as SI Eqs. (33) and (38): ln int dP_y exp[m beta y - m ln sigma(2 beta (x + y))],
x = h + z, with dP_y of variance q_1 - q_0. Chapter 9.
"""

import math

import numpy as np
import pytest
from convolutions import BLOCKS, block, block_printed

from arnn.convolutions import block_convolution

X = np.array([-2.5, -0.3, 0.0, 0.8, 3.0])


def cosh_power(x, beta, variance, m):
    """The same from the powers of 2 cosh, before anything was pulled out."""
    y = np.linspace(-25, 25, 8001)
    density = np.exp(-(y**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    power = (2 * np.cosh(beta * (np.asarray(x)[:, None] + y))) ** m
    return np.log(power @ density * (y[1] - y[0])) - m * beta * x


@pytest.mark.parametrize(("beta", "variance", "m"), BLOCKS)
def test_three_ways_to_the_same_function(beta, variance, m):
    found = block_convolution(X, beta, variance, m)
    assert found == pytest.approx(block(X, beta, variance, m), abs=1e-11)
    assert found == pytest.approx(cosh_power(X, beta, variance, m), abs=1e-11)


@pytest.mark.parametrize(("beta", "variance", "m"), BLOCKS)
def test_the_symmetry_under_reversal_of_the_field_which_the_printed_one_lacks(beta, variance, m):
    # (2 cosh)^m is even; what was pulled out, m beta x here and m beta x / 2 there, is odd.
    right = block(X, beta, variance, m) + m * beta * X
    mirrored = block(-X, beta, variance, m) - m * beta * X
    assert right == pytest.approx(mirrored, abs=1e-11)
    printed = block_printed(X, beta, variance, m) + m * beta * X / 2
    odd = printed - (block_printed(-X, beta, variance, m) - m * beta * X / 2)
    assert np.abs(odd).max() > 1e-4
