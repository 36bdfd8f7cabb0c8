"""Eq. (10): the fields of the first layer follow from those of the spin before,
xi_il = xi_{i-1,l} + J_{i-1,l} x_{i-1}, so that one running sum serves all conditionals.

The sentence before it prints J_si for J_sl. Chapter 2.
"""

import pytest
import torch
from systems import EXAMPLE, for_random_systems, spins, tensor

from arnn.nets import H2ARNN


def xi(system, i, k, x):
    """Eq. (9)."""
    return sum(system.J(s, k) * x[s - 1] for s in range(1, i))


@for_random_systems
def test_one_step_of_the_recurrence_adds_one_spin(system):
    for x in spins(system.n):
        for i in range(2, system.n + 1):
            for k in range(i, system.n + 1):
                step = xi(system, i - 1, k, x) + system.J(i - 1, k) * x[i - 2]
                assert step == pytest.approx(xi(system, i, k, x), abs=1e-13)


@for_random_systems
def test_the_net_steps_the_same_way(system):
    net = H2ARNN(system.hamiltonian(), system.beta)
    for x in spins(system.n):
        state = net.start(1)
        for i in range(2, system.n + 1):
            state = net.observe(i - 2, tensor([x[i - 2]]), state)
            expected = [xi(system, i, k, x) for k in range(i, system.n + 1)]
            assert state[0, i - 1 :].tolist() == pytest.approx(expected, abs=1e-13)


def test_a_run_of_the_recurrence_gives_every_logit():
    net, x = H2ARNN(EXAMPLE.hamiltonian(), EXAMPLE.beta), tensor(list(spins(4)))
    state, columns = net.start(len(x)), []
    for i in range(4):
        columns.append(net.conditional(i, state))
        state = net.observe(i, x[:, i], state)
    expected = [[EXAMPLE.logit(c[:i]) for i in range(4)] for c in spins(4)]
    torch.testing.assert_close(torch.stack(columns, 1), tensor(expected), rtol=0, atol=1e-12)


def test_with_the_printed_index_every_later_spin_would_feel_the_same_field():
    x = (1, -1, 1, 1)
    printed = {k: sum(EXAMPLE.J(s, 3) * x[s - 1] for s in (1, 2)) for k in (3, 4)}
    assert printed[3] == printed[4]
    assert xi(EXAMPLE, 3, 3, x) == pytest.approx(printed[3])
    assert abs(xi(EXAMPLE, 3, 4, x) - printed[4]) > 1
