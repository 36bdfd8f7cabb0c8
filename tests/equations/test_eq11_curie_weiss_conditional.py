"""Eq. (11): Eq. (5) for the Curie-Weiss model; the past enters through its sum S alone, as
2 beta h + 2 beta (J/N) S + ln rho+ - ln rho-.

The display of CW_N below Eq. (14) prints both signs of the sums exchanged. Chapter 3.
"""

import pytest
from systems import CurieWeiss, for_random_curie_weiss, tensor


def logit(model, i, total, sign=1):
    """Eq. (11), or with another sign before the difference of the two logarithms."""
    direct = 2 * model.beta * (model.field + model.coupling / model.n * total)
    return direct + sign * (model.log_rho(i, 1, total) - model.log_rho(i, -1, total))


@for_random_curie_weiss
def test_it_is_the_exact_conditional_for_every_past(model):
    system = model.system()
    for i in range(1, min(model.n, 5) + 1):
        for past in system.pasts(i):
            expected = system.logit(past)
            assert logit(model, i, sum(past)) == pytest.approx(expected, abs=1e-11)


@for_random_curie_weiss
def test_the_package_has_it(model):
    net = model.net()
    for i in range(1, model.n + 1):
        for total in range(-i + 1, i, 2):
            found = net.logit_of_sum(i - 1, tensor(float(total))).item()
            assert found == pytest.approx(logit(model, i, total), abs=1e-11)


def test_with_the_signs_of_the_display_the_later_spins_push_the_wrong_way():
    """The second of two coupled spins' worth of ten: both up is more likely, not less."""
    model = CurieWeiss(n=10, beta=1.3, coupling=1.0, field=0.0)
    right = logit(model, 2, 1)
    assert right == pytest.approx(model.system().logit((1,)), abs=1e-11)
    printed = logit(model, 2, 1, sign=-1)
    assert right > 0.5
    assert printed < 0
    direct = 2 * 1.3 / 10
    assert right - printed == pytest.approx(2 * (right - direct), abs=1e-12)
