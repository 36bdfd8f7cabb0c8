"""SI Eq. (19): all Q_ab are one number q. Correct as printed, with the constant of SI Eq. (17).

For two replicas there is one Q_ab, so that nothing is assumed and the integral is exact. For three
the integral over one q stands for three, which holds to leading order in N. Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLE, EXAMPLES
from scipy.special import logsumexp


@pytest.mark.parametrize("later", EXAMPLES)
def test_for_two_replicas_it_is_the_average(later):
    width = 1 / (later.beta * math.sqrt(later.size))
    q, step = np.linspace(-1.5 - 9 * width, 1.5 + 9 * width, 2001, retstep=True)
    exponent = later.symmetric_exponent(2, q, later.log_one_spin_symmetric)
    found = later.log_constant(2) + later.log_hubbard_factor(2) + logsumexp(exponent)
    assert found + math.log(step) == pytest.approx(later.log_average(2), abs=1e-11)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_exponent_is_that_of_a_constant_matrix(n):
    later, q = EXAMPLE, 0.37
    Q = [q] * (n * (n - 1) // 2)
    expected = -later.size / 2 * later.beta**2 * sum(entry**2 for entry in Q)
    expected += sum(later.log_one_spin(n, Q, h) for h in later.fields)
    found = later.symmetric_exponent(n, q, later.log_one_spin_symmetric)
    assert found == pytest.approx(expected, abs=1e-12)


def test_for_three_replicas_the_largest_exponent_is_symmetric():
    """The maximum of the three-dimensional integrand lies at equal Q_ab."""
    later = EXAMPLE
    axis = np.linspace(-0.2, 1.0, 61)
    Q = np.meshgrid(axis, axis, axis, indexing="ij")
    exponent = -later.size / 2 * later.beta**2 * sum(q**2 for q in Q)
    exponent = exponent + sum(later.log_one_spin(3, Q, h) for h in later.fields)
    place = np.unravel_index(exponent.argmax(), exponent.shape)
    assert max(place) - min(place) == 0
    assert 0 < place[0] < 60
