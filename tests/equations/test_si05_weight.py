"""SI Eq. (5): e^omega = e^{(beta J/N)(N-i-2k)}, the factor by which the terms of rho with k later
spins down grow when the sum of the past grows by one.

Chapter 3.
"""

import math

import pytest
from systems import for_random_curie_weiss, spins


def terms(model, i, k, sign, total):
    """The part of rho, SI Eq. (2), from configurations with k later spins down."""
    field = model.field + (sign + total) * model.coupling / model.n
    return math.fsum(
        math.exp(
            model.beta * (field * sum(later) + model.coupling * sum(later) ** 2 / (2 * model.n))
        )
        for later in spins(model.n - i)
        if later.count(-1) == k
    )


@for_random_curie_weiss
def test_it_is_the_growth_of_a_term_with_the_sum(model):
    net = model.net()
    for i in range(1, model.n + 1):
        weights = net.hidden_layer(i - 1)[2].exp().tolist()
        for k, weight in enumerate(weights):
            printed = math.exp(model.beta * model.coupling / model.n * (model.n - i - 2 * k))
            assert weight == pytest.approx(printed, rel=1e-12)
            for sign in (1, -1):
                growth = terms(model, i, k, sign, 1) / terms(model, i, k, sign, 0)
                assert growth == pytest.approx(weight, rel=1e-10)
