"""Eq. (2): the conditional of spin i is a ratio of two sums of exp(-beta H), over the spins after i
and over those and spin i itself: P(x_i | x_<i) = f(x_i, x_<i) / sum_{x_i} f(x_i, x_<i).

Chapter 2.
"""

import math

import pytest
from systems import for_random_systems, sigma, spins, tensor

from arnn import exact


@for_random_systems
def test_the_ratio_of_sums_is_the_ratio_of_marginals(system):
    z = math.fsum(math.exp(-system.beta * system.energy(x)) for x in spins(system.n))
    probability = {x: math.exp(-system.beta * system.energy(x)) / z for x in spins(system.n)}

    def marginal(first):
        return math.fsum(p for x, p in probability.items() if x[: len(first)] == first)

    for i in range(1, system.n + 1):
        for past in system.pasts(i):
            for s in (-1, 1):
                ratio = system.f((*past, s)) / (system.f((*past, 1)) + system.f((*past, -1)))
                expected = marginal((*past, s)) / marginal(past)
                assert ratio == pytest.approx(expected, abs=1e-12)


@for_random_systems
def test_the_product_of_the_conditionals_is_the_boltzmann_distribution(system):
    z = system.f(())
    for x in spins(system.n):
        product = 1.0
        for i in range(1, system.n + 1):
            product *= system.f(x[:i]) / system.f(x[: i - 1])
        expected = math.exp(-system.beta * system.energy(x)) / z
        assert product == pytest.approx(expected, rel=1e-11)


@for_random_systems
def test_the_package_has_these_conditionals(system):
    x = tensor(list(spins(system.n)))
    logits = exact.conditional_logits(system.hamiltonian(), system.beta, x).tolist()
    for row, configuration in zip(logits, spins(system.n), strict=True):
        for i in range(1, system.n + 1):
            past = configuration[: i - 1]
            up, down = system.f((*past, 1)), system.f((*past, -1))
            assert sigma(row[i - 1]) == pytest.approx(up / (up + down), abs=1e-12)
