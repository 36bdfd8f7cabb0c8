"""SI Eq. (22): given z the replicas are independent, so that their sum is (2 cosh)^n.

Right: e^(-n (N-i) beta^2 q/2) prod_l E_z [2 cosh beta (h_l + z)]^n, z of variance q, with SI Eqs.
(20) and (21) corrected. n is now a parameter and no longer a number of things. SI Eq. (23) numbers
an empty line. Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLE, EXAMPLES
from scipy.special import logsumexp


@pytest.mark.parametrize("n", [1, 2, 3, 6])
@pytest.mark.parametrize("q", [0.0, 0.2, 0.9])
def test_the_power_is_the_sum_over_replicas(n, q):
    for h in EXAMPLE.fields:
        found = EXAMPLE.log_one_spin_power(n, q, h)
        assert found == pytest.approx(EXAMPLE.log_one_spin_symmetric(n, q, h), abs=1e-12)


@pytest.mark.parametrize("later", EXAMPLES)
def test_for_two_replicas_the_whole_is_the_average(later):
    """A negative q is the variance of no Gaussian; there the sum over replicas stands for it."""
    q, step = np.linspace(0, 9, 1201, retstep=True)
    exponent = np.array([later.symmetric_exponent(2, v, later.log_one_spin_power) for v in q])
    negative = np.array([later.symmetric_exponent(2, -v, later.log_one_spin_symmetric) for v in q])
    total = logsumexp(np.concatenate([exponent, negative[1:]])) + math.log(step)
    found = later.log_constant(2) + later.log_hubbard_factor(2) + total
    assert found == pytest.approx(later.log_average(2), abs=1e-11)


def test_between_integers_it_interpolates_smoothly():
    n = np.linspace(0.5, 3.5, 61)
    values = np.array([EXAMPLE.log_one_spin_power(v, 0.4, 0.3) for v in n])
    assert (np.diff(values) > 0).all()
    at_two = values[np.argmin(np.abs(n - 2))]
    assert at_two == pytest.approx(EXAMPLE.log_one_spin_symmetric(2, 0.4, 0.3), abs=1e-12)
