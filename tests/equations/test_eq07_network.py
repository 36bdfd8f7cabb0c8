"""Eq. (7): Eq. (5) as a network of two layers; the logit is the direct term plus the first
log-sum-exp of the hidden units minus the second.

The paper prints a plus before the second. Chapter 2.
"""

import math

import pytest
from systems import EXAMPLE, System, for_random_systems, log_sum_exp, sigma, spins, tensor

from arnn.nets import H2ARNN


def logit(system, i, past, sign_of_the_second=-1):
    """Eq. (7) with the weights and biases in the text below Eq. (9); one unit a configuration."""
    later = range(i + 1, system.n + 1)
    xi = {k: sum(system.J(s, k) * past[s - 1] for s in range(1, i)) for k in later}
    direct = (
        2 * system.beta * (system.h(i) + sum(system.J(s, i) * past[s - 1] for s in range(1, i)))
    )
    hidden = {1: [], -1: []}
    for configuration in spins(system.n - i):
        c = dict(zip(later, configuration, strict=True))
        for sign, units in hidden.items():
            bias = system.beta * sum(
                (
                    sign * system.J(i, k)
                    + system.h(k)
                    + sum(system.J(k, l) * c[l] for l in later if l > k)  # noqa: E741
                )
                * c[k]
                for k in later
            )
            units.append(bias + sum(system.beta * c[k] * xi[k] for k in later))
    return direct + log_sum_exp(hidden[1]) + sign_of_the_second * log_sum_exp(hidden[-1])


@for_random_systems
def test_the_network_is_the_exact_conditional(system):
    net = H2ARNN(system.hamiltonian(), system.beta)
    logits = net.logits(tensor(list(spins(system.n)))).tolist()
    for row, x in zip(logits, spins(system.n), strict=True):
        for i in range(1, system.n + 1):
            past = x[: i - 1]
            expected = system.logit(past)
            assert logit(system, i, past) == pytest.approx(expected, abs=1e-11)
            assert row[i - 1] == pytest.approx(expected, abs=1e-11)


def test_with_the_printed_sign_the_second_sum_counts_twice():
    net = H2ARNN(EXAMPLE.hamiltonian(), EXAMPLE.beta)
    past = (1,)
    fields = tensor([[EXAMPLE.J(1, 3), EXAMPLE.J(1, 4)]])
    log_rho_minus = net.log_rho(1, fields)[1].item()
    printed = logit(EXAMPLE, 2, past, sign_of_the_second=+1)
    assert printed - EXAMPLE.logit(past) == pytest.approx(2 * log_rho_minus, abs=1e-12)
    assert printed - EXAMPLE.logit(past) > 4


def test_the_printed_sign_breaks_the_symmetry_of_a_system_without_fields():
    """The first spin is +1 half of the time; as printed, with probability sigma(2 ln(Z/2))."""
    free = System(EXAMPLE.couplings, [0.0] * 4, EXAMPLE.beta)
    assert sigma(logit(free, 1, ())) == pytest.approx(0.5, abs=1e-12)
    printed = sigma(logit(free, 1, (), sign_of_the_second=+1))
    assert printed == pytest.approx(sigma(2 * math.log(free.f(()) / 2)), abs=1e-12)
    assert printed > 0.99
