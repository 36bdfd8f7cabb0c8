"""Eq. (4): the conditional probability of +1 is the logistic function of ln f(1) - ln f(-1).

Chapter 2.
"""

import math

import pytest
import torch
from systems import System, for_random_systems, sigma, spins, tensor

from arnn import exact


@for_random_systems
def test_the_logistic_function_of_the_difference_is_the_ratio(system):
    for i in range(1, system.n + 1):
        for past in system.pasts(i):
            up, down = system.f((*past, 1)), system.f((*past, -1))
            logit = math.log(up) - math.log(down)
            assert sigma(logit) == pytest.approx(up / (up + down), abs=1e-14)
            assert sigma(-logit) == pytest.approx(down / (up + down), abs=1e-14)


@for_random_systems
def test_the_package_returns_this_difference(system):
    x = tensor(list(spins(system.n)))
    found = exact.conditional_logits(system.hamiltonian(), system.beta, x).tolist()
    for row, configuration in zip(found, spins(system.n), strict=True):
        expected = [system.logit(configuration[:i]) for i in range(system.n)]
        assert row == pytest.approx(expected, abs=1e-11)


def test_the_difference_of_logarithms_survives_where_the_ratio_does_not():
    system = System([[0.0, 1.0], [1.0, 0.0]], [0.0, 0.0], beta=800.0)
    with pytest.raises(OverflowError):
        system.f((1, 1))
    x = tensor([[1, 1], [-1, 1]])
    logits = exact.conditional_logits(system.hamiltonian(), system.beta, x)
    torch.testing.assert_close(logits, tensor([[0, 1600], [0, -1600]]), rtol=1e-14, atol=0)
