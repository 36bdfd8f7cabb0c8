"""Eq. (13): the bias of hidden unit k of spin i in CW_N is the logarithm of the total weight, at
S = 0, of the C(N-i, k) configurations of the later spins with k of them down.

The display before it names it a instead of b, and the count of CW_N is one term short. Chapter 3.
"""

import math

import pytest
from systems import for_random_curie_weiss, log_sum_exp, spins


@for_random_curie_weiss
def test_a_bias_is_the_weight_of_the_configurations_with_k_spins_down(model):
    net = model.net()
    for i in range(1, model.n + 1):
        for sign, biases in zip((1, -1), net.hidden_layer(i - 1)[:2], strict=True):
            for k, bias in enumerate(biases.tolist()):
                weights = []
                for later in spins(model.n - i):
                    if later.count(-1) == k:
                        m = sum(later)
                        field = model.field + sign * model.coupling / model.n
                        pairs = model.coupling * m**2 / (2 * model.n)
                        weights.append(model.beta * (field * m + pairs))
                assert bias == pytest.approx(log_sum_exp(weights), abs=1e-11)


@for_random_curie_weiss
def test_the_printed_formula_is_right(model):
    net = model.net()
    for i in range(1, model.n + 1):
        b_plus, b_minus, _ = net.hidden_layer(i - 1)
        for k in range(model.n - i + 1):
            m = model.n - i - 2 * k
            common = math.log(math.comb(model.n - i, k))
            common += model.beta * model.coupling / (2 * model.n) * m**2
            slope = model.beta * model.coupling / model.n
            for sign, bias in ((1, b_plus), (-1, b_minus)):
                expected = common + m * (model.beta * model.field + sign * slope)
                assert bias[k].item() == pytest.approx(expected, abs=1e-11)


@for_random_curie_weiss
def test_a_conditional_has_four_numbers_more_than_printed(model):
    net, numbers = model.net(), 2
    for i in range(1, model.n + 1):
        b_plus, b_minus, weights = net.hidden_layer(i - 1)
        of_this_spin = len(b_plus) + len(b_minus) + 2 * len(weights)
        printed = 4 * (model.n - i)
        assert of_this_spin == printed + 4
        numbers += of_this_spin
    assert numbers == net.num_parameters() == 2 * model.n**2 + 2 * model.n + 2
