"""Eq. (5): for two-body interactions the logit of spin i is 2 beta times its field from outside and
from the past, 2 beta (h_i + sum_s J_si x_s), plus ln rho+ - ln rho-.

Chapter 2.
"""

import math

import pytest
from systems import for_random_systems, spins


def rho(system, i, sign, past):
    """Paper Eq. (6), term by term."""
    total = []
    for later in spins(system.n - i):
        exponent = 0.0
        for place, x_l in enumerate(later):
            l = i + 1 + place  # noqa: E741
            from_past = sum(system.J(s, l) * past[s - 1] for s in range(1, i))
            exponent += (from_past + sign * system.J(i, l) + system.h(l)) * x_l
            for other, x_k in enumerate(later[place + 1 :]):
                exponent += system.J(l, l + 1 + other) * x_l * x_k
        total.append(math.exp(system.beta * exponent))
    return math.fsum(total)


@for_random_systems
def test_the_logit_is_the_local_field_and_two_sums(system):
    for i in range(1, system.n + 1):
        for past in system.pasts(i):
            field = system.h(i) + sum(system.J(s, i) * past[s - 1] for s in range(1, i))
            logit = 2 * system.beta * field
            logit += math.log(rho(system, i, 1, past)) - math.log(rho(system, i, -1, past))
            assert logit == pytest.approx(system.logit(past), abs=1e-11)


@for_random_systems
def test_without_later_spins_only_the_field_is_left(system):
    for past in system.pasts(system.n):
        assert rho(system, system.n, 1, past) == rho(system, system.n, -1, past) == 1
