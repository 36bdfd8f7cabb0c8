"""SI Eq. (31): sum_ab Q_ab^2 = n^2 q0^2 + n m (q1^2 - q0^2) - n q1^2, correct as printed.

Here the sum does run over all a and b, unlike in SI Eq. (30). Chapter 8.
"""

import pytest
from blocks import CASES, block_matrix


def closed_form(n, m, q0, q1):
    return n**2 * q0**2 + n * m * (q1**2 - q0**2) - n * q1**2


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_against_the_matrix(n, m, q0, q1, beta, field):
    Q = block_matrix(n, m, q0, q1)
    assert closed_form(n, m, q0, q1) == pytest.approx((Q**2).sum(), abs=1e-12)


def test_it_needs_a_diagonal_of_zeros():
    n, m, q0, q1 = CASES[0][:4]
    Q = block_matrix(n, m, q0, q1)
    for a in range(n):
        Q[a, a] = q1
    assert (Q**2).sum() - closed_form(n, m, q0, q1) == pytest.approx(n * q1**2)


def test_no_replicas_are_left_in_the_limit():
    # What multiplies n is negative for m < 1: fewer than no pairs of replicas.
    m, q0, q1 = 0.4, 0.2, 0.6
    per_replica = m * (q1**2 - q0**2) - q1**2
    n = 1e-6
    assert closed_form(n, m, q0, q1) / n == pytest.approx(per_replica, abs=1e-6)
    assert per_replica == pytest.approx(-(1 - m) * q1**2 - m * q0**2)
    assert per_replica < 0
