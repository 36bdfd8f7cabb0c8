"""Eq. (14): the weight of hidden unit k of spin i in CW_N is (beta J/N)(N-i-2k), how fast the
logarithm of its terms grows with the sum S of the past; it is the same for both signs.

Chapter 3.
"""

import math

import pytest
from systems import for_random_curie_weiss, log_sum_exp, spins, tensor


def log_weight(model, i, k, sign, total):
    """The logarithm of the terms of Eq. (12) with k of the later spins down."""
    field = model.field + (sign + total) * model.coupling / model.n
    return log_sum_exp(
        model.beta * (field * sum(later) + model.coupling * sum(later) ** 2 / (2 * model.n))
        for later in spins(model.n - i)
        if later.count(-1) == k
    )


@for_random_curie_weiss
def test_a_weight_is_the_slope_in_the_sum_of_the_past(model):
    net = model.net()
    for i in range(1, model.n + 1):
        weights = net.hidden_layer(i - 1)[2].tolist()
        assert len(weights) == model.n - i + 1
        for k, weight in enumerate(weights):
            printed = model.beta * model.coupling / model.n * (model.n - i - 2 * k)
            assert weight == pytest.approx(printed, abs=1e-13)
            for sign in (1, -1):
                rise = log_weight(model, i, k, sign, 3) - log_weight(model, i, k, sign, -2)
                assert rise / 5 == pytest.approx(weight, abs=1e-11)


@for_random_curie_weiss
def test_biases_and_weights_together_are_the_exact_net(model):
    net, system = model.net(), model.system()
    for i in range(1, min(model.n, 5) + 1):
        b_plus, b_minus, weights = net.hidden_layer(i - 1)
        for past in system.pasts(i):
            total = sum(past)
            ratio = math.fsum((b_plus + weights * total).exp().tolist()) / math.fsum(
                (b_minus + weights * total).exp().tolist()
            )
            direct = 2 * model.beta * (model.field + model.coupling / model.n * total)
            assert direct + math.log(ratio) == pytest.approx(system.logit(past), abs=1e-11)
            found = net.logit_of_sum(i - 1, tensor(float(total))).item()
            assert found == pytest.approx(system.logit(past), abs=1e-11)
