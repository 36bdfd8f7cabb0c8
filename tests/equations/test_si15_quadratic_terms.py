"""SI Eq. (15): the couplings integrated out.

Right: beta^2/(2N) times the sum over l < l' and all a, b. The paper sums over all l and l', which
counts each pair twice and adds the terms l = l'. Chapter 7.
"""

import pytest
from replicas import EXAMPLE, EXAMPLES


def quadratic(x, pairs):
    """sum over pairs (l, l') and all a, b of x_l^a x_l^b x_l'^a x_l'^b."""
    return sum(((x[:, :, k] * x[:, :, j]).sum(1)) ** 2 for k, j in pairs)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("later", EXAMPLES)
def test_corrected_it_is_the_average(later, n):
    factor = later.beta**2 / (2 * later.size)
    found = later.log_replica_sum(n, lambda x: factor * quadratic(x, later.pairs()))
    assert found == pytest.approx(later.log_average(n), abs=1e-11)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_as_printed_it_is_too_large(n):
    every = [(k, j) for k in range(3) for j in range(3)]
    factor = EXAMPLE.beta**2 / (2 * EXAMPLE.size)
    printed = EXAMPLE.log_replica_sum(n, lambda x: factor * quadratic(x, every))
    assert printed - EXAMPLE.log_average(n) > 0.8 * n
    # Half the factor mends the double counting and leaves the constant terms l = l'.
    half = EXAMPLE.log_replica_sum(n, lambda x: factor / 2 * quadratic(x, every))
    diagonal = EXAMPLE.beta**2 / (4 * EXAMPLE.size) * EXAMPLE.count * n**2
    assert half - diagonal == pytest.approx(EXAMPLE.log_average(n), abs=1e-11)
