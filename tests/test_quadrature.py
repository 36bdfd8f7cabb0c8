"""The Gaussian quadrature rule against closed forms and an adaptive integrator."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from arnn.quadrature import gaussian_rule


def density(z):
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("slope", [1e-3, 0.1, 0.5, 1.0, 3.0, 10.0])
def test_moments(slope):
    z, w = gaussian_rule(slope)
    assert w.sum() == pytest.approx(1, abs=1e-14)
    for power, moment in ((2, 1), (4, 3), (6, 15)):
        assert w @ z**power == pytest.approx(moment, rel=1e-11)


@pytest.mark.parametrize("slope", [0.01, 0.3, 0.7, 1.0, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("shift", [0.0, 0.4, 3.0])
def test_log_cosh_and_its_second_derivative(slope, shift):
    z, w = gaussian_rule(slope)
    for g in (
        lambda t: abs(t) + math.log1p(math.exp(-2 * abs(t))),
        lambda t: 1 - math.tanh(t) ** 2,
    ):
        found = w @ np.array([g(shift + slope * node) for node in z])
        kink = [-shift / slope] if shift < 10 * slope else None
        integrand = lambda t, g=g: density(t) * g(shift + slope * t)  # noqa: E731
        truth = quad(integrand, -10, 10, points=kink, epsabs=1e-14, epsrel=1e-13, limit=500)[0]
        assert found == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize("slope", [0.5, 2.0, 6.0])
def test_tilted_integrand(slope):
    """E (2 cosh slope z)^2 = 2 exp(2 slope^2) + 2: the mass lies far from the centre."""
    z, w = gaussian_rule(slope, tilt=2 * slope)
    found = w @ (2 * np.cosh(slope * z)) ** 2
    assert found == pytest.approx(2 * math.exp(2 * slope**2) + 2, rel=1e-12)


def test_no_width_is_one_node():
    z, w = gaussian_rule(0.0)
    assert z.tolist() == [0.0]
    assert w.tolist() == [1.0]


@pytest.mark.parametrize(
    ("slope", "tilt", "name"), [(-1, 0, "slope"), (1, -1, "tilt"), (math.nan, 0, "slope")]
)
def test_wrong_input(slope, tilt, name):
    with pytest.raises(ValueError, match=name):
        gaussian_rule(slope, tilt)
