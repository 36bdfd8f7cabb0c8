"""SI Eq. (41): ln(b0 + a) = ln b0 + ln(1 + e^{ln a - ln b0}), an identity for positive b0 and a.

The paper prints ln(w0 / b0) with a hat on w0 alone; b0 without a hat is defined after Eq. (43) as
the logarithm, with which the identity fails. Chapter 9.
"""

import numpy as np
import pytest
from scipy.special import log_expit
from test_si40_power_of_the_sigmoid import form

X = np.linspace(-3, 3, 13)
NUMBERS = {"b0": 0.4, "w0": 0.7, "b1": 0.3, "w1": -0.8, "b2": 0.1, "w2": 1.5}


def pulled_out(x, b0, w0, b1, w1, b2, w2, *, divisor=None):
    exponent = np.log(w0 / (divisor or b0)) + b1 + w1 * log_expit(b2 + w2 * x)
    return np.log(b0) + np.log1p(np.exp(exponent))


@pytest.mark.parametrize("factor", [0.2, 1.0, 6.0])
def test_identity(factor):
    numbers = NUMBERS | {"b0": factor * NUMBERS["b0"]}
    assert pulled_out(X, **numbers) == pytest.approx(form(X, **numbers), abs=1e-13)


def test_it_needs_the_same_number_in_both_places():
    numbers = NUMBERS | {"b0": 2.0}
    wrong = pulled_out(X, **numbers, divisor=np.log(2.0)) - form(X, **numbers)
    assert np.all(wrong > 0.05)
