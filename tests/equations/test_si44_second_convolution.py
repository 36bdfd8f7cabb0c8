"""SI Eq. (44): the average over z of the fitted function, with b0 and w0 outside.

Right as printed, with x = h + z for h + beta z and the measure of SI Eq. (32), corrected. An
average is at most as wrong as what is averaged. Chapter 9.
"""

import numpy as np
import pytest
from convolutions import BLOCKS, GRID, block, gaussian_mean
from scipy.special import log_expit

from arnn.convolutions import gaussian_convolution
from arnn.log_sigmoids import fit_log_sigmoids, nested_log_sigmoids

Q0 = 0.2
H = np.linspace(-2, 2, 9)


@pytest.mark.parametrize(("beta", "variance", "m"), BLOCKS)
def test_b0_and_w0_leave_the_integral(beta, variance, m):
    p = fit_log_sigmoids(GRID, block(GRID, beta, variance, m), 1).parameters
    whole = gaussian_mean(lambda z: nested_log_sigmoids(H[:, None] + z, p), Q0)
    b0, w0, b1, w1, b2, w2 = p
    inside = gaussian_mean(lambda z: log_expit(b1 + w1 * log_expit(b2 + w2 * (H[:, None] + z))), Q0)
    assert whole == pytest.approx(b0 + w0 * inside, abs=1e-11)


@pytest.mark.parametrize(("beta", "variance", "m"), BLOCKS)
def test_the_error_of_the_first_map_is_not_amplified(beta, variance, m):
    wide = np.linspace(-6, 6, 161)  # z reaches beyond the fields of interest
    fit = fit_log_sigmoids(wide, block(wide, beta, variance, m), 1)
    found = gaussian_mean(lambda z: fit(H[:, None] + z), Q0)
    truth = -m * gaussian_convolution(H, beta, (Q0, Q0 + variance), (m,))
    assert 0 < np.abs(found - truth).max() < fit.max_error
