"""The display between SI Eqs. (27) and (28): a Gaussian average of ln sigma is nearly one ln sigma.

Corrected: E_z ln sigma(2 beta (h + sqrt(q) z)), z a standard normal variable. The paper prints
int dz e^{-z^2} ln sigma(beta (h + beta sqrt(q) z)): a measure of mass sqrt(pi), beta for 2 beta,
and beta sqrt(q) for sqrt(q). Chapter 9.
"""

import math

import numpy as np
import pytest
from convolutions import GRID, gaussian_mean, symmetric
from scipy.special import log_expit

from arnn import replica
from arnn.convolutions import fit_convolution, gaussian_convolution


def printed(h, beta, q):
    # e^{-z^2} is the printed measure of variance 1 times sqrt(2 pi).
    h = np.asarray(h)[..., None]
    mean = gaussian_mean(
        lambda z: log_expit(beta * (h + beta * math.sqrt(q) * z)), 1.0, squares=1.0
    )
    return math.sqrt(2 * math.pi) * mean


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("q", [0.25, 0.75])
def test_it_is_what_a_later_spin_adds_to_ln_rho(beta, q):
    h = np.array([-1.2, 0.0, 0.4])
    one_spin = np.array([replica.log_rho(beta, [v], 1, [q]) for v in h])
    found = beta * h - symmetric(h, beta, q)
    assert found - found[1] == pytest.approx(one_spin - one_spin[1], abs=1e-11)
    assert gaussian_convolution(h, beta, q) == pytest.approx(symmetric(h, beta, q), abs=1e-11)


@pytest.mark.parametrize(("beta", "q"), [(0.5, 0.25), (1.0, 0.5), (3.0, 0.75)])
def test_one_log_sigmoid_is_close_and_not_exact(beta, q):
    fit = fit_convolution(beta, q)
    error = np.abs(fit(GRID) - symmetric(GRID, beta, q)).max()
    spread = np.ptp(symmetric(GRID, beta, q))
    assert 1e-4 < error / spread < 2e-3


def test_the_slope_of_the_printed_one_is_not_that_of_ln_cosh():
    beta, q, far = 1.0, 0.5, np.array([-31.0, -30.0])
    assert np.diff(symmetric(far, beta, q))[0] == pytest.approx(2 * beta, abs=1e-9)
    assert np.diff(printed(far, beta, q))[0] == pytest.approx(math.sqrt(math.pi) * beta, abs=1e-9)
