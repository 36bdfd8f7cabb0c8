"""Paper Eq. (18): without the couplings, replicas attract each other through their overlaps.

Correct as printed: the sum is proportional to E rho^n, with a factor that does not depend on the
fields (SI Eq. 16 has it). Chapter 7.
"""

import pytest
from replicas import EXAMPLE, EXAMPLES, OTHER_FIELDS


def log_sum(later, n):
    factor = later.beta**2 / (2 * later.size)
    return later.log_replica_sum(n, lambda x: factor * later.squares(x))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("later", EXAMPLES)
def test_the_factor_does_not_depend_on_the_fields(later, n):
    free = later._replace(fields=(0.0, 0.0, 0.0))
    ratio = later.log_average(n) - log_sum(later, n)
    assert ratio == pytest.approx(free.log_average(n) - log_sum(free, n), abs=1e-11)


@pytest.mark.parametrize("n", [2, 3])
def test_without_the_attraction_the_factor_would_depend_on_them(n):
    def ratio(later):
        return later.log_average(n) - later.log_replica_sum(n, lambda _: 0.0)

    assert abs(ratio(EXAMPLE) - ratio(OTHER_FIELDS)) > 0.01
