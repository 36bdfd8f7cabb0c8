"""Paper Eq. (17): E rho^n is the average of the sum over n replicas of the later spins.

The sum over (l, l') in the exponent counts each pair once, as the product over l < l' in front
does; over all l and l', as the text under the equation has it, each coupling would act twice.
Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLE, EXAMPLES
from systems import EXAMPLE as SYSTEM

from arnn.exact import configurations


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_nth_power_is_a_sum_over_replicas(n):
    """Couplings fixed: n copies that do not interact."""
    couplings = np.array([0.4, -0.9, 0.2])
    first, second = np.array(EXAMPLE.pairs()).T

    def coupled(times):
        pair = lambda x: (x[:, :, first] * x[:, :, second]).sum(1) @ couplings  # noqa: E731
        return EXAMPLE.log_replica_sum(n, lambda x: EXAMPLE.beta * times * pair(x))

    power = n * EXAMPLE.log_rho(couplings)
    assert coupled(1) == pytest.approx(power, abs=1e-12)
    assert abs(coupled(2) - power) > 0.1 * n  # l, l' running over all later spins


def test_rho_is_the_sum_in_the_conditional():
    """At the fields +-J_il + xi_il the two rho give the exact logit of Paper Eq. (5)."""
    past, i = (1, -1), 3
    own = SYSTEM.h(i) + sum(SYSTEM.J(s, i) * x for s, x in enumerate(past, 1))
    later = configurations(1).numpy()[:, 0]
    log_rho = []
    for sign in (1, -1):
        field = sign * SYSTEM.J(i, 4) + SYSTEM.h(4)
        field += sum(SYSTEM.J(s, 4) * x for s, x in enumerate(past, 1))
        log_rho.append(np.log(np.exp(SYSTEM.beta * field * later).sum()))
    logit = 2 * SYSTEM.beta * own + log_rho[0] - log_rho[1]
    assert logit == pytest.approx(SYSTEM.logit(past), abs=1e-12)


@pytest.mark.parametrize("later", EXAMPLES)
def test_the_limit_of_no_replicas_is_the_mean_of_the_logarithm(later):
    """lim ln E rho^n / n = E ln rho, with an error n Var(ln rho) / 2."""
    nodes, weights = later.couplings()
    values = later.log_rho(nodes)
    mean = later.mean_log_rho()
    variance = weights @ (values - mean) ** 2
    for n in (1e-2, 1e-3, -1e-3):
        assert later.log_average(n) / n == pytest.approx(mean + n * variance / 2, abs=2 * n**2)
    assert later.log_average(1) > mean + 0.1 * variance  # annealed is not quenched


def test_jensen():
    """ln E rho^n / n rises with n: the annealed average is an upper bound of the quenched one."""
    values = [EXAMPLE.log_average(n) / n for n in (-2, -1, -0.1, 0.1, 0.5, 1, 2, 3)]
    assert (np.diff(values) > 0).all()
    assert values[3] > EXAMPLE.mean_log_rho() > values[2]
    assert math.isfinite(values[0])
