"""SI Eq. (4): the bias of CW_N, with (N-i-2k)(beta h +- beta J/N) in the exponent.

The paper prints beta h_i+- beta J/N there. With h_i+- as defined below SI Eq. (2), which holds S
and J/N already, both count twice if a sign was lost; taken as a product it is wrong as well.
Chapter 3.
"""

import math

import pytest
from systems import CurieWeiss, for_random_curie_weiss, log_sum_exp, possible_sums


def log_rho(model, i, sign, total, slope):
    """The last line before SI Eq. (4), with `slope` in the place of beta h +- beta J/N."""
    scale, terms = model.beta * model.coupling / model.n, []
    for k in range(model.n - i + 1):
        m = model.n - i - 2 * k
        bias = math.log(math.comb(model.n - i, k)) + scale * m**2 / 2 + m * slope
        terms.append(bias + scale * m * total)
    return log_sum_exp(terms)


def corrected(model, sign, total):
    return model.beta * model.field + sign * model.beta * model.coupling / model.n


def full_field(model, sign, total):
    """beta h_i+-, as defined below SI Eq. (2)."""
    return model.beta * (model.field + (sign + total) * model.coupling / model.n)


def as_a_product(model, sign, total):
    return full_field(model, sign, total) * model.beta * model.coupling / model.n


def with_a_lost_sign(model, sign, total):
    return full_field(model, sign, total) + sign * model.beta * model.coupling / model.n


@for_random_curie_weiss
def test_the_corrected_bias_gives_rho(model):
    for i in range(1, model.n + 1):
        for total in possible_sums(i - 1):
            for sign in (1, -1):
                found = log_rho(model, i, sign, total, corrected(model, sign, total))
                assert found == pytest.approx(model.log_rho(i, sign, total), abs=1e-11)


@pytest.mark.parametrize(("reading", "off_by"), [(as_a_product, 0.546), (with_a_lost_sign, 0.947)])
def test_the_printed_bias_does_not(reading, off_by):
    model, i, total = CurieWeiss(n=8, beta=1.3, coupling=1.0, field=0.2), 5, 2

    def difference(slope):
        up, down = (log_rho(model, i, s, total, slope(model, s, total)) for s in (1, -1))
        return up - down

    truth = model.log_rho(i, 1, total) - model.log_rho(i, -1, total)
    assert difference(corrected) == pytest.approx(truth, abs=1e-12)
    assert abs(difference(reading) - truth) == pytest.approx(off_by, rel=0.01)
