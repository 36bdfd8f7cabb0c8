"""Eq. (1): the divergence of the net Q from the Boltzmann distribution P is a difference of two
variational free energies, D(Q||P) = beta F[Q] - beta F[P], where F[P] = sum P [ln P / beta + H].

The paper prints D(P|Q) on the left, and F without the 1/beta. Chapter 1.
"""

import math

import pytest
import torch
from systems import EXAMPLE, for_random_systems, spins

from arnn import exact
from arnn.nets import MADE


def distributions(system):
    """P and Q as lists over all configurations; Q is an untrained MADE."""
    weights = [math.exp(-system.beta * system.energy(x)) for x in spins(system.n)]
    net = MADE(system.n, generator=torch.Generator().manual_seed(1))
    q = net.log_prob(exact.configurations(system.n)).detach().exp().tolist()
    return [w / math.fsum(weights) for w in weights], q, net


def divergence(p, q):
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def free_energy(system, p, power_of_beta=-1):
    """F[P] = sum P [beta^-1 ln P + H], or with another power of beta."""
    energies = [system.energy(x) for x in spins(system.n)]
    terms = zip(p, energies, strict=True)
    return math.fsum(a * (system.beta**power_of_beta * math.log(a) + e) for a, e in terms)


@for_random_systems
def test_the_divergence_is_a_difference_of_free_energies(system):
    p, q, net = distributions(system)
    difference = system.beta * (free_energy(system, q) - free_energy(system, p))
    assert divergence(q, p) == pytest.approx(difference, abs=1e-12)
    assert difference >= -1e-13
    found = exact.variational_free_energy(net, system.hamiltonian(), system.beta)
    assert found.kl.item() == pytest.approx(difference, abs=1e-11)
    beta_f = system.beta * free_energy(system, q)
    assert found.beta_free_energy.item() == pytest.approx(beta_f, abs=1e-11)


@for_random_systems
def test_the_free_energy_of_the_boltzmann_distribution_is_that_of_ln_z(system):
    p, _, _ = distributions(system)
    z = system.f(())
    assert free_energy(system, p) == pytest.approx(-math.log(z) / system.beta, abs=1e-11)


def test_the_printed_left_side_is_another_divergence():
    p, q = [0.9, 0.1], [0.5, 0.5]
    assert divergence(p, q) == pytest.approx(0.368, abs=5e-4)
    assert divergence(q, p) == pytest.approx(0.511, abs=5e-4)


def test_the_printed_free_energy_is_beta_times_too_large():
    p, q, _ = distributions(EXAMPLE)

    def printed(law):  # sum P [ln P + beta H]
        return EXAMPLE.beta * free_energy(EXAMPLE, law)

    difference = EXAMPLE.beta * (printed(q) - printed(p))
    assert difference == pytest.approx(EXAMPLE.beta * divergence(q, p), rel=1e-12)
    assert difference - divergence(q, p) > 0.3
