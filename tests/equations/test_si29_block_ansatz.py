"""SI Eq. (29): the 1RSB ansatz, q1 between replicas of one block and q0 otherwise, Q_aa = 0.

The paper says "divided into m blocks", but its sums hold for n/m blocks of m replicas; it leaves
out the diagonal, which SI Eqs. (30) and (31) take to be zero; and with replicas counted from 1 and
I the integer part, the first block would have m - 1 members. Chapter 8.
"""

import math

import numpy as np
import pytest
from blocks import CASES, block_matrix
from systems import spins

N_REPLICAS, BLOCK, Q0, Q1, BETA, FIELD = CASES[1]


def printed(n, index):
    """Eq. (29) word by word for replicas 1..n, with a rule that gives each its block."""
    blocks = [index(a) for a in range(1, n + 1)]
    return np.array([[Q1 if s == t else Q0 for t in blocks] for s in blocks])


def correlations(Q):
    """<x_a x_b> of one replicated spin at overlaps Q, by brute force."""
    x = np.array(list(spins(len(Q))))
    weights = np.exp(BETA * FIELD * x.sum(1) + BETA**2 / 2 * ((x @ Q) * x).sum(1))
    return (x * weights[:, None]).T @ x / weights.sum()


def test_rounding_up_gives_blocks_of_m_and_rounding_down_does_not():
    off_diagonal = ~np.eye(N_REPLICAS, dtype=bool)
    ours = block_matrix(N_REPLICAS, BLOCK, Q0, Q1)
    up = printed(N_REPLICAS, lambda a: math.ceil(a / BLOCK))
    down = printed(N_REPLICAS, lambda a: math.floor(a / BLOCK))
    assert np.array_equal(up[off_diagonal], ours[off_diagonal])
    members = (down[0] == Q1).sum(), (down[-1] == Q1).sum()
    assert members == (BLOCK - 1, 1)


def test_m_counts_the_replicas_of_a_block_and_not_the_blocks():
    n, m = 12, 3
    sum_31 = n**2 * Q0**2 + n * m * (Q1**2 - Q0**2) - n * Q1**2
    assert (block_matrix(n, m, Q0, Q1) ** 2).sum() == pytest.approx(sum_31, abs=1e-12)
    of_m_blocks = (block_matrix(n, n // m, Q0, Q1) ** 2).sum()
    assert of_m_blocks - sum_31 == pytest.approx(n * (n / m - m) * (Q1**2 - Q0**2))


@pytest.mark.parametrize(("block", "value"), [(1, Q0), (N_REPLICAS, Q1)])
def test_blocks_of_one_and_of_all_replicas_are_replica_symmetric(block, value):
    symmetric = value * (1 - np.eye(N_REPLICAS))
    assert np.array_equal(block_matrix(N_REPLICAS, block, Q0, Q1), symmetric)


@pytest.mark.parametrize(("n", "m", "q0", "q1", "beta", "field"), CASES)
def test_spectrum(n, m, q0, q1, beta, field):
    found = np.linalg.eigvalsh(block_matrix(n, m, q0, q1))
    between_blocks = -q1 + m * (q1 - q0)
    expected = [-q1] * (n - n // m) + [between_blocks] * (n // m - 1) + [between_blocks + n * q0]
    assert found == pytest.approx(sorted(expected), abs=1e-12)


@pytest.mark.parametrize("block", [2, 3])
def test_the_saddle_point_equations_close_on_the_ansatz(block):
    # Q_ab = <x_a x_b> maps a block matrix to one of the same blocks, and breaks none.
    moved = correlations(block_matrix(N_REPLICAS, block, Q0, Q1))
    inside, outside = moved[0, 1], moved[0, block]
    assert moved == pytest.approx(
        block_matrix(N_REPLICAS, block, outside, inside) + np.eye(N_REPLICAS), abs=1e-12
    )
    assert inside - outside > 0.01
