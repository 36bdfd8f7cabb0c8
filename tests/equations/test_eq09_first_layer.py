"""Eq. (9): the first layer gives each later spin l the field xi_il = sum_{s<i} J_sl x_s of the
past; its weights are the couplings themselves.

The weights of the second layer are printed w_cl = x_l below it; they are beta x_l. Chapter 2.
"""

import pytest
import torch
from systems import EXAMPLE, for_random_systems, spins, tensor

from arnn.nets import H2ARNN


@for_random_systems
def test_the_state_of_the_net_holds_these_fields(system):
    net = H2ARNN(system.hamiltonian(), system.beta)
    for x in spins(system.n):
        state = net.start(1)
        for i in range(1, system.n + 1):
            for k in range(i, system.n + 1):
                expected = sum(system.J(s, k) * x[s - 1] for s in range(1, i))
                assert state[0, k - 1].item() == pytest.approx(expected, abs=1e-13)
            state = net.observe(i - 1, tensor([x[i - 1]]), state)


@for_random_systems
def test_the_second_layer_weighs_the_fields_by_beta_times_a_configuration(system):
    net = H2ARNN(system.hamiltonian(), system.beta)
    for i in range(1, system.n):
        weights, _, _ = net.second_layer(i - 1)
        rows = {tuple(row) for row in (weights / system.beta).round(decimals=12).tolist()}
        assert rows == set(spins(system.n - i))


def test_the_printed_weights_miss_the_temperature():
    net = H2ARNN(EXAMPLE.hamiltonian(), EXAMPLE.beta)
    past, fields = (1,), tensor([[EXAMPLE.J(1, 3), EXAMPLE.J(1, 4)]])
    weights, b_plus, b_minus = net.second_layer(1)
    direct = 2 * EXAMPLE.beta * (EXAMPLE.h(2) + EXAMPLE.J(1, 2))

    def logit(w):
        hidden = fields @ w.T
        sums = [torch.logsumexp(hidden + b, 1).item() for b in (b_plus, b_minus)]
        return direct + sums[0] - sums[1]

    assert logit(weights) == pytest.approx(EXAMPLE.logit(past), abs=1e-12)
    assert abs(logit(weights / EXAMPLE.beta) - EXAMPLE.logit(past)) > 0.03
