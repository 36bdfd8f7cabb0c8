"""SI Eq. (20): sum_{a<b} x_a x_b = [(sum_a x_a)^2 - n]/2 in each of the N - i brackets.

The constant is e^(-n (N-i) beta^2 q/2), one factor for each later spin; the paper prints
e^(-n N beta^2 q/2). Chapter 7.
"""

import numpy as np
import pytest
from replicas import EXAMPLES
from scipy.special import logsumexp
from systems import spins

Q = 0.37


def brackets(later, n):
    """The product over l of the sums of SI Eq. (20), as ln."""
    total = 0.0
    for h in later.fields:
        sums = np.array([sum(x) for x in spins(n)])
        total += logsumexp(later.beta * h * sums + later.beta**2 * Q / 2 * sums**2)
    return total


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("later", EXAMPLES)
def test_the_square_is_completed_once_for_each_later_spin(later, n):
    before = sum(later.log_one_spin_symmetric(n, Q, h) for h in later.fields)
    after = brackets(later, n) - n * later.count * later.beta**2 * Q / 2
    assert after == pytest.approx(before, abs=1e-12)
    printed = brackets(later, n) - n * later.size * later.beta**2 * Q / 2
    assert before - printed > 0.06 * n  # i factors too many
