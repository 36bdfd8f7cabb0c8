"""SI Eq. (43): new names, b0 = ln b0^, w0 = -1, b1 = -ln(w0^ / b0^) - b1^, w1 = -w1^.

The signs of b1 and w1 are those that SI Eq. (42) lost. A net may choose w0 as well: six numbers
instead of five, which fit the integrand better. Chapter 9.
"""

import numpy as np
import pytest
from convolutions import BLOCKS, GRID, block
from test_si40_power_of_the_sigmoid import best, form
from test_si41_constant_pulled_out import NUMBERS, X

from arnn.log_sigmoids import fit_log_sigmoids, nested_log_sigmoids


def renamed(b0, w0, b1, w1, b2, w2):
    return [np.log(b0), -1.0, -np.log(w0 / b0) - b1, -w1, b2, w2]


@pytest.mark.parametrize("w1", [-0.8, 0.5])
def test_identity(w1):
    numbers = NUMBERS | {"w1": w1}
    found = nested_log_sigmoids(X, renamed(**numbers))
    assert found == pytest.approx(form(X, **numbers), abs=1e-13)


@pytest.mark.parametrize(("beta", "variance", "m"), BLOCKS)
def test_what_the_free_outer_weight_buys(beta, variance, m):
    _, five = best(beta, variance, m)
    six = fit_log_sigmoids(GRID, block(GRID, beta, variance, m), 1)
    assert five / six.max_error > 1.02
    assert six.parameters[1] < 0
