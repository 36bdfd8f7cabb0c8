"""SI Eq. (45): both convolutions together, approximated by two nested log-sigmoids.

The SI's figures do not test this second step. At the saddle points of the SK model its error is
1.4 to 1.6 times that of SI Eq. (43) alone. Chapter 9.
"""

import pytest
from convolutions import GRID

from arnn import replica
from arnn.convolutions import block_convolution, fit_convolution
from arnn.log_sigmoids import fit_log_sigmoids


@pytest.mark.parametrize("beta", [1.5, 2.0, 3.0])
def test_at_the_saddle_point_of_the_whole_system(beta):
    _, q, m, *_ = replica.free_energy(beta, 1)
    inner = block_convolution(GRID, beta, q[1] - q[0], m[0])
    # Both in units of what a spin adds to ln rho, which is 1/m of the block's logarithm.
    first = fit_log_sigmoids(GRID, inner / m[0], 1).max_error
    both = fit_convolution(beta, q, m).max_error
    four = fit_convolution(beta, q, m, steps=0).max_error
    assert 1.3 < both / first < 1.7
    assert 0.003 < both < 0.03
    assert 1.2 < four / both < 4


def test_three_log_sigmoids_for_two_steps():
    beta = 2.0
    _, q, m, *_ = replica.free_energy(beta, 2)
    errors = [fit_convolution(beta, q, m, steps=k).max_error for k in (0, 1, 2)]
    assert errors[0] > errors[1] > errors[2] > errors[1] / 2
