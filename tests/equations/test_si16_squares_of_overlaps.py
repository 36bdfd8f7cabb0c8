"""SI Eq. (16): the exponent as squares of sums over l, with the factor in front.

Correct as printed. Chapter 7.
"""

import numpy as np
import pytest
from replicas import EXAMPLES


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("later", EXAMPLES)
def test_it_is_the_average(later, n):
    factor = later.beta**2 / (2 * later.size)
    found = later.log_constant(n) + later.log_replica_sum(n, lambda x: factor * later.squares(x))
    assert found == pytest.approx(later.log_average(n), abs=1e-11)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_rearrangement_configuration_by_configuration(n):
    later = EXAMPLES[0]
    x = later.replicas(n)
    pairs = sum(((x[:, :, k] * x[:, :, j]).sum(1)) ** 2 for k, j in later.pairs())
    count = later.count
    assert np.array_equal(2 * pairs, 2 * later.squares(x) + n * count**2 - n**2 * count)
