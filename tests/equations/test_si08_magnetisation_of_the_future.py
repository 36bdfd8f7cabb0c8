"""SI Eq. (8): the sum over k written over m_i = -(N-i-2k)/N; the coupling to the past becomes
e^{-beta J m_i S}.

The paper prints e^{N rho_i beta J S}, which holds no m_i and drops out. Chapter 4.
"""

import math

import pytest
from systems import CurieWeiss, for_random_curie_weiss, log_sum_exp, possible_sums


def log_rho(model, i, sign, total, coupling_to_the_past):
    """SI Eq. (8); the steps of m_i from -rho_i to rho_i are 2/N."""
    n, later, terms = model.n, model.n - i, []
    for downs in range(later + 1):
        m = (2 * downs - later) / n
        term = math.log(math.comb(later, downs)) + n * model.beta * model.coupling / 2 * m**2
        term -= sign * model.beta * model.coupling * m
        terms.append(term + coupling_to_the_past(model, i, m, total))
    return log_sum_exp(terms)


def corrected(model, i, m, total):
    return -model.beta * model.coupling * m * total


def printed(model, i, m, total):
    rho = (model.n - i) / model.n
    return model.n * rho * model.beta * model.coupling * total


@for_random_curie_weiss
def test_the_corrected_form_is_rho(model):
    model = model._replace(field=0.0)
    for i in range(1, model.n + 1):
        for total in possible_sums(i - 1):
            for sign in (1, -1):
                found = log_rho(model, i, sign, total, corrected)
                assert found == pytest.approx(model.log_rho(i, sign, total), abs=1e-11)


def test_as_printed_the_past_would_not_matter():
    model, i, total = CurieWeiss(n=8, beta=1.3, coupling=1.0, field=0.0), 4, 3
    truth = model.log_rho(i, 1, total) - model.log_rho(i, -1, total)

    def difference(coupling_to_the_past):
        up, down = (log_rho(model, i, sign, total, coupling_to_the_past) for sign in (1, -1))
        return up - down

    assert difference(corrected) == pytest.approx(truth, abs=1e-12)
    assert difference(printed) == pytest.approx(0, abs=1e-12)
    assert truth == pytest.approx(0.825, abs=1e-3)
