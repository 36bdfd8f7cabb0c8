"""SI Eq. (7): the integral done, at h = 0: a sum over k of C(N-i, k) with a square,
+- (beta J/N)(N-i-2k), and the coupling (beta J/N)(N-i-2k) S to the past in the exponent.

Chapter 4.
"""

import math

import pytest
from systems import for_random_curie_weiss, log_sum_exp, possible_sums


@for_random_curie_weiss
def test_it_is_rho_without_a_field(model):
    model = model._replace(field=0.0)
    scale = model.beta * model.coupling / model.n
    for i in range(1, model.n + 1):
        sums = [(k, model.n - i - 2 * k) for k in range(model.n - i + 1)]
        for total in possible_sums(i - 1):
            for sign in (1, -1):
                found = log_sum_exp(
                    math.log(math.comb(model.n - i, k))
                    + scale * m**2 / 2
                    + sign * scale * m
                    + scale * m * total
                    for k, m in sums
                )
                assert found == pytest.approx(model.log_rho(i, sign, total), abs=1e-11)


@for_random_curie_weiss
def test_without_a_field_a_flip_of_everything_exchanges_the_two(model):
    model = model._replace(field=0.0)
    for i in range(1, model.n + 1):
        for total in possible_sums(i - 1):
            flipped = model.log_rho(i, -1, -total)
            assert model.log_rho(i, 1, total) == pytest.approx(flipped, abs=1e-11)
