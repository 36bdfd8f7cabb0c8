"""Eq. (3): f(x_i = +-1, x_<i) is the sum of exp(-beta H) over the spins after i, with spin i held
at +-1 by a Kronecker delta.

Chapter 2.
"""

import math

import pytest
from systems import for_random_systems, spins


@for_random_systems
def test_the_delta_and_the_shorter_sum_are_the_same(system):
    for i in range(1, system.n + 1):
        for past in system.pasts(i):
            for s in (-1, 1):
                # as printed: over x_i and all later spins, with the delta
                with_delta = math.fsum(
                    math.exp(-system.beta * system.energy((*past, *rest))) * (rest[0] == s)
                    for rest in spins(system.n - i + 1)
                )
                assert system.f((*past, s)) == pytest.approx(with_delta, rel=1e-13)


@for_random_systems
def test_summed_over_spin_i_it_is_the_f_of_the_spin_before(system):
    for i in range(1, system.n + 1):
        for past in system.pasts(i):
            both = system.f((*past, 1)) + system.f((*past, -1))
            assert both == pytest.approx(system.f(past), rel=1e-13)


@for_random_systems
def test_the_first_sums_to_the_partition_function_and_the_last_is_one_weight(system):
    z = math.fsum(math.exp(-system.beta * system.energy(x)) for x in spins(system.n))
    assert system.f((1,)) + system.f((-1,)) == pytest.approx(z, rel=1e-13)
    for x in spins(system.n):
        assert system.f(x) == pytest.approx(math.exp(-system.beta * system.energy(x)), rel=1e-14)
