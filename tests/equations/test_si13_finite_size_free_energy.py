"""SI Eq. (13): the free energy of the Curie-Weiss model at finite N is a sum over the number k of
spins down, with (beta J/2N)(N-2k)^2 + beta h (N-2k) in the exponent, and +J/2 for the self-terms.

The paper prints (beta J/2)(N-2k)^2 + (N-2k) h: a 1/N and a beta are missing. Chapter 3.
"""

import math

import pytest
from systems import CurieWeiss, for_random_curie_weiss, log_sum_exp

from arnn import exact


def free_energy(model, exponent, self_terms=0.5):
    log_z = log_sum_exp(
        math.log(math.comb(model.n, k)) + exponent(model, model.n - 2 * k)
        for k in range(model.n + 1)
    )
    return -log_z / model.beta + self_terms * model.coupling


def corrected(model, m):
    return model.beta * model.coupling * m**2 / (2 * model.n) + model.beta * model.field * m


def printed(model, m):
    return model.beta * model.coupling * m**2 / 2 + m * model.field


@for_random_curie_weiss
def test_the_corrected_sum_is_the_free_energy(model):
    truth = -math.log(model.system().f(())) / model.beta
    assert free_energy(model, corrected) == pytest.approx(truth, abs=1e-10)
    found = model.n * exact.curie_weiss_free_energy(*model)
    assert found == pytest.approx(truth, abs=1e-10)


def test_the_printed_sum_is_far_off():
    model = CurieWeiss(n=8, beta=1.3, coupling=1.0, field=0.2)
    truth = -math.log(model.system().f(())) / model.beta
    assert abs(free_energy(model, printed) - truth) == pytest.approx(27.2, abs=0.05)
    # It would not even be extensive: a ground state energy of -J N^2 / 2.
    large = model._replace(n=80)
    assert free_energy(large, printed) / 80**2 == pytest.approx(-0.5, abs=0.01)


def test_the_self_terms_are_printed_rightly():
    model = CurieWeiss(n=6, beta=0.7, coupling=1.4, field=-0.1)
    truth = -math.log(model.system().f(())) / model.beta
    for self_terms in (-0.5, 0.0):
        off = free_energy(model, corrected, self_terms) - truth
        assert off == pytest.approx((self_terms - 0.5) * 1.4, abs=1e-12)
