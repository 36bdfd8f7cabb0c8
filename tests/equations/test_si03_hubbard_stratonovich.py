"""SI Eq. (3): the Hubbard-Stratonovich transformation. A Gaussian integral over t makes the later
spins independent:
rho+- = sqrt(N/2 pi beta J) int dt e^{-N t^2 / 2 beta J} (2 cosh(beta h+- + t))^{N-i}.

Chapter 3.
"""

import math

import numpy as np
import pytest
from systems import for_random_ferromagnets, possible_sums


def gaussian_average(variance, function):
    """The mean of function(t) over normal t, by the trapezoid rule, exact to rounding here."""
    t = np.linspace(-14, 14, 2001) * math.sqrt(variance)
    weights = np.exp(-(t**2) / (2 * variance)) * (t[1] - t[0]) / math.sqrt(2 * math.pi * variance)
    return float(weights @ function(t))


@for_random_ferromagnets
def test_the_transformation_makes_the_square_linear(model):
    variance = model.beta * model.coupling / model.n
    for m in possible_sums(model.n):
        square = math.exp(variance * m**2 / 2)
        linear = gaussian_average(variance, lambda t, m=m: np.exp(t * m))
        assert linear == pytest.approx(square, rel=1e-11)


@for_random_ferromagnets
def test_rho_is_an_average_over_independent_spins(model):
    variance = model.beta * model.coupling / model.n
    for i in range(1, model.n + 1):
        for total in possible_sums(i - 1):
            for sign in (1, -1):
                field = model.field + (sign + total) * model.coupling / model.n

                def independent(t, field=field, later=model.n - i):
                    return (
                        np.exp(model.beta * field + t) + np.exp(-model.beta * field - t)
                    ) ** later

                rho = gaussian_average(variance, independent)
                assert math.log(rho) == pytest.approx(model.log_rho(i, sign, total), abs=1e-10)
