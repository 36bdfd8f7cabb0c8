"""Paper Eq. (19): the squares made linear by one Gaussian variable Q_ab for each pair of replicas.

Correct as printed: proportional to E rho^n, with a factor that the fields do not enter
(SI Eqs. 17, 18 have it). Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLE, EXAMPLES, OTHER_FIELDS


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("later", EXAMPLES)
def test_the_factor_does_not_depend_on_the_fields(later, n):
    free = later._replace(fields=(0.0, 0.0, 0.0))
    ratios = [it.log_average(n) - it.log_overlap_integral(n) for it in (later, free)]
    assert ratios[0] == pytest.approx(ratios[1], abs=1e-11)


def test_the_transformation_of_one_square():
    """exp(beta^2 S^2 / 2N) = sqrt(N beta^2 / 2 pi) int dQ exp(-N beta^2 Q^2 / 2 + beta^2 Q S)."""
    beta, size = EXAMPLE.beta, EXAMPLE.size
    Q, step = np.linspace(-12, 12, 4001, retstep=True)
    for total in (-3, 0, 1, 3):
        integrand = np.exp(-size / 2 * beta**2 * Q**2 + beta**2 * Q * total)
        found = math.sqrt(size * beta**2 / (2 * math.pi)) * integrand.sum() * step
        assert found == pytest.approx(math.exp(beta**2 * total**2 / (2 * size)), rel=1e-12)


def test_for_two_replicas_the_weight_of_q_is_the_law_of_their_overlap():
    """The mean of Q is the mean overlap sum_l x_l^1 x_l^2 / N under the sum of Paper Eq. (18)."""
    for later in (EXAMPLE, OTHER_FIELDS):
        x = later.replicas(2)
        overlap = (x[:, 0] * x[:, 1]).sum(1) / later.size
        weights = np.exp(
            later.beta * (x.sum(1) @ np.array(later.fields))
            + later.beta**2 / (2 * later.size) * later.squares(x)
        )
        Q = np.linspace(-5, 5, 4001)
        exponent = -later.size / 2 * later.beta**2 * Q**2
        exponent = exponent + sum(later.log_one_spin(2, [Q], h) for h in later.fields)
        density = np.exp(exponent)
        assert density @ Q / density.sum() == pytest.approx(weights @ overlap / weights.sum())
