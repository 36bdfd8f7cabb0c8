"""SI Eq. (6): the independent spins of SI Eq. (3) expanded by the binomial theorem, inside the
Gaussian integral: sum_k C(N-i, k) e^{(N-i-2k)(beta h+- + t)}.

Chapter 4.
"""

import math

import numpy as np
import pytest
from systems import for_random_ferromagnets, possible_sums


@pytest.mark.parametrize("later", [0, 1, 4, 30])
@pytest.mark.parametrize("t", [-1.2, 0.0, 0.7])
def test_the_binomial_theorem(later, t):
    expanded = math.fsum(
        math.comb(later, k) * math.exp((later - 2 * k) * t) for k in range(later + 1)
    )
    assert expanded == pytest.approx((2 * math.cosh(t)) ** later, rel=1e-12)


@for_random_ferromagnets
def test_the_integral_of_the_expansion_is_rho(model):
    variance = model.beta * model.coupling / model.n
    t = np.linspace(-14, 14, 2001) * math.sqrt(variance)
    gaussian = np.exp(-(t**2) / (2 * variance)) * (t[1] - t[0])
    gaussian /= math.sqrt(2 * math.pi * variance)
    for i in range(1, model.n + 1):
        later = model.n - i
        for total in possible_sums(i - 1):
            for sign in (1, -1):
                field = model.field + (sign + total) * model.coupling / model.n
                integrand = sum(
                    math.comb(later, k) * np.exp((later - 2 * k) * (model.beta * field + t))
                    for k in range(later + 1)
                )
                found = math.log(float(gaussian @ integrand))
                assert found == pytest.approx(model.log_rho(i, sign, total), abs=1e-10)
