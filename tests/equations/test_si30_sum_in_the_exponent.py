"""SI Eq. (30): sum_{a<b} Q_ab x_a x_b as squares of sums, for Q of SI Eq. (29).

The paper writes the sum over all a and b, which is twice as large. Chapter 8.
"""

import pytest
from blocks import CASES, block_matrix, block_sums, pair_sum
from systems import spins


def squares(x, m, q0, q1):
    """The right side of SI Eq. (30)."""
    inside = sum(s**2 for s in block_sums(x, m))
    return (q0 * sum(x) ** 2 + (q1 - q0) * inside - len(x) * q1) / 2


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_every_configuration_of_the_replicas(n, m, q0, q1, beta, field):
    Q = block_matrix(n, m, q0, q1)
    for x in spins(n):
        assert squares(x, m, q0, q1) == pytest.approx(pair_sum(Q, x), abs=1e-12)


def test_the_sum_over_all_pairs_is_twice_as_large():
    n, m, q0, q1 = CASES[0][:4]
    Q = block_matrix(n, m, q0, q1)
    x = (1,) * n
    printed = sum(Q[a, b] * x[a] * x[b] for a in range(n) for b in range(n))
    assert printed == pytest.approx(2 * squares(x, m, q0, q1))
    assert printed - squares(x, m, q0, q1) > 1


def test_with_q1_on_the_diagonal_it_would_miss_a_constant():
    # The term -n q1 is there because Q_aa = 0; with Q_aa = q1, as SI Eq. (29) reads, it is not.
    n, m, q0, q1 = CASES[1][:4]
    Q = block_matrix(n, m, q0, q1)
    for x in list(spins(n))[::7]:
        with_diagonal = (pair_sum(Q, x) * 2 + n * q1) / 2
        assert with_diagonal - squares(x, m, q0, q1) == pytest.approx(n * q1 / 2)
