"""SI Eq. (40): inside the logarithm, a constant plus a power of one sigmoid.

ln(b0 + w0 exp(b1 + w1 ln sigma(b2 + w2 x))): exact at m = 1, and with the right limits on both
sides at any m. Only w0 e^{b1} counts, so that five numbers are free. Chapter 9.
"""

import math

import numpy as np
import pytest
from convolutions import BLOCKS, GRID, block
from scipy.optimize import least_squares
from scipy.special import expit, log_expit

from arnn.log_sigmoids import fit_log_sigmoids


def form(x, b0, w0, b1, w1, b2, w2):
    return np.log(b0 + w0 * expit(b2 + w2 * np.asarray(x)) ** w1 * math.exp(b1))


def best(beta, variance, m):
    """Least squares with b0 and w0 e^{b1} positive, whose logarithms are p[0] and p[1]."""

    def curve(p):
        return np.logaddexp(p[0], p[1] + p[2] * log_expit(p[3] + p[4] * GRID))

    truth = block(GRID, beta, variance, m)
    starts = [[c, truth[-1], -m / 2, d, 4 * beta] for c in (-3, 0) for d in (-4, 0)]
    solutions = [least_squares(lambda p: curve(p) - truth, start) for start in starts]
    solution = min(solutions, key=lambda s: s.cost)
    return solution.x, np.abs(solution.fun).max()


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_exact_for_blocks_of_one_replica(beta):
    # E exp(beta y) (1 + e^{-2 beta (x + y)}) = e^{beta^2 D / 2} / sigma(2 beta x)
    size = math.exp(beta**2 * 0.6 / 2)
    found = form(GRID, 1e-300, size, 0.0, -1.0, 0.0, 2 * beta)
    assert found == pytest.approx(block(GRID, beta, 0.6, 1.0), abs=1e-11)


def test_a_factor_moves_between_w0_and_b1():
    one = form(GRID, 0.4, 0.7, 0.3, -0.8, 0.1, 1.5)
    other = form(GRID, 0.4, 0.7 * math.exp(0.3), 0.0, -0.8, 0.1, 1.5)
    assert one == pytest.approx(other, abs=1e-14)


@pytest.mark.parametrize(("beta", "variance", "m"), BLOCKS)
def test_the_limits_of_the_integrand(beta, variance, m):
    # Constant on the right, slope -2 m beta on the left, with the same constant.
    far, constant = np.array([-16.0, 15.0]), (m * beta) ** 2 * variance / 2
    found = block(far, beta, variance, m)
    assert found == pytest.approx([32 * m * beta + constant, constant], abs=1e-3)


@pytest.mark.parametrize(("beta", "variance", "m"), BLOCKS)
def test_five_numbers_against_the_four_and_six_of_the_nets(beta, variance, m):
    truth = block(GRID, beta, variance, m)
    four, six = (fit_log_sigmoids(GRID, truth, k).max_error for k in (0, 1))
    (_, _, power, _, weight), error = best(beta, variance, m)
    assert six < error < four
    assert power * weight == pytest.approx(-2 * m * beta, rel=0.1)
