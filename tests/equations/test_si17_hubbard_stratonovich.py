"""SI Eq. (17): one variable Q_ab for each pair of replicas, and the constant c(n, N, i).

The second factor of c is (N beta^2 / 2 pi)^(n(n-1)/4), a square root for each of n(n-1)/2 pairs.
The paper prints (2 pi beta^2 / N)^(n(n-1)/2). Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLE, EXAMPLES
from scipy.special import logsumexp


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("later", EXAMPLES)
def test_the_integral_is_the_average(later, n):
    found = later.log_constant(n) + later.log_hubbard_factor(n) + later.log_overlap_integral(n)
    assert found == pytest.approx(later.log_average(n), abs=1e-11)


@pytest.mark.parametrize("n", [2, 3])
def test_the_printed_factor_is_another(n):
    printed = n * (n - 1) / 2 * math.log(2 * math.pi * EXAMPLE.beta**2 / EXAMPLE.size)
    assert abs(printed - EXAMPLE.log_hubbard_factor(n)) > 0.4


def test_two_replicas_before_the_product_over_spins():
    """The sum over all replicated configurations under the integral, as the equation has it."""
    later = EXAMPLE
    x = later.replicas(2)
    overlap = (x[:, 0] * x[:, 1]).sum(1)
    Q, step = np.linspace(-6, 6, 1201, retstep=True)
    exponent = later.beta * (x.sum(1) @ np.array(later.fields))[:, None]
    exponent = exponent + later.beta**2 * np.outer(overlap, Q)
    exponent = exponent - later.size / 2 * later.beta**2 * Q**2
    found = logsumexp(exponent) + math.log(step)
    found += later.log_constant(2) + later.log_hubbard_factor(2)
    assert found == pytest.approx(later.log_average(2), abs=1e-11)
