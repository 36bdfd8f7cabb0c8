"""SI Eq. (46) and Fig. S1: the symmetric convolution and its fit by four numbers.

Corrected: E_z ln sigma(2 beta (x + sqrt(q) z)). The paper prints the measure e^{-z^2/q} / sqrt(2 pi
q), of mass 1/sqrt(2), and ln sigma(beta (x + beta sqrt(q) z)); it also writes h for x on the
right. Chapter 9.
"""

import math

import numpy as np
import pytest
from convolutions import GRID, gaussian_mean, symmetric, symmetric_printed

from arnn.convolutions import fit_convolution, gaussian_convolution
from arnn.log_sigmoids import fit_log_sigmoids

CASES = [(beta, q) for beta in (0.5, 1.0, 2.0, 3.0) for q in (0.25, 0.5, 0.75)]


@pytest.mark.parametrize(("beta", "q"), CASES)
def test_function_and_fit(beta, q):
    truth = symmetric(GRID, beta, q)
    assert gaussian_convolution(GRID, beta, q) == pytest.approx(truth, abs=1e-11)
    fit = fit_convolution(beta, q)
    assert np.abs(fit(GRID) - truth).max() == pytest.approx(fit.max_error, abs=1e-10)
    assert 0.0015 < fit.max_error < 0.040


def test_the_printed_measure_is_not_normalised():
    assert gaussian_mean(np.ones_like, 0.5) == pytest.approx(1, abs=1e-12)
    printed = gaussian_mean(np.ones_like, 0.5, squares=1.0)
    assert printed == pytest.approx(math.sqrt(0.5), abs=1e-12)


@pytest.mark.parametrize(("beta", "q"), [(1.0, 0.5), (0.5, 0.25), (2.0, 0.25)])
def test_the_printed_function_is_the_right_one_at_other_arguments(beta, q):
    # Half the beta, variance beta^2 q^2 / 2, and a factor 1/sqrt(2).
    truth = symmetric(GRID, beta / 2, beta**2 * q**2 / 2) / math.sqrt(2)
    assert symmetric_printed(GRID, beta, q) == pytest.approx(truth, abs=1e-11)


def test_the_printed_function_is_far_from_the_right_one():
    far = np.array([-31.0, -30.0])
    assert np.diff(symmetric(far, 1.0, 0.5))[0] == pytest.approx(2, abs=1e-9)
    slope = np.diff(symmetric_printed(far, 1.0, 0.5))[0]
    assert slope == pytest.approx(1 / math.sqrt(2), abs=1e-9)
    difference = symmetric_printed(GRID, 1.0, 0.5) - symmetric(GRID, 1.0, 0.5)
    assert np.abs(difference).max() > 5


def test_fits_of_the_printed_function_are_as_good():
    # Figures made from it would look the same, and so do not tell which was meant.
    errors = [
        fit_log_sigmoids(GRID, symmetric_printed(GRID, beta, q), 0).max_error for beta, q in CASES
    ]
    assert max(errors) < 0.04
