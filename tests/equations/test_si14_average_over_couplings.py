"""SI Eq. (14): Paper Eq. (17) again, E rho^n as an integral over the couplings l < l'.

The sum over (l, l') in the exponent is over pairs, l < l'. Chapter 7.
"""

import math

import numpy as np
import pytest
from replicas import EXAMPLE, EXAMPLES


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("later", EXAMPLES[:2])
def test_the_integral_against_random_couplings(later, n):
    rng = np.random.default_rng(7)
    couplings = rng.normal(0, 1 / math.sqrt(later.size), (200_000, 3))
    powers = np.exp(n * later.log_rho(couplings))
    error = powers.std() / math.sqrt(len(powers))
    assert abs(powers.mean() - math.exp(later.log_average(n))) < 4 * error


def test_one_replica_in_closed_form():
    """n = 1, the annealed average: exp(beta^2 L (L-1) / 4N) prod_l 2 cosh beta h_l."""
    for later in EXAMPLES:
        pairs = later.count * (later.count - 1) / 2
        free = sum(np.log(2 * np.cosh(later.beta * h)) for h in later.fields)
        expected = later.beta**2 * pairs / (2 * later.size) + free
        assert later.log_average(1) == pytest.approx(expected, abs=1e-12)


def test_couplings_that_act_twice_have_another_average():
    """Over all l, l', as the text has it, the constant is four times as large."""
    nodes, weights = EXAMPLE.couplings()
    twice = np.log(weights @ np.exp(EXAMPLE.log_rho(2 * nodes)))
    assert twice - EXAMPLE.log_average(1) == pytest.approx(9 * EXAMPLE.beta**2 / 10, abs=1e-9)
