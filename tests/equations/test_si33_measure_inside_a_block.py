"""SI Eq. (33): dP_y = e^(-y^2/(2 (q1-q0))) dy / sqrt(2 pi (q1-q0)), the field of one block.

The paper prints the exponent with a plus sign, as in SI Eq. (32). Chapter 8.
"""

import itertools
import math

import numpy as np
import pytest
from blocks import CASES, block_matrix, block_sums
from systems import spins
from test_si32_measure_between_blocks import gaussian_average


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_one_field_for_each_block_linearises_the_squares_of_the_block_sums(
    n, m, q0, q1, beta, field
):
    difference = q1 - q0
    average = {
        s: gaussian_average(lambda y, s=s: math.exp(beta * y * s), difference, cut=20)
        for s in range(-m, m + 1, 2)
    }
    for x in list(spins(n))[::3]:
        sums = block_sums(x, m)
        found = math.prod(average[s] for s in sums)
        squares = sum(s**2 for s in sums)
        assert found == pytest.approx(math.exp(beta**2 * difference * squares / 2), rel=1e-8)


def test_the_fields_of_two_replicas_covary_as_the_overlap_matrix():
    # Replica a sees z + y_k, k its block: variance q1, covariance q1 or q0, which is SI Eq. (29).
    n, m, q0, q1 = CASES[1][:4]
    blocks = n // m
    # The root of the covariance of (z, y_1, ..., y_k) and the replicas that each one reaches.
    roots = np.sqrt([q0] + [q1 - q0] * blocks)
    reaches = np.array([[1] + [a // m == k for k in range(blocks)] for a in range(n)])
    covariance = (reaches * roots) @ (reaches * roots).T
    assert covariance == pytest.approx(block_matrix(n, m, q0, q1) + q1 * np.eye(n), abs=1e-12)


def test_together_with_z_it_makes_one_field_of_variance_q1():
    _, _, q0, q1 = CASES[0][:4]
    for power, moment in ((2, q1), (4, 3 * q1**2)):
        found = sum(
            math.comb(power, k)
            * gaussian_average(lambda z, k=k: z**k, q0)
            * gaussian_average(lambda y, k=power - k: y**k, q1 - q0)
            for k in range(power + 1)
        )
        assert found == pytest.approx(moment, abs=1e-10)


def test_the_printed_sign_has_no_integral():
    difference = CASES[0][3] - CASES[0][2]
    masses = [gaussian_average(lambda y: 1.0, difference, sign=1, cut=cut) for cut in (2, 4, 8)]
    assert all(after > 50 * before for before, after in itertools.pairwise(masses))
