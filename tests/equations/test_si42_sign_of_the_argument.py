"""SI Eq. (42): ln(1 + e^u) = - ln sigma(-u); the paper prints - ln sigma(u), short of u.

Chapter 9.
"""

import numpy as np
import pytest
from scipy.special import log_expit
from test_si41_constant_pulled_out import NUMBERS, X, pulled_out


def log_sigmoid_form(x, b0, w0, b1, w1, b2, w2, *, sign):
    u = np.log(w0 / b0) + b1 + w1 * log_expit(b2 + w2 * x)
    return np.log(b0) - log_expit(sign * u), u


@pytest.mark.parametrize("w1", [-0.8, 0.5])
def test_identity_with_the_minus_sign(w1):
    numbers = NUMBERS | {"w1": w1}
    truth = pulled_out(X, **numbers)
    right, u = log_sigmoid_form(X, **numbers, sign=-1)
    assert right == pytest.approx(truth, abs=1e-13)
    printed, _ = log_sigmoid_form(X, **numbers, sign=1)
    assert truth - printed == pytest.approx(u, abs=1e-13)
    assert np.abs(u).max() > 1
