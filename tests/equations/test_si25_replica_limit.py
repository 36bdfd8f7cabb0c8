"""SI Eq. (25): (1/n) ln E rho^n from the integral over q, for small n.

Corrected as in SI Eqs. (20)-(24). The saddle point is taken before n -> 0: for n > 1 the weight
falls with q and the stationary point is a maximum; for n < 1 the weight e^(+n(1-n) N beta^2 q^2/4)
grows, the integral over real q diverges, and the stationary point is a minimum, where the paper
speaks of "the single maximum". Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLE, EXAMPLES, Later
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from arnn import replica


def per_replica(later, n, q):
    """The logarithm of the integrand with its extensive constants, divided by n."""
    exponent = later.symmetric_exponent(n, q, later.log_one_spin_power)
    return (later.log_constant(n) + exponent) / n


@pytest.mark.parametrize("later", EXAMPLES)
@pytest.mark.parametrize("q", [0.1, 0.5])
def test_its_limit_is_the_replica_symmetric_expression(later, q):
    """ln rho at given q, SI Eq. (26); linear in n."""
    limit = replica.log_rho(later.beta, later.fields, later.size, [q])
    first, second = (per_replica(later, n, q) - limit for n in (1e-3, 5e-4))
    assert abs(first) < 5e-3
    assert second == pytest.approx(first / 2, rel=5e-3)


@pytest.mark.parametrize(("n", "sign"), [(0.5, 1), (0.01, 1), (1.5, -1), (2, -1), (3, -1)])
def test_the_stationary_point_is_a_maximum_above_one_replica_and_a_minimum_below(n, sign):
    later = EXAMPLE
    best = minimize_scalar(
        lambda q: sign * per_replica(later, n, q), bounds=(1e-6, 2), method="bounded"
    ).x
    assert 0.05 < best < 1.5
    around = [sign * per_replica(later, n, best + d) for d in (-0.02, 0, 0.02)]
    assert around[1] < min(around[0], around[2])


def test_below_one_replica_the_integral_over_real_q_diverges():
    exponents = [
        EXAMPLE.symmetric_exponent(0.5, q, EXAMPLE.log_one_spin_power) for q in (5, 20, 80)
    ]
    assert exponents[0] < exponents[1] < exponents[2]
    assert exponents[2] > 1000


def test_for_two_replicas_the_saddle_point_becomes_exact():
    """(1/L) ln E rho^2 against the largest exponent, at L = 0.6 N spins in the same fields."""
    errors = []
    for copies in (1, 8, 64):
        later = Later(1.2, 5 * copies, EXAMPLE.fields * copies)
        q, step = np.linspace(-2, 3, 20001, retstep=True)
        exponent = later.symmetric_exponent(2, q, later.log_one_spin_symmetric)
        exact = later.log_hubbard_factor(2) + logsumexp(exponent) + math.log(step)
        errors.append((exact - exponent.max()) / later.count)
    assert abs(errors[0]) < 0.2
    assert abs(errors[2]) < abs(errors[1]) / 6 < abs(errors[0]) / 36
