"""Eq. (8): the direct connection of spin i carries 2 beta (h_i + sum_{s<i} J_si x_s) past the
hidden layer.

The paper prints sum_s J_si x_s alone, which Eq. (5) contradicts. Chapter 2.
"""

import pytest
from systems import EXAMPLE, for_random_systems, spins, tensor

from arnn.nets import H2ARNN


def printed(system, i, past):
    return sum(system.J(s, i) * past[s - 1] for s in range(1, i))


def corrected(system, i, past):
    return 2 * system.beta * (system.h(i) + printed(system, i, past))


@for_random_systems
def test_what_the_hidden_layer_leaves_over_is_the_direct_connection(system):
    net = H2ARNN(system.hamiltonian(), system.beta)
    for x in spins(system.n):
        state = net.start(1)
        for i in range(1, system.n + 1):
            logit = net.conditional(i - 1, state)
            plus, minus = net.log_rho(i - 1, state[:, i:])
            left_over = (logit - plus + minus).item()
            assert left_over == pytest.approx(corrected(system, i, x[: i - 1]), abs=1e-11)
            state = net.observe(i - 1, tensor([x[i - 1]]), state)


def test_the_last_spin_has_nothing_else():
    for past in EXAMPLE.pasts(4):
        logit = EXAMPLE.logit(past)
        assert corrected(EXAMPLE, 4, past) == pytest.approx(logit, abs=1e-12)


def test_the_printed_form_loses_the_field_and_most_of_the_coupling():
    errors = [abs(printed(EXAMPLE, 4, past) - EXAMPLE.logit(past)) for past in EXAMPLE.pasts(4)]
    # (2 beta - 1) times the largest field of the past, and 2 beta h; beta = 1.3, h = 0.4
    assert max(errors) == pytest.approx(1.6 * 1.8 + 2.6 * 0.4, abs=1e-12)
    assert min(errors) > 0.1
