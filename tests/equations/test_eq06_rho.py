"""Eq. (6): rho+- is the partition function of the spins after i, in the fields of the past and of
spin i held at +-1. What involves only the past cancels.

Chapter 2.
"""

import math

import pytest
from systems import System, for_random_systems, tensor

from arnn.nets import H2ARNN


def subsystem(system, i, sign, past):
    """The spins after i with spin i and the past as fields: a system of n - i spins."""
    later = range(i + 1, system.n + 1)
    couplings = [[system.J(k, l) for l in later] for k in later]  # noqa: E741
    fields = [
        system.h(k) + sign * system.J(i, k) + sum(system.J(s, k) * past[s - 1] for s in range(1, i))
        for k in later
    ]
    return System(couplings, fields, system.beta)


@for_random_systems
def test_the_hidden_layer_sums_to_the_partition_function_of_the_later_spins(system):
    net = H2ARNN(system.hamiltonian(), system.beta)
    for i in range(1, system.n):
        for past in system.pasts(i):
            fields = [
                sum(system.J(s, k) * past[s - 1] for s in range(1, i))
                for k in range(i + 1, system.n + 1)
            ]
            found = [log_rho.item() for log_rho in net.log_rho(i - 1, tensor([fields]))]
            expected = [math.log(subsystem(system, i, s, past).f(())) for s in (1, -1)]
            assert found == pytest.approx(expected, abs=1e-11)


@for_random_systems
def test_f_is_rho_times_what_the_later_spins_do_not_enter(system):
    """ln f(+-1, past) = -beta H(past) +- beta (h_i + field of the past) + ln rho+-."""
    for i in range(1, system.n + 1):
        for past in system.pasts(i):
            earlier = System(
                [row[: i - 1] for row in system.couplings[: i - 1]],
                system.fields[: i - 1],
                system.beta,
            )
            field = system.h(i) + sum(system.J(s, i) * past[s - 1] for s in range(1, i))
            for sign in (1, -1):
                log_rho = math.log(subsystem(system, i, sign, past).f(()))
                log_f = system.beta * (sign * field - earlier.energy(past)) + log_rho
                assert log_f == pytest.approx(math.log(system.f((*past, sign))), abs=1e-11)
