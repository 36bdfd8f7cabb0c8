"""SI Eq. (18): at given Q the spins l are independent of each other; the sum over all of them is a
product. Correct as printed (with the constant of SI Eq. 17 corrected). Chapter 7.
"""

import numpy as np
import pytest
from replicas import EXAMPLES
from scipy.special import logsumexp


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("later", EXAMPLES)
def test_the_sum_is_a_product(later, n):
    rng = np.random.default_rng(n)
    first, second = np.triu_indices(n, 1)
    for Q in rng.normal(0, 0.6, (5, len(first))):
        x = later.replicas(n)
        overlaps = (x @ x.transpose(0, 2, 1))[:, first, second]
        together = logsumexp(
            later.beta * (x.sum(1) @ np.array(later.fields)) + later.beta**2 * overlaps @ Q
        )
        apart = sum(later.log_one_spin(n, Q, h) for h in later.fields)
        assert apart == pytest.approx(together, abs=1e-12)
